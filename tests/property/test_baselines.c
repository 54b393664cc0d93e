/* SPDX-License-Identifier: Apache-2.0 */
/* Training of the baselines: the same bits for any threads, instruction set, ranks and micro-batches, after
 * a kill too, moving statistics included; answers that do not depend on the batch; and what is refused. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/model.h"
#include "training.h"

static const tub_family families[] = {TUB_FAMILY_CNN_FRAME, TUB_FAMILY_CNN_RNN,
                                      TUB_FAMILY_CNN_TRANSFORMER, TUB_FAMILY_RESNET3D18};
enum { FAMILIES = sizeof families / sizeof *families };

static tub_train_config recipe_of(tub_family family) {
    tub_train_config c = small_recipe();
    c.epochs = 1, c.warmup_epochs = 0;
    c.model.family = family;
    c.model.filters = 3, c.model.stages = 2, c.model.units = 10, c.model.layers = 1;
    c.decay_scope = TUB_DECAY_ALL;
    return c;
}

static void remove_run(const char *name) {
    assert_int_equal(tub__folder_remove(&tub__default_allocator, name, NULL), TUB_OK);
}

static void compare(const tub_train_config *c, const how *by) {
    must_run(c, by, "other");
    assert_same_run("whole", "other");
    remove_run("other");
}

static void same_bits(void **state) {
    static const int threads[] = {1, 2, 3, 5};
    (void)state;
    for (int f = 0; f < FAMILIES; f++) {
        const tub_train_config c = recipe_of(families[f]);
        must_run(&c, &plainly, "whole");
        for (tub_cpu cpu = TUB_CPU_PORTABLE; cpu <= TUB_CPU_AVX512; cpu++) {
            const bool quick = cpu != TUB_CPU_PORTABLE; /* which is not */
            for (size_t i = quick ? 0 : 2; runs_on(cpu) && i < (quick ? 4 : 3); i++) {
                compare(&c, &(how){threads[i], cpu, 1, 0});
            }
        }
        if (families[f] != TUB_FAMILY_RESNET3D18) {
            compare(&c, &(how){2, TUB_CPU_AUTO, 2, 0});
            compare(&c, &(how){2, TUB_CPU_AUTO, 1, 1});
            compare(&c, &(how){3, TUB_CPU_AUTO, 2, 8});
        }
        tub_train_config other = c;
        other.seed++;
        must_run(&other, &plainly, "other");
        assert_other_weights("whole", "other");
        remove_run("other"), remove_run("whole");
    }
}

/* What is kept besides the weights: moving means and variances, in steps and between epochs. */
static void killed_and_resumed(void **state) {
    (void)state;
    for (int f = 0; f < FAMILIES; f++) {
        tub_train_config c = long_recipe();
        const tub_train_config small = recipe_of(families[f]);
        c.model = small.model;
        c.epochs = 1, c.warmup_epochs = 0;
        must_run(&c, &plainly, "whole");
        for (int events = 4; events < 10; events += 5) {
            assert_false(child_of(&c, "killed", false, events, -1));
            tub_error err = {0};
            tub_train_config rest = c;
            rest.epochs = 0;
            assert_ok(run(&rest, &plainly, "killed", true, NULL, NULL, NULL, &err), err);
            assert_same_run("whole", "killed");
            assert_clean("killed");
            remove_run("killed");
        }
        remove_run("whole");
    }
}

static tub_context *open_context(int threads) {
    tub_context_config config = tub_context_config_default();
    tub_context *ctx = NULL;
    tub_error err = {0};
    config.threads = threads;
    assert_ok(tub_context_create(&config, &ctx, &err), err);
    return ctx;
}

/* Saved, opened, and asked alone and in company: the same bits. The trained statistics are not those that
 * it began with. */
static void saved_and_asked(void **state) {
    enum { SAMPLES = 5, SIZE = 10 * 13 * 9 * 2 };
    (void)state;
    unsigned char *x = malloc(SAMPLES * SIZE);
    for (size_t i = 0; i < SAMPLES * SIZE; i++) {
        x[i] = (unsigned char)(i * 2654435761u >> 24);
    }
    for (int f = 0; f < FAMILIES; f++) {
        const tub_train_config c = recipe_of(families[f]);
        tub_context *ctx = open_context(2), *alone = open_context(1);
        tub_model *a = NULL, *b = NULL;
        tub_error err = {0};
        float together[SAMPLES * 64], one[64], probabilities[64];
        must_run(&c, &plainly, "whole");
        assert_ok(tub_model_open(ctx, "whole", &a, &err), err);
        assert_int_equal(tub_model_describe(a)->family, families[f]);
        assert_int_equal(tub_model_describe(a)->filters, 3);
        assert_ok(tub_model_save(a, "saved", &err), err);
        assert_ok(tub_model_open(alone, "saved", &b, &err), err);
        assert_memory_equal(tub_model_describe(a), tub_model_describe(b), sizeof(tub_model_config));
        assert_ok(tub_model_forward(a, SAMPLES, TUB_U8, x, together, NULL, &err), err);
        const size_t classes = (size_t)tub_model_describe(a)->classes;
        for (size_t i = 0; i < SAMPLES; i++) {
            assert_ok(tub_model_forward(b, 1, TUB_U8, x + i * SIZE, one, probabilities, &err), err);
            assert_memory_equal(one, together + i * classes, classes * sizeof *one);
        }
        int moved = 0;
        for (int64_t i = 0; i < tub_model_parameters(a); i++) {
            tub_parameter p;
            float values[64];
            assert_ok(tub_model_parameter(a, i, &p, &err), err);
            if (strstr(p.name, "running_var") != NULL) {
                assert_ok(tub_model_get(a, i, values, &err), err);
                assert_int_equal(p.decay, 0);
                for (int64_t k = 0; k < p.count; k++) {
                    moved += values[k] != 1;
                    assert_true(values[k] > 0);
                }
            }
        }
        assert_int_equal(moved > 0, families[f] == TUB_FAMILY_RESNET3D18);
        tub_model_close(a), tub_model_close(b);
        tub_context_destroy(ctx), tub_context_destroy(alone);
        remove_run("saved"), remove_run("whole");
    }
    free(x);
}

/* A start copies what fits, the head apart, and is of the same family only. */
static void started(void **state) {
    (void)state;
    tub_error err = {0};
    for (int f = 0; f < FAMILIES; f++) {
        tub_train_config c = recipe_of(families[f]), next;
        must_run(&c, &plainly, "whole");
        next = c;
        strcpy(next.init_from, "whole");
        next.max_steps = 1;
        next.lr = 0;
        next.weight_decay = 0;
        must_run(&next, &plainly, "next");
        tub_context *ctx = open_context(1);
        tub_model *a = NULL, *b = NULL;
        assert_ok(tub_model_open(ctx, "whole", &a, &err), err);
        assert_ok(tub_model_open(ctx, "next", &b, &err), err);
        for (int64_t i = 0; i < tub_model_parameters(a); i++) {
            tub_parameter p;
            assert_ok(tub_model_parameter(a, i, &p, &err), err);
            float *u = malloc((size_t)p.count * sizeof *u),
                  *v = malloc((size_t)p.count * sizeof *v);
            assert_ok(tub_model_get(a, i, u, &err), err);
            assert_ok(tub_model_get(b, i, v, &err), err);
            if (strstr(p.name, "running") == NULL) {
                assert_memory_equal(u, v, (size_t)p.count * sizeof *u);
            }
            free(u), free(v);
        }
        tub_model_close(a), tub_model_close(b);
        tub_context_destroy(ctx);
        next.model.family = families[(f + 1) % FAMILIES];
        assert_int_equal(run(&next, &plainly, "refused", false, NULL, NULL, NULL, &err),
                         TUB_E_SHAPE);
        assert_non_null(strstr(err.message, "same family"));
        remove_run("next"), remove_run("whole");
    }
}

static void refuse(tub_train_config c, const how *by, const char *says) {
    tub_error err = {0};
    if (run(&c, by, "refused", false, NULL, NULL, NULL, &err) == TUB_OK ||
        strstr(err.message, says) == NULL) {
        fail_msg("expected a sentence with '%s', got '%s'", says, err.message);
    }
    assert_false(is_run("refused"));
}

static void refusals(void **state) {
    (void)state;
    tub_train_config c = recipe_of(TUB_FAMILY_RESNET3D18);
    refuse(c, &(how){1, TUB_CPU_AUTO, 2, 0}, "ranks can't be with resnet3d18");
    refuse(c, &(how){1, TUB_CPU_AUTO, 1, 4}, "micro_batch can't be with resnet3d18");
    c.model.pooling = TUB_POOL_MAX;
    refuse(c, &plainly, "pooling is of tokens");
    for (int f = 0; f < FAMILIES; f++) {
        c = recipe_of(families[f]);
        c.precision = TUB_PRECISION_BF16;
        refuse(c, &plainly, "computes in f32 only");
        c = recipe_of(families[f]);
        c.model.variant = TUB_VARIANT_FACTORISED_ENCODER;
        refuse(c, &plainly, "variants are of family vivit");
        c = recipe_of(families[f]);
        c.model.filters = 1024;
        refuse(c, &plainly, "at most 1024 are supported");
    }
    c = recipe_of(TUB_FAMILY_CNN_RNN);
    c.model.dropout = 0.1;
    refuse(c, &plainly, "family cnn-rnn has not");
    c.model.dropout = 0, c.model.stages = 4;
    refuse(c, &plainly, "can't be halved 4 times");
    c = recipe_of(TUB_FAMILY_CNN_FRAME);
    c.model.sampled_frames = 2;
    refuse(c, &plainly, "it sees the middle frame");
}

/* A folder of one precision only. */
static void refused_precisions(void **state) {
    (void)state;
    const tub_train_config c = recipe_of(TUB_FAMILY_CNN_RNN);
    must_run(&c, &plainly, "whole");
    for (int p = TUB_PRECISION_BF16; p <= TUB_PRECISION_INT8; p++) {
        tub_context_config config = tub_context_config_default();
        tub_context *ctx = NULL;
        tub_model *model = NULL;
        tub_error err = {0};
        config.precision = (tub_precision)p;
        assert_ok(tub_context_create(&config, &ctx, &err), err);
        assert_int_equal(tub_model_open(ctx, "whole", &model, &err), TUB_E_UNSUPPORTED);
        assert_non_null(strstr(err.message, "computes in f32 only"));
        tub_context_destroy(ctx);
    }
    remove_run("whole");
}

/* Averaging changes no step of the training, so the statistics of an averaged model are those of the run without it:
 * its folder has the checkpoint's, and not their average. */
static void averaged_statistics(void **state) {
    (void)state;
    tub_train_config c = recipe_of(TUB_FAMILY_RESNET3D18);
    tub_context *ctx = open_context(2);
    tub_model *plain = NULL, *averaged = NULL;
    tub_error err = {0};
    int same = 0, others = 0;
    must_run(&c, &plainly, "whole");
    c.ema = 0.9;
    must_run(&c, &plainly, "averaged");
    assert_ok(tub_model_open(ctx, "whole", &plain, &err), err);
    assert_ok(tub_model_open(ctx, "averaged", &averaged, &err), err);
    for (int64_t i = 0; i < tub_model_parameters(plain); i++) {
        tub_parameter p;
        assert_ok(tub_model_parameter(plain, i, &p, &err), err);
        const size_t bytes = (size_t)p.count * sizeof(float);
        float *one = malloc(bytes), *other = malloc(bytes);
        assert_ok(tub_model_get(plain, i, one, &err), err);
        assert_ok(tub_model_get(averaged, i, other, &err), err);
        if (strstr(p.name, "running_") != NULL) {
            assert_memory_equal(one, other, bytes);
            same++;
        } else {
            others += memcmp(one, other, bytes) != 0;
        }
        free(one), free(other);
    }
    assert_true(same > 0 && others > 0);
    tub_model_close(plain), tub_model_close(averaged);
    tub_context_destroy(ctx);
    remove_run("whole"), remove_run("averaged");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits),
        cmocka_unit_test(killed_and_resumed),
        cmocka_unit_test(saved_and_asked),
        cmocka_unit_test(averaged_statistics),
        cmocka_unit_test(started),
        cmocka_unit_test(refusals),
        cmocka_unit_test(refused_precisions),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
