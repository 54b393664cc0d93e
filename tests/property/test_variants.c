/* SPDX-License-Identifier: Apache-2.0 */
/* What holds for the joint variant holds for all: one SHA-256 of a training whatever the threads, the
 * instruction set, the ranks and the micro-batches; resumed runs that end as uninterrupted ones; the
 * same logits for any batch; folders that are read as they were written; and the paper's counts. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "training.h"

/* Settings that make a variant of the small recipe; its grid is 2 x 2 x 3 or larger. */
enum { SETTINGS = 6 };
static const struct variant {
    const char *name;
    const char *settings[SETTINGS][2];
} variants[] = {
    {"encoder",
     {{"model.variant", "factorised_encoder"},
      {"model.pooling", "class_token"},
      {"model.temporal_layers", "2"},
      {"model.tubelet", "2,3,3"}}},
    {"mean-over-time",
     {{"model.variant", "factorised_encoder"},
      {"model.temporal_layers", "0"},
      {"model.representation", "7"},
      {"model.positions", "none"},
      {"model.pooling", "class_token"}}},
    {"time-space",
     {{"model.variant", "factorised_self_attention"},
      {"model.pooling", "max"},
      {"model.positions", "sinusoidal_3d"}}},
    {"space-time",
     {{"model.variant", "factorised_self_attention"},
      {"model.attention_order", "space_time"},
      {"model.tubelet", "2,2,2"}}},
    {"dot-product",
     {{"model.variant", "factorised_dot_product"},
      {"model.pooling", "sum"},
      {"model.positions", "sinusoidal_1d"},
      {"model.head_init", "zeros"}}},
    {"sampled",
     {{"model.tubelet", "1,4,3"},
      {"model.sampled_frames", "3"},
      {"model.pooling", "class_token"},
      {"model.positions", "sinusoidal_1d"}}},
};
enum { VARIANTS = sizeof variants / sizeof *variants };

static tub_train_config made_from(tub_train_config c, const struct variant *v) {
    tub_error err = {0};
    c.model.heads = 4;
    for (int i = 0; i < SETTINGS && v->settings[i][0] != NULL; i++) {
        assert_ok(tub_train_config_set(&c, v->settings[i][0], v->settings[i][1], &err), err);
    }
    return c;
}

/* Two of the ways at a time: test_same_bits has them all for the joint variant. */
static void test_same_bits(void **state) {
    static const how ways[] = {{2, TUB_CPU_PORTABLE, 1, 1}, {3, TUB_CPU_AVX2, 2, 1},
                               {5, TUB_CPU_AVX512, 1, 4},   {8, TUB_CPU_AUTO, 2, 2},
                               {2, TUB_CPU_NEON, 1, 2},     {1, TUB_CPU_AUTO, 8, 1}};
    (void)state;
    for (int v = 0; v < VARIANTS; v++) {
        tub_train_config c = made_from(small_recipe(), &variants[v]);
        c.epochs = 3;
        must_run(&c, &plainly, variants[v].name);
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
            if (ways[i].cpu == TUB_CPU_AUTO || runs_on(ways[i].cpu)) {
                must_run(&c, &ways[i], "other");
                assert_same_run(variants[v].name, "other");
                assert_int_equal(tub__folder_remove(&tub__default_allocator, "other", NULL),
                                 TUB_OK);
            }
        }
        if (v > 0) {
            assert_other_weights(variants[v - 1].name, variants[v].name);
        }
    }
}

/* Of another number of threads, at a checkpoint and between two. */
static void test_resume(void **state) {
    (void)state;
    for (int v = 0; v < VARIANTS; v++) {
        tub_train_config c = made_from(long_recipe(), &variants[v]);
        char whole[64];
        snprintf(whole, sizeof whole, "%s-whole", variants[v].name);
        must_run(&c, &plainly, whole);
        for (int events = 7; events < 30; events += 16) {
            assert_false(child_of(&c, "killed", false, events, -1));
            assert_true(child("killed", true, 0, -1));
            assert_same_run(whole, "killed");
            assert_int_equal(tub__folder_remove(&tub__default_allocator, "killed", NULL), TUB_OK);
        }
    }
}

enum { SAMPLES = 9, CLASSES = 5, LOGITS = SAMPLES * CLASSES };

/* The logits of a run's model, by batches of some size. */
static void predict(const char *folder, tub_cpu cpu, int threads, tub_precision precision,
                    int64_t batch, float logits[LOGITS]) {
    tub_context_config config = tub_context_config_default();
    tub_context *ctx;
    tub_model *model;
    tub_error err = {0};
    config.cpu = cpu, config.threads = threads, config.precision = precision;
    assert_ok(tub_context_create(&config, &ctx, &err), err);
    assert_ok(tub_model_open(ctx, folder, &model, &err), err);
    const tub_model_config *c = tub_model_describe(model);
    assert_int_equal(c->classes, CLASSES);
    const size_t voxels = (size_t)(c->frames * c->height * c->width * c->channels);
    unsigned char *x = malloc(SAMPLES * voxels);
    for (size_t i = 0; i < SAMPLES * voxels; i++) {
        x[i] = (unsigned char)(i * 2654435761u >> 11);
    }
    for (int64_t s = 0; s < SAMPLES; s += batch) {
        const int64_t n = s + batch < SAMPLES ? batch : SAMPLES - s;
        assert_ok(tub_model_forward(model, n, TUB_U8, x + (size_t)s * voxels, logits + s * CLASSES,
                                    NULL, &err),
                  err);
    }
    free(x);
    tub_model_close(model);
    tub_context_destroy(ctx);
}

/* After test_same_bits, whose runs it takes. */
static void test_batches(void **state) {
    static const tub_precision precisions[] = {TUB_PRECISION_F32, TUB_PRECISION_BF16};
    static const int64_t batches[] = {1, 2, 5, SAMPLES};
    (void)state;
    for (int v = 0; v < VARIANTS; v++) {
        for (int p = 0; p < 2; p++) {
            float expected[LOGITS], found[LOGITS];
            const tub_cpu last = p == 0 ? TUB_CPU_AMX : TUB_CPU_AVX512_BF16;
            predict(variants[v].name, TUB_CPU_PORTABLE, 1, precisions[p], SAMPLES, expected);
            for (tub_cpu cpu = TUB_CPU_PORTABLE; cpu <= last; cpu++) {
                for (size_t b = 0; runs_on(cpu) && b < sizeof batches / sizeof *batches; b++) {
                    predict(variants[v].name, cpu, (int)b + 1, precisions[p], batches[b], found);
                    assert_memory_equal(found, expected, sizeof found);
                }
            }
        }
    }
}

/* A folder that was read and written again gives the same logits. */
static void test_folders(void **state) {
    (void)state;
    for (int v = 0; v < VARIANTS; v++) {
        float first[LOGITS], second[LOGITS];
        tub_context *ctx;
        tub_model *model;
        tub_error err = {0};
        assert_ok(tub_context_create(NULL, &ctx, &err), err);
        assert_ok(tub_model_open(ctx, variants[v].name, &model, &err), err);
        assert_ok(tub_model_save(model, "again", &err), err);
        tub_model_close(model);
        tub_context_destroy(ctx);
        predict(variants[v].name, TUB_CPU_AUTO, 2, TUB_PRECISION_F32, SAMPLES, first);
        predict("again", TUB_CPU_AUTO, 2, TUB_PRECISION_F32, SAMPLES, second);
        assert_memory_equal(first, second, sizeof first);
        predict("again", TUB_CPU_AUTO, 2, TUB_PRECISION_INT8, SAMPLES, second);
        for (int i = 0; i < LOGITS; i++) {
            assert_true(fabsf(first[i] - second[i]) < 0.2f * fmaxf(1, fabsf(first[i])));
        }
    }
}

/* Table 2 of the paper: ViViT-B with tubelets of 16x16x2 on 32 frames of 224x224, millions of
 * parameters and billions of multiply-adds, which the paper calls FLOPs. Its counts are rounded and may
 * hold what is no product. */
static void test_counts_of_the_paper(void **state) {
    static const struct {
        tub_variant variant;
        tub_pooling pooling;
        double parameters, multiply_adds;
    } table[] = {
        {TUB_VARIANT_JOINT, TUB_POOL_CLASS_TOKEN, 88.9, 455.2},
        {TUB_VARIANT_FACTORISED_ENCODER, TUB_POOL_CLASS_TOKEN, 115.1, 284.4},
        {TUB_VARIANT_FACTORISED_SELF_ATTENTION, TUB_POOL_MEAN, 117.3, 372.3},
        {TUB_VARIANT_FACTORISED_DOT_PRODUCT, TUB_POOL_MEAN, 88.9, 277.1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        tub_model_config c;
        tub_model_cost cost;
        tub_error err = {0};
        assert_ok(tub_model_preset("vivit-b", &c, &err), err);
        c.variant = table[i].variant, c.pooling = table[i].pooling;
        assert_ok(tub_model_cost_of(&c, 1, &cost, &err), err);
        assert_true(fabs((double)cost.parameters / 1e6 - table[i].parameters) <= 0.06);
        assert_true(fabs(cost.multiply_adds / 1e9 / table[i].multiply_adds - 1) <= 0.01);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_counts_of_the_paper),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
