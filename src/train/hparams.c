/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of a run as hyperparameters: numbers, flags and texts. */
#include "train/hparams.h"

#include "base/error.h"
#include "base/number.h"
#include <string.h>

enum { TEXT_ROOM = 256 /* of a setting that is no path */, PATHS = 2 };

/* Where data come from, and who computes how. */
static bool is_none(const char *key) {
    static const char *const others[] = {"data_url",         "data_digest", "micro_batch",
                                         "recompute",        "ranks",       "no_cache",
                                         "loader_threads",   "cache_limit", "evaluate",
                                         "checkpoint_every", "tta",         "schedule_steps"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcmp(key, others[i]) == 0) {
            return true;
        }
    }
    return strncmp(key, "events", 6) == 0;
}

static tub__hparam make(const tub_option *o, const char *text) {
    tub__hparam h = {.name = o->key, .kind = TUB__HPARAM_TEXT, .text = text};
    if (o->type == TUB_OPTION_FLAG) {
        h.kind = TUB__HPARAM_FLAG;
        h.flag = strcmp(text, "true") == 0;
    } else if ((o->type == TUB_OPTION_INT || o->type == TUB_OPTION_REAL) &&
               tub__number_to_real(text, &h.number)) {
        h.kind = TUB__HPARAM_NUMBER;
    }
    return h;
}

static tub_status fill(tub__hparams *h, const tub_train_config *config, size_t room,
                       tub_error *err) {
    size_t options = 0, used = 0;
    const tub_option *list = tub_train_options(&options);
    for (size_t i = 0; i < options; i++) {
        if (is_none(list[i].key)) {
            continue;
        }
        char *text = h->texts + used;
        TUB__TRY(tub_train_config_get(config, list[i].key, text, room - used, err));
        used += strlen(text) + 1;
        h->list[h->count++] = make(&list[i], text);
    }
    return TUB_OK;
}

tub_status tub__hparams_create(const tub_allocator *a, const tub_train_config *config,
                               tub__hparams *out, tub_error *err) {
    tub__hparams h = {.allocator = a};
    size_t options = 0;
    (void)tub_train_options(&options);
    const size_t room = options * TEXT_ROOM + PATHS * TUB_PATH_LENGTH;
    tub_status status = tub__alloc_array(a, options, sizeof *h.list, (void **)&h.list, err);
    if (status == TUB_OK) {
        status = tub__alloc(a, room, (void **)&h.texts, err);
    }
    if (status == TUB_OK) {
        status = fill(&h, config, room, err);
    }
    if (status != TUB_OK) {
        tub__hparams_destroy(&h);
        return status;
    }
    *out = h;
    return TUB_OK;
}

void tub__hparams_destroy(tub__hparams *h) {
    if (h->allocator != NULL) {
        tub__free(h->allocator, h->list);
        tub__free(h->allocator, h->texts);
    }
    *h = (tub__hparams){0};
}
