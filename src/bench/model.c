/* SPDX-License-Identifier: Apache-2.0 */
/* Whole training steps and forward passes. */
#include "base/error.h"
#include "bench/measure.h"

/* Times of the parts of the steps that count. */
typedef struct parts {
    tub__runner runner;
    double forward[TUB_BENCH_REPEATS], backward[TUB_BENCH_REPEATS], update[TUB_BENCH_REPEATS];
} parts;

static void run_step(void *user) {
    parts *p = user;
    tub__runner_step(&p->runner);
}

static void keep_step(void *user, int number) {
    parts *p = user;
    const tub__step_times *t = &p->runner.times;
    p->forward[number] = t->forward - t->begin;
    p->backward[number] = t->backward - t->forward;
    p->update[number] = t->update - t->backward;
}

/* Two for each multiply-add. */
static double operations(const tub_model *model, int64_t batch, bool training) {
    return 2 * tub__model_multiply_adds(&model->config, training) * (double)batch;
}

tub_status tub_bench_step(tub_model *model, int64_t batch, const tub_bench_config *config,
                          tub_bench_step_result *out, tub_error *err) {
    tub_bench_config c;
    parts p = {0};
    TUB__TRY(tub__bench_read_config(config, &c, err));
    TUB__TRY(tub__bench_runner(model, TUB_BENCH_STEP, batch, c.precision, &p.runner, err));
    const tub__bench_work work = {.run = run_step,
                                  .keep = keep_step,
                                  .user = &p,
                                  .operations = operations(model, batch, true)};
    const tub_status status = tub__bench_measure(model->backend, &work, &c, &out->whole, err);
    if (status == TUB_OK) {
        const size_t n = (size_t)out->whole.repeats;
        out->forward = tub__spread_of(p.forward, n);
        out->backward = tub__spread_of(p.backward, n);
        out->update = tub__spread_of(p.update, n);
    }
    tub__runner_destroy(&p.runner);
    return status;
}

tub_status tub_bench_predict(tub_model *model, int64_t batch, const tub_bench_config *config,
                             tub_bench_result *out, tub_error *err) {
    tub_bench_config c;
    tub__runner r;
    TUB__TRY(tub__bench_read_config(config, &c, err));
    TUB__TRY(tub__bench_runner(model, TUB_BENCH_PREDICT, batch, c.precision, &r, err));
    const tub__bench_work work = {
        .run = tub__runner_predict, .user = &r, .operations = operations(model, batch, false)};
    const tub_status status = tub__bench_measure(model->backend, &work, &c, out, err);
    tub__runner_destroy(&r);
    return status;
}
