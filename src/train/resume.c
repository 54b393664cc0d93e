/* SPDX-License-Identifier: Apache-2.0 */
/* Going on with a run: from its checkpoint, with new limits perhaps, and with what is left of its
 * files. */
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/fpenv.h"
#include "train/budget.h"
#include "train/log.h"
#include "train/run_folder.h"
#include "train/schedule.h"
#include "train/session.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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
    char anew[96] = "";
    if (tub__rates_know_the_end(c)) {
        snprintf(anew, sizeof anew,
                 ": the learning-rate schedule is computed anew from step %" PRIu64,
                 s->ranks.list[0].trainer.progress.step + 1);
    }
    if (c->epochs != before->epochs) {
        tub__log_line(s->ctx, TUB_LOG_INFO, "epochs changed from %" PRId64 " to %" PRId64 "%s",
                      before->epochs, c->epochs, anew);
    }
    if (c->max_steps != before->max_steps) {
        tub__log_line(s->ctx, TUB_LOG_INFO, "max_steps changed from %" PRId64 " to %" PRId64 "%s",
                      before->max_steps, c->max_steps, anew);
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

/* The best epoch is none any more: the next one judged takes its place. */
static void forget_best(tub__session *s) {
    const tub__progress start = tub__progress_start();
    for (int i = 0; i < s->ranks.size; i++) {
        s->ranks.list[i].trainer.progress.best = start.best;
        s->ranks.list[i].trainer.progress.best_epoch = 0;
    }
}

/* Somebody removed best/: its weights are those of the checkpoint, or lost. */
static tub_status mend_best(tub__session *s, tub_error *err) {
    tub__trainer *first = &s->ranks.list[0].trainer;
    const tub__progress *p = &first->progress;
    bool there = true;
    if (p->best_epoch > 0) {
        TUB__TRY(tub__run_has_best(&s->ctx->allocator, s->run.folder, p->best_epoch, &there, err));
    }
    if (there) {
        return TUB_OK;
    }
    if (p->best_epoch == p->epoch + (p->batch > 0)) {
        tub__log_line(s->ctx, TUB_LOG_INFO,
                      "%s/" TUB__RUN_BEST " is missing: it is written again, its weights are those "
                      "of the checkpoint",
                      s->run.folder);
        tub__trainer_show_average(first, true);
        const tub_status status =
            tub__run_write_best(first->model, &s->config, s->run.info, p, s->run.folder, err);
        tub__trainer_show_average(first, false);
        return status;
    }
    tub__log_line(s->ctx, TUB_LOG_WARNING,
                  "%s/" TUB__RUN_BEST " is missing: the weights of epoch %" PRIu64 ", the best so "
                  "far, are lost; %s",
                  s->run.folder, p->best_epoch,
                  tub__progress_over(p, &s->config)
                      ? "the run has no best model any more"
                      : "the best of the epochs to come takes its place");
    forget_best(s);
    return TUB_OK;
}

/* Somebody removed log.csv. */
static tub_status tell_lost_log(const tub__session *s, const tub__progress *p, tub_error *err) {
    bool there = true;
    uint64_t rows = tub__progress_epochs(p, &s->config);
    TUB__TRY(tub__run_has(&s->ctx->allocator, s->run.folder, TUB__RUN_LOG, &there, err));
    if (!there && rows > 0) {
        tub__log_line(s->ctx, TUB_LOG_WARNING,
                      "%s/" TUB__RUN_LOG
                      " is missing: it begins again, without a row for the %" PRIu64
                      " epoch%s before",
                      s->run.folder, rows, rows > 1 ? "s" : "");
    }
    return TUB_OK;
}

/* Makes the folder that of a run which is where the checkpoint is, with its new settings. */
static tub_status settle(tub__session *s, const tub_train_config *before, tub_error *err) {
    const tub_allocator *a = &s->ctx->allocator;
    const tub__trainer *first = &s->ranks.list[0].trainer;
    const tub__progress *p = &first->progress;
    const char *folder = s->run.folder;
    bool limits = s->config.epochs != before->epochs || s->config.max_steps != before->max_steps;
    change_progress(s, before);
    TUB__TRY(mend_best(s, err));
    TUB__TRY(tell_lost_log(s, p, err));
    bool over = tub__progress_over(p, &s->config);
    if (limits && p->step > 0) {
        /* Before the recipe: once that has the new number, a resumed run can't see the wish to go
         * on any more. */
        TUB__TRY(tub__checkpoint_write(folder, &first->optimizer, p,
                                       tub__rate_last(&first->rates, p->step), &s->run.identity,
                                       err));
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
    tub__trainer *first = &s->ranks.list[0].trainer;
    if (!tub__progress_over(&first->progress, &s->config)) {
        return TUB_OK;
    }
    tub__trainer_show_average(first, true);
    const tub_status status = tub__run_write_last(first->model, s->run.folder, err);
    tub__trainer_show_average(first, false);
    return status;
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

/* Without a checkpoint a run begins again, which is right before its first one. metrics.json is
 * written behind that: where it is there, a trained model would be lost. */
static tub_status check_checkpoint(const tub_allocator *a, const char *run,
                                   const tub_train_config *config, tub_error *err) {
    bool checkpoint = false, ended = false, finished = false;
    TUB__TRY(tub__run_has(a, run, TUB__RUN_STATE, &checkpoint, err));
    TUB__TRY(tub__run_has(a, run, TUB__RUN_METRICS, &ended, err));
    if (!checkpoint && !ended && tub__starts_from(config)) {
        return tub__fail(err, TUB_E_NOT_FOUND,
                         "%s has no checkpoint any more, and with it the weights that it started "
                         "from; train a new run, or replace this one by force",
                         run);
    }
    if (checkpoint || !ended) {
        return TUB_OK;
    }
    TUB__TRY(tub__run_read_finished(a, run, &finished, err));
    return tub__fail(err, TUB_E_NOT_FOUND,
                     "%s %s and has no checkpoint to go on from; train a new run, or replace this "
                     "one by force",
                     run, finished ? "is finished" : "was stopped");
}

/* The settings of the run with the new limits, and everything opened. */
static tub_status reopen(tub__session *s, tub_context *ctx, const char *run, tub_dataset *data,
                         int64_t epochs, int64_t max_steps, tub_train_config *before,
                         tub_error *err) {
    TUB__TRY(tub_run_config(ctx, run, before, err));
    TUB__TRY(check_checkpoint(&ctx->allocator, run, before, err));
    s->config = *before;
    s->config.epochs = epochs != 0 ? epochs : before->epochs;
    s->config.max_steps = max_steps >= 0 ? max_steps : before->max_steps;
    if (data == NULL) {
        TUB__TRY(check_data_there(run, &s->config, err));
    }
    return tub__session_open(s, ctx, data, run, err);
}

/* The run as the checkpoint has it, in memory and on the disk. */
static tub_status take_up(tub__session *s, const tub_train_config *before, tub_error *err) {
    TUB__TRY(tub__run_clean(&s->ctx->allocator, s->run.folder, err));
    TUB__TRY(tub__session_load(s, err));
    TUB__TRY(check_limits(s, before, err));
    TUB__TRY(settle(s, before, err));
    return write_last(s, err);
}

tub_status tub__resume_within(tub_context *ctx, const char *run, tub_dataset *data, int64_t epochs,
                              int64_t max_steps, double seconds, tub_train_result *result,
                              tub_error *err) {
    tub__fpenv saved = tub__fpenv_enter();
    tub__session s = {.lock = -1};
    tub_train_config before;
    tub_status status = tub__session_lock(&s, run, err);
    if (status == TUB_OK) {
        status = reopen(&s, ctx, run, data, epochs, max_steps, &before, err);
    }
    if (status == TUB_OK) {
        status = tub__session_tell_resume(take_up(&s, &before, err), err);
    }
    if (status == TUB_OK && seconds > 0.0) {
        const double left = seconds - s.ranks.list[0].trainer.progress.seconds;
        s.run.deadline = tub__seconds() + left;
    }
    if (status == TUB_OK) {
        status = tub__session_run(&s, result, err);
    }
    tub__session_close(&s);
    ctx->stop = 0;
    tub__fpenv_leave(saved);
    return status;
}

tub_status tub_train_resume(tub_context *ctx, const char *run, tub_dataset *data, int64_t epochs,
                            int64_t max_steps, tub_train_result *result, tub_error *err) {
    return tub__resume_within(ctx, run, data, epochs, max_steps, 0.0, result, err);
}
