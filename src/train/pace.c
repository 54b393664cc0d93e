/* SPDX-License-Identifier: Apache-2.0 */
/* How long a training will take: steps of its model, timed. Of a large model two with few layers are,
 * and what the layers between them cost counts for all others: they are alike. */
#include "train/runner.h"

#include "base/clock.h"
#include "base/context.h"
#include "base/error.h"
#include "base/fpenv.h"
#include "base/spread.h"
#include "train/groups.h"
#include "train/ranks.h"
#include <math.h>

/* What is timed: forward, loss and backward of some samples; a step's update; adding two gradients; a
 * forward pass of as many samples without training. */
typedef struct times {
    double pass, update, add, check;
} times;

enum { REPEATS = 15 };
static const double ENOUGH = 0.3; /* seconds */

static double median(double *values, size_t count) {
    return tub__spread_of(values, count).median;
}

/* The first run warms up, unless it takes so long that this makes no difference. */
static void time_steps(tub__runner *r, times *out) {
    double pass[REPEATS], update[REPEATS], spent = 0;
    size_t count = 0;
    for (int i = 0; i <= REPEATS && spent < ENOUGH; i++) {
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
    for (int i = 0; i <= REPEATS && spent < ENOUGH; i++) {
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

/* The plan's model with another number of layers. */
static tub_status time_layers(tub_context *ctx, const tub_train_config *c, int64_t layers,
                              size_t samples, times *out, tub_error *err) {
    tub_train_config other = *c;
    tub_model *model;
    other.model.layers = layers;
    TUB__TRY(tub__model_for_training(ctx, &other, &model, err));
    const tub__fpenv saved = tub__fpenv_enter();
    const tub_status status = time_model(model, &other, samples, out, err);
    tub__fpenv_leave(saved);
    tub_model_close(model);
    return status;
}

static double extended(double low, double high, double factor) {
    return fmax(low + factor * (high - low), 0);
}

static tub_status time_whole(tub_context *ctx, const tub_train_config *c, size_t samples,
                             times *out, tub_error *err) {
    /* The last of the layers is not computed again: from two on each has its share of that. */
    const int64_t low = c->recompute ? 2 : 1, high = low + 2, layers = c->model.layers;
    const double cheap = 2e10; /* multiply-adds, a fraction of a second */
    times few, more;
    if (layers <= high || (double)samples * tub__model_multiply_adds(&c->model, true) < cheap) {
        return time_layers(ctx, c, layers, samples, out, err);
    }
    TUB__TRY(time_layers(ctx, c, low, samples, &few, err));
    TUB__TRY(time_layers(ctx, c, high, samples, &more, err));
    const double factor = (double)(layers - low) / (double)(high - low);
    *out = (times){.pass = extended(few.pass, more.pass, factor),
                   .update = extended(few.update, more.update, factor),
                   .add = extended(few.add, more.add, factor),
                   .check = extended(few.check, more.check, factor)};
    return TUB_OK;
}

/* So many samples that all workers are busy, but no more than are computed at once. */
static size_t samples_to_time(const tub_train_config *c, size_t piece) {
    enum { ROWS = 2048 };
    const size_t enough = 1 + ROWS / tub__model_tokens(&c->model);
    return tub__min(enough, piece);
}

tub_status tub_train_pace_of(tub_context *ctx, const tub_train_plan *plan, tub_train_pace *out,
                             tub_error *err) {
    const tub_train_config *c = &plan->config;
    const size_t batch = tub__min((size_t)c->batch_size, (size_t)plan->count[TUB_TRAIN]);
    const tub__tree_split split =
        tub__tree_split_of((size_t)c->batch_size, (size_t)c->ranks, (size_t)c->micro_batch);
    const size_t samples = samples_to_time(c, tub__min(split.piece, batch));
    const double parts = ceil((double)batch / (double)split.unit), each = 1 / (double)samples;
    times t;
    TUB__TRY(time_whole(ctx, c, samples, &t, err));
    out->step = t.pass * each * (double)batch + (parts - 1) * t.add + (double)c->ranks * t.update;
    const double validation = t.check * each * (double)plan->count[TUB_VAL],
                 whole = (double)plan->count[TUB_TRAIN] / (double)batch,
                 epochs = (double)plan->steps / (double)plan->epoch_steps;
    out->epoch = whole * out->step + validation;
    out->total = epochs * whole * out->step + ceil(epochs) * validation;
    return TUB_OK;
}
