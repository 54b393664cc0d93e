/* SPDX-License-Identifier: Apache-2.0 */
/* Optimiser trajectories against Keras in float64: 50 or 20 steps of the small odd model
 * (golden/optimizer, made by make_expected.py). */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tubelet/tubelet.h>

#include "base/context.h"
#include "formats/json.h"
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

/* A model with the parameters of a Keras file. */
static tub_model *make_model(golden *g, const tub_model_config *config, tub__npz *parameters) {
    tub_model *model = NULL;
    tub_error err = {0};
    if (tub_model_create(g->ctx, config, 1, &model, &err) != TUB_OK) {
        fail_msg("%s", err.message);
    }
    tub__backend *be = model->backend;
    for (size_t i = 0; i < model->params.count; i++) {
        const tub__param *p = &model->params.list[i];
        size_t count = 0;
        float *values = member(g, parameters, p->keras, &count);
        assert_int_equal(count, p->rows * p->cols);
        /* Keras' arrays, flattened, are the matrices that the layers use. */
        if (p->packed) {
            be->ops->pack(be, tub__param_weight(be, p, model->weights, NULL), TUB_F32, values,
                          p->cols, 1);
        } else {
            be->ops->mat_in(be, tub__param_mat(be, p, model->weights), TUB_F32, values, p->cols, 1);
        }
        free(values);
    }
    return model;
}

static tub_model *make_mini(golden *g) {
    tub_model_config c;
    assert_int_equal(tub_model_preset("vivit-tiny", &c, NULL), TUB_OK);
    c.frames = 10, c.height = 13, c.width = 9, c.channels = 2;
    c.tubelet[0] = 4, c.tubelet[1] = 5, c.tubelet[2] = 3;
    c.hidden = 24, c.heads = 3, c.layers = 2, c.mlp = 96, c.classes = 5;
    return make_model(g, &c, g->parameters);
}

static void parameter_out(tub_model *model, const tub__param *p, float *out) {
    tub__backend *be = model->backend;
    if (p->packed) {
        be->ops->unpack(be, TUB_F32, out, p->cols, 1,
                        tub__param_weight(be, p, model->weights, NULL));
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
    tub_model *model = make_mini(g);
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
    return (tub__rates){TUB_CONSTANT, lr, 0.0, 0.0, 0, 1, {{0}, 0}};
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
    tub__rates rates = {TUB_COSINE, 2e-3, 1e-4, 0.05, 5, 12, {{0}, 0}};
    expect(*state, &c, &rates, "adam_cosine_warmup", 20);
}

/* ---- The whole reference model, ten steps of 32: needs ../shared. ---- */

enum { SEED_STEPS = 10, SEED_BATCH = 32, SEED_VOXELS = 28 * 28 * 28, FIRST = 16 };

typedef struct differences {
    double mean, deviation, length, first;
} differences;

static void widen(double *most, double got, double expected) {
    double difference = fabs(got - expected);
    *most = difference <= *most ? *most : difference;
}

/* Means, deviations, lengths and first values of one array against the digest's row. */
static void digest_array(const float *x, size_t n, const double *expected, differences *d) {
    double sum = 0.0, squares = 0.0, spread = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += x[i];
        squares += (double)x[i] * x[i];
    }
    for (size_t i = 0; i < n; i++) {
        spread += (x[i] - sum / (double)n) * (x[i] - sum / (double)n);
    }
    widen(&d->mean, sum / (double)n, expected[0]);
    widen(&d->deviation, sqrt(spread / (double)n), expected[1]);
    widen(&d->length, sqrt(squares), expected[2]);
    for (size_t i = 0; i < FIRST && i < n; i++) {
        widen(&d->first, x[i], expected[3 + i]);
    }
}

static differences compare_digest(golden *g, tub_model *model, tub__npz *digest) {
    /* The digest's rows are in the order of the manifest; its own names are text, which .npy
     * files of ours never are. */
    tub__json *manifest = NULL;
    differences d = {0};
    size_t n = 0;
    assert_int_equal(tub__json_load(&g->ctx->allocator, SHARED "/golden/keras/manifest.json",
                                    1 << 24, &manifest, NULL),
                     TUB_OK);
    const tub__json *rows = tub__json_get(tub__json_get(manifest, "parameters"), "seed");
    double *mean = member(g, digest, "mean", &n), *deviation = member(g, digest, "std", &n);
    double *length = member(g, digest, "l2", &n), *first = member(g, digest, "first16", &n);
    assert_int_equal(tub__json_size(rows), model->params.count);
    for (size_t r = 0; r < tub__json_size(rows); r++) {
        const char *name = NULL;
        assert_int_equal(tub__json_get_text(tub__json_at(rows, r), "h5", &name, NULL), TUB_OK);
        for (size_t i = 0; i < model->params.count; i++) {
            const tub__param *p = &model->params.list[i];
            if (strcmp(p->keras, name) == 0 && p->role != TUB__KEY_BIAS) {
                double expected[3 + FIRST] = {mean[r], deviation[r], length[r]};
                float *x = calloc(p->rows * p->cols, sizeof *x);
                memcpy(expected + 3, first + r * FIRST, FIRST * sizeof *first);
                parameter_out(model, p, x);
                digest_array(x, p->rows * p->cols, expected, &d);
                free(x);
            }
        }
    }
    free(mean), free(deviation), free(length), free(first);
    tub__json_free(manifest);
    return d;
}

static double seed_steps(golden *g, tub_model *model, tub__npz *batches, const double *losses) {
    tub_train_config config = tub_train_config_default(); /* Adam, 1e-4 */
    tub__optimizer optimizer;
    tub__pass *pass = NULL;
    tub__pass_config pass_config = {.batch = SEED_BATCH, .training = true};
    size_t n = 0;
    double worst = 0.0;
    uint8_t *pool = member(g, batches, "volumes", &n), *x = malloc(SEED_BATCH * SEED_VOXELS);
    int32_t *pool_labels = member(g, batches, "labels", &n),
            *index = member(g, batches, "batch_index", &n);
    assert_int_equal(tub__pass_create(model, &pass_config, &pass, NULL), TUB_OK);
    assert_int_equal(tub__optimizer_create(model, &config, &optimizer, NULL), TUB_OK);
    for (size_t s = 0; s < SEED_STEPS; s++) {
        double each[SEED_BATCH], loss = 0.0;
        int32_t labels[SEED_BATCH];
        for (size_t i = 0; i < SEED_BATCH; i++) {
            size_t from = (size_t)index[s * SEED_BATCH + i];
            memcpy(x + i * SEED_VOXELS, pool + from * SEED_VOXELS, SEED_VOXELS);
            labels[i] = pool_labels[from];
        }
        tub__targets targets = {.labels = labels, .global_batch = SEED_BATCH};
        tub__pass_forward(pass, SEED_BATCH, TUB_U8, x, NULL);
        tub__pass_loss(pass, &targets, each);
        tub__pass_backward(pass);
        void *gradient = tub__pass_gradients(pass);
        tub__optimizer_step(&optimizer, gradient, tub__gradient_norm(&optimizer, gradient), s + 1,
                            config.lr);
        for (int i = 0; i < SEED_BATCH; i++) {
            loss += each[i] / SEED_BATCH;
        }
        widen(&worst, loss, losses[s]);
    }
    free(pool), free(x), free(pool_labels), free(index);
    tub__optimizer_destroy(&optimizer);
    tub__pass_destroy(pass);
    return worst;
}

/* Limits: about twice what Keras' own float32 is from its float64 (3.4e-6; 1.4e-8, 1.3e-8,
 * 1.6e-7, 2.5e-7). */
static void whole_model(void **state) {
    golden *g = *state;
    tub__npz *parameters = NULL, *batches = NULL, *digest = NULL;
    const tub_allocator *a = &g->ctx->allocator;
    if (tub__npz_open(a, SHARED "/golden/keras/seed/params.npz", &parameters, NULL) != TUB_OK) {
        print_message("skip: ../shared/golden/keras is not here\n");
        return;
    }
    assert_int_equal(tub__npz_open(a, SHARED "/golden/keras/adam_seed/batches.npz", &batches, NULL),
                     TUB_OK);
    assert_int_equal(
        tub__npz_open(a, SHARED "/golden/keras/adam_seed/digest_f64.npz", &digest, NULL), TUB_OK);
    tub_model_config c;
    size_t n = 0;
    assert_int_equal(tub_model_preset("vivit-tiny", &c, NULL), TUB_OK);
    c.frames = c.height = c.width = 28, c.channels = 1, c.classes = 11;
    tub_model *model = make_model(g, &c, parameters);
    double *losses = member(g, digest, "loss", &n);
    double loss = seed_steps(g, model, batches, losses);
    differences d = compare_digest(g, model, digest);
    print_message("vivit-tiny after %d steps: losses %.2g; means %.2g, deviations %.2g, lengths "
                  "%.2g, values %.2g\n",
                  SEED_STEPS, loss, d.mean, d.deviation, d.length, d.first);
    assert_true(loss <= 7e-6);
    assert_true(d.mean <= 3e-8 && d.deviation <= 3e-8 && d.length <= 3.2e-7 && d.first <= 5e-7);
    free(losses);
    tub_model_close(model);
    tub__npz_close(parameters);
    tub__npz_close(batches);
    tub__npz_close(digest);
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
        cmocka_unit_test(whole_model),
        cmocka_unit_test(others_miss),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
