/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of measuring made to fail once: a clean error each time, no block left. */
#include "cmocka_all.h"

#include "base/error.h"
#include "failing_alloc.h"
#include "small_bench.h"

typedef tub_status in_context(tub_context *ctx, tub_precision precision, tub_error *err);

typedef struct task {
    in_context *work;
    tub_precision precision;
} task;

static tub_status run_task(const tub_allocator *a, void *user, tub_error *err) {
    const task *t = user;
    tub_context_config config = tub_context_config_default();
    tub_context *ctx;
    config.allocator = *a;
    config.threads = 1;
    config.precision = t->precision;
    TUB__TRY(tub_context_create(&config, &ctx, err));
    const tub_status status = t->work(ctx, t->precision, err);
    tub_context_destroy(ctx);
    return status;
}

static tub_status all_products(tub_context *ctx, tub_precision precision, tub_error *err) {
    const tub_bench_config c = small_once(precision);
    for (int kind = TUB_BENCH_FORWARD; kind <= TUB_BENCH_WEIGHT_GRADIENT; kind++) {
        const tub_bench_product p = {
            .kind = (tub_bench_kind)kind, .rows = 3, .depth = 4, .columns = 5};
        tub_bench_result r;
        TUB__TRY(tub_bench_gemm(ctx, &p, &c, &r, err));
    }
    return TUB_OK;
}

static tub_status one_attention(tub_context *ctx, tub_precision precision, tub_error *err) {
    const tub_bench_config c = small_once(precision);
    const tub_bench_attention_shape s = {
        .tokens = 3, .heads = 1, .head_width = 4, .samples = 1, .backward = 1};
    tub_bench_result r;
    return tub_bench_attention(ctx, &s, &c, &r, err);
}

static tub_status one_predict(tub_context *ctx, tub_precision precision, tub_error *err) {
    const tub_bench_config c = small_once(precision);
    const tub_model_config config = small_model();
    tub_bench_operation operations[TUB_BENCH_OPERATIONS];
    tub_bench_result r;
    size_t count;
    tub_model *model;
    TUB__TRY(tub_model_create_for_inference(ctx, &config, 1, &model, err));
    tub_status status = tub_bench_predict(model, 1, &c, &r, err);
    if (status == TUB_OK) {
        status = tub_bench_profile(model, TUB_BENCH_PREDICT, 1, &c, operations, &count, err);
    }
    tub_model_close(model);
    return status;
}

static tub_status one_step(tub_context *ctx, tub_precision precision, tub_error *err) {
    const tub_bench_config c = small_once(precision);
    const tub_model_config config = small_model();
    tub_bench_operation operations[TUB_BENCH_OPERATIONS];
    tub_bench_step_result r;
    size_t count;
    tub_model *model;
    TUB__TRY(tub_model_create(ctx, &config, 1, &model, err));
    tub_status status = tub_bench_step(model, 1, &c, &r, err);
    if (status == TUB_OK) {
        status = tub_bench_profile(model, TUB_BENCH_STEP, 1, &c, operations, &count, err);
    }
    tub_model_close(model);
    return status;
}

static void failing_allocations(void **state) {
    (void)state;
    const task tasks[] = {{all_products, TUB_PRECISION_BF16},
                          {one_attention, TUB_PRECISION_F32},
                          {one_predict, TUB_PRECISION_INT8},
                          {one_step, TUB_PRECISION_BF16}};
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++) {
        task t = tasks[i];
        const failing_report report = failing_run(run_task, &t);
        assert_string_equal(report.problem, "");
        assert_true(report.allocations >= 12);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(failing_allocations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
