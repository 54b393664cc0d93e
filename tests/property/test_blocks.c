/* SPDX-License-Identifier: Apache-2.0 */
/* A pass gives the same bits whether its operations run one by one or wait for each other and run
 * block of samples by block of samples, for batches that make whole blocks and such that don't; and
 * the backend that keeps account of operations counts what the formula of costs counts. */
#include <stdlib.h>
#include <string.h>

#include "backend/profile.h"
#include "base/context.h"
#include "model/model.h"
#include "support/cmocka_all.h"

enum { BATCH = 40, SIDE = 12, VOXELS = SIDE * SIDE * SIDE };

/* The wirings that are tried. */
static const struct wiring {
    tub_variant variant;
    tub_pooling pooling;
    int64_t temporal_layers;
} wirings[] = {
    {TUB_VARIANT_JOINT, TUB_POOL_MEAN, 0},
    {TUB_VARIANT_JOINT, TUB_POOL_CLASS_TOKEN, 0},
    {TUB_VARIANT_FACTORISED_ENCODER, TUB_POOL_CLASS_TOKEN, 3},
    {TUB_VARIANT_FACTORISED_ENCODER, TUB_POOL_SUM, 2},
    {TUB_VARIANT_FACTORISED_ENCODER, TUB_POOL_MAX, 0},
    {TUB_VARIANT_FACTORISED_SELF_ATTENTION, TUB_POOL_MAX, 0},
    {TUB_VARIANT_FACTORISED_DOT_PRODUCT, TUB_POOL_MEAN, 0},
};
enum { WIRINGS = sizeof wirings / sizeof *wirings };

/* Nothing is a multiple of what the kernels like. */
static tub_model_config odd_model(const struct wiring *wiring) {
    tub_model_config c;
    assert_int_equal(tub_model_preset("vivit-tiny", &c, NULL), TUB_OK);
    c.frames = c.height = c.width = SIDE;
    for (int i = 0; i < 3; i++) {
        c.tubelet[i] = c.stride[i] = 4;
    }
    c.hidden = 40, c.heads = 4, c.mlp = 72, c.layers = 2, c.classes = 3;
    c.variant = wiring->variant, c.pooling = wiring->pooling;
    c.temporal_layers = wiring->temporal_layers;
    c.dropout = 0.1, c.mlp_dropout = 0.2, c.drop_layer = 0.3;
    return c;
}

/* What a forward and a backward pass leave. */
typedef struct trace {
    size_t logits, gradients;
    float *values;
} trace;

static trace run_pass(int threads, bool apart, const struct wiring *wiring, size_t samples) {
    const tub__dropout dropout = {.rate = 0.2, .key = {{3, 4}}, .epoch = 1, .position = 7};
    const tub_model_config c = odd_model(wiring);
    tub_context_config config = tub_context_config_default();
    tub_context *ctx;
    tub_model *model;
    tub__backend *profile = NULL;
    tub__pass *pass;
    tub_error err;
    config.threads = threads;
    assert_ok(tub_context_create(&config, &ctx, &err), err);
    assert_ok(tub_model_create(ctx, &c, 1, &model, &err), err);
    if (apart) {
        assert_ok(tub__profile_create(model->backend, &profile, &err), err);
        model->backend = profile;
    }
    assert_ok(
        tub__pass_create(model, &(tub__pass_config){.batch = BATCH, .training = true}, &pass, &err),
        err);
    unsigned char *x = malloc(BATCH * VOXELS);
    int32_t labels[BATCH];
    for (size_t i = 0; i < BATCH * VOXELS; i++) {
        x[i] = (unsigned char)(i * 2654435761u >> 13);
    }
    for (int i = 0; i < BATCH; i++) {
        labels[i] = i % 3;
    }
    trace t = {.logits = samples * 3, .gradients = model->params.elements};
    t.values = calloc(t.logits + t.gradients, sizeof *t.values);
    tub__pass_forward(pass, samples, TUB_U8, x, &dropout);
    tub__pass_loss(pass, &(tub__targets){.labels = labels, .global_batch = samples}, NULL);
    tub__pass_backward(pass, false);
    tub__pass_logits(pass, TUB_F32, t.values);
    memcpy(t.values + t.logits, tub__pass_gradients(pass), t.gradients * sizeof *t.values);
    free(x);
    tub__pass_destroy(pass);
    tub_model_close(model);
    tub__profile_destroy(profile);
    tub_context_destroy(ctx);
    return t;
}

static void compare(const struct wiring *wiring, size_t samples) {
    const trace one_by_one = run_pass(1, true, wiring, samples);
    const size_t n = one_by_one.logits + one_by_one.gradients;
    float largest = 0;
    for (size_t i = one_by_one.logits; i < n; i++) {
        largest = one_by_one.values[i] > largest ? one_by_one.values[i] : largest;
    }
    assert_true(largest > 1e-4f);                 /* equal zeros would prove little */
    static const int counts[] = {1, 2, 3, 4, 16}; /* of threads: 16 share out a few samples' rows */
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        const int threads = counts[k];
        const trace t = run_pass(threads, false, wiring, samples);
        for (size_t i = 0; i < n; i++) {
            if (memcmp(&t.values[i], &one_by_one.values[i], sizeof(float)) != 0) {
                fail_msg("variant %d, pooling %d, %zu samples, %d threads: %s %zu differs",
                         (int)wiring->variant, (int)wiring->pooling, samples, threads,
                         i < t.logits ? "logit" : "gradient", i < t.logits ? i : i - t.logits);
            }
        }
        free(t.values);
    }
    free(one_by_one.values);
}

static void test_same_bits(void **state) {
    (void)state;
    static const size_t samples[] = {1, 3, 4, 5, 8, 11, 16, 30, 32, 37, 40};
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        for (int w = 0; w < (i % 4 == 1 ? WIRINGS : 2);
             w++) { /* few of the others: it takes time */
            compare(&wirings[w], samples[i]);
        }
    }
}

/* Short enough to be shared out by rows on two and three threads, where all blocks are one region;
 * more blocks than wait for each other. */
static tub_model_config short_model(const struct wiring *wiring) {
    tub_model_config c = odd_model(wiring);
    c.tubelet[0] = c.stride[0] = 3; /* 36 tokens */
    c.layers = 14;
    return c;
}

/* One axis of the grid has all 48 tokens: in a block with two attentions one of them is over the whole
 * sample, the other of each token with itself. */
static tub_model_config one_axis_model(bool time, tub_attention_order order) {
    static const struct wiring two = {TUB_VARIANT_FACTORISED_SELF_ATTENTION, TUB_POOL_MEAN, 0};
    tub_model_config c = odd_model(&two);
    c.frames = time ? 48 : 4, c.height = time ? 6 : 24, c.width = time ? 6 : 12;
    c.tubelet[0] = time ? 1 : 4, c.tubelet[1] = time ? 6 : 3, c.tubelet[2] = time ? 6 : 2;
    memset(c.stride, 0, sizeof c.stride);
    c.attention_order = order;
    return c;
}

/* Logits of one sample without training, of all passes: workers overtake each other now and then. */
enum { PASSES = 8, LOGITS = 3 * PASSES };

static void infer(int threads, bool apart, const tub_model_config *c, float logits[LOGITS]) {
    tub_context_config config = tub_context_config_default();
    tub_context *ctx;
    tub_model *model;
    tub__backend *profile = NULL;
    tub__pass *pass;
    tub_error err;
    unsigned char x[VOXELS];
    config.threads = threads;
    assert_ok(tub_context_create(&config, &ctx, &err), err);
    assert_ok(tub_model_create(ctx, c, 1, &model, &err), err);
    if (apart) {
        assert_ok(tub__profile_create(model->backend, &profile, &err), err);
        model->backend = profile;
    }
    assert_ok(tub__pass_create(model, &(tub__pass_config){.batch = 1}, &pass, &err), err);
    assert_true(tub__geometry_voxels(&model->geometry) <= VOXELS);
    for (size_t i = 0; i < VOXELS; i++) {
        x[i] = (unsigned char)(i * 2654435761u >> 13);
    }
    for (int i = 0; i < PASSES; i++) {
        tub__pass_forward(pass, 1, TUB_U8, x, NULL);
        tub__pass_logits(pass, TUB_F32, logits + (ptrdiff_t)3 * i);
    }
    tub__pass_destroy(pass);
    tub_model_close(model);
    tub__profile_destroy(profile);
    tub_context_destroy(ctx);
}

static void compare_passes(const tub_model_config *c) {
    float one_by_one[LOGITS], together[LOGITS];
    infer(1, true, c, one_by_one);
    for (int threads = 1; threads <= 4; threads++) {
        infer(threads, false, c, together);
        assert_memory_equal(together, one_by_one, sizeof together);
    }
}

static void test_one_sample(void **state) {
    (void)state;
    for (int w = 0; w < WIRINGS; w++) {
        const tub_model_config c = short_model(&wirings[w]);
        compare_passes(&c);
    }
}

static void test_one_axis(void **state) {
    (void)state;
    for (int way = 0; way < 4; way++) {
        const tub_model_config c = one_axis_model(way % 2 == 0, (tub_attention_order)(way / 2));
        compare_passes(&c);
    }
}

static void account_for(const struct wiring *wiring) {
    tub_model_config c = odd_model(wiring);
    tub_context *ctx;
    tub_model *model;
    tub_model_cost cost;
    tub__backend *profile;
    tub__pass *pass;
    tub_error err;
    size_t count, products = 0, expected = 4 * (size_t)c.layers + 2; /* with embedding and head */
    double flop = 0, seconds = 0;
    unsigned char *x = calloc(2, VOXELS);
    c.hidden = 64; /* no padding between query, key and value, which the account would count */
    assert_ok(tub_context_create(NULL, &ctx, &err), err);
    assert_ok(tub_model_create(ctx, &c, 1, &model, &err), err);
    assert_ok(tub_model_cost_of(&c, 1, &cost, &err), err);
    assert_ok(tub__profile_create(model->backend, &profile, &err), err);
    model->backend = profile;
    assert_ok(tub__pass_create(model, &(tub__pass_config){.batch = 2}, &pass, &err), err);
    tub__pass_forward(pass, 2, TUB_U8, x, NULL);
    const tub__profile_line *lines = tub__profile_lines(profile, &count);
    for (size_t i = 0; i < count; i++) {
        flop += lines[i].flop;
        seconds += lines[i].seconds;
        products += strstr(lines[i].operation, "product") ? lines[i].calls : 0;
        assert_true(lines[i].seconds >= 0 && lines[i].calls > 0);
    }
    if (c.variant == TUB_VARIANT_FACTORISED_ENCODER) {
        expected += 4 * (size_t)c.temporal_layers;
    } else if (c.variant == TUB_VARIANT_FACTORISED_SELF_ATTENTION) {
        expected += 2 * (size_t)c.layers;
    }
    assert_int_equal(products, expected);
    assert_true(flop == 2 * 2 * cost.multiply_adds && seconds > 0);
    tub__profile_clear(profile);
    (void)tub__profile_lines(profile, &count);
    assert_int_equal(count, 0);
    free(x);
    tub__pass_destroy(pass);
    tub_model_close(model);
    tub__profile_destroy(profile);
    tub_context_destroy(ctx);
}

static void test_account(void **state) {
    (void)state;
    for (int w = 0; w < WIRINGS; w++) {
        account_for(&wirings[w]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_one_sample),
        cmocka_unit_test(test_one_axis),
        cmocka_unit_test(test_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
