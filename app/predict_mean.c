/* SPDX-License-Identifier: Apache-2.0 */
/* Files and timelines by the mean of several models: each reads a file as it takes files, and then the
 * answers are averaged. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "predict_files.h"

/* ---- Files ---- */

enum { SOME = 32 }; /* files at a time: lines appear as work goes on */

/* What was told of a file, by all models so far. */
typedef struct heard {
    tub_status status;
    int64_t frames;
    double seconds, milliseconds;
    char message[TUB_ERROR_LENGTH]; /* why it failed, or its damage; "": none */
} heard;

typedef struct some {
    heard files[SOME];
    float *logits, *probabilities; /* [SOME, K] of one model; then of the mean */
    size_t classes;
} some;

/* The first failure stays, and so does damage. */
static int hear(void *user, const tub_file_result *r) {
    some *s = user;
    heard *h = &s->files[r->index];
    if (h->status == TUB_OK && r->message != NULL && (r->status != TUB_OK || !h->message[0])) {
        snprintf(h->message, sizeof h->message, "%s", r->message);
    }
    h->status = h->status == TUB_OK ? r->status : h->status;
    if (r->status == TUB_OK) {
        h->frames = r->frames;
        h->seconds = r->seconds;
        h->milliseconds += r->milliseconds;
        memcpy(s->logits + r->index * s->classes, r->logits, s->classes * sizeof *s->logits);
        memcpy(s->probabilities + r->index * s->classes, r->probabilities,
               s->classes * sizeof *s->probabilities);
    }
    return 0;
}

static tub_status ask_all(const predictor *p, const predict_taking *taking,
                          const char *const *files, size_t count, tub_answers *sums, some *s,
                          tub_error *err) {
    tub_status status = TUB_OK;
    memset(s->files, 0, sizeof s->files);
    tub_answers_reset(sums, (int64_t)count);
    for (int i = 0; i < p->members.count && status == TUB_OK; i++) {
        const tub_file_options o = predict_member_taking(p, i, taking);
        memset(s->logits, 0, SOME * s->classes * sizeof *s->logits);
        memset(s->probabilities, 0, SOME * s->classes * sizeof *s->probabilities);
        status = tub_predict_files(p->list[i], count, files, &o, hear, s, err);
        if (status == TUB_OK) {
            tub_answers_add(sums, s->logits, s->probabilities);
        }
    }
    if (status == TUB_OK) {
        tub_answers_mean(sums, s->logits, s->probabilities);
    }
    return status;
}

static void tell_all(const predict_telling *t, const some *s, const char *const *files,
                     size_t count) {
    for (size_t i = 0; i < count; i++) {
        const heard *h = &s->files[i];
        const tub_file_result r = {.path = files[i],
                                   .index = i,
                                   .status = h->status,
                                   .message = h->message[0] ? h->message : NULL,
                                   .logits = s->logits + i * s->classes,
                                   .probabilities = s->probabilities + i * s->classes,
                                   .frames = h->frames,
                                   .seconds = h->seconds,
                                   .milliseconds = h->milliseconds};
        (void)predict_tell_file((void *)t, &r);
    }
}

int predict_mean_files(const predict_telling *t, tub_context *ctx, const predictor *p,
                       const predict_taking *taking, const char *const *files, int count) {
    const tub_model_config *c = tub_model_describe(p->list[0]);
    some *s = calloc(1, sizeof *s);
    float *room = calloc((size_t)c->classes * 2, SOME * sizeof *room);
    tub_answers *sums = NULL;
    tub_error err = {.status = TUB_E_MEMORY, .message = "out of memory"};
    tub_status status = TUB_E_MEMORY;
    if (s != NULL && room != NULL) {
        s->classes = (size_t)c->classes;
        s->logits = room;
        s->probabilities = room + SOME * s->classes;
        status = tub_answers_create(ctx, c, SOME, p->average, &sums, &err);
    }
    for (int i = 0; i < count && status == TUB_OK; i += SOME) {
        const size_t n = (size_t)(count - i < SOME ? count - i : SOME);
        status = ask_all(p, taking, files + i, n, sums, s, &err);
        if (status == TUB_OK) {
            tell_all(t, s, files + i, n);
        }
    }
    tub_answers_free(sums);
    free(room);
    free(s);
    return status == TUB_OK ? CLI_DONE : cli_fail(t->command, &err);
}

/* ---- Timelines ---- */

/* The rows of one model's timeline. */
typedef struct rows {
    tub_window *list;              /* logits and probabilities NULL */
    float *logits, *probabilities; /* [count, K] */
    size_t count, room, classes;
    bool full; /* no memory */
} rows;

static void free_rows(rows *r) {
    free(r->list);
    free(r->logits);
    free(r->probabilities);
}

static bool grow(void *block, size_t bytes) {
    void **at = block;
    void *more = realloc(*at, bytes);
    *at = more != NULL ? more : *at;
    return more != NULL;
}

static int add_row(void *user, const tub_window *w) {
    rows *r = user;
    const size_t row = r->classes * sizeof(float);
    if (r->count == r->room) {
        const size_t room = 2 * r->room + 64;
        r->full = !grow(&r->list, room * sizeof *r->list) || !grow(&r->logits, room * row) ||
                  !grow(&r->probabilities, room * row);
        if (r->full) {
            return 1;
        }
        r->room = room;
    }
    r->list[r->count] = *w;
    memcpy(r->logits + r->count * r->classes, w->logits, row);
    memcpy(r->probabilities + r->count * r->classes, w->probabilities, row);
    r->count++;
    return 0;
}

/* Windows follow from times alone, so that those of all models are the same. */
static tub_status add_model(const predictor *p, int i, const predict_taking *taking,
                            const char *file, rows *out, char *damage, tub_error *err) {
    const tub_file_options o = predict_member_taking(p, i, taking);
    char said[TUB_ERROR_LENGTH];
    const tub_status status =
        tub_timeline(p->list[i], file, taking->window, taking->hop, &o, add_row, out, said, err);
    if (status == TUB_OK && said[0] != '\0') {
        memcpy(damage, said, sizeof said);
    }
    if (out->full) {
        *err = (tub_error){.status = TUB_E_MEMORY, .message = "out of memory"};
        return TUB_E_MEMORY;
    }
    return status;
}

static tub_status join(tub_context *ctx, const predictor *p, rows *all, tub_error *err) {
    tub_answers *sums = NULL;
    const tub_status status = tub_answers_create(ctx, tub_model_describe(p->list[0]),
                                                 (int64_t)all[0].count, p->average, &sums, err);
    if (status != TUB_OK) {
        return status;
    }
    tub_answers_reset(sums, (int64_t)all[0].count);
    for (int i = 0; i < p->members.count; i++) {
        tub_answers_add(sums, all[i].logits, all[i].probabilities);
    }
    tub_answers_mean(sums, all[0].logits, all[0].probabilities);
    tub_answers_free(sums);
    return TUB_OK;
}

static tub_status ask_timelines(tub_context *ctx, const predictor *p, const predict_taking *taking,
                                const char *file, rows *all, char *damage, tub_error *err) {
    tub_status status = TUB_OK;
    for (int i = 0; i < p->members.count && status == TUB_OK; i++) {
        all[i].classes = (size_t)tub_model_describe(p->list[0])->classes;
        status = add_model(p, i, taking, file, &all[i], damage, err);
        if (status == TUB_OK && all[i].count != all[0].count) {
            status = err->status = TUB_E_FORMAT;
            snprintf(err->message, sizeof err->message,
                     "%.400s: it is damaged so that models see windows of other times", file);
        }
    }
    return status == TUB_OK ? join(ctx, p, all, err) : status;
}

int predict_mean_timeline(const predict_telling *t, tub_context *ctx, const predictor *p,
                          const predict_taking *taking, const char *file) {
    rows *all = calloc((size_t)p->members.count, sizeof *all);
    char damage[TUB_ERROR_LENGTH] = "";
    tub_error err = {.status = TUB_E_MEMORY, .message = "out of memory"};
    const tub_status status =
        all == NULL ? TUB_E_MEMORY : ask_timelines(ctx, p, taking, file, all, damage, &err);
    for (size_t i = 0; status == TUB_OK && i < all[0].count; i++) {
        tub_window w = all[0].list[i];
        w.logits = all[0].logits + i * all[0].classes;
        w.probabilities = all[0].probabilities + i * all[0].classes;
        (void)predict_tell_window((void *)t, &w);
    }
    if (status != TUB_OK && status != TUB_E_MEMORY) {
        predict_tell_bad(t, status, err.message);
        (*t->bad)++;
    } else if (damage[0] != '\0') {
        predict_tell_bad(t, TUB_E_FORMAT, damage);
    }
    for (int i = 0; all != NULL && i < p->members.count; i++) {
        free_rows(&all[i]);
    }
    free(all);
    return status == TUB_E_MEMORY ? cli_fail(t->command, &err) : CLI_DONE;
}
