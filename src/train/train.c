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
#include <errno.h>
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

/* Loads the checkpoint into every rank. */
static tub_status load(session *s, tub_error *err) {
    for (int i = 0; i < s->ranks.size; i++) {
        tub__trainer *t = &s->ranks.list[i].trainer;
        bool found = false;
        TUB__TRY(tub__checkpoint_read(s->run.folder, &t->optimizer, &t->progress, &s->run.identity,
                                      &found, err));
    }
    return TUB_OK;
}

/* New limits against what is done. */
static tub_status check_limits(const session *s, const tub_train_config *before, tub_error *err) {
    const tub__progress *p = &s->ranks.list[0].trainer.progress;
    const tub_train_config *c = &s->config;
    bool epochs = c->epochs != before->epochs, steps = c->max_steps != before->max_steps;
    if (epochs &&
        ((uint64_t)c->epochs < p->epoch || ((uint64_t)c->epochs == p->epoch && p->batch > 0))) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "%s has done %" PRIu64 " epochs already; epochs can't be %" PRId64,
                         s->run.folder, p->epoch, c->epochs);
    }
    if (c->max_steps > 0 && (epochs || steps) && p->step >= (uint64_t)c->max_steps) {
        return steps
                   ? tub__fail(err, TUB_E_ARGUMENT,
                               "%s has done %" PRIu64 " steps already; max_steps can't be %" PRId64,
                               s->run.folder, p->step, c->max_steps)
                   : tub__fail(err, TUB_E_ARGUMENT,
                               "%s ended at its max_steps %" PRId64 "; to go on give it more of "
                               "those, not epochs alone",
                               s->run.folder, c->max_steps);
    }
    if (steps && !epochs && p->epoch >= (uint64_t)c->epochs) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "%s has done its %" PRId64 " epochs; to go on give it more of those, not "
                         "max_steps alone",
                         s->run.folder, c->epochs);
    }
    return TUB_OK;
}

/* The end that max_steps made inside an epoch is none any more: its scores are no epoch's, and the
 * best of a part of the first epoch is no best epoch. ended: it was one until now. */
static void forget_part(tub__progress *p, bool ended) {
    bool part_is_best = p->best_epoch == p->epoch + 1;
    const tub__progress start = tub__progress_start();
    if (p->batch > 0 && (ended || part_is_best)) {
        p->train = p->val = start.val;
    }
    if (p->batch > 0 && part_is_best) {
        p->best = start.best;
        p->best_epoch = 0;
    }
}

static void tell_limits(const session *s, const tub_train_config *before) {
    const tub_train_config *c = &s->config;
    uint64_t next = s->ranks.list[0].trainer.progress.step + 1;
    if (c->epochs != before->epochs) {
        tub__log_line(s->ctx, TUB_LOG_INFO,
                      "epochs changed from %" PRId64 " to %" PRId64 ": the learning-rate schedule "
                      "is computed anew from step %" PRIu64,
                      before->epochs, c->epochs, next);
    }
    if (c->max_steps != before->max_steps) {
        tub__log_line(s->ctx, TUB_LOG_INFO,
                      "max_steps changed from %" PRId64 " to %" PRId64 ": the learning-rate "
                      "schedule is computed anew from step %" PRIu64,
                      before->max_steps, c->max_steps, next);
    }
}

/* The progress that the run goes on from, after a change of its limits. */
static void change_progress(session *s, const tub_train_config *before) {
    for (int i = 0; i < s->ranks.size; i++) {
        tub__progress *p = &s->ranks.list[i].trainer.progress;
        if (s->config.epochs != before->epochs) {
            p->waited = 0; /* whoever asks for more epochs wants to go on */
        }
        if (!tub__progress_over(p, &s->config)) {
            forget_part(p, before->max_steps > 0 && p->step >= (uint64_t)before->max_steps);
        }
    }
}

/* Makes the folder that of a run which is where the checkpoint is, with its new settings. */
static tub_status settle(session *s, const tub_train_config *before, tub_error *err) {
    const tub_allocator *a = &s->ctx->allocator;
    const tub__trainer *first = &s->ranks.list[0].trainer;
    const tub__progress *p = &first->progress;
    const char *folder = s->run.folder;
    bool limits = s->config.epochs != before->epochs || s->config.max_steps != before->max_steps;
    change_progress(s, before);
    bool over = tub__progress_over(p, &s->config);
    if (limits && p->step > 0) {
        /* Before the recipe: once that has the new number, a resumed run can't see the wish to go
         * on any more. */
        TUB__TRY(tub__checkpoint_write(folder, &first->optimizer, p, &s->run.identity, err));
    }
    tell_limits(s, before);
    if (limits || !over) {
        TUB__TRY(tub__run_forget_end(first->model, &s->config, s->run.info, folder, err));
    }
    if (limits || strcmp(s->config.data, before->data) != 0) {
        TUB__TRY(tub__run_write_recipe(a, folder, &s->config, err));
    }
    TUB__TRY(tub__run_settle_best(a, folder, p->best_epoch, err));
    /* The last row is of a part of an epoch where max_steps ended the run there. */
    return tub__log_trim(a, folder, !over && p->batch > 0 ? p->step - 1 : p->step, err);
}

/* A run that ends where its checkpoint is: a kill may have left the weights of a later epoch, which
 * no step will write over. */
static tub_status write_last(const session *s, tub_error *err) {
    const tub__trainer *first = &s->ranks.list[0].trainer;
    return tub__progress_over(&first->progress, &s->config)
               ? tub__run_write_last(first->model, s->run.folder, err)
               : TUB_OK;
}

/* Where a run's data file has gone is something that only its user knows. */
static tub_status check_data_there(const char *run, const tub_train_config *c, tub_error *err) {
    if (c->data[0] == '/' && !tub__file_exists(c->data) && errno == ENOENT) {
        return tub__fail(err, TUB_E_NOT_FOUND,
                         "%.150s: its data set is not at %.150s any more; name the new place: "
                         "tubelet train --resume %.100s --data FILE",
                         run, c->data, run);
    }
    return TUB_OK;
}

/* The settings of the run with the new limits, and everything opened. */
static tub_status reopen(session *s, tub_context *ctx, const char *run, tub_dataset *data,
                         int64_t epochs, int64_t max_steps, tub_train_config *before,
                         tub_error *err) {
    TUB__TRY(tub_run_config(ctx, run, before, err));
    s->config = *before;
    s->config.epochs = epochs != 0 ? epochs : before->epochs;
    s->config.max_steps = max_steps >= 0 ? max_steps : before->max_steps;
    if (data == NULL) {
        TUB__TRY(check_data_there(run, &s->config, err));
    }
    return session_open(s, ctx, data, run, err);
}

tub_status tub_train_resume(tub_context *ctx, const char *run, tub_dataset *data, int64_t epochs,
                            int64_t max_steps, tub_train_result *result, tub_error *err) {
    tub__fpenv saved = tub__fpenv_enter();
    session s = {.lock = -1};
    tub_train_config before;
    tub_status status = session_lock(&s, run, err);
    if (status == TUB_OK) {
        status = reopen(&s, ctx, run, data, epochs, max_steps, &before, err);
    }
    if (status == TUB_OK) {
        status = tub__run_clean(&ctx->allocator, run, err);
    }
    if (status == TUB_OK) {
        status = load(&s, err);
    }
    if (status == TUB_OK) {
        status = check_limits(&s, &before, err);
    }
    if (status == TUB_OK) {
        status = settle(&s, &before, err);
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
