/* SPDX-License-Identifier: Apache-2.0 */
/* scenic's numbers for all four variants, poolings, tokenisers and positions: logits, loss and every
 * gradient, of the float32 kernels and of the double ones, against scenic's run in double. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu.h"
#include "convert/scenic_names.h"
#include "formats/npy.h"
#include "model/model.h"
#include "support/cmocka_all.h"
#include "support/golden_npz.h"
#include "support/scenic_roots.h"

/* Limits of the golden folder's manifest for float32, and what double keeps of parameters that are
 * float32: logits absolute, gradients as shares of their array's largest. scenic's sinusoids are
 * float32 in any run; gradients in the repository's part are rounded to float32. */
typedef struct limits {
    double logits, gradients, zero;
} limits;
static const limits single = {1e-5, 1e-4, 1e-5}, twice = {1e-11, 1e-10, 1e-12},
                    rounded = {1e-11, 1e-7, 1e-12}, sinusoidal = {1e-6, 1e-5, 1e-6};

/* scenic's mean over the batch of 2 divides by this. */
static const double divisor = 2 + 1e-8;

typedef struct golden_case {
    const char *name;
    tub_variant variant;
    int64_t layers, temporal_layers;
    tub_pooling pooling;
    tub_positions positions;
    tub_attention_order order;
    int64_t sampled_frames, width, representation;
} golden_case;

static const golden_case cases[] = {
    {.name = "v1_cls", .layers = 3, .pooling = TUB_POOL_CLASS_TOKEN},
    {.name = "v1_gap", .layers = 3},
    {.name = "v1_gmp", .layers = 1, .pooling = TUB_POOL_MAX},
    {.name = "v1_gsp_rep", .layers = 1, .pooling = TUB_POOL_SUM, .representation = 10},
    {.name = "v2_cls",
     .variant = TUB_VARIANT_FACTORISED_ENCODER,
     .layers = 2,
     .temporal_layers = 2,
     .pooling = TUB_POOL_CLASS_TOKEN},
    {.name = "v2_gap",
     .variant = TUB_VARIANT_FACTORISED_ENCODER,
     .layers = 2,
     .temporal_layers = 2},
    {.name = "v2_spatial_only",
     .variant = TUB_VARIANT_FACTORISED_ENCODER,
     .layers = 2,
     .pooling = TUB_POOL_CLASS_TOKEN},
    {.name = "v3_time_space", .variant = TUB_VARIANT_FACTORISED_SELF_ATTENTION, .layers = 2},
    {.name = "v3_space_time",
     .variant = TUB_VARIANT_FACTORISED_SELF_ATTENTION,
     .layers = 2,
     .order = TUB_ORDER_SPACE_TIME},
    {.name = "v4", .variant = TUB_VARIANT_FACTORISED_DOT_PRODUCT, .layers = 3},
    {.name = "tok_sampling_v1", .layers = 1, .pooling = TUB_POOL_CLASS_TOKEN, .sampled_frames = 4},
    {.name = "tok_sampling_v2",
     .variant = TUB_VARIANT_FACTORISED_ENCODER,
     .layers = 2,
     .temporal_layers = 2,
     .pooling = TUB_POOL_CLASS_TOKEN,
     .sampled_frames = 3},
    {.name = "pos_sin1d",
     .layers = 1,
     .pooling = TUB_POOL_CLASS_TOKEN,
     .positions = TUB_POSITIONS_SINUSOIDAL_1D},
    {.name = "pos_sin3d", .layers = 1, .positions = TUB_POSITIONS_SINUSOIDAL_3D, .width = 12},
    {.name = "pos_none", .layers = 1, .positions = TUB_POSITIONS_NONE},
};
enum { CASES_COUNT = sizeof cases / sizeof *cases };

/* patches [8, 4, 2] are height, width, time. */
static tub_model_config config_of(const golden_case *k) {
    return (tub_model_config){.size = sizeof(tub_model_config),
                              .frames = 8,
                              .height = 24,
                              .width = k->width > 0 ? k->width : 16,
                              .channels = 3,
                              .tubelet = {k->sampled_frames > 0 ? 1 : 2, 8, 4},
                              .hidden = 24,
                              .heads = 4,
                              .layers = k->layers,
                              .mlp = 48,
                              .classes = 6,
                              .gelu = TUB_GELU_TANH,
                              .qkv_bias = 1,
                              .pooling = k->pooling,
                              .norm_epsilon = 1e-6,
                              .attention_init = TUB_INIT_GLOROT,
                              .variant = k->variant,
                              .temporal_layers = k->temporal_layers,
                              .attention_order = k->order,
                              .sampled_frames = k->sampled_frames,
                              .positions = k->positions,
                              .representation = k->representation};
}

typedef struct fixture {
    tub_context *ctx;
    tub__backend *f64;
} fixture;

static int set_up(void **state) {
    static fixture f;
    *state = &f;
    return tub_context_create(NULL, &f.ctx, NULL) != TUB_OK ||
           tub__cpu_backend_create_f64(&f.ctx->allocator, f.ctx->pool, &f.f64, NULL) != TUB_OK;
}

static int tear_down(void **state) {
    fixture *f = *state;
    tub__cpu_backend_destroy(f->f64);
    tub_context_destroy(f->ctx);
    return 0;
}

static double *read_array(tub__npz *z, const char *name, size_t *count) {
    void *bytes;
    tub__npy npy;
    tub_error err = {0};
    assert_ok(tub__npz_read(z, name, 1 << 24, &bytes, &npy, &err), err);
    double *out = malloc(npy.elements * sizeof *out + 1);
    assert_ok(tub__npy_to_f64(&npy, bytes, out, &err), err);
    tub__free(&tub__default_allocator, bytes);
    *count = (size_t)npy.elements;
    return out;
}

/* scenic's arrays of a case, less the positions where they are not learned. */
static tub__scenic_array *arrays_of(const golden_case *k, size_t *count) {
    static const int numbers[] = {1, 2, 3, 4};
    const tub__scenic_extent extent = {.layers = {(int)k->layers, (int)k->temporal_layers},
                                       .token = k->pooling == TUB_POOL_CLASS_TOKEN,
                                       .representation = k->representation > 0};
    tub__scenic_array *list = NULL;
    tub_error err = {0};
    assert_ok(tub__scenic_list(&tub__default_allocator, tub__scenic_variant_of(numbers[k->variant]),
                               &extent, &list, count, &err),
              err);
    for (size_t i = 0; i < *count; i++) {
        if (list[i].role == TUB__POSITION && k->positions != TUB_POSITIONS_LEARNED) {
            list[i] = list[--*count];
        }
    }
    return list;
}

/* The place in the parameter table's file layout of element i of scenic's [in, out]. */
static size_t place_of(const tub__param *p, size_t i) {
    const size_t row = i / p->cols, col = i % p->cols;
    if (p->file == TUB__FILE_PLAIN) {
        return i;
    }
    const size_t channels = p->file == TUB__FILE_CONV3D ? p->shape[1] : 1,
                 taps = p->rows / channels;
    return (col * channels + row % channels) * taps + row / channels;
}

/* One run: a model filled with the case's parameters, forward, loss and backward. */
typedef struct run {
    scenic_root root;
    const golden_case *k;
    tub_model *model;
    tub__pass *pass;
    double loss;
} run;

static void fill(run *r) {
    tub__npz *z = golden_npz(scenic_case(r->root, r->k->name, "params.npz"));
    size_t arrays, total = 0;
    tub__scenic_array *list = arrays_of(r->k, &arrays);
    assert_int_equal(arrays, r->model->params.count);
    assert_int_equal(arrays, tub__npz_count(z));
    for (size_t i = 0; i < arrays; i++) {
        size_t n;
        double *from = read_array(z, list[i].name, &n);
        const tub__param *p = tub__params_find(&r->model->params, list[i].role, list[i].layer);
        assert_non_null(p);
        assert_int_equal(n, p->rows * p->cols);
        double *to = malloc(n * sizeof *to), *scratch = malloc(n * sizeof *to);
        for (size_t j = 0; j < n; j++) {
            to[place_of(p, j)] = from[j];
        }
        tub__param_write(r->model->backend, p, r->model->weights, TUB_F64, to, scratch);
        total += n;
        free(scratch), free(to), free(from);
    }
    assert_int_equal(total, r->model->params.numbers);
    tub__free(&tub__default_allocator, list);
    tub__npz_close(z);
}

static run start(const fixture *f, tub__backend *be, scenic_root root, const golden_case *k) {
    const tub_model_config c = config_of(k);
    const tub__pass_config pc = {.batch = 2, .training = true, .input_gradient = true};
    run r = {.root = root, .k = k};
    tub_error err = {0};
    size_t n, labels_count;
    assert_ok(tub__model_create_empty(f->ctx, be, &c, &r.model, &err), err);
    fill(&r);
    assert_ok(tub__pass_create(r.model, &pc, &r.pass, &err), err);
    tub__npz *io = golden_npz(scenic_case(root, k->name, "io.npz"));
    double *x = read_array(io, "input", &n), *labels = read_array(io, "labels", &labels_count);
    assert_int_equal(n, 2 * tub__geometry_voxels(&r.model->geometry));
    const int32_t wanted[2] = {(int32_t)labels[0], (int32_t)labels[1]};
    const tub__targets t = {.labels = wanted, .global_batch = 2};
    double losses[2];
    tub__pass_forward(r.pass, 2, TUB_F64, x, NULL);
    tub__pass_loss(r.pass, &t, losses);
    r.loss = (losses[0] + losses[1]) / divisor;
    tub__pass_backward(r.pass, false);
    free(labels), free(x);
    tub__npz_close(io);
    return r;
}

/* Largest difference of n numbers, in shares of `scale` or, where that is 0, of the largest. */
static double difference(const double *a, const double *b, size_t n, double scale) {
    double worst = 0, largest = scale;
    for (size_t i = 0; i < n; i++) {
        const double d = fabs(a[i] - b[i]);
        worst = d > worst || d != d ? d : worst;
        largest = scale == 0 && fabs(b[i]) > largest ? fabs(b[i]) : largest;
    }
    return worst / largest;
}

static void expect_within(const run *r, const char *what, double found, double limit) {
    if (!(found <= limit)) {
        fail_msg("%s: %s differs by %.3g; at most %.3g is allowed", r->k->name, what, found, limit);
    }
}

static double compare_gradients(const run *r, const limits *l) {
    size_t arrays;
    tub__npz *z = golden_npz(scenic_case(r->root, r->k->name, "grads_f64.npz"));
    tub__scenic_array *list = arrays_of(r->k, &arrays);
    double worst = 0;
    for (size_t i = 0; i < arrays; i++) {
        size_t n;
        double *truth = read_array(z, list[i].name, &n);
        const tub__param *p = tub__params_find(&r->model->params, list[i].role, list[i].layer);
        const bool zero = p->role == TUB__KEY_BIAS || p->role == TUB__TIME_KEY_BIAS;
        double *all = malloc(n * sizeof *all), *ours = malloc(n * sizeof *ours);
        tub__param_read(r->model->backend, p, tub__pass_gradients(r->pass), TUB_F64, all, ours);
        for (size_t j = 0; j < n; j++) {
            ours[j] = all[place_of(p, j)] * (2 / divisor);
        }
        const double d = difference(ours, truth, n, zero ? 1 : 0);
        expect_within(r, list[i].name, d, zero ? l->zero : l->gradients);
        worst = !zero && d > worst ? d : worst;
        free(ours), free(all), free(truth);
    }
    tub__free(&tub__default_allocator, list);
    tub__npz_close(z);
    return worst;
}

static void compare_input_gradient(const run *r, tub__npz *io, const limits *l) {
    size_t n;
    double *dinput = read_array(io, "d_input", &n), *ours = malloc(n * sizeof *ours);
    tub__pass_input_gradient(r->pass, TUB_F64, ours);
    for (size_t i = 0; i < n; i++) {
        ours[i] *= 2 / divisor;
    }
    expect_within(r, "d_input", difference(ours, dinput, n, 0), l->gradients);
    free(ours), free(dinput);
}

static void check(const fixture *f, tub__backend *be, scenic_root root, const golden_case *k,
                  const limits *l) {
    run r = start(f, be, root, k);
    const bool whole = root == SCENIC_WHOLE; /* of the part see its README */
    size_t n;
    tub__npz *io = golden_npz(scenic_case(root, k->name, "io_f64.npz"));
    double *logits = read_array(io, "logits", &n), found[12];
    assert_int_equal(n, 12);
    tub__pass_logits(r.pass, TUB_F64, found);
    const double d = difference(found, logits, n, 1);
    expect_within(&r, "logits", d, l->logits);
    double *loss = read_array(io, "loss", &n);
    expect_within(&r, "loss", fabs(r.loss - loss[0]), l->logits);
    printf("%-16s %s: logits within %.2g", k->name, be->real == TUB_F64 ? "double" : "float", d);
    if (whole || k->positions == TUB_POSITIONS_LEARNED) {
        printf(", gradients within %.2g", compare_gradients(&r, l));
    }
    if (whole || k->sampled_frames > 0) {
        compare_input_gradient(&r, io, l);
    }
    printf("\n");
    free(loss), free(logits);
    tub__npz_close(io);
    tub__pass_destroy(r.pass);
    tub_model_close(r.model);
}

static void check_root(const fixture *f, scenic_root root) {
    for (size_t i = 0; i < CASES_COUNT; i++) {
        const golden_case *k = &cases[i];
        const bool tables = k->positions == TUB_POSITIONS_SINUSOIDAL_1D ||
                            k->positions == TUB_POSITIONS_SINUSOIDAL_3D;
        const limits *wide = root == SCENIC_PART ? &rounded : &twice;
        if (scenic_has(root, k->name)) {
            check(f, f->ctx->backend, root, k, &single);
            check(f, f->f64, root, k, tables ? &sinusoidal : wide);
        }
    }
}

static void test_part(void **state) {
    check_root(*state, SCENIC_PART);
}

static void test_whole(void **state) {
    if (!scenic_whole_is_here()) {
        skip();
    }
    check_root(*state, SCENIC_WHOLE);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_part), cmocka_unit_test(test_whole)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
