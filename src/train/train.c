/* SPDX-License-Identifier: Apache-2.0 */
/* The public entries: training into a new run folder, and going on with an old one. */
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/fpenv.h"
#include "train/log.h"
#include "train/material.h"
#include "train/ranks.h"
#include "train/recipe.h"
#include "train/run_folder.h"
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

typedef struct session {
    tub_context *ctx;
    tub_train_config config;
    tub__material material;
    tub__run run;
    tub__ranks ranks;
    double began;
    int lock; /* of the run folder; -1: none */
} session;

/* Takes the lock of the run folder, if there is one. */
static tub_status session_lock(session *s, const char *run, tub_error *err) {
    return tub__is_folder(run) ? tub__folder_lock(run, &s->lock, err) : TUB_OK;
}

/* Makes the run folder. Only a folder whose lock is held is replaced: one that appeared meanwhile
 * is somebody else's. */
static tub_status session_create(session *s, bool force, tub_error *err) {
    int old = s->lock;
    tub_status status = tub__run_create(s->ranks.list[0].trainer.model, &s->config, s->run.info,
                                        s->run.folder, force && old >= 0, &s->lock, err);
    if (status == TUB_OK && old >= 0) {
        close(old);
    }
    return status;
}

/* Data, settings and the ranks' memory; nothing is written yet. s->config is filled. */
static tub_status session_open(session *s, tub_context *ctx, tub_dataset *data, const char *run,
                               tub_error *err) {
    tub_model *model = NULL;
    s->ctx = ctx;
    s->began = tub__seconds();
    TUB__TRY(tub_train_config_check(&s->config, err));
    TUB__TRY(tub__material_open(ctx, &s->config, data, false, &s->material, err));
    s->run.data = s->material.data;
    s->run.info = s->material.info;
    s->run.config = &s->config;
    s->run.folder = run;
    TUB__TRY(tub__recipe_digest(&s->config, s->run.identity.recipe, err));
    tub__data_digest(s->run.data, s->run.identity.data);
    TUB__TRY(tub_model_create(ctx, &s->config.model, s->config.seed, &model, err));
    if (s->run.info->labels != NULL) {
        tub_status status =
            tub_model_set_labels(model, s->run.info->labels, s->run.info->classes, err);
        if (status != TUB_OK) {
            tub_model_close(model);
            return status;
        }
    }
    return tub__ranks_create(ctx, &s->run, model, &s->ranks, err);
}

static void session_close(session *s) {
    tub__ranks_destroy(&s->ranks);
    tub__material_close(&s->material);
    if (s->lock >= 0) {
        close(s->lock);
    }
}

static void tell_end(const session *s, const tub__progress *p) {
    tub_event e = {.kind = TUB_EVENT_TRAIN_END,
                   .message = s->run.folder,
                   .done = p->step,
                   .total = tub__progress_total(&s->config, s->ranks.list[0].trainer.batches),
                   .epoch = p->epoch,
                   .epochs = (uint64_t)s->config.epochs,
                   .seconds = tub__seconds() - s->began,
                   .train = p->train,
                   .val = p->val,
                   .lr = s->ranks.list[0].trainer.lr};
    tub__emit(s->ctx, &e);
}

static void fill_result(const session *s, const tub__trainer *t, tub_train_result *out) {
    const tub__progress *p = &t->progress;
    *out = (tub_train_result){.steps = (int64_t)p->step,
                              .epochs = (int64_t)p->epoch,
                              .seconds = p->seconds,
                              .train = p->train,
                              .val = p->val,
                              .best_val = p->best,
                              .best_epoch = (int64_t)p->best_epoch};
    out->stopped = t->stopped && !tub__progress_over(p, &s->config);
}

/* Trains on, then the files that only make sense at the end. */
static tub_status session_run(session *s, tub_train_result *result, tub_error *err) {
    const tub__trainer *first = &s->ranks.list[0].trainer;
    TUB__TRY(tub__ranks_run(&s->ranks, err));
    TUB__TRY(tub__run_write_metrics(first->model, &s->config, s->run.info, &first->progress,
                                    s->run.folder, err));
    tell_end(s, &first->progress);
    if (result != NULL) {
        fill_result(s, first, result);
    }
    return TUB_OK;
}

tub_status tub_train(tub_context *ctx, const tub_train_config *config, tub_dataset *data,
                     const char *run, int force, tub_train_result *result, tub_error *err) {
    TUB__TRY(tub__run_may_create(&ctx->allocator, run, force != 0, err)); /* before any work */
    tub__fpenv saved = tub__fpenv_enter();
    session s = {.config = *config, .lock = -1};
    tub_status status = session_lock(&s, run, err); /* of a run that is to be replaced */
    if (status == TUB_OK) {
        status = session_open(&s, ctx, data, run, err);
    }
    if (status == TUB_OK) {
        status = session_create(&s, force != 0, err);
    }
    if (status == TUB_OK) {
        status = session_run(&s, result, err);
    }
    session_close(&s);
    ctx->stop = 0;
    tub__fpenv_leave(saved);
    return status;
}

/* Loads the checkpoint into every rank and takes the log and best/ back to it. */
static tub_status load(session *s, tub_error *err) {
    const tub_allocator *a = &s->ctx->allocator;
    for (int i = 0; i < s->ranks.size; i++) {
        tub__trainer *t = &s->ranks.list[i].trainer;
        bool found = false;
        TUB__TRY(tub__checkpoint_read(s->run.folder, &t->optimizer, &t->progress, &s->run.identity,
                                      &found, err));
    }
    const tub__progress *p = &s->ranks.list[0].trainer.progress;
    TUB__TRY(tub__run_settle_best(a, s->run.folder, p->best_epoch, err));
    return tub__log_trim(a, s->run.folder, p->step, err);
}

/* A new number of epochs: checked against what is done, written down, and told. */
static tub_status change_epochs(session *s, int64_t before, tub_error *err) {
    const tub__progress *p = &s->ranks.list[0].trainer.progress;
    int64_t now = s->config.epochs;
    if ((uint64_t)now < p->epoch || ((uint64_t)now == p->epoch && p->batch > 0)) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "%s has done %" PRIu64 " epochs already; epochs can't be %" PRId64,
                         s->run.folder, p->epoch, now);
    }
    if (s->config.max_steps > 0 && p->step >= (uint64_t)s->config.max_steps) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "%s ended at its max_steps %" PRId64 "; more epochs can't change that",
                         s->run.folder, s->config.max_steps);
    }
    for (int i = 0; i < s->ranks.size; i++) {
        s->ranks.list[i].trainer.progress.waited =
            0; /* whoever asks for more epochs wants to go on */
    }
    if (p->step > 0) {
        /* Before the recipe: once that has the new number, a resumed run can't see the wish to go
         * on any more. */
        const tub__trainer *first = &s->ranks.list[0].trainer;
        TUB__TRY(tub__checkpoint_write(s->run.folder, &first->optimizer, p, &s->run.identity, err));
    }
    tub__log_line(s->ctx, TUB_LOG_INFO,
                  "epochs changed from %" PRId64 " to %" PRId64 ": the learning-rate schedule is "
                  "computed anew from step %" PRIu64,
                  before, now, p->step + 1);
    TUB__TRY(tub__run_forget_metrics(&s->ctx->allocator, s->run.folder, err));
    return tub__run_write_recipe(&s->ctx->allocator, s->run.folder, &s->config, err);
}

/* A run that ends where its checkpoint is: a kill may have left the weights of a later epoch, which
 * no step will write over. */
static tub_status write_last(const session *s, tub_error *err) {
    const tub__trainer *first = &s->ranks.list[0].trainer;
    return tub__progress_over(&first->progress, &s->config)
               ? tub__run_write_last(first->model, s->run.folder, err)
               : TUB_OK;
}

tub_status tub_train_resume(tub_context *ctx, const char *run, tub_dataset *data, int64_t epochs,
                            tub_train_result *result, tub_error *err) {
    tub__fpenv saved = tub__fpenv_enter();
    session s = {.lock = -1};
    tub_status status = session_lock(&s, run, err);
    if (status == TUB_OK) {
        status = tub_run_config(ctx, run, &s.config, err);
    }
    int64_t before = s.config.epochs;
    if (status == TUB_OK && epochs != 0) {
        s.config.epochs = epochs;
    }
    if (status == TUB_OK) {
        status = session_open(&s, ctx, data, run, err);
    }
    if (status == TUB_OK) {
        status = tub__run_clean(&ctx->allocator, run, err);
    }
    if (status == TUB_OK) {
        status = load(&s, err);
    }
    if (status == TUB_OK && s.config.epochs != before) {
        status = change_epochs(&s, before, err);
    }
    if (status == TUB_OK) {
        status = write_last(&s, err);
    }
    if (status == TUB_OK) {
        status = session_run(&s, result, err);
    }
    session_close(&s);
    ctx->stop = 0;
    tub__fpenv_leave(saved);
    return status;
}

void tub_train_stop(tub_context *ctx) {
    ctx->stop = 1;
}
