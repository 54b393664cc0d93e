/* SPDX-License-Identifier: Apache-2.0 */
/* The baselines against PyTorch and Keras in float64 (golden/baselines, made by make.py): answers,
 * gradients and moving statistics, in double and in float32. */
#include <math.h>
#include <string.h>

#include "backend/cpu.h"
#include "golden_array.h"

enum { SAMPLES = 3 };

typedef struct bench {
    tub_context *ctx;
    tub__backend *wide; /* of doubles */
} bench;

static int set_up(void **state) {
    static bench b;
    tub_context_config config = tub_context_config_default();
    config.threads = 2;
    *state = &b;
    return tub_context_create(&config, &b.ctx, NULL) != TUB_OK ||
           tub__cpu_backend_create_f64(&b.ctx->allocator, b.ctx->pool, &b.wide, NULL) != TUB_OK;
}

static int tear_down(void **state) {
    bench *b = *state;
    tub__cpu_backend_destroy(b->wide);
    tub_context_destroy(b->ctx);
    return 0;
}

/* A golden, and what is compared with it. */
typedef struct golden {
    tub__npz *z;
    tub_model *model;
    tub__pass *training, *inference;
    double limit; /* of a difference, as a share of the array's largest number */
} golden;

static double difference(const double *a, const double *b, size_t n) {
    double most = 0, worst = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs(b[i]));
        worst = fmax(worst, isnan(a[i]) ? INFINITY : fabs(a[i] - b[i]));
    }
    return worst / fmax(most, 1e-3);
}

static void compare(const golden *g, const char *name, const double *values) {
    size_t n;
    double *expected = golden_array(g->z, name, &n);
    const double d = difference(values, expected, n);
    if (!(d <= g->limit)) {
        fail_msg("%s differs by %.3g of its largest number; at most %g is right", name, d,
                 g->limit);
    }
    free(expected);
}

static void compare_params(const golden *g, const char *prefix, void *slab, bool buffers) {
    int count = 0;
    for (size_t i = 0; i < g->model->params.count; i++) {
        const tub__param *p = &g->model->params.list[i];
        char name[128];
        double *values = malloc(p->rows * p->cols * sizeof *values),
               *scratch = malloc(p->rows * p->cols * sizeof *scratch);
        if (p->buffer == buffers) {
            snprintf(name, sizeof name, "%s.%s", prefix, p->name);
            tub__param_read(g->model->backend, p, slab, TUB_F64, values, scratch);
            compare(g, name, values);
            count++;
        }
        free(values), free(scratch);
    }
    assert_true(count > 0);
}

static golden open_golden(const bench *b, tub__backend *be, const char *file,
                          const tub_model_config *c, double limit) {
    golden g = {.z = golden_open(GOLDEN "/baselines", file), .limit = limit};
    tub_error err = {0};
    const tub__pass_config training = {.batch = 4, .training = true, .input_gradient = true},
                           inference = {.batch = 4};
    assert_ok(tub__model_create_empty(b->ctx, be, c, &g.model, &err), err);
    for (size_t i = 0; i < g.model->params.count; i++) {
        const tub__param *p = &g.model->params.list[i];
        char name[128];
        size_t n;
        snprintf(name, sizeof name, "p.%s", p->name);
        double *values = golden_array(g.z, name, &n),
               *scratch = malloc(p->rows * p->cols * sizeof *scratch);
        assert_int_equal(n, p->rows * p->cols);
        tub__param_write(be, p, g.model->weights, TUB_F64, values, scratch);
        free(values), free(scratch);
    }
    assert_ok(tub__pass_create(g.model, &training, &g.training, &err), err);
    assert_ok(tub__pass_create(g.model, &inference, &g.inference, &err), err);
    return g;
}

static void close_golden(golden *g) {
    tub__pass_destroy(g->training);
    tub__pass_destroy(g->inference);
    tub_model_close(g->model);
    tub__npz_close(g->z);
}

static void answer(const golden *g, tub__pass *pass, const char *input, const char *expected) {
    double *x = golden_array(g->z, input, NULL), logits[SAMPLES * 8];
    tub__pass_forward(pass, SAMPLES, TUB_F64, x, NULL);
    if (expected) {
        tub__pass_logits(pass, TUB_F64, logits);
        compare(g, expected, logits);
    }
    free(x);
}

/* Forward and backward of x0. */
static void step(const golden *g) {
    double losses[SAMPLES], loss = 0;
    size_t n;
    double *wide = golden_array(g->z, "labels", &n),
           *dx = malloc(SAMPLES * tub__geometry_voxels(&g->model->geometry) * sizeof *dx);
    int32_t labels[SAMPLES];
    for (size_t i = 0; i < n; i++) {
        labels[i] = (int32_t)wide[i];
    }
    const tub__targets t = {.labels = labels, .global_batch = SAMPLES};
    answer(g, g->training, "x0", "logits");
    tub__pass_loss(g->training, &t, losses);
    for (int i = 0; i < SAMPLES; i++) {
        loss += losses[i] / SAMPLES;
    }
    compare(g, "loss", &loss);
    tub__pass_backward(g->training, false);
    compare_params(g, "g", tub__pass_gradients(g->training), false);
    tub__pass_input_gradient(g->training, TUB_F64, dx);
    compare(g, "dx", dx);
    free(wide), free(dx);
}

static tub_model_config config_of(tub_family family, int frames, int height, int width,
                                  int classes) {
    tub_model_config c;
    assert_int_equal(tub_model_preset("vivit-tiny", &c, NULL), TUB_OK);
    c.family = family;
    c.frames = frames, c.height = height, c.width = width, c.channels = 2, c.classes = classes;
    return c;
}

static void residual(const bench *b, tub__backend *be, double limit) {
    tub_model_config c = config_of(TUB_FAMILY_RESNET3D18, 5, 9, 6, 4);
    c.filters = 5, c.stages = 3;
    golden g = open_golden(b, be, "resnet3d18.npz", &c, limit);
    answer(&g, g.inference, "x0", "logits_before");
    step(&g);
    answer(&g, g.training, "x1", NULL);
    compare_params(&g, "after", g.model->weights, true);
    answer(&g, g.inference, "x1", "logits_after");
    /* What is no weight has no gradient, and none of its norm. */
    for (size_t i = 0; i < g.model->params.count; i++) {
        const tub__param *p = &g.model->params.list[i];
        const tub__mat m = tub__param_mat(be, p, tub__pass_gradients(g.training));
        double values[32];
        if (p->buffer) {
            be->ops->mat_out(be, TUB_F64, values, p->cols, 1, m);
            for (size_t j = 0; j < p->cols; j++) {
                assert_true(values[j] == 0);
            }
            assert_false(p->decay);
        }
    }
    close_golden(&g);
}

static void test_residual(void **state) {
    const bench *b = *state;
    residual(b, b->wide, 1e-10);
    residual(b, b->ctx->backend, 2e-5);
}

static void recurrent(const bench *b, tub__backend *be, double limit) {
    tub_model_config c = config_of(TUB_FAMILY_CNN_RNN, 6, 11, 9, 3);
    c.filters = 4, c.stages = 2, c.units = 9;
    golden g = open_golden(b, be, "cnn_rnn.npz", &c, limit);
    answer(&g, g.inference, "x0", "logits");
    step(&g);
    close_golden(&g);
}

static void test_recurrent(void **state) {
    const bench *b = *state;
    recurrent(b, b->wide, 1e-10);
    recurrent(b, b->ctx->backend, 2e-5);
}

/* The control: a number that is off by a thousandth is seen. */
static void test_control(void **state) {
    const bench *b = *state;
    tub_model_config c = config_of(TUB_FAMILY_CNN_RNN, 6, 11, 9, 3);
    c.filters = 4, c.stages = 2, c.units = 9;
    golden g = open_golden(b, b->ctx->backend, "cnn_rnn.npz", &c, 2e-5);
    size_t n;
    double *right = golden_array(g.z, "logits", &n), *wrong = golden_array(g.z, "logits", &n);
    assert_true(difference(wrong, right, n) <= g.limit);
    wrong[n - 1] += 1e-3;
    assert_false(difference(wrong, right, n) <= g.limit);
    wrong[0] = NAN;
    assert_false(difference(wrong, right, n) <= g.limit);
    free(right), free(wrong);
    close_golden(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_residual),
        cmocka_unit_test(test_recurrent),
        cmocka_unit_test(test_control),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
