/* SPDX-License-Identifier: Apache-2.0 */
/* Going on with a run: from its checkpoint, with new limits perhaps, and with what is left of its
 * files. */
#include "base/error.h"
#include "base/file.h"
#include "base/fpenv.h"
#include "train/log.h"
#include "train/run_folder.h"
#include "train/session.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Loads the checkpoint into every rank. */
static tub_status load(tub__session *s, tub_error *err) {
    for (int i = 0; i < s->ranks.size; i++) {
        tub__trainer *t = &s->ranks.list[i].trainer;
        bool found = false;
        TUB__TRY(tub__checkpoint_read(s->run.folder, &t->optimizer, &t->progress, &s->run.identity,
                                      &found, err));
    }
    return TUB_OK;
}

/* New limits against what is done. */
static tub_status check_limits(const tub__session *s, const tub_train_config *before,
                               tub_error *err) {
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

static void tell_limits(const tub__session *s, const tub_train_config *before) {
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
static void change_progress(tub__session *s, const tub_train_config *before) {
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
static tub_status settle(tub__session *s, const tub_train_config *before, tub_error *err) {
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
static tub_status write_last(const tub__session *s, tub_error *err) {
    const tub__trainer *first = &s->ranks.list[0].trainer;
    return tub__progress_over(&first->progress, &s->config)
               ? tub__run_write_last(first->model, s->run.folder, err)
               : TUB_OK;
}

/* Where a run's data file has gone is something that only its user knows. */
static tub_status check_data_there(const char *run, const tub_train_config *c, tub_error *err) {
    if (c->data[0] == '/' && !tub__file_exists(c->data) && errno == ENOENT) {
        return tub__fail(err, TUB_E_NOT_FOUND,
                         "%.200s: its data set is not at %.200s any more; name the new place with "
                         "--data FILE",
                         run, c->data);
    }
    return TUB_OK;
}

/* The settings of the run with the new limits, and everything opened. */
static tub_status reopen(tub__session *s, tub_context *ctx, const char *run, tub_dataset *data,
                         int64_t epochs, int64_t max_steps, tub_train_config *before,
                         tub_error *err) {
    TUB__TRY(tub_run_config(ctx, run, before, err));
    s->config = *before;
    s->config.epochs = epochs != 0 ? epochs : before->epochs;
    s->config.max_steps = max_steps >= 0 ? max_steps : before->max_steps;
    if (data == NULL) {
        TUB__TRY(check_data_there(run, &s->config, err));
    }
    return tub__session_open(s, ctx, data, run, err);
}

tub_status tub_train_resume(tub_context *ctx, const char *run, tub_dataset *data, int64_t epochs,
                            int64_t max_steps, tub_train_result *result, tub_error *err) {
    tub__fpenv saved = tub__fpenv_enter();
    tub__session s = {.lock = -1};
    tub_train_config before;
    tub_status status = tub__session_lock(&s, run, err);
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
        status = tub__session_run(&s, result, err);
    }
    tub__session_close(&s);
    ctx->stop = 0;
    tub__fpenv_leave(saved);
    return status;
}
