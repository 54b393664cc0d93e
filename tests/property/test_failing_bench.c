/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of measuring made to fail once: a clean error each time, no block left. */
#include "cmocka_all.h"

#include "base/error.h"
#include "failing_alloc.h"
#include "failing_context.h"
#include "small_bench.h"

/* One measurement: what comes after it would be tried again and again behind its repeats. */
typedef struct task {
    tub_status (*work)(tub_context *ctx, const struct task *t, tub_error *err);
    tub_precision precision;
    tub_bench_kind kind; /* of a product */
    tub_bench_pass pass; /* of a profile */
} task;

static tub_status work_of(tub_context *ctx, const void *user, tub_error *err) {
    const task *t = user;
    return t->work(ctx, t, err);
}

static tub_status run_task(const tub_allocator *a, void *user, tub_error *err) {
    const task *t = user;
    return in_failing_context(a, 1, t->precision, work_of, t, err);
}

static tub_status product(tub_context *ctx, const task *t, tub_error *err) {
    const tub_bench_config c = small_once(t->precision);
    const tub_bench_product p = {.kind = t->kind, .rows = 3, .depth = 4, .columns = 5};
    tub_bench_result r;
    return tub_bench_gemm(ctx, &p, &c, &r, err);
}

static tub_status attention(tub_context *ctx, const task *t, tub_error *err) {
    const tub_bench_config c = small_once(t->precision);
    const tub_bench_attention_shape s = {
        .tokens = 3, .heads = 1, .head_width = 4, .samples = 1, .backward = 1};
    tub_bench_result r;
    return tub_bench_attention(ctx, &s, &c, &r, err);
}

static tub_status predict(tub_context *ctx, const task *t, tub_error *err) {
    const tub_bench_config c = small_once(t->precision);
    const tub_model_config config = small_model();
    tub_bench_result r;
    tub_model *model;
    TUB__TRY(tub_model_create_for_inference(ctx, &config, 1, &model, err));
    const tub_status status = tub_bench_predict(model, 1, &c, &r, err);
    tub_model_close(model);
    return status;
}

static tub_status step(tub_context *ctx, const task *t, tub_error *err) {
    const tub_bench_config c = small_once(t->precision);
    const tub_model_config config = small_model();
    tub_bench_step_result r;
    tub_model *model;
    TUB__TRY(tub_model_create(ctx, &config, 1, &model, err));
    const tub_status status = tub_bench_step(model, 1, &c, &r, err);
    tub_model_close(model);
    return status;
}

static tub_status profile(tub_context *ctx, const task *t, tub_error *err) {
    const tub_bench_config c = small_once(t->precision);
    const tub_model_config config = small_model();
    tub_bench_operation operations[TUB_BENCH_OPERATIONS];
    size_t count;
    tub_model *model;
    TUB__TRY(tub_model_create(ctx, &config, 1, &model, err));
    const tub_status status = tub_bench_profile(model, t->pass, 1, &c, operations, &count, err);
    tub_model_close(model);
    return status;
}

/* Of a training, before its first step. */
static tub_status pace(tub_context *ctx, const task *t, tub_error *err) {
    tub_train_plan plan = {
        .config = tub_train_config_default(), .count = {4, 2, 0}, .epoch_steps = 1, .steps = 2};
    tub_train_pace p;
    plan.config.model = small_model();
    plan.config.precision = t->precision;
    return tub_train_pace_of(ctx, &plan, &p, err);
}

static void failing_allocations(void **state) {
    (void)state;
    const task tasks[] = {
        {.work = product, .precision = TUB_PRECISION_INT8, .kind = TUB_BENCH_FORWARD},
        {.work = product, .precision = TUB_PRECISION_BF16, .kind = TUB_BENCH_INPUT_GRADIENT},
        {.work = product, .precision = TUB_PRECISION_BF16, .kind = TUB_BENCH_WEIGHT_GRADIENT},
        {.work = attention},
        {.work = predict, .precision = TUB_PRECISION_INT8},
        {.work = step, .precision = TUB_PRECISION_BF16},
        {.work = profile, .pass = TUB_BENCH_PREDICT},
        {.work = profile, .precision = TUB_PRECISION_BF16, .pass = TUB_BENCH_STEP},
        {.work = pace, .precision = TUB_PRECISION_F32}};
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++) {
        task t = tasks[i];
        const failing_report report = failing_run(run_task, &t);
        assert_string_equal(report.problem, "");
        assert_true(report.allocations >= 10);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(failing_allocations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
