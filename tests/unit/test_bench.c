/* SPDX-License-Identifier: Apache-2.0 */
/* Measuring: operations are those of the cost formula, every kind and precision runs, what is wrong
 * is refused. Times are never judged. */
#include "cmocka_all.h"

#include "small_bench.h"
#include "temp_folder.h"
#include <math.h>
#include <string.h>
#include <tubelet/tubelet.h>

enum { BATCH = 2 };

static tub_context *context(tub_precision precision) {
    tub_context_config config = tub_context_config_default();
    tub_context *ctx;
    config.threads = 1;
    config.precision = precision;
    assert_int_equal(tub_context_create(&config, &ctx, NULL), TUB_OK);
    return ctx;
}

static void assert_measured(const tub_bench_result *r, double operations) {
    assert_true(r->operations == operations);
    assert_true(r->seconds.least > 0 && r->seconds.least <= r->seconds.median &&
                r->seconds.median <= r->seconds.most);
    assert_true(r->peak > 0);
}

/* Multiply-adds of one of attention's products, over all layers, of one clip. */
static double attention_of(const tub_model_config *c, const tub_model_cost *cost) {
    return (double)c->layers * (double)cost->tokens * (double)cost->tokens * (double)c->hidden;
}

static double sum_of(const tub_bench_product *p, size_t count, int kinds) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        if ((kinds >> p[i].kind & 1) != 0) {
            sum +=
                (double)p[i].rows * (double)p[i].depth * (double)p[i].columns * (double)p[i].calls;
        }
    }
    return sum;
}

static void products_add_up(void **state) {
    (void)state;
    const tub_model_config configs[] = {small_preset("vivit-tiny"), small_preset("vivit-b"),
                                        small_model()};
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        tub_bench_product p[TUB_BENCH_PRODUCTS];
        tub_model_cost cost;
        size_t count = 0;
        assert_int_equal(tub_model_cost_of(&configs[i], 1, &cost, NULL), TUB_OK);
        assert_int_equal(tub_bench_products(&configs[i], 5, p, &count, NULL), TUB_OK);
        assert_true(count <= TUB_BENCH_PRODUCTS);
        const double attention = attention_of(&configs[i], &cost);
        assert_true(sum_of(p, count, 1 << TUB_BENCH_FORWARD) + 5 * 2 * attention ==
                    5 * cost.multiply_adds);
        if (i == 0) { /* a training step: what README and docs count with */
            assert_true(sum_of(p, count, 7) + 5 * 6 * attention == 5 * 135424128.0);
        }
    }
}

static void products_refuse(void **state) {
    (void)state;
    tub_bench_product p[TUB_BENCH_PRODUCTS];
    tub_model_config c = small_model();
    size_t count;
    assert_int_equal(tub_bench_products(&c, 0, p, &count, NULL), TUB_E_RANGE);
    c.heads = 5;
    assert_int_equal(tub_bench_products(&c, 1, p, &count, NULL), TUB_E_RANGE);
}

static void peak(void **state) {
    (void)state;
    tub_context *ctx = context(TUB_PRECISION_F32);
    tub_spread gflops;
    assert_int_equal(tub_bench_peak(ctx, 2, &gflops, NULL), TUB_OK);
    assert_true(gflops.least > 0 && gflops.least <= gflops.median && gflops.median <= gflops.most);
    const double peak = gflops.most;
    assert_int_equal(tub_bench_tile(ctx, 2, &gflops, NULL), TUB_OK);
    assert_true(gflops.least > 0 && gflops.least <= gflops.median && gflops.median <= gflops.most);
    assert_true(gflops.least < 1.9 * peak); /* operations are not counted twice */
    assert_int_equal(tub_bench_tile(ctx, 0, &gflops, NULL), TUB_E_ARGUMENT);
    assert_int_equal(tub_bench_peak(ctx, 0, &gflops, NULL), TUB_E_ARGUMENT);
    assert_int_equal(tub_bench_peak(ctx, TUB_BENCH_REPEATS + 1, &gflops, NULL), TUB_E_ARGUMENT);
    tub_context_destroy(ctx);
}

static void gemm(void **state) {
    (void)state;
    tub_context *ctx = context(TUB_PRECISION_F32);
    for (int kind = TUB_BENCH_FORWARD; kind <= TUB_BENCH_WEIGHT_GRADIENT; kind++) {
        for (int precision = TUB_PRECISION_F32; precision <= TUB_PRECISION_INT8; precision++) {
            const tub_bench_product p = {
                .kind = (tub_bench_kind)kind, .rows = 9, .depth = 37, .columns = 21};
            const tub_bench_config c = small_once((tub_precision)precision);
            tub_bench_result r;
            tub_error err;
            const bool gradient = kind != TUB_BENCH_FORWARD;
            if (gradient && precision == TUB_PRECISION_INT8) {
                assert_int_equal(tub_bench_gemm(ctx, &p, &c, &r, &err), TUB_E_ARGUMENT);
                assert_non_null(strstr(err.message, "int8"));
            } else {
                assert_int_equal(tub_bench_gemm(ctx, &p, &c, &r, NULL), TUB_OK);
                assert_measured(&r, 2.0 * 9 * 37 * 21);
            }
        }
    }
    tub_context_destroy(ctx);
}

static void gemm_refuses(void **state) {
    (void)state;
    tub_context *ctx = context(TUB_PRECISION_F32);
    const tub_bench_product wrong[] = {{.rows = 0, .depth = 1, .columns = 1},
                                       {.rows = 1, .depth = -1, .columns = 1},
                                       {.rows = 1, .depth = 1, .columns = (1 << 24) + 1},
                                       {.rows = 1, .depth = 1, .columns = 1, .group_rows = -1},
                                       {.kind = TUB_BENCH_WEIGHT_GRADIENT,
                                        .rows = 1,
                                        .depth = 1 << 17,
                                        .columns = 1,
                                        .group_rows = 1},
                                       {.rows = 1, .depth = 6145, .columns = 1}};
    const tub_bench_config bf16 = small_once(TUB_PRECISION_BF16);
    tub_bench_result r;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(tub_bench_gemm(ctx, &wrong[i], &bf16, &r, NULL), TUB_E_RANGE);
    }
    const tub_bench_product right = {.rows = 1, .depth = 1, .columns = 1};
    tub_bench_config c = small_once(TUB_PRECISION_F32);
    c.size = 4;
    assert_int_equal(tub_bench_gemm(ctx, &right, &c, &r, NULL), TUB_E_ARGUMENT);
    c = small_once((tub_precision)7);
    assert_int_equal(tub_bench_gemm(ctx, &right, &c, &r, NULL), TUB_E_ARGUMENT);
    c = small_once(TUB_PRECISION_F32);
    c.repeats = 0;
    assert_int_equal(tub_bench_gemm(ctx, &right, &c, &r, NULL), TUB_E_ARGUMENT);
    tub_context_destroy(ctx);
}

/* Whether a machine is idle can't be known here: there are figures or a sentence, never both. */
static void idle_moments(void **state) {
    (void)state;
    tub_context *ctx = context(TUB_PRECISION_F32);
    const tub_bench_product p = {.rows = 1, .depth = 1, .columns = 1};
    tub_bench_config c = small_once(TUB_PRECISION_F32);
    tub_bench_result r = {0};
    tub_error err;
    c.idle_seconds = 1e-9; /* over after the first measurement */
    const tub_status status = tub_bench_gemm(ctx, &p, &c, &r, &err);
    if (status == TUB_OK) {
        assert_int_equal(r.tried, 1);
        assert_int_equal(r.repeats, 1);
    } else {
        assert_int_equal(status, TUB_E_UNSUPPORTED);
        assert_non_null(strstr(err.message, "never idle: in 1 measurements"));
        assert_int_equal(r.tried, 0);
    }
    static const double wrong[] = {-1, 1e7, NAN};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        c.idle_seconds = wrong[i];
        assert_int_equal(tub_bench_gemm(ctx, &p, &c, &r, NULL), TUB_E_ARGUMENT);
    }
    tub_context_destroy(ctx);
}

static void attention(void **state) {
    (void)state;
    tub_context *ctx = context(TUB_PRECISION_F32);
    for (int i = 0; i < 8; i++) { /* few and many tokens, both passes, both precisions */
        const tub_bench_attention_shape s = {.tokens = (i & 1) != 0 ? 70 : 5,
                                             .heads = 3,
                                             .head_width = 12,
                                             .samples = 2,
                                             .dropout = 0.1,
                                             .backward = (i & 2) != 0};
        const tub_bench_config c =
            small_once((i & 4) != 0 ? TUB_PRECISION_BF16 : TUB_PRECISION_F32);
        tub_bench_result r;
        assert_int_equal(tub_bench_attention(ctx, &s, &c, &r, NULL), TUB_OK);
        assert_measured(&r, (s.backward ? 10.0 : 4.0) * 2 * 3 * 12 * (double)(s.tokens * s.tokens));
    }
    tub_context_destroy(ctx);
}

static void attention_refuses(void **state) {
    (void)state;
    tub_context *ctx = context(TUB_PRECISION_F32);
    const tub_bench_attention_shape right = {
        .tokens = 2, .heads = 1, .head_width = 4, .samples = 1};
    const tub_bench_config int8 = small_once(TUB_PRECISION_INT8),
                           f32 = small_once(TUB_PRECISION_F32);
    tub_bench_result r;
    assert_int_equal(tub_bench_attention(ctx, &right, &int8, &r, NULL), TUB_E_ARGUMENT);
    tub_bench_attention_shape wrong[] = {right, right, right, right, right};
    wrong[0].tokens = 0;
    wrong[1].heads = -1;
    wrong[2].head_width = 257;
    wrong[3].samples = 65537;
    wrong[4].dropout = 1;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(tub_bench_attention(ctx, &wrong[i], &f32, &r, NULL), TUB_E_RANGE);
    }
    tub_context_destroy(ctx);
}

static double profile_sum(tub_model *model, tub_bench_pass pass, const tub_bench_config *c) {
    tub_bench_operation operations[TUB_BENCH_OPERATIONS];
    size_t count = 0;
    double sum = 0;
    assert_int_equal(tub_bench_profile(model, pass, BATCH, c, operations, &count, NULL), TUB_OK);
    assert_true(count > 5 && count <= TUB_BENCH_OPERATIONS);
    for (size_t i = 0; i < count; i++) {
        assert_true(operations[i].calls >= 1 && operations[i].seconds > 0);
        assert_true(i == 0 || operations[i].seconds <= operations[i - 1].seconds);
        sum += operations[i].operations;
    }
    return sum;
}

static void predict_counts(void **state) {
    (void)state;
    const tub_model_config config = small_model();
    tub_model_cost cost;
    assert_int_equal(tub_model_cost_of(&config, BATCH, &cost, NULL), TUB_OK);
    for (int precision = TUB_PRECISION_F32; precision <= TUB_PRECISION_INT8; precision++) {
        tub_context *ctx = context((tub_precision)precision);
        const tub_bench_config c = small_once(TUB_PRECISION_F32);
        const double operations = 2 * BATCH * cost.multiply_adds;
        tub_model *model;
        tub_bench_result r;
        assert_int_equal(tub_model_create_for_inference(ctx, &config, 1, &model, NULL), TUB_OK);
        assert_int_equal(tub_bench_predict(model, BATCH, &c, &r, NULL), TUB_OK);
        assert_measured(&r, operations);
        assert_true(profile_sum(model, TUB_BENCH_PREDICT, &c) == operations);
        assert_int_equal(tub_bench_predict(model, 0, &c, &r, NULL), TUB_E_RANGE);
        tub_model_close(model);
        tub_context_destroy(ctx);
    }
}

static void step_counts(void **state) {
    (void)state;
    const tub_model_config config = small_model();
    tub_context *ctx = context(TUB_PRECISION_F32);
    tub_model_cost cost;
    tub_model *model;
    assert_int_equal(tub_model_cost_of(&config, BATCH, &cost, NULL), TUB_OK);
    assert_int_equal(tub_model_create(ctx, &config, 1, &model, NULL), TUB_OK);
    const double embedding = (double)cost.tokens * 64 * 32;
    const double operations = 2 * BATCH * (3 * cost.multiply_adds - embedding);
    const double again = 2 * BATCH * attention_of(&config, &cost); /* scores in backward */
    for (int precision = TUB_PRECISION_F32; precision <= TUB_PRECISION_BF16; precision++) {
        const tub_bench_config c = small_once((tub_precision)precision);
        tub_bench_step_result r;
        assert_int_equal(tub_bench_step(model, BATCH, &c, &r, NULL), TUB_OK);
        assert_measured(&r.whole, operations);
        assert_true(r.forward.median > 0 && r.backward.median > 0 && r.update.median > 0);
        assert_true(profile_sum(model, TUB_BENCH_STEP, &c) == operations + again);
    }
    tub_model_close(model);
    tub_context_destroy(ctx);
}

static void step_refuses(void **state) {
    (void)state;
    const tub_model_config config = small_model();
    tub_context *ctx = context(TUB_PRECISION_BF16);
    const tub_bench_config f32 = small_once(TUB_PRECISION_F32),
                           bf16 = small_once(TUB_PRECISION_BF16),
                           int8 = small_once(TUB_PRECISION_INT8);
    tub_bench_operation operations[TUB_BENCH_OPERATIONS];
    tub_bench_step_result r;
    size_t count;
    tub_model *model;
    assert_int_equal(tub_model_create_for_inference(ctx, &config, 1, &model, NULL), TUB_OK);
    assert_int_equal(tub_bench_step(model, BATCH, &f32, &r, NULL), TUB_E_ARGUMENT);
    assert_int_equal(tub_bench_step(model, BATCH, &bf16, &r, NULL), TUB_E_ARGUMENT);
    assert_int_equal(tub_bench_step(model, BATCH, &int8, &r, NULL), TUB_E_ARGUMENT);
    assert_int_equal(tub_bench_step(model, 65537, &f32, &r, NULL), TUB_E_RANGE);
    assert_int_equal(tub_bench_profile(model, (tub_bench_pass)2, 1, &f32, operations, &count, NULL),
                     TUB_E_ARGUMENT);
    tub_model_close(model);
    tub_context_destroy(ctx);
}

/* A model made for inference is the one that was saved and opened. */
static void made_as_opened(void **state) {
    (void)state;
    const tub_model_config config = small_model();
    unsigned char x[SMALL_VOXELS];
    temp_folder folder;
    temp_folder_make(&folder);
    for (size_t i = 0; i < SMALL_VOXELS; i++) {
        x[i] = (unsigned char)(i * 37);
    }
    tub_context *whole = context(TUB_PRECISION_F32);
    tub_model *model;
    assert_int_equal(tub_model_create(whole, &config, 7, &model, NULL), TUB_OK);
    assert_int_equal(tub_model_save(model, folder.path, NULL), TUB_OK);
    tub_model_close(model);
    tub_context_destroy(whole);
    for (int precision = TUB_PRECISION_F32; precision <= TUB_PRECISION_INT8; precision++) {
        float made[SMALL_CLASSES], opened[SMALL_CLASSES];
        tub_context *ctx = context((tub_precision)precision);
        assert_int_equal(tub_model_create_for_inference(ctx, &config, 7, &model, NULL), TUB_OK);
        assert_int_equal(tub_model_forward(model, 1, TUB_U8, x, made, NULL, NULL), TUB_OK);
        tub_model_close(model);
        assert_int_equal(tub_model_open(ctx, folder.path, &model, NULL), TUB_OK);
        assert_int_equal(tub_model_forward(model, 1, TUB_U8, x, opened, NULL, NULL), TUB_OK);
        tub_model_close(model);
        assert_memory_equal(made, opened, sizeof made);
        tub_context_destroy(ctx);
    }
    temp_folder_drop(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_add_up),
        cmocka_unit_test(products_refuse),
        cmocka_unit_test(peak),
        cmocka_unit_test(gemm),
        cmocka_unit_test(gemm_refuses),
        cmocka_unit_test(idle_moments),
        cmocka_unit_test(attention),
        cmocka_unit_test(attention_refuses),
        cmocka_unit_test(predict_counts),
        cmocka_unit_test(step_counts),
        cmocka_unit_test(step_refuses),
        cmocka_unit_test(made_as_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
