/* SPDX-License-Identifier: Apache-2.0 */
/* Optimiser trajectories against Keras in float64: 50 or 20 steps of the small odd model
 * (golden/optimizer, made by make_expected.py). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <tubelet/tubelet.h>

#include "base/context.h"
#include "formats/npy.h"
#include "train/optimizer.h"
#include "train/schedule.h"

enum { BATCH = 4 };

/* After the last step, absolute. A key bias has an exact gradient of zero: Adam normalises the
 * rounding noise that float32 leaves there, so only a drift beyond Keras' own (1e-4) by a good
 * deal is wrong. */
static const double LIMIT = 3e-6, KEY_BIAS_LIMIT = 1e-3, LOSS_LIMIT = 2e-5;

typedef struct golden {
    tub_context *ctx;
    tub__npz *parameters, *batches, *expected;
} golden;

static void *member(golden *g, tub__npz *z, const char *name, size_t *count) {
    void *bytes = NULL;
    tub__npy npy;
    tub_error err = {0};
    if (tub__npz_read(z, name, 1 << 26, &bytes, &npy, &err) != TUB_OK) {
        fail_msg("%s", err.message);
    }
    size_t size = npy.elements * (size_t)npy.width;
    void *copy = malloc(size);
    memcpy(copy, (char *)bytes + npy.data_offset, size);
    tub__free(&g->ctx->allocator, bytes);
    *count = npy.elements;
    return copy;
}

static int set_up(void **state) {
    static golden g;
    tub_context_config config = tub_context_config_default();
    config.threads = 2;
    *state = &g;
    return tub_context_create(&config, &g.ctx, NULL) == TUB_OK &&
                   tub__npz_open(&g.ctx->allocator, GOLDEN "/optimizer/params.npz", &g.parameters,
                                 NULL) == TUB_OK &&
                   tub__npz_open(&g.ctx->allocator, GOLDEN "/optimizer/batches.npz", &g.batches,
                                 NULL) == TUB_OK &&
                   tub__npz_open(&g.ctx->allocator, GOLDEN "/optimizer/expected.npz", &g.expected,
                                 NULL) == TUB_OK
               ? 0
               : -1;
}

static int tear_down(void **state) {
    golden *g = *state;
    tub__npz_close(g->parameters);
    tub__npz_close(g->batches);
    tub__npz_close(g->expected);
    tub_context_destroy(g->ctx);
    return 0;
}

static tub_model *make_model(golden *g) {
    tub_model_config c;
    tub_model *model = NULL;
    tub_error err = {0};
    assert_int_equal(tub_model_preset("vivit-tiny", &c, &err), TUB_OK);
    c.frames = 10, c.height = 13, c.width = 9, c.channels = 2;
    c.tubelet[0] = 4, c.tubelet[1] = 5, c.tubelet[2] = 3;
    c.hidden = 24, c.heads = 3, c.layers = 2, c.mlp = 96, c.classes = 5;
    if (tub_model_create(g->ctx, &c, 1, &model, &err) != TUB_OK) {
        fail_msg("%s", err.message);
    }
    for (size_t i = 0; i < model->params.count; i++) {
        const tub__param *p = &model->params.list[i];
        size_t count = 0;
        float *values = member(g, g->parameters, p->keras, &count);
        assert_int_equal(count, p->rows * p->cols);
        /* Keras' arrays, flattened, are the matrices that the layers use. */
        if (p->packed) {
            model->backend->ops->pack(model->backend,
                                      tub__param_weight(model->backend, p, model->weights), TUB_F32,
                                      values, p->cols, 1);
        } else {
            model->backend->ops->mat_in(model->backend,
                                        tub__param_mat(model->backend, p, model->weights), TUB_F32,
                                        values, p->cols, 1);
        }
        free(values);
    }
    return model;
}

static void parameter_out(tub_model *model, const tub__param *p, float *out) {
    tub__backend *be = model->backend;
    if (p->packed) {
        be->ops->unpack(be, TUB_F32, out, p->cols, 1, tub__param_weight(be, p, model->weights));
    } else {
        be->ops->mat_out(be, TUB_F32, out, p->cols, 1, tub__param_mat(be, p, model->weights));
    }
}

/* Largest difference over all arrays but the key biases, and over those. */
static void compare(golden *g, tub_model *model, const char *run, double *others,
                    double *key_bias) {
    *others = *key_bias = 0.0;
    for (size_t i = 0; i < model->params.count; i++) {
        const tub__param *p = &model->params.list[i];
        char name[160];
        size_t count = 0;
        snprintf(name, sizeof name, "%s/%s", run, p->keras);
        float *expected = member(g, g->expected, name, &count), *got = calloc(count, sizeof *got);
        parameter_out(model, p, got);
        double *most = p->role == TUB__KEY_BIAS ? key_bias : others;
        for (size_t k = 0; k < count; k++) {
            double difference = fabs((double)got[k] - (double)expected[k]);
            *most = difference <= *most ? *most : difference; /* NaN is kept */
        }
        free(expected);
        free(got);
    }
}

/* The scheme of the golden run: rates, and steps in all. */
static void train(golden *g, const tub_train_config *config, const tub__rates *rates,
                  const char *run, size_t steps, double *others, double *key_bias,
                  double *loss_difference) {
    tub_model *model = make_model(g);
    tub__optimizer optimizer;
    tub__pass *pass = NULL;
    tub__pass_config pass_config = {.batch = BATCH, .training = true};
    char name[64];
    size_t count = 0;
    assert_int_equal(tub__pass_create(model, &pass_config, &pass, NULL), TUB_OK);
    assert_int_equal(tub__optimizer_create(model, config, &optimizer, NULL), TUB_OK);
    uint8_t *volumes = member(g, g->batches, "volumes", &count);
    int32_t *labels = member(g, g->batches, "labels", &count);
    snprintf(name, sizeof name, "%s/loss", run);
    double *losses = member(g, g->expected, name, &count);
    assert_int_equal(count, steps);
    tub__pass_weights_changed(pass);
    *loss_difference = 0.0;
    for (size_t s = 0; s < steps; s++) {
        double each[BATCH], loss = 0.0;
        tub__targets targets = {.labels = labels + s * BATCH, .global_batch = BATCH};
        tub__pass_forward(pass, BATCH, TUB_U8, volumes + s * BATCH * 10 * 13 * 9 * 2, NULL);
        tub__pass_loss(pass, &targets, each);
        tub__pass_backward(pass);
        void *gradient = tub__pass_gradients(pass);
        tub__optimizer_step(&optimizer, gradient, tub__gradient_norm(&optimizer, gradient), s + 1,
                            tub__rate(rates, s));
        tub__pass_weights_changed(pass);
        for (int i = 0; i < BATCH; i++) {
            loss += each[i] / BATCH;
        }
        *loss_difference = fmax(*loss_difference, fabs(loss - losses[s]));
    }
    compare(g, model, run, others, key_bias);
    free(volumes);
    free(labels);
    free(losses);
    tub__optimizer_destroy(&optimizer);
    tub__pass_destroy(pass);
    tub_model_close(model);
}

static tub__rates constant(double lr) {
    return (tub__rates){TUB_CONSTANT, lr, 0.0, 0.0, 0, 1};
}

static void expect(golden *g, const tub_train_config *config, const tub__rates *rates,
                   const char *run, size_t steps) {
    double others = 0.0, key_bias = 0.0, loss = 0.0;
    train(g, config, rates, run, steps, &others, &key_bias, &loss);
    print_message("%-20s after step %zu: parameters %.2g, key biases %.2g; losses %.2g\n", run,
                  steps, others, key_bias, loss);
    assert_true(others <= LIMIT);
    assert_true(key_bias <= KEY_BIAS_LIMIT);
    assert_true(loss <= LOSS_LIMIT);
}

static void adam(void **state) {
    tub_train_config c = tub_train_config_default();
    tub__rates rates = constant(1e-3);
    expect(*state, &c, &rates, "adam", 50);
}

static void adamw(void **state) {
    tub_train_config c = tub_train_config_default();
    tub__rates rates = constant(1e-3);
    c.optimizer = TUB_ADAMW;
    c.weight_decay = 0.05;
    c.decay_scope = TUB_DECAY_ALL;
    expect(*state, &c, &rates, "adamw", 20);
}

static void sgd_momentum(void **state) {
    tub_train_config c = tub_train_config_default();
    tub__rates rates = constant(0.05);
    c.optimizer = TUB_SGD;
    expect(*state, &c, &rates, "sgd_momentum", 20);
}

static void sgd_global_clipnorm(void **state) {
    tub_train_config c = tub_train_config_default();
    tub__rates rates = constant(0.05);
    c.optimizer = TUB_SGD;
    c.momentum = 0.0;
    c.clip_norm = 1.0;
    expect(*state, &c, &rates, "sgd_global_clipnorm", 20);
}

static void adam_cosine_warmup(void **state) {
    tub_train_config c = tub_train_config_default();
    tub__rates rates = {TUB_COSINE, 2e-3, 1e-4, 0.05, 5, 12};
    expect(*state, &c, &rates, "adam_cosine_warmup", 20);
}

/* Negative controls: what is nearly right misses the limit. */
static void others_miss(void **state) {
    double others = 0.0, key_bias = 0.0, loss = 0.0;
    tub__rates rates = constant(1e-3);
    tub_train_config c = tub_train_config_default();
    c.adam_form = TUB_ADAM_PYTORCH;
    train(*state, &c, &rates, "adam", 50, &others, &key_bias, &loss);
    print_message("PyTorch's Adam: parameters %.2g\n", others);
    assert_true(others > LIMIT);

    c = tub_train_config_default();
    c.optimizer = TUB_ADAMW;
    c.weight_decay = 0.05; /* kernels only, where Keras decays all */
    train(*state, &c, &rates, "adamw", 20, &others, &key_bias, &loss);
    print_message("AdamW on kernels: parameters %.2g\n", others);
    assert_true(others > LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adam),
        cmocka_unit_test(adamw),
        cmocka_unit_test(sgd_momentum),
        cmocka_unit_test(sgd_global_clipnorm),
        cmocka_unit_test(adam_cosine_warmup),
        cmocka_unit_test(others_miss),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
