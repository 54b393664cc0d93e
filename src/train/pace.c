/* SPDX-License-Identifier: Apache-2.0 */
/* How long a training will take: steps of its model, timed; of a large model those of one with few
 * layers, by the operations and parameters that it has. Differences between models of two depths would
 * need no such counts, but what disturbs a measurement would be multiplied with the depth. */
#include "train/runner.h"

#include "base/clock.h"
#include "base/context.h"
#include "base/error.h"
#include "base/fpenv.h"
#include "base/spread.h"
#include "train/budget.h"
#include "train/groups.h"
#include "train/ranks.h"
#include <unistd.h>

/* What is timed: forward, loss and backward of some samples; a step's update; adding two gradients; a
 * forward pass of as many samples without training. */
typedef struct times {
    double pass, update, add, check;
} times;

enum { REPEATS = 15, LEAST = 2 };
static const double ENOUGH = 0.3; /* seconds */

static double median(double *values, size_t count) {
    return tub__spread_of(values, count).median;
}

/* The first run warms up, unless it takes so long that this makes no difference. */
static void time_steps(tub__runner *r, times *out) {
    double pass[REPEATS], update[REPEATS], spent = 0;
    size_t count = 0;
    for (int i = 0; i <= REPEATS && (count < LEAST || spent < ENOUGH); i++) {
        tub__runner_step(r);
        const tub__step_times *t = &r->times;
        const double whole = t->update - t->begin;
        if (i > 0 || whole > ENOUGH) {
            pass[count] = t->backward - t->begin;
            update[count++] = t->update - t->backward;
            spent += whole;
        }
    }
    out->pass = median(pass, count);
    out->update = median(update, count);
}

static double time_add(tub__runner *r) {
    tub__backend *be = r->model->backend;
    const double begin = tub__seconds();
    be->ops->add(be, r->optimizer.m, tub__pass_gradients(r->pass), r->model->params.elements);
    return tub__seconds() - begin;
}

static double time_checks(tub__runner *r) {
    double check[REPEATS], spent = 0;
    size_t count = 0;
    for (int i = 0; i <= REPEATS && (count < LEAST || spent < ENOUGH); i++) {
        const double begin = tub__seconds();
        tub__runner_predict(r);
        const double whole = tub__seconds() - begin;
        if (i > 0 || whole > ENOUGH) {
            check[count++] = whole;
            spent += whole;
        }
    }
    return median(check, count);
}

static tub_status time_model(tub_model *model, const tub_train_config *c, size_t samples,
                             times *out, tub_error *err) {
    const tub__pass_config step = {
        .batch = samples, .training = true, .recompute = c->recompute != 0};
    const tub__pass_config check = {.batch = samples};
    tub__runner r;
    TUB__TRY(tub__runner_create(model, &step, c, &r, err));
    time_steps(&r, out);
    out->add = time_add(&r);
    tub__runner_destroy(&r);
    TUB__TRY(tub__runner_create(model, &check, c, &r, err));
    out->check = time_checks(&r);
    tub__runner_destroy(&r);
    return TUB_OK;
}

/* A system that promises more memory than there is ends the process when that is used. */
static tub_status check_room(tub_context *ctx, const tub_train_config *c, size_t samples,
                             tub_error *err) {
    tub_train_config timed = *c;
    tub_train_memory memory;
    const double mib = 1 << 20,
                 there = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    timed.batch_size = (int64_t)samples;
    timed.micro_batch = 0;
    timed.ranks = 1;
    TUB__TRY(tub_train_memory_of(&timed, NULL, tub_context_threads(ctx), &memory, err));
    return (double)memory.total <= there
               ? TUB_OK
               : tub__fail(err, TUB_E_MEMORY,
                           "timing it would take %.0f MiB of memory, and this machine has %.0f",
                           (double)memory.total / mib, there / mib);
}

/* The plan's model with another number of layers. */
static tub_status time_layers(tub_context *ctx, const tub_train_config *c, int64_t layers,
                              size_t samples, times *out, tub_error *err) {
    tub_train_config other = *c;
    tub_model *model;
    other.model.layers = layers;
    TUB__TRY(check_room(ctx, &other, samples, err));
    TUB__TRY(tub__model_for_training(ctx, &other, &model, err));
    const tub__fpenv saved = tub__fpenv_enter();
    const tub_status status = time_model(model, &other, samples, out, err);
    tub__fpenv_leave(saved);
    tub_model_close(model);
    return status;
}

/* Multiply-adds of a sample in a step. */
static double operations(const tub_train_config *c, const tub_model_config *m) {
    return tub__model_multiply_adds(m, true) +
           (c->recompute ? tub__model_again_multiply_adds(m) : 0);
}

static tub_status count_parameters(const tub_model_config *m, double *out, tub_error *err) {
    tub_model_cost cost;
    TUB__TRY(tub_model_cost_of(m, 1, &cost, err));
    *out = (double)cost.parameters;
    return TUB_OK;
}

static tub_status time_whole(tub_context *ctx, const tub_train_config *c, size_t samples,
                             times *out, tub_error *err) {
    enum { FEW = 3 };
    const double cheap = 2e10; /* multiply-adds, a fraction of a second */
    tub_model_config few = c->model;
    double parameters, few_parameters;
    if (c->model.layers <= FEW || (double)samples * operations(c, &c->model) < cheap) {
        return time_layers(ctx, c, c->model.layers, samples, out, err);
    }
    few.layers = FEW;
    TUB__TRY(count_parameters(&c->model, &parameters, err));
    TUB__TRY(count_parameters(&few, &few_parameters, err));
    TUB__TRY(time_layers(ctx, c, FEW, samples, out, err));
    out->pass *= operations(c, &c->model) / operations(c, &few);
    out->update *= parameters / few_parameters;
    out->add *= parameters / few_parameters;
    out->check *=
        tub__model_multiply_adds(&c->model, false) / tub__model_multiply_adds(&few, false);
    return TUB_OK;
}

/* So many samples that all workers are busy, but no more than are computed at once. */
static size_t samples_to_time(const tub_train_config *c, size_t piece) {
    enum { ROWS = 2048 };
    const size_t enough = 1 + ROWS / tub__model_tokens(&c->model);
    return tub__min(enough, piece);
}

double tub__pace_total(const tub_train_plan *plan, const tub_train_pace *pace) {
    const double batch = (double)tub__min((size_t)plan->config.batch_size,
                                          (size_t)plan->count[TUB_TRAIN]),
                 steps = (double)plan->count[TUB_TRAIN] / batch * pace->step,
                 epochs = (double)plan->steps / (double)plan->epoch_steps,
                 validations = (double)((plan->steps + plan->epoch_steps - 1) / plan->epoch_steps);
    return epochs * steps + validations * (pace->epoch - steps);
}

tub_status tub_train_pace_of(tub_context *ctx, const tub_train_plan *plan, tub_train_pace *out,
                             tub_error *err) {
    const tub_train_config *c = &plan->config;
    const size_t batch = tub__min((size_t)c->batch_size, (size_t)plan->count[TUB_TRAIN]);
    const tub__tree_split split =
        tub__tree_split_of((size_t)c->batch_size, (size_t)c->ranks, (size_t)c->micro_batch);
    const size_t samples = samples_to_time(c, tub__min(split.piece, batch));
    const double each = 1 / (double)samples,
                 parts = (double)((batch + split.unit - 1) / split.unit);
    times t;
    TUB__TRY(time_whole(ctx, c, samples, &t, err));
    out->step = t.pass * each * (double)batch + (parts - 1) * t.add + (double)c->ranks * t.update;
    const double whole = (double)plan->count[TUB_TRAIN] / (double)batch;
    out->epoch = whole * out->step + t.check * each * (double)plan->count[TUB_VAL];
    out->total = tub__pace_total(plan, out);
    return TUB_OK;
}
