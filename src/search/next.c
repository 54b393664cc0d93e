/* SPDX-License-Identifier: Apache-2.0 */
/* The next trial: random draws, and what all methods share. */
#include "search/sweep.h"

#include "base/error.h"
#include "base/philox.h"
#include <math.h>
#include <string.h>

tub_status tub__trial_parse(const tub_trial *trial, tub__json **out, tub_error *err) {
    return tub__json_parse(trial->parameters, strlen(trial->parameters), out, err);
}

const tub__json *tub__parameter_value(const tub__parameter *p, const tub__json *parameters) {
    char key[256];
    const char *at = p->path;
    const tub__json *value = parameters;
    while (value != NULL) {
        const size_t length = strcspn(at, "/");
        if (length >= sizeof key) {
            return NULL;
        }
        memcpy(key, at, length);
        key[length] = '\0';
        value = tub__json_get(value, key);
        if (at[length] == '\0') {
            return value;
        }
        at += length + 1;
    }
    return NULL;
}

/* ---- Writing parameters as the file nests them ---- */

static tub_status put_parameters(const tub_sweep *s, tub__json_writer *w, const char *key,
                                 const tub__json *mapping, const tub__drawn *values, size_t *index,
                                 tub_error *err) {
    const char **keys = NULL;
    tub_status status = tub__sorted_keys(&s->allocator, mapping, &keys, err);
    tub__json_open_object(w, key);
    for (size_t i = 0; status == TUB_OK && i < tub__json_size(mapping); i++) {
        const tub__json *spec = tub__json_get(mapping, keys[i]);
        if (tub__parameter_holds(spec)) {
            status = put_parameters(s, w, keys[i], tub__json_get(spec, "parameters"), values, index,
                                    err);
        } else {
            tub__drawn_put(w, keys[i], &values[(*index)++]);
        }
    }
    tub__json_close_object(w);
    tub__free(&s->allocator, keys);
    return status;
}

tub_status tub__assignment(const tub_sweep *s, const tub__drawn *values, char **out,
                           tub_error *err) {
    tub__json_writer w;
    size_t size = 0, index = 0;
    tub__json_start(&w, &s->allocator, 0);
    const tub_status status = put_parameters(
        s, &w, NULL, tub__json_get(s->document.values, "parameters"), values, &index, err);
    if (status != TUB_OK) {
        tub__json_discard(&w);
        return status;
    }
    return tub__json_finish(&w, out, &size, err);
}

/* ---- Random ---- */

tub_status tub__random_next(const tub_sweep *s, uint64_t seed, int64_t number, char **out,
                            tub_error *err) {
    void *room = NULL;
    TUB__TRY(tub__alloc_array(&s->allocator, s->count + 1, sizeof(tub__drawn), &room, err));
    tub__drawn *values = room;
    tub__random draws = tub__search_draws(seed, number, TUB__DRAWS_VALUES);
    for (size_t i = 0; i < s->count; i++) {
        values[i] = tub__parameter_at(&s->parameters[i], tub__search_draw(&draws));
    }
    const tub_status status = tub__assignment(s, values, out, err);
    tub__free(&s->allocator, room);
    return status;
}

tub_status tub_sweep_next(tub_context *ctx, const tub_sweep *s, uint64_t seed,
                          const tub_trial *trials, int64_t count, char **out, tub_error *err) {
    *out = NULL;
    TUB__TRY(tub_sweep_check(s, err));
    return s->info.method == TUB_SWEEP_GRID ? tub__grid_next(s, trials, count, out, err)
           : s->info.method == TUB_SWEEP_RANDOM
               ? tub__random_next(s, seed, count, out, err)
               : tub__bayes_next(ctx, s, seed, trials, count, out, err);
}

/* ---- Looking at trials ---- */

double tub_sweep_best(const tub_sweep *s, const tub_trial *trial) {
    double best = NAN;
    for (int64_t i = 0; i < trial->steps; i++) {
        const double value = trial->history[i];
        if (isfinite(value) && (isnan(best) || (s->info.maximize ? value > best : value < best))) {
            best = value;
        }
    }
    return best;
}

int64_t tub_sweep_best_of(const tub_sweep *s, const tub_trial *trials, int64_t count) {
    int64_t found = -1;
    double best = NAN;
    for (int64_t i = 0; i < count; i++) {
        const double value = tub_sweep_best(s, &trials[i]);
        if (!isnan(value) && (isnan(best) || (s->info.maximize ? value > best : value < best))) {
            best = value;
            found = i;
        }
    }
    return found;
}

double tub_sweep_position(const tub_sweep *s, int64_t index, const char *parameters) {
    tub__json *root = NULL;
    if (index < 0 || index >= (int64_t)s->count ||
        tub__json_parse(parameters, strlen(parameters), &root, NULL) != TUB_OK) {
        return NAN;
    }
    const tub__parameter *p = &s->parameters[index];
    const tub__json *value = tub__parameter_value(p, root);
    double position = NAN;
    if (p->values == NULL) {
        position = tub__parameter_cdf(p, value);
    } else if (value != NULL) { /* equal parts, whatever the probabilities */
        const size_t at = tub__value_index(p->values, value);
        position = at < p->count ? ((double)at + 0.5) / (double)p->count : NAN;
    }
    tub__json_free(root);
    return position;
}
