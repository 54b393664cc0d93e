/* SPDX-License-Identifier: Apache-2.0 */
/* The training loop: steps, epochs, validation, what is written and told after each. */
#include "base/clock.h"
#include "base/error.h"
#include "data/dataset.h"
#include "train/events.h"
#include "train/log.h"
#include "train/run_folder.h"
#include "train/trainer.h"
#include <inttypes.h>
#include <math.h>

/* What rank 0 tells the others after each step. */
typedef struct verdict {
    tub_status status;
    bool stop;
    tub__progress progress;
} verdict;

static tub_event make_event(const tub__trainer *t, tub_event_kind kind) {
    const tub__progress *p = &t->progress;
    tub_event e = {.kind = kind,
                   .message = t->run->folder,
                   .done = p->step,
                   .epoch = p->epoch + 1,
                   .samples = p->samples,
                   .lr = t->lr,
                   .val = p->val,
                   .data_wait = p->data_wait};
    e.total = tub__progress_total(t->run->config, t->batches);
    e.epochs = (uint64_t)t->run->config->epochs;
    e.seconds = tub__seconds() - t->began;
    e.train = tub__progress_means(p);
    return e;
}

/* Scores of the validation split with the weights as they are; NaN when there is none. */
static tub_status validate(tub__trainer *t, tub_scores *out, tub_error *err) {
    const tub_dataset_info *info = t->run->info;
    size_t count = (size_t)info->count[TUB_VAL], classes = (size_t)t->run->config->model.classes;
    *out = (tub_scores){NAN, NAN, NAN, NAN};
    for (size_t i = 0; i < count; i += t->val_batch) {
        size_t n = tub__min(count - i, t->val_batch);
        const void *samples = NULL;
        TUB__TRY(tub__dataset_view(t->run->data, TUB_VAL, i, n, t->val_room, &samples, err));
        TUB__TRY(tub_model_forward(t->model, (int64_t)n, info->dtype, samples, t->val_logits,
                                   t->val_probabilities + i * classes, err));
    }
    if (count == 0) {
        return TUB_OK;
    }
    return tub_task_scores_compute(t->ctx, &t->run->config->model, (int64_t)count,
                                   t->val_probabilities, tub_dataset_labels(t->run->data, TUB_VAL),
                                   out, err);
}

static tub_status checkpoint(tub__trainer *t, tub_error *err) {
    TUB__TRY(tub__checkpoint_write(t->run->folder, &t->optimizer, &t->progress,
                                   tub__rate_last(&t->rates, t->progress.step), &t->run->identity,
                                   err));
    tub_event e = make_event(t, TUB_EVENT_CHECKPOINT);
    e.message = TUB__RUN_STATE;
    tub__emit(t->ctx, &e);
    return TUB_OK;
}

/* Part of an epoch, where max_steps ends the run, is no epoch: it is the best only as long as there
 * is none, and a run that goes on takes it back. */
static bool judge(tub__progress *p, const tub_scores *val, bool whole) {
    if (whole || p->best_epoch == 0) {
        return tub__progress_judge(p, val);
    }
    p->val = *val;
    return false;
}

/* Validation, log row, best and last weights, of those that the run shows. */
static tub_status judge_epoch(tub__trainer *t, tub_error *err) {
    tub__progress *p = &t->progress;
    const tub__run *run = t->run;
    tub_scores val;
    bool best = false;
    TUB__TRY(validate(t, &val, err));
    if (t->val_probabilities != NULL) {
        if (!isfinite(val.loss)) {
            return tub__fail(err, TUB_E_NUMERIC,
                             "epoch %" PRIu64 ": the validation loss is not a finite number, and "
                             "going on would end here again; start a new run with a lower lr (now "
                             "%g) or with clip_norm",
                             p->epoch + 1, t->lr);
        }
        best = judge(p, &val, p->batch == t->batches);
    }
    p->seconds = tub__seconds() - t->started;
    const tub__log_values row = tub__log_values_of(p, t->lr);
    TUB__TRY(tub__log_row(&t->ctx->allocator, run->folder, &row, err));
    tub__train_events_epoch(run->events, &row, t->model);
    if (best) {
        TUB__TRY(tub__run_write_best(t->model, run->config, run->info, p, run->folder, err));
    }
    return tub__run_write_last(t->model, run->folder, err);
}

static tub_status write_last(tub__trainer *t, tub_error *err) {
    tub__trainer_show_average(t, true);
    const tub_status status = tub__run_write_last(t->model, t->run->folder, err);
    tub__trainer_show_average(t, false);
    return status;
}

/* What stands at an epoch's end, then the checkpoint: in the order that run_folder.h explains. */
static tub_status finish_epoch(tub__trainer *t, tub_error *err) {
    tub__progress *p = &t->progress;
    if (t->cut) { /* before the checkpoint: a run that is killed here ends where it does */
        TUB__TRY(tub__run_write_recipe(&t->ctx->allocator, t->run->folder, t->run->config, err));
    }
    p->train = tub__progress_means(p);
    tub__train_events_gradient(t->run->events, t->model, t->gradient, p->step, p->epoch + 1);
    tub__trainer_show_average(t, true);
    const tub_status status = judge_epoch(t, err);
    tub__trainer_show_average(t, false);
    TUB__TRY(status);
    tub_event e = make_event(t, TUB_EVENT_EPOCH);
    if (p->batch == t->batches) { /* else max_steps ended the run inside the epoch */
        p->epoch++;
        p->batch = p->samples = 0;
        p->loss = p->top1 = p->top5 = p->data_wait = 0.0;
    }
    tub__dataset_tell(t->run->data);
    TUB__TRY(checkpoint(t, err));
    TUB__TRY(tub__run_settle_best(&t->ctx->allocator, t->run->folder, p->best_epoch, err));
    tub__emit(t->ctx, &e);
    tub__train_events_tell(t->run->events);
    return TUB_OK;
}

/* When the time is up, this step is the last one: what the recipe says from now on is the run that was,
 * with the schedule that it had. */
static void watch_clock(tub__trainer *t) {
    tub_train_config *c = t->run->config;
    const uint64_t total = tub__progress_total(c, t->batches);
    if (t->run->deadline == 0.0 || tub__seconds() < t->run->deadline || t->progress.step >= total) {
        return;
    }
    tub__log_line(t->ctx, TUB_LOG_WARNING,
                  "the time is up after step %" PRIu64 " of %" PRIu64
                  ", before the schedule came to its end",
                  t->progress.step, total);
    c->schedule_steps = c->schedule_steps > 0 ? c->schedule_steps : (int64_t)total;
    c->max_steps = (int64_t)t->progress.step;
    t->cut = true;
}

/* Rank 0 after a step. */
static tub_status after_step(tub__trainer *t, bool *stop, tub_error *err) {
    const tub_train_config *c = t->run->config;
    uint64_t every = (uint64_t)c->checkpoint_every;
    watch_clock(t);
    tub_event e = make_event(t, TUB_EVENT_STEP);
    tub__emit(t->ctx, &e);
    *stop = t->ctx->stop != 0;
    if (t->progress.batch == t->batches || t->progress.step == e.total) {
        return finish_epoch(t, err);
    }
    t->progress.seconds = tub__seconds() - t->started;
    if (*stop) {
        TUB__TRY(write_last(t, err));
        return checkpoint(t, err);
    }
    return every > 0 && t->progress.step % every == 0 ? checkpoint(t, err) : TUB_OK;
}

/* One step and what follows from it, agreed on by all ranks. */
static tub_status turn(tub__trainer *t, tub_error *err) {
    TUB__TRY(tub__trainer_step(t, err));
    verdict v = {0};
    if (t->dist.rank == 0) {
        v.status = after_step(t, &v.stop, err);
        v.progress = t->progress;
    }
    t->dist.broadcast(&t->dist, &v, sizeof v);
    t->progress = v.progress;
    t->stopped = v.stop;
    return v.status;
}

tub_status tub__trainer_run(tub__trainer *t, tub_error *err) {
    t->began = tub__seconds();
    t->started = t->began - t->progress.seconds;
    if (t->dist.rank == 0) {
        tub_event e = make_event(t, TUB_EVENT_TRAIN_START);
        tub__emit(t->ctx, &e);
    }
    tub_status status = TUB_OK;
    if (!tub__progress_over(&t->progress, t->run->config)) {
        t->pending = tub__loader_start(t->loader, (uint32_t)t->progress.epoch,
                                       (size_t)t->progress.batch, err);
    }
    while (status == TUB_OK && !t->stopped && !tub__progress_over(&t->progress, t->run->config)) {
        status = turn(t, err);
    }
    return status;
}
