/* SPDX-License-Identifier: Apache-2.0 */
/* Rates by depth, frozen blocks, and averaged weights, one update at a time. */
#include "cmocka_all.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/context.h"
#include "model/model.h"
#include "train/depth.h"
#include "train/optimizer.h"

static int set_up(void **state) {
    tub_context_config config = tub_context_config_default();
    config.threads = 2;
    return tub_context_create(&config, (tub_context **)state, NULL) == TUB_OK ? 0 : -1;
}

static int tear_down(void **state) {
    tub_context_destroy(*state);
    return 0;
}

static tub_train_config recipe(tub_variant variant) {
    tub_train_config c = tub_train_config_default();
    c.model.frames = c.model.height = c.model.width = 8;
    c.model.channels = 1;
    c.model.classes = 3;
    c.model.tubelet[0] = c.model.tubelet[1] = c.model.tubelet[2] = 4;
    c.model.hidden = 32, c.model.heads = 4, c.model.layers = 3, c.model.mlp = 24;
    c.model.temporal_layers = 2;
    c.model.variant = variant;
    return c;
}

static tub_model *make(tub_context *ctx, const tub_train_config *c) {
    tub_model *m = NULL;
    assert_int_equal(tub_model_create(ctx, &c->model, 1, &m, NULL), TUB_OK);
    return m;
}

/* The group that a name means, found in another way than the table does. */
static int group_by_name(const char *name, int layers, int spatial) {
    const char *at = strstr(name, "encoder.layer.");
    const bool temporal = strstr(name, "vivit.temporal.") != NULL;
    if (at != NULL) {
        return 1 + atoi(at + strlen("encoder.layer.")) + (temporal ? spatial : 0);
    }
    if (strstr(name, "vivit.embeddings") != NULL) {
        return 0;
    }
    if (strstr(name, "vivit.temporal.embeddings") != NULL) {
        return spatial;
    }
    return strcmp(name, "vivit.layernorm.weight") == 0 || strcmp(name, "vivit.layernorm.bias") == 0
               ? (spatial < layers ? spatial : layers + 1)
               : layers + 1;
}

static void groups_of_all_variants(void **state) {
    for (int v = TUB_VARIANT_JOINT; v <= TUB_VARIANT_FACTORISED_DOT_PRODUCT; v++) {
        tub_train_config c = recipe((tub_variant)v);
        tub_model *m = make(*state, &c);
        const int layers = v == TUB_VARIANT_FACTORISED_ENCODER ? 5 : 3;
        assert_int_equal(m->params.layers, layers);
        for (size_t i = 0; i < m->params.count; i++) {
            const tub__param *p = &m->params.list[i];
            assert_int_equal(p->group, group_by_name(p->name, layers, 3));
        }
        tub_model_close(m);
    }
}

/* All of a model's numbers, padding included. */
static float *copy_slab(const tub_model *m, const void *slab) {
    float *copy = malloc(m->params.elements * sizeof *copy);
    memcpy(copy, slab, m->params.elements * sizeof *copy);
    return copy;
}

static void fill_gradient(const tub_model *m, float *g, unsigned seed) {
    for (size_t i = 0; i < m->params.elements; i++) {
        g[i] = (float)((i * 2654435761u + seed) >> 20 & 255) / 128.0f - 1.0f;
    }
}

/* One step of plain gradient descent: what each number moved by, over its gradient, is its rate. */
static void rates_by_depth(void **state) {
    for (int v = TUB_VARIANT_JOINT; v <= TUB_VARIANT_FACTORISED_DOT_PRODUCT; v++) {
        tub_train_config c = recipe((tub_variant)v);
        c.optimizer = TUB_SGD;
        c.momentum = 0.0;
        c.layer_decay = 0.5;
        strcpy(c.freeze, "1");
        tub_model *m = make(*state, &c);
        tub__optimizer o;
        assert_int_equal(tub__optimizer_create(m, &c, &o, NULL), TUB_OK);
        float *before = copy_slab(m, m->weights), *g = copy_slab(m, m->weights);
        fill_gradient(m, g, 1);
        double squares = 0.0;
        const double norm = tub__gradient_norm(&o, g);
        tub__optimizer_step(&o, g, norm, 1, 0.25);
        for (size_t i = 0; i < m->params.count; i++) {
            const tub__param *p = &m->params.list[i];
            const double rate = p->group < 2 ? 0.0 : pow(0.5, m->params.layers + 1 - p->group);
            assert_true(tub__depth_rate(&c, p) == rate);
            for (size_t k = 0; k < p->elements; k++) {
                const float old = before[p->offset + k],
                            now = ((const float *)m->weights)[p->offset + k];
                assert_true(fabs((double)old - 0.25 * rate * g[p->offset + k] - now) < 1e-6);
                squares += rate > 0.0 && k < p->elements
                               ? (double)g[p->offset + k] * g[p->offset + k]
                               : 0.0;
            }
        }
        assert_true(norm <= sqrt(squares) * (1 + 1e-12)); /* padding has no share in it */
        free(before), free(g);
        tub__optimizer_destroy(&o);
        tub_model_close(m);
    }
}

/* Frozen arrays neither decay nor count in the norm: gradients there may be anything. */
static void frozen_arrays_stay(void **state) {
    tub_train_config c = recipe(TUB_VARIANT_JOINT);
    c.optimizer = TUB_ADAMW;
    c.weight_decay = 0.5;
    c.decay_scope = TUB_DECAY_ALL;
    c.ema = 0.5;
    strcpy(c.freeze, "embedding");
    tub_model *m = make(*state, &c);
    tub__optimizer o;
    assert_int_equal(tub__optimizer_create(m, &c, &o, NULL), TUB_OK);
    float *before = copy_slab(m, m->weights), *g = copy_slab(m, m->weights);
    fill_gradient(m, g, 2);
    const double norm = tub__gradient_norm(&o, g);
    for (size_t i = 0; i < m->params.count; i++) {
        const tub__param *p = &m->params.list[i];
        for (size_t k = 0; k < p->elements && p->group == 0; k++) {
            g[p->offset + k] = INFINITY;
        }
    }
    assert_true(tub__gradient_norm(&o, g) == norm && isfinite(norm));
    for (uint64_t step = 1; step <= 3; step++) {
        tub__optimizer_step(&o, g, norm, step, 0.1);
    }
    for (size_t i = 0; i < m->params.count; i++) {
        const tub__param *p = &m->params.list[i];
        const size_t bytes = p->elements * sizeof *g;
        const float *now = (const float *)m->weights + p->offset;
        const bool same = memcmp(before + p->offset, now, bytes) == 0;
        assert_int_equal(same, p->group == 0);
        if (p->group == 0) {
            assert_memory_equal((const float *)o.average.slab + p->offset, now, bytes);
        }
    }
    free(before), free(g);
    tub__optimizer_destroy(&o);
    tub_model_close(m);
}

static void counts_what_is_trained(void **state) {
    (void)state;
    static const char *const freeze[] = {"none", "embedding", "0", "1", "3"};
    tub_train_config c = recipe(TUB_VARIANT_JOINT);
    int64_t trained[5];
    for (int i = 0; i < 5; i++) {
        strcpy(c.freeze, freeze[i]);
        assert_int_equal(tub_train_parameters(&c, &trained[i], NULL), TUB_OK);
    }
    tub_model_cost cost;
    assert_int_equal(tub_model_cost_of(&c.model, 1, &cost, NULL), TUB_OK);
    const int64_t embedding = 64 * 32 + 32 + 8 * 32,
                  block = 4 * (32 * 32 + 32) + 2 * 32 * 24 + 24 + 32 + 4 * 32;
    assert_int_equal(trained[0], cost.parameters);
    assert_int_equal(trained[1], cost.parameters - embedding);
    assert_int_equal(trained[2], trained[1]);
    assert_int_equal(trained[3], trained[1] - block);
    assert_int_equal(trained[4], 2 * 32 + 32 * 3 + 3); /* norm and classifier */
}

static void refuses(void **state) {
    (void)state;
    tub_error err = {0};
    int64_t n;
    tub_train_config c = recipe(TUB_VARIANT_JOINT);
    strcpy(c.freeze, "4");
    assert_int_equal(tub_train_parameters(&c, &n, &err), TUB_E_RANGE);
    assert_string_equal(err.message, "freeze 4 is more than the 3 blocks that the model has");
    c.model.variant = TUB_VARIANT_FACTORISED_ENCODER;
    assert_int_equal(tub_train_parameters(&c, &n, &err), TUB_OK);
    strcpy(c.freeze, "half");
    assert_int_equal(tub_train_config_check(&c, &err), TUB_E_ARGUMENT);
    assert_non_null(strstr(err.message, "freeze is 'half'"));
    strcpy(c.freeze, "-1");
    assert_int_equal(tub_train_config_check(&c, &err), TUB_E_ARGUMENT);
}

/* Weights 1, 2, 0.5, -1 after the steps, decay 0.9. Keras' use_ema and PyTorch's AveragedModel with
 * get_ema_multi_avg_fn(0.9) begin with the first and then have 0.9 average + 0.1 weight: 1, 1.1, 1.04,
 * 0.836. With warm-up the decays are those of TensorFlow's num_updates: min(0.9, (1 + t) / (10 + t)). */
static void averages_as_others_do(void **state) {
    static const float weights[4] = {1.0f, 2.0f, 0.5f, -1.0f};
    static const double plain[4] = {1.0, 1.1, 1.04, 0.836};
    double warm = 1.0;
    for (int warmup = 0; warmup <= 1; warmup++) {
        tub_train_config c = recipe(TUB_VARIANT_JOINT);
        c.ema = 0.9;
        c.ema_warmup = warmup;
        tub_model *m = make(*state, &c);
        tub__average a;
        assert_int_equal(tub__average_create(m, &c, &a, NULL), TUB_OK);
        float *w = m->weights;
        const float *average = a.slab;
        assert_memory_equal(w, average, m->params.elements * sizeof *w);
        for (int t = 1; t <= 4; t++) {
            for (size_t i = 0; i < m->params.elements; i++) {
                w[i] = weights[t - 1];
            }
            tub__average_step(&a, (uint64_t)t);
            const double decay = t == 1 ? 0.0 : (1.0 + t) / (10.0 + t);
            warm = decay * warm + (1.0 - decay) * (double)weights[t - 1];
            const double expected = warmup ? warm : plain[t - 1];
            for (size_t i = 0; i < m->params.elements; i++) {
                assert_true(fabs((double)average[i] - expected) < 2e-7);
            }
        }
        float *room = malloc(m->params.elements * sizeof *room);
        const float shown = average[7];
        tub__average_show(&a, room);
        assert_true(w[7] == shown && room[7] == -1.0f);
        tub__average_hide(&a, room);
        assert_true(w[7] == -1.0f && average[7] == shown);
        free(room);
        tub__average_destroy(&a);
        tub_model_close(m);
    }
    tub__average late = {.decay = 0.9, .warmup = true};
    assert_true(tub__average_decay(&late, 79) < 0.9 && tub__average_decay(&late, 80) == 0.9);
}

static tub_train_config family_recipe(tub_family family, int layers) {
    tub_train_config c = recipe(TUB_VARIANT_JOINT);
    c.model.family = family;
    c.model.layers = layers;
    c.model.filters = 3, c.model.stages = 2, c.model.units = 10;
    return c;
}

/* Convolutions are a transformer's embedding, be they more or fewer than its blocks. */
static void groups_of_convolutions(void **state) {
    for (int layers = 1; layers <= 3; layers += 2) {
        tub_train_config c = family_recipe(TUB_FAMILY_CNN_TRANSFORMER, layers);
        tub_model *m = make(*state, &c);
        int seen[5] = {0};
        for (size_t i = 0; i < m->params.count; i++) {
            const tub__param *p = &m->params.list[i];
            const char *block = strstr(p->name, "encoder.layer.");
            const bool top =
                strstr(p->name, "classifier") != NULL || strstr(p->name, "vivit.layernorm") != NULL;
            const int wanted = block != NULL ? 1 + atoi(block + strlen("encoder.layer."))
                               : top         ? layers + 1
                                             : 0;
            assert_int_equal(p->group, wanted);
            seen[wanted]++;
            c.layer_decay = 0.5;
            strcpy(c.freeze, "none");
            assert_true(tub__depth_rate(&c, p) == pow(0.5, layers + 1 - wanted));
            strcpy(c.freeze, "embedding");
            assert_int_equal(tub__depth_rate(&c, p) == 0.0, wanted == 0);
        }
        assert_true(seen[0] >= 4 && seen[1] > 0 && seen[layers + 1] >= 2);
        tub_model_close(m);
    }
}

static void without_blocks(void **state) {
    static const tub_family families[] = {TUB_FAMILY_CNN_FRAME, TUB_FAMILY_CNN_RNN,
                                          TUB_FAMILY_RESNET3D18};
    (void)state;
    for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
        tub_error err = {0};
        tub_train_config c = family_recipe(families[f], 1);
        assert_int_equal(tub__depth_check(&c, &err), TUB_OK);
        c.layer_decay = 0.5;
        assert_int_equal(tub__depth_check(&c, &err), TUB_E_ARGUMENT);
        assert_string_equal(err.message, "layer_decay is for models of transformer blocks, and "
                                         "this one has none; leave it out");
        c.layer_decay = 1.0;
        strcpy(c.freeze, "embedding");
        assert_int_equal(tub__depth_check(&c, &err), TUB_E_ARGUMENT);
        assert_string_equal(err.message, "freeze is for models of transformer blocks, and this "
                                         "one has none; leave it out");
    }
}

/* Running statistics are no weights: whatever lies at their place in a gradient has no share in its norm and moves
 * nothing, and averaged weights have the last ones. */
static void statistics_are_no_weights(void **state) {
    tub_train_config c = family_recipe(TUB_FAMILY_RESNET3D18, 1);
    c.optimizer = TUB_SGD;
    c.ema = 0.9, c.ema_warmup = 0;
    tub_model *m = make(*state, &c);
    tub__optimizer o;
    tub__average a;
    assert_int_equal(tub__optimizer_create(m, &c, &o, NULL), TUB_OK);
    assert_int_equal(tub__average_create(m, &c, &a, NULL), TUB_OK);
    float *g = copy_slab(m, m->weights), *before = copy_slab(m, m->weights), *w = m->weights;
    fill_gradient(m, g, 1);
    const double norm = tub__gradient_norm(&o, g);
    int buffers = 0;
    for (int huge = 0; huge <= 1; huge++) {
        for (size_t i = 0; i < m->params.count; i++) {
            const tub__param *p = &m->params.list[i];
            for (size_t k = 0; p->buffer && k < p->elements; k++) {
                g[p->offset + k] = huge ? 1e6f : 0.0f;
            }
        }
        assert_true(tub__gradient_norm(&o, g) == norm);
    }
    tub__optimizer_step(&o, g, norm, 1, 0.25);
    for (int t = 1; t <= 2; t++) { /* the first is taken whole */
        for (size_t i = 0; i < m->params.count; i++) {
            const tub__param *p = &m->params.list[i];
            for (size_t k = 0; k < p->elements; k++) {
                const size_t at = p->offset + k;
                assert_true(t == 2 || !p->buffer || w[at] == before[at]);
                w[at] = (float)t;
            }
        }
        tub__average_step(&a, (uint64_t)t);
    }
    for (size_t i = 0; i < m->params.count; i++) {
        const tub__param *p = &m->params.list[i];
        const double wanted = p->buffer ? 2.0 : 1.1;
        buffers += p->buffer;
        assert_true(fabs((double)((const float *)a.slab)[p->offset] - wanted) < 1e-6);
    }
    assert_true(buffers > 0 && buffers < (int)m->params.count);
    free(g), free(before);
    tub__average_destroy(&a);
    tub__optimizer_destroy(&o);
    tub_model_close(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_of_all_variants), cmocka_unit_test(groups_of_convolutions),
        cmocka_unit_test(without_blocks),         cmocka_unit_test(statistics_are_no_weights),
        cmocka_unit_test(rates_by_depth),         cmocka_unit_test(frozen_arrays_stay),
        cmocka_unit_test(counts_what_is_trained), cmocka_unit_test(refuses),
        cmocka_unit_test(averages_as_others_do)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
