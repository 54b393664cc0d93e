/* SPDX-License-Identifier: Apache-2.0 */
/* Whole training steps and forward passes. */
#include "base/error.h"
#include "bench/runner.h"

/* Times of the parts of the steps that were measured; steps that come before those are counted
 * below zero. */
typedef struct parts {
    tub__runner runner;
    int number;
    double forward[TUB_BENCH_REPEATS], backward[TUB_BENCH_REPEATS], update[TUB_BENCH_REPEATS];
} parts;

static void run_step(void *user) {
    parts *p = user;
    const tub__step_times *t = &p->runner.times;
    const int i = p->number++;
    tub__runner_step(&p->runner);
    if (i >= 0) {
        p->forward[i] = t->forward - t->begin;
        p->backward[i] = t->backward - t->forward;
        p->update[i] = t->update - t->backward;
    }
}

/* Two for each multiply-add. */
static double operations(const tub_model *model, int64_t batch, bool training) {
    return 2 * tub__model_multiply_adds(&model->config, training) * (double)batch;
}

tub_status tub_bench_step(tub_model *model, int64_t batch, const tub_bench_config *config,
                          tub_bench_step_result *out, tub_error *err) {
    tub_bench_config c;
    parts p = {.number = -TUB__BENCH_WARM_UP};
    TUB__TRY(tub__bench_read_config(config, &c, err));
    TUB__TRY(tub__runner_create(model, TUB_BENCH_STEP, batch, c.precision, &p.runner, err));
    const tub__bench_work work = {
        .run = run_step, .user = &p, .operations = operations(model, batch, true), .whole = true};
    const size_t n = (size_t)c.repeats;
    tub__bench_measure(model->backend, &work, c.repeats, &out->whole);
    out->forward = tub__spread_of(p.forward, n);
    out->backward = tub__spread_of(p.backward, n);
    out->update = tub__spread_of(p.update, n);
    tub__runner_destroy(&p.runner);
    return TUB_OK;
}

tub_status tub_bench_predict(tub_model *model, int64_t batch, const tub_bench_config *config,
                             tub_bench_result *out, tub_error *err) {
    tub_bench_config c;
    tub__runner r;
    TUB__TRY(tub__bench_read_config(config, &c, err));
    TUB__TRY(tub__runner_create(model, TUB_BENCH_PREDICT, batch, c.precision, &r, err));
    const tub__bench_work work = {.run = tub__runner_predict,
                                  .user = &r,
                                  .operations = operations(model, batch, false),
                                  .whole = true};
    tub__bench_measure(model->backend, &work, c.repeats, out);
    tub__runner_destroy(&r);
    return TUB_OK;
}
