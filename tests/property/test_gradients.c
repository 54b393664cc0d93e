/* SPDX-License-Identifier: Apache-2.0 */
/* Gradients of odd configurations against finite differences, in double: class token, overlapping
 * tubelets, no query bias, erf, one GELU only, lengths over one key block, dropout on. Every array
 * and the input are tried. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu.h"
#include "model/model.h"
#include "support/cmocka_all.h"

enum { SAMPLES = 5 };

typedef struct bench {
    tub_context *ctx;
    tub__backend *be;
} bench;

static int set_up(void **state) {
    static bench b;
    tub_context_config config = tub_context_config_default();
    config.threads = 2;
    *state = &b;
    return tub_context_create(&config, &b.ctx, NULL) != TUB_OK ||
           tub__cpu_backend_create_f64(&b.ctx->allocator, b.ctx->pool, &b.be, NULL) != TUB_OK;
}

static int tear_down(void **state) {
    bench *b = *state;
    tub__cpu_backend_destroy(b->be);
    tub_context_destroy(b->ctx);
    return 0;
}

static uint64_t seed = 1;
static double random_unit(void) /* [-1, 1) */
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(seed >> 11) * 0x1p-52 - 1;
}

typedef struct problem {
    tub_model *model;
    tub__pass *pass;
    double *x;
    size_t voxels;
    int32_t labels[SAMPLES * 8];
    const float *class_weight; /* of one softmax only */
    float weight[8];
    bool mixed; /* two labels to a sample, of one softmax only */
    int32_t second[SAMPLES];
    float share[SAMPLES];
    tub__dropout dropout;
    bool dropped;
    bool aimed; /* the loss is the sum of the samples' logits in column AIM */
} problem;

enum { AIM = 1 };

static double loss(problem *p) {
    double losses[SAMPLES], sum = 0;
    const tub__targets t = {.labels = p->labels,
                            .class_weight = p->class_weight,
                            .second = p->mixed ? p->second : NULL,
                            .share = p->share,
                            .smoothing = 0.1,
                            .global_batch = SAMPLES};
    tub__pass_forward(p->pass, SAMPLES, TUB_F64, p->x, p->dropped ? &p->dropout : NULL);
    if (p->aimed) {
        const size_t classes = (size_t)p->model->config.classes;
        double logits[SAMPLES * 8];
        tub__pass_logits(p->pass, TUB_F64, logits);
        for (size_t i = 0; i < SAMPLES; i++) {
            sum += logits[i * classes + AIM];
        }
        return sum;
    }
    tub__pass_loss(p->pass, &t, losses);
    for (int i = 0; i < SAMPLES; i++) {
        sum += losses[i] / SAMPLES;
    }
    return sum;
}

/* Every element moves away from its symmetric start: zero biases and unit gammas would hide
 * mistakes. */
static void disturb(problem *p) {
    tub__backend *be = p->model->backend;
    for (size_t i = 0; i < p->model->params.count; i++) {
        const tub__param *q = &p->model->params.list[i];
        const size_t n = q->rows * q->cols;
        double *v = malloc(n * sizeof *v), *scratch = malloc(n * sizeof *v);
        tub__param_read(be, q, p->model->weights, TUB_F64, v, scratch);
        for (size_t j = 0; j < n; j++) {
            v[j] += 0.3 * random_unit();
        }
        tub__param_write(be, q, p->model->weights, TUB_F64, v, scratch);
        free(v), free(scratch);
    }
}

static problem make_problem(const bench *b, const tub_model_config *c, bool dropped) {
    tub_error err = {0};
    problem p = {.dropped = dropped,
                 .dropout = {.rate = 0.3, .key = {{5, 6}}, .epoch = 2, .position = 64}};
    const tub__pass_config config = {.batch = SAMPLES, .training = true, .input_gradient = true};
    assert_ok(tub__model_create_empty(b->ctx, b->be, c, &p.model, &err), err);
    assert_ok(tub__model_initialise(p.model, 3, &err), err);
    disturb(&p);
    assert_ok(tub__pass_create(p.model, &config, &p.pass, &err), err);
    p.voxels = tub__geometry_voxels(&p.model->geometry);
    p.x = malloc(SAMPLES * p.voxels * sizeof *p.x);
    for (size_t i = 0; i < SAMPLES * p.voxels; i++) {
        p.x[i] = random_unit();
    }
    for (int i = 0; i < SAMPLES * 8; i++) { /* two classes are in every head, and in labels */
        p.labels[i] = c->task == TUB_TASK_DATA ? i % (int)c->classes : i / 3 % 2;
    }
    for (int i = 0; i < SAMPLES; i++) { /* the same label twice, and nothing of the other, too */
        p.second[i] = i * 2 % (int)c->classes;
        p.share[i] = (float)(i % 5) / 5;
    }
    for (int i = 0; i < 8; i++) {
        p.weight[i] = 0.5f + 0.25f * (float)i;
    }
    return p;
}

/* The slope along `direction` of n numbers at v, against the sum of gradient times direction. */
static void check_slope(problem *p, const char *what, double *v, size_t n, const double *gradient,
                        void (*put)(problem *, const void *, const double *), const void *target) {
    double *moved = malloc(n * sizeof *moved), *direction = malloc(n * sizeof *direction),
           expected = 0, side[4];
    /* Networks with ReLU and maxima have kinks, which a longer step would come upon. */
    const double h = p->model->config.family == TUB_FAMILY_VIVIT ? 1e-4 : 1e-6;
    for (size_t i = 0; i < n; i++) {
        direction[i] = random_unit();
        expected += direction[i] * gradient[i];
    }
    for (int s = 0; s < 4; s++) { /* five-point rule: error of order h^4 */
        const double step = (s < 2 ? 1 : 2) * (s % 2 ? -h : h);
        for (size_t i = 0; i < n; i++) {
            moved[i] = v[i] + step * direction[i];
        }
        put(p, target, moved);
        side[s] = loss(p);
    }
    put(p, target, v);
    const double slope = (8 * (side[0] - side[1]) - (side[2] - side[3])) / (12 * h);
    if (!(fabs(slope - expected) <= 1e-8 * fmax(1, fabs(expected)))) {
        fail_msg("%s: the gradient says %.12g, finite differences %.12g", what, expected, slope);
    }
    free(moved), free(direction);
}

static void put_param(problem *p, const void *target, const double *v) {
    const tub__param *q = target;
    double *scratch = malloc(q->rows * q->cols * sizeof *scratch);
    tub__param_write(p->model->backend, q, p->model->weights, TUB_F64, v, scratch);
    free(scratch);
}

static void put_input(problem *p, const void *target, const double *v) {
    (void)target;
    for (size_t i = 0; i < SAMPLES * p->voxels; i++) {
        p->x[i] = v[i];
    }
}

static void check_problem(const bench *b, const tub_model_config *c, bool dropped, bool mixed) {
    problem p = make_problem(b, c, dropped);
    p.mixed = mixed;
    p.class_weight = c->task == TUB_TASK_DATA ? p.weight : NULL;
    tub__backend *be = b->be;
    loss(&p);
    tub__pass_backward(p.pass, false);
    double *dx = malloc(SAMPLES * p.voxels * sizeof *dx),
           *x = malloc(SAMPLES * p.voxels * sizeof *x);
    tub__pass_input_gradient(p.pass, TUB_F64, dx);
    for (size_t i = 0; i < SAMPLES * p.voxels; i++) {
        x[i] = p.x[i];
    }
    check_slope(&p, "input", x, SAMPLES * p.voxels, dx, put_input, NULL);
    for (size_t i = 0; i < p.model->params.count; i++) {
        const tub__param *q = &p.model->params.list[i];
        const size_t n = q->rows * q->cols;
        double *v = malloc(n * sizeof *v), *g = malloc(n * sizeof *g),
               *scratch = malloc(n * sizeof *v);
        tub__param_read(be, q, p.model->weights, TUB_F64, v, scratch);
        tub__param_read(be, q, tub__pass_gradients(p.pass), TUB_F64, g, scratch);
        check_slope(&p, q->name, v, n, g, put_param, q);
        free(v), free(g), free(scratch);
    }
    free(dx), free(x), free(p.x);
    tub__pass_destroy(p.pass);
    tub_model_close(p.model);
}

static void check(const bench *b, const tub_model_config *c, bool dropped) {
    check_problem(b, c, dropped, false);
}

/* A pass that is frozen, computing blocks again or not: the gradient of one column of the logits with
 * respect to the input, statistics of batch norms being the moving ones. */
static void check_frozen(const bench *b, const tub_model_config *c, bool recompute) {
    problem p = make_problem(b, c, false);
    const tub__pass_config config = {.batch = SAMPLES,
                                     .training = true,
                                     .recompute = recompute,
                                     .frozen = true,
                                     .input_gradient = true};
    tub_error err = {0};
    size_t bytes = 0;
    const size_t n = SAMPLES * p.voxels;
    double *dx = malloc(n * sizeof *dx), *x = malloc(n * sizeof *x);
    tub__pass_destroy(p.pass);
    assert_ok(tub__pass_measure(p.model, &config, &bytes, &err), err);
    assert_true(bytes > 0);
    assert_ok(tub__pass_create(p.model, &config, &p.pass, &err), err);
    assert_null(tub__pass_gradients(p.pass));
    p.aimed = true;
    (void)loss(&p);
    tub__pass_aim(p.pass, AIM);
    tub__pass_watch(p.pass, true, (tub__watch){0});
    tub__pass_input_gradient(p.pass, TUB_F64, dx);
    memcpy(x, p.x, n * sizeof *x);
    check_slope(&p, "input of a frozen pass", x, n, dx, put_input, NULL);
    free(dx), free(x), free(p.x);
    tub__pass_destroy(p.pass);
    tub_model_close(p.model);
}

static tub_model_config small(void) {
    tub_model_config c;
    assert_int_equal(tub_model_preset("vivit-tiny", &c, NULL), TUB_OK);
    c.frames = 6, c.height = 7, c.width = 5, c.channels = 2;
    c.tubelet[0] = 2, c.tubelet[1] = 3, c.tubelet[2] = 2;
    c.hidden = 12, c.heads = 2, c.layers = 2, c.mlp = 20, c.classes = 3;
    return c;
}

static void test_reference(void **state) {
    const tub_model_config c = small();
    check(*state, &c, false);
    check(*state, &c, true);
}

static void test_class_token(void **state) {
    tub_model_config c = small();
    c.pooling = TUB_POOL_CLASS_TOKEN;
    c.qkv_bias = 0;
    c.mlp_output_gelu = 0;
    c.gelu = TUB_GELU_ERF;
    c.attention_init = TUB_INIT_GLOROT;
    check(*state, &c, false);
}

static void test_overlapping_tubelets(void **state) {
    tub_model_config c = small();
    c.stride[0] = 1, c.stride[1] = 2, c.stride[2] = 1;
    c.hidden = 40, c.heads = 5;
    check(*state, &c, true);
}

/* 120 tokens: two key blocks, whose sums are carried. */
static void test_long(void **state) {
    tub_model_config c = small();
    c.tubelet[0] = c.tubelet[1] = c.tubelet[2] = 1;
    c.frames = 5, c.height = 6, c.width = 4, c.layers = 1;
    check(*state, &c, false);
    c.pooling = TUB_POOL_CLASS_TOKEN;
    check(*state, &c, true);
}

/* Three frames of four places: every variant, pooling, kind of position, order and end. */
static void test_variants(void **state) {
    static const struct {
        tub_variant variant;
        tub_pooling pooling;
        tub_positions positions;
        tub_attention_order order;
        int64_t temporal_layers, representation;
    } cases[] = {
        {TUB_VARIANT_JOINT, TUB_POOL_SUM, TUB_POSITIONS_SINUSOIDAL_3D, 0, 0, 5},
        {TUB_VARIANT_JOINT, TUB_POOL_MAX, TUB_POSITIONS_NONE, 0, 0, 0},
        {TUB_VARIANT_FACTORISED_ENCODER, TUB_POOL_CLASS_TOKEN, TUB_POSITIONS_LEARNED, 0, 1, 0},
        {TUB_VARIANT_FACTORISED_ENCODER, TUB_POOL_CLASS_TOKEN, TUB_POSITIONS_SINUSOIDAL_1D, 0, 2,
         4},
        {TUB_VARIANT_FACTORISED_ENCODER, TUB_POOL_MEAN, TUB_POSITIONS_LEARNED, 0, 2, 0},
        {TUB_VARIANT_FACTORISED_ENCODER, TUB_POOL_MAX, TUB_POSITIONS_NONE, 0, 1, 0},
        {TUB_VARIANT_FACTORISED_SELF_ATTENTION, TUB_POOL_MEAN, TUB_POSITIONS_LEARNED,
         TUB_ORDER_TIME_SPACE, 0, 0},
        {TUB_VARIANT_FACTORISED_SELF_ATTENTION, TUB_POOL_MAX, TUB_POSITIONS_SINUSOIDAL_1D,
         TUB_ORDER_SPACE_TIME, 0, 0},
        {TUB_VARIANT_FACTORISED_DOT_PRODUCT, TUB_POOL_SUM, TUB_POSITIONS_LEARNED, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tub_model_config c = small();
        c.layers = 1;
        c.variant = cases[i].variant, c.pooling = cases[i].pooling;
        c.positions = cases[i].positions, c.attention_order = cases[i].order;
        c.temporal_layers = cases[i].temporal_layers, c.representation = cases[i].representation;
        c.mlp_output_gelu = i % 2 == 0;
        check(*state, &c, i % 2 == 0);
    }
}

/* Frames that are taken, and mean over time instead of a temporal transformer. */
static void test_sampled_frames(void **state) {
    tub_model_config c = small();
    c.tubelet[0] = 1, c.sampled_frames = 4, c.layers = 1;
    check(*state, &c, false);
    c.variant = TUB_VARIANT_FACTORISED_ENCODER;
    c.pooling = TUB_POOL_CLASS_TOKEN, c.temporal_layers = 0;
    check(*state, &c, true);
}

/* All that training drops at random besides: tokens, attention's output, inside and after the MLP,
 * whole branches; with either end of the MLP, and alone. */
static void test_drops(void **state) {
    tub_model_config c = small();
    c.layers = 3;
    c.dropout = 0.2, c.mlp_dropout = 0.3, c.drop_layer = 0.5;
    check(*state, &c, true);
    c.drop_layer_rescale = 1;
    c.mlp_output_gelu = 0;
    c.pooling = TUB_POOL_CLASS_TOKEN;
    check(*state, &c, true);
    c.dropout = c.mlp_dropout = 0;
    check(*state, &c, true);
    c.drop_layer = 0, c.mlp_dropout = 0.3;
    check(*state, &c, true);
    c.mlp_dropout = 0, c.dropout = 0.2;
    check(*state, &c, true);
    check(*state, &c, false); /* an evaluation drops nothing */
}

/* The same in the factorised encoder, whose transformers both have positions, and with two attentions
 * in a block, of which none is left out. */
static void test_drops_of_variants(void **state) {
    tub_model_config c = small();
    c.dropout = 0.2, c.mlp_dropout = 0.3, c.drop_layer = 0.5;
    c.variant = TUB_VARIANT_FACTORISED_ENCODER;
    c.temporal_layers = 2;
    check(*state, &c, true);
    c.pooling = TUB_POOL_CLASS_TOKEN;
    c.temporal_layers = 3;
    c.drop_layer_rescale = 1;
    check(*state, &c, true);
    c.temporal_layers = 0;
    c.pooling = TUB_POOL_MEAN;
    check(*state, &c, true);
    c.variant = TUB_VARIANT_FACTORISED_SELF_ATTENTION;
    check(*state, &c, true);
    c.variant = TUB_VARIANT_FACTORISED_DOT_PRODUCT;
    check(*state, &c, true);
}

static void test_labels_and_heads(void **state) {
    tub_model_config c = small();
    c.task = TUB_TASK_MULTI_LABEL;
    c.classes = 5;
    check(*state, &c, true);
    c.task = TUB_TASK_MULTI_HEAD;
    c.head_classes[0] = 3, c.head_classes[1] = 4, c.classes = 7;
    check(*state, &c, true);
}

/* Odd sizes everywhere: borders that pooling leaves out, strides that do not divide the grid, channels
 * beside a panel's width. */
static tub_model_config baseline(tub_family family) {
    tub_model_config c = small();
    c.family = family;
    c.frames = 5, c.height = 7, c.width = 6;
    c.filters = 5, c.stages = 2, c.units = 19;
    return c;
}

static void test_frames(void **state) {
    tub_model_config c = baseline(TUB_FAMILY_CNN_FRAME);
    check(*state, &c, false);
    c.filters = 40, c.representation = 6;
    check(*state, &c, true);
    c = baseline(TUB_FAMILY_CNN_RNN);
    check(*state, &c, true);
    c.sampled_frames = 3;
    check(*state, &c, false);
    c.sampled_frames = 0, c.frames = 1;
    check(*state, &c, false);
}

static void test_frames_transformer(void **state) {
    tub_model_config c = baseline(TUB_FAMILY_CNN_TRANSFORMER);
    c.dropout = 0.2, c.mlp_dropout = 0.3;
    check(*state, &c, true);
    c.pooling = TUB_POOL_CLASS_TOKEN, c.layers = 1, c.sampled_frames = 4;
    check(*state, &c, false);
    c.pooling = TUB_POOL_MAX, c.positions = TUB_POSITIONS_SINUSOIDAL_1D;
    check(*state, &c, false);
}

static void test_residual(void **state) {
    tub_model_config c = baseline(TUB_FAMILY_RESNET3D18);
    c.filters = 3;
    check(*state, &c, false);
    c.filters = 33, c.stages = 1, c.frames = 2, c.height = 3;
    check(*state, &c, false);
}

/* Every variant and every baseline. */
static void test_frozen(void **state) {
    for (int v = TUB_VARIANT_JOINT; v <= TUB_VARIANT_FACTORISED_DOT_PRODUCT; v++) {
        tub_model_config c = small();
        c.variant = (tub_variant)v;
        c.temporal_layers = v == TUB_VARIANT_FACTORISED_ENCODER ? 2 : 0;
        check_frozen(*state, &c, false);
        check_frozen(*state, &c, true);
        c.pooling = v <= TUB_VARIANT_FACTORISED_ENCODER ? TUB_POOL_CLASS_TOKEN : TUB_POOL_MAX;
        c.representation = 4;
        check_frozen(*state, &c, true);
    }
    for (int f = TUB_FAMILY_CNN_FRAME; f <= TUB_FAMILY_RESNET3D18; f++) {
        const tub_model_config c = baseline((tub_family)f);
        check_frozen(*state, &c, false);
    }
}

static void test_mixed_targets(void **state) {
    const tub_model_config c = small();
    check_problem(*state, &c, false, true);
    check_problem(*state, &c, true, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_class_token),
        cmocka_unit_test(test_overlapping_tubelets),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_variants),
        cmocka_unit_test(test_sampled_frames),
        cmocka_unit_test(test_drops),
        cmocka_unit_test(test_drops_of_variants),
        cmocka_unit_test(test_labels_and_heads),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_frames_transformer),
        cmocka_unit_test(test_residual),
        cmocka_unit_test(test_mixed_targets),
        cmocka_unit_test(test_frozen),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
