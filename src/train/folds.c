/* SPDX-License-Identifier: Apache-2.0 */
/* Cross-validation: one run after another, each without one part of the data. */
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "train/budget.h"
#include "train/folds_folder.h"
#include "train/material.h"
#include <inttypes.h>
#include <string.h>
#include <tubelet/files.h>
#include <unistd.h>

typedef struct cross {
    tub_context *ctx;
    tub_train_config config; /* resolved; its fold is the only one, or -1 */
    tub_dataset *data;       /* the caller's, or own, or NULL: each fold opens it anew */
    tub_dataset *own;        /* opened here */
    const char *out;
    bool resume, force;
    double share; /* seconds that a fold has; 0: no limit */
    tub_fold_state *states;
} cross;

/* A class with fewer samples than there are folds is missing in some of them. */
static void tell_rare(tub_context *ctx, const tub_dataset *data, const tub_train_config *c) {
    const tub_dataset_info *info = tub_dataset_describe(data);
    for (int64_t k = 0; info->task == TUB_TASK_MULTI_CLASS && k < info->classes; k++) {
        int64_t n = 0;
        for (tub_split s = TUB_TRAIN; s <= TUB_VAL; s++) {
            const int32_t *labels = tub_dataset_labels(data, s);
            for (int64_t i = 0; i < info->count[s]; i++) {
                n += labels[i] == k;
            }
        }
        if (n < c->folds) {
            tub__log_line(ctx, TUB_LOG_WARNING,
                          "%s: class %" PRId64 " has %" PRId64 " samples in train and val for "
                          "%" PRId64 " folds: some have none to validate it",
                          info->name, k, n, c->folds);
        }
    }
}

/* Opens the whole, for its digest and its sizes; what the settings leave open is resolved. A set in memory is closed
 * again, so that a fold has room beside it; one of files is looked through once for all folds. */
static tub_status settle(cross *x, tub_error *err) {
    tub_dataset *whole = NULL;
    tub_train_plan plan;
    const tub_dataset_options options = tub_train_dataset_options(&x->config);
    if (x->data == NULL && x->config.data[0] == '\0') {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "no data set was named; set data (phantom3d is built in)");
    }
    if (x->data == NULL) {
        TUB__TRY(tub_dataset_open(x->ctx, x->config.data, &options, &whole, err));
    }
    tub_dataset *data = x->data != NULL ? x->data : whole;
    tub_status status = tub_train_plan_of(x->ctx, &x->config, data, NULL, 0, &plan, err);
    if (status == TUB_OK) {
        x->share = x->resume ? x->share : tub__budget_share(&x->config);
        x->config = plan.config;
        tell_rare(x->ctx, data, &x->config);
    }
    if (status == TUB_OK && whole != NULL && tub_dataset_files(whole) > 0) {
        x->data = x->own = whole;
    } else {
        tub_dataset_close(whole);
    }
    return status;
}

static tub_status train_one(cross *x, const char *run, int64_t fold, tub_train_result *result,
                            tub_error *err) {
    tub_train_config c = x->config;
    c.fold = fold;
    c.budget = 0.0;
    tub__log_line(x->ctx, TUB_LOG_INFO, "fold %" PRId64 " of 0 to %" PRId64 ": %s", fold,
                  x->config.folds - 1, run);
    if (x->states[fold].begun) {
        return tub__resume_within(x->ctx, run, x->data, 0, -1, x->share, result, err);
    }
    return tub__train_until(x->ctx, &c, x->data, run, false,
                            x->share > 0.0 ? tub__seconds() + x->share : 0.0, result, err);
}

static tub_status run_fold(cross *x, int64_t fold, bool *stopped, tub_error *err) {
    const tub_allocator *a = &x->ctx->allocator;
    tub_train_result result = {0};
    char *run = NULL;
    tub_fold_state *s = &x->states[fold];
    if (s->finished && x->resume) {
        return TUB_OK;
    }
    TUB__TRY(tub__fold_path(a, x->out, fold, &run, err));
    tub_status status =
        s->begun && !x->resume
            ? tub__fail(err, TUB_E_EXISTS, "%s exists already; --resume %s goes on with its folds",
                        run, x->out)
            : train_one(x, run, fold, &result, err);
    *stopped = status == TUB_OK && result.stopped;
    if (status == TUB_OK) {
        status = tub_fold_look(x->ctx, x->out, &x->config, fold, s, err);
    }
    if (status == TUB_OK) {
        status = tub__folds_write(a, x->out, &x->config, x->states, x->share, err);
    }
    tub__free(a, run);
    return status;
}

static tub_status run_all(cross *x, tub_folds_result *result, tub_error *err) {
    const int64_t only = x->config.fold;
    bool stopped = false;
    x->config.fold = -1; /* of the whole, as folds.json says it */
    for (int64_t i = 0; i < x->config.folds; i++) {
        TUB__TRY(tub_fold_look(x->ctx, x->out, &x->config, i, &x->states[i], err));
    }
    TUB__TRY(tub__folds_write(&x->ctx->allocator, x->out, &x->config, x->states, x->share, err));
    for (int64_t i = 0; i < x->config.folds && !stopped; i++) {
        if (only < 0 || i == only) {
            TUB__TRY(run_fold(x, i, &stopped, err));
        }
    }
    if (result != NULL) {
        tub_folds_sum_up(x->states, x->config.folds, result);
        result->stopped = stopped;
    }
    return TUB_OK;
}

static tub_status run(cross *x, tub_folds_result *result, tub_error *err) {
    const tub_allocator *a = &x->ctx->allocator;
    TUB__TRY(
        tub__alloc_array(a, (size_t)x->config.folds, sizeof *x->states, (void **)&x->states, err));
    const tub_status status = run_all(x, result, err);
    tub__free(a, x->states);
    return status;
}

/* A single fold may join others: they must be of the same settings and data. */
static tub_status join(cross *x, bool *there, tub_error *err) {
    tub_train_config before;
    double share = 0.0;
    *there = false;
    if (x->config.fold < 0 || x->force) {
        return TUB_OK;
    }
    const tub_status status = tub__folds_read(x->ctx, x->out, &before, &share, err);
    if (status != TUB_OK) {
        return status == TUB_E_NOT_FOUND ? TUB_OK : status;
    }
    *there = true;
    x->share =
        x->share > 0.0 ? x->share : share; /* what is said of the others holds for this one */
    if (before.folds != x->config.folds || before.fold_seed != x->config.fold_seed ||
        strcmp(before.data_digest, x->config.data_digest) != 0) {
        return tub__fail(err, TUB_E_EXISTS,
                         "%s holds folds of other data, or cut in another way; choose another "
                         "folder",
                         x->out);
    }
    return TUB_OK;
}

static tub_status make_place(cross *x, tub_error *err) {
    bool joins = false;
    TUB__TRY(join(x, &joins, err));
    if (joins) {
        return TUB_OK;
    }
    TUB__TRY(tub__folds_make_way(&x->ctx->allocator, x->out, x->force, err));
    return tub__folder_create(x->out, err);
}

tub_status tub_train_folds(tub_context *ctx, const tub_train_config *config, tub_dataset *data,
                           const char *out, int force, tub_folds_result *result, tub_error *err) {
    cross x = {.ctx = ctx, .config = *config, .data = data, .out = out, .force = force != 0};
    TUB__TRY(tub_train_config_check(config, err));
    if (config->folds == 0) {
        return tub__fail(err, TUB_E_ARGUMENT, "folds is 0; say into how many parts to cut");
    }
    TUB__TRY(settle(&x, err));
    tub_status status = make_place(&x, err);
    if (status != TUB_OK) {
        tub_dataset_close(x.own);
        return status;
    }
    status = run(&x, result, err);
    tub_dataset_close(x.own);
    if (status != TUB_OK) {
        (void)!rmdir(out); /* nothing in it, not even folds.json: it was never begun */
    }
    ctx->stop = 0;
    return status;
}

tub_status tub_train_folds_resume(tub_context *ctx, const char *out, tub_dataset *data,
                                  tub_folds_result *result, tub_error *err) {
    cross x = {.ctx = ctx, .data = data, .out = out, .resume = true};
    TUB__TRY(tub__folds_read(ctx, out, &x.config, &x.share, err));
    TUB__TRY(settle(&x, err)); /* refuses other data */
    const tub_status status = run(&x, result, err);
    tub_dataset_close(x.own);
    return status;
}
