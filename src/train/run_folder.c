/* SPDX-License-Identifier: Apache-2.0 */
/* The run folder: making it in one rename, the last weights, metrics.json, and cleaning after a
 * kill. */
#include "train/run_folder.h"

#include "base/error.h"
#include "base/file.h"
#include "convert/folder.h"
#include "formats/json.h"
#include "train/log.h"
#include "train/recipe.h"
#include "train/run_parts.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NOTE_LENGTH = 256, METRICS_LIMIT = 1 << 16 };

tub_status tub__run_write_recipe(const tub_allocator *a, const char *folder,
                                 const tub_train_config *config, tub_error *err) {
    char *path = NULL;
    TUB__TRY(tub__path_join(a, folder, TUB__RUN_RECIPE, &path, err));
    tub_status status = tub__recipe_write(a, path, config, err);
    tub__free(a, path);
    return status;
}

static tub_status make_checkpoint_folder(const tub_allocator *a, const char *folder,
                                         tub_error *err) {
    char *path = NULL;
    TUB__TRY(tub__path_join(a, folder, TUB__RUN_CHECKPOINT, &path, err));
    tub_status status = tub__folder_create(path, err);
    tub__free(a, path);
    return status;
}

static tub_status fill(const tub_model *model, const tub_train_config *config,
                       const tub_dataset_info *info, const tub__origin *origin, const char *folder,
                       tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    tub__card card = tub__run_card(config, info, NULL);
    TUB__TRY(tub__folder_write_config(model, folder, &card, err));
    TUB__TRY(tub__folder_write_arrays(model, folder, err));
    TUB__TRY(tub__run_write_recipe(a, folder, config, err));
    TUB__TRY(make_checkpoint_folder(a, folder, err));
    if (origin != NULL) {
        TUB__TRY(tub__start_write(origin, config, folder, err));
    }
    return tub__log_start(a, folder, err);
}

tub_status tub__run_create(const tub_model *model, const tub_train_config *config,
                           const tub_dataset_info *info, const tub__origin *origin, const char *run,
                           bool force, int *lock, tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    TUB__TRY(tub__run_may_create(a, run, force, err));
    char *temporary = NULL;
    int fd = -1;
    tub__leftovers_remove(run);
    TUB__TRY(tub__folder_temporary(a, run, &temporary, &fd, err));
    tub_status status = fill(model, config, info, origin, temporary, err);
    if (status == TUB_OK) {
        status = tub__folder_commit(a, temporary, run, force, err);
    }
    if (status == TUB_OK) {
        *lock = fd;
    } else {
        (void)!tub__folder_remove(a, temporary, NULL); /* the first failure is the one to tell */
        close(fd);
    }
    tub__free(a, temporary);
    return status;
}

tub_status tub__run_clean(const tub_allocator *a, const char *run, tub_error *err) {
    static const char *const inside[] = {TUB__RUN_BEST, TUB__RUN_CHECKPOINT};
    tub__leftovers_remove(run);
    TUB__TRY(tub__temporaries_remove(a, run, err));
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
        char *path = NULL;
        TUB__TRY(tub__path_join(a, run, inside[i], &path, err));
        tub_status status = tub__temporaries_remove(a, path, err);
        tub__free(a, path);
        TUB__TRY(status);
    }
    return make_checkpoint_folder(a, run, err);
}

tub_status tub__run_has(const tub_allocator *a, const char *run, const char *name, bool *has,
                        tub_error *err) {
    char *path = NULL;
    TUB__TRY(tub__path_join(a, run, name, &path, err));
    *has = tub__file_exists(path);
    tub__free(a, path);
    return TUB_OK;
}

tub_status tub__run_write_last(const tub_model *model, const char *run, tub_error *err) {
    return tub__folder_write_arrays(model, run, err);
}

static tub_status metrics_text(const tub_model *model, const tub_train_config *config,
                               const tub_dataset_info *info, const tub__progress *p, char **text,
                               size_t *size, tub_error *err) {
    char digest[33];
    TUB__TRY(tub__recipe_digest(config, digest, err));
    tub__json_writer w;
    tub__json_start(&w, &model->context->allocator, 2);
    tub__json_open_object(&w, NULL);
    tub__json_put_text(&w, "config_digest", digest);
    tub__json_put_bool(&w, "finished", tub__progress_over(p, config));
    tub__json_put_integer(&w, "steps", (int64_t)p->step);
    tub__json_put_integer(&w, "epochs", (int64_t)tub__progress_epochs(p, config));
    tub__json_put_bool(&w, "partial_epoch", tub__progress_partial(p, config));
    tub__json_put_integer(&w, "parameters", (int64_t)model->params.trained);
    tub__json_put_real(&w, "seconds", p->seconds);
    if (info->file_bytes > 0) {
        tub__json_put_integer(&w, "split_seed", (int64_t)config->split_seed);
        tub__json_put_integer(&w, "files_left_out", info->left_out);
    }
    tub__run_put_scores(&w, "train", &p->train);
    tub__run_put_scores(&w, "val", &p->val);
    tub__json_put_integer(&w, "best_epoch", (int64_t)p->best_epoch);
    tub__run_put_scores(&w, "best_val", &p->best);
    tub__json_close_object(&w);
    return tub__json_finish(&w, text, size, err);
}

/* The weights of a stop inside an epoch are later than the scores. */
static void stop_note(const tub__progress *p, bool scored, char note[NOTE_LENGTH]) {
    int used = snprintf(note, NOTE_LENGTH,
                        "The training was stopped inside epoch %" PRIu64 ". The weights are those "
                        "after step %" PRIu64 ", ",
                        p->epoch + 1, p->step);
    if (scored) {
        snprintf(note + used, NOTE_LENGTH - (size_t)used, "the scores those of epoch %" PRIu64 ".",
                 p->epoch);
    } else {
        snprintf(note + used, NOTE_LENGTH - (size_t)used, "which were not validated.");
    }
}

tub_status tub__run_write_metrics(const tub_model *model, const tub_train_config *config,
                                  const tub_dataset_info *info, const tub__progress *p,
                                  const char *run, tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    bool scored = p->val.loss == p->val.loss;
    tub__card card = tub__run_card(config, info, scored ? &p->val : NULL);
    char note[NOTE_LENGTH];
    if (p->batch > 0 && !tub__progress_over(p, config)) {
        stop_note(p, scored, note);
        card.note = note;
    }
    char *text = NULL, *path = NULL;
    size_t size = 0;
    TUB__TRY(tub__folder_write_config(model, run, &card, err));
    TUB__TRY(metrics_text(model, config, info, p, &text, &size, err));
    tub_status status = tub__path_join(a, run, TUB__RUN_METRICS, &path, err);
    if (status == TUB_OK) {
        status = tub__file_write(a, path, text, size, err);
    }
    tub__free(a, path);
    tub__free(a, text);
    return status;
}

tub_status tub__run_read_finished(const tub_allocator *a, const char *run, bool *finished,
                                  tub_error *err) {
    char *path = NULL;
    tub__json *metrics = NULL;
    TUB__TRY(tub__path_join(a, run, TUB__RUN_METRICS, &path, err));
    tub_status status = tub__json_load(a, path, METRICS_LIMIT, &metrics, err);
    if (status == TUB_OK) {
        status = tub__json_get_bool(metrics, "finished", finished, err);
        if (status != TUB_OK) {
            tub__prefix(err, status, "%s", path);
        }
        tub__json_free(metrics);
    }
    tub__free(a, path);
    return status;
}

tub_status tub__run_forget_end(const tub_model *model, const tub_train_config *config,
                               const tub_dataset_info *info, const char *run, tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    tub__card card = tub__run_card(config, info, NULL);
    char *path = NULL;
    TUB__TRY(tub__folder_write_config(model, run, &card, err));
    TUB__TRY(tub__path_join(a, run, TUB__RUN_METRICS, &path, err));
    tub_status status = TUB_OK;
    if (unlink(path) != 0 && errno != ENOENT) {
        status = tub__fail_errno(err, errno, "%s", path);
    }
    tub__free(a, path);
    return status;
}
