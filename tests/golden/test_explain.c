/* SPDX-License-Identifier: Apache-2.0 */
/* Explanations of small models of all four variants against those of another program (JAX, in
 * double, and whole matrices): logits, every attention and its gradient, the maps of each method,
 * the input's gradients along a path, at every point. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tubelet/explain.h>

#include "backend/cpu.h"
#include "base/file.h"
#include "golden/golden_array.h"
#include "support/temp_folder.h"

/* Shares of an array's largest number: of float32 kernels, and of double ones, whose results are
 * rounded. */
static const double SINGLE = 1e-5, TWICE = 5e-7;
enum { FRAMES = 7, SIDE = 6, CHANNELS = 2, POINTS = 8 };

typedef struct golden_case {
    const char *name;
    tub_variant variant;
    tub_attention_order order;
    tub_pooling pooling;
    tub_gelu gelu;
    int64_t layers, temporal_layers, heads, hidden, stride[3], target;
} golden_case;

static const golden_case cases[] = {
    {.name = "joint_token",
     .pooling = TUB_POOL_CLASS_TOKEN,
     .gelu = TUB_GELU_ERF,
     .layers = 2,
     .heads = 2,
     .target = 1},
    {.name = "joint_max", .pooling = TUB_POOL_MAX, .layers = 2, .heads = 3, .stride = {1, 3, 2}},
    {.name = "encoder_token",
     .variant = TUB_VARIANT_FACTORISED_ENCODER,
     .pooling = TUB_POOL_CLASS_TOKEN,
     .layers = 2,
     .temporal_layers = 2,
     .heads = 2,
     .target = 2},
    {.name = "encoder_mean",
     .variant = TUB_VARIANT_FACTORISED_ENCODER,
     .layers = 2,
     .temporal_layers = 1,
     .heads = 2},
    {.name = "encoder_space",
     .variant = TUB_VARIANT_FACTORISED_ENCODER,
     .pooling = TUB_POOL_CLASS_TOKEN,
     .layers = 2,
     .heads = 2,
     .target = 1},
    {.name = "self_attention",
     .variant = TUB_VARIANT_FACTORISED_SELF_ATTENTION,
     .gelu = TUB_GELU_ERF,
     .layers = 2,
     .heads = 2,
     .target = 1},
    {.name = "self_attention_turned",
     .variant = TUB_VARIANT_FACTORISED_SELF_ATTENTION,
     .order = TUB_ORDER_SPACE_TIME,
     .pooling = TUB_POOL_MAX,
     .layers = 1,
     .heads = 2,
     .target = 2},
    {.name = "dot_product",
     .variant = TUB_VARIANT_FACTORISED_DOT_PRODUCT,
     .pooling = TUB_POOL_SUM,
     .layers = 2,
     .heads = 4,
     .hidden = 16},
};
enum { CASES = sizeof cases / sizeof *cases };

static tub_model_config config_of(const golden_case *k) {
    return (tub_model_config){.size = sizeof(tub_model_config),
                              .frames = FRAMES,
                              .height = SIDE,
                              .width = SIDE,
                              .channels = CHANNELS,
                              .tubelet = {2, 3, 3},
                              .stride = {k->stride[0], k->stride[1], k->stride[2]},
                              .hidden = k->hidden > 0 ? k->hidden : 12,
                              .heads = k->heads,
                              .layers = k->layers,
                              .mlp = 20,
                              .classes = 3,
                              .gelu = k->gelu,
                              .qkv_bias = 1,
                              .pooling = k->pooling,
                              .norm_epsilon = 1e-6,
                              .variant = k->variant,
                              .temporal_layers = k->temporal_layers,
                              .attention_order = k->order};
}

typedef struct scene {
    tub_context *ctx;
    tub__backend *f64;
    temp_folder folder;
} scene;

typedef struct run {
    const scene *s;
    const golden_case *k;
    tub__npz *z;
    double limit;
    tub_model *model;
    float *x;
    char prefix[400]; /* of raw files */
} run;

static void fill(run *r) {
    tub_error err = {0};
    for (int64_t i = 0; i < tub_model_parameters(r->model); i++) {
        tub_parameter p;
        char name[300];
        size_t n;
        assert_ok(tub_model_parameter(r->model, i, &p, &err), err);
        snprintf(name, sizeof name, "p.%s", p.name);
        double *values = golden_array(r->z, name, &n);
        float *floats = malloc(n * sizeof *floats);
        assert_int_equal(n, p.count);
        for (size_t j = 0; j < n; j++) {
            floats[j] = (float)values[j];
        }
        assert_ok(tub_model_set(r->model, i, floats, &err), err);
        free(floats), free(values);
    }
}

static run start(const scene *s, tub__backend *be, const golden_case *k) {
    const tub_model_config c = config_of(k);
    tub_error err = {0};
    char file[64];
    size_t n;
    run r = {.s = s, .k = k, .limit = be->real == TUB_F64 ? TWICE : SINGLE};
    snprintf(file, sizeof file, "%s.npz", k->name);
    snprintf(r.prefix, sizeof r.prefix, "%s/%s", s->folder.path, k->name);
    r.z = golden_open(GOLDEN "/explain", file);
    assert_ok(tub__model_create_empty(s->ctx, be, &c, &r.model, &err), err);
    fill(&r);
    double *x = golden_array(r.z, "x", &n);
    assert_int_equal(n, FRAMES * SIDE * SIDE * CHANNELS);
    r.x = malloc(n * sizeof *r.x);
    for (size_t i = 0; i < n; i++) {
        r.x[i] = (float)x[i];
    }
    free(x);
    return r;
}

static void end(run *r) {
    tub_model_close(r->model);
    tub__npz_close(r->z);
    free(r->x);
}

/* ---- comparing ---- */

static double worst;

static void expect_near(const run *r, const char *what, const double *ours, const double *theirs,
                        size_t n) {
    double apart = 0, largest = 1e-30;
    for (size_t i = 0; i < n; i++) {
        const double d = fabs(ours[i] - theirs[i]);
        apart = d <= apart ? apart : d;
        largest = fmax(largest, fabs(theirs[i]));
    }
    worst = fmax(worst, apart / largest);
    if (!(apart <= r->limit * largest)) {
        fail_msg("%s: %s is %.3g of its largest number apart, allowed %.3g", r->k->name, what,
                 apart / largest, r->limit);
    }
}

static void expect_floats(const run *r, const char *name, const float *ours, size_t count) {
    size_t n;
    double *theirs = golden_array(r->z, name, &n), *wide = malloc(n * sizeof *wide);
    assert_int_equal(n, count);
    for (size_t i = 0; i < n; i++) {
        wide[i] = (double)ours[i];
    }
    expect_near(r, name, wide, theirs, n);
    free(wide), free(theirs);
}

/* A raw file as doubles, the caller's. */
static double *read_raw(const run *r, const char *name, size_t *n) {
    char path[500], *bytes;
    size_t size;
    tub__npy npy;
    tub_error err = {0};
    snprintf(path, sizeof path, "%s-%s.npy", r->prefix, name);
    assert_ok(tub__file_read(&tub__default_allocator, path, 1 << 24, &bytes, &size, &err), err);
    assert_ok(tub__npy_parse(bytes, size, false, &npy, &err), err);
    double *out = malloc((size_t)npy.elements * sizeof *out);
    assert_ok(tub__npy_to_f64(&npy, bytes, out, &err), err);
    tub__free(&tub__default_allocator, bytes);
    *n = (size_t)npy.elements;
    return out;
}

static void expect_raw(const run *r, const char *name) {
    size_t n, count;
    if (!tub__npz_has(r->z, name)) {
        return;
    }
    double *theirs = golden_array(r->z, name, &n), *ours = read_raw(r, name, &count);
    assert_int_equal(n, count);
    expect_near(r, name, ours, theirs, n);
    free(ours), free(theirs);
}

/* ---- the methods ---- */

static tub_explain_options options_of(const run *r, tub_explain_method method) {
    tub_explain_options o = tub_explain_options_default();
    o.method = method;
    o.target = r->k->target;
    return o;
}

static tub_explanation explain(const run *r, const tub_explain_options *o) {
    tub_explanation e;
    tub_error err = {0};
    assert_ok(tub_explain(r->model, o, TUB_F32, r->x, &e, &err), err);
    assert_int_equal(e.target, r->k->target);
    return e;
}

static void expect_cells(const run *r, const tub_explain_options *o, const char *name) {
    tub_explanation e = explain(r, o);
    expect_floats(r, name, e.cells, (size_t)(e.grid[0] * e.grid[1] * e.grid[2]));
    tub_explanation_free(&e);
}

static void check_cells(const run *r) {
    for (int m = TUB_EXPLAIN_GRADIENT_ROLLOUT; m <= TUB_EXPLAIN_ATTENTION; m++) {
        for (int a = 0; a < TUB_AXES_KINDS; a++) {
            tub_explain_options o = options_of(r, (tub_explain_method)m);
            char name[64];
            o.axes = (tub_axes)a;
            snprintf(name, sizeof name, "%s.%s", tub_explain_method_name(o.method),
                     tub_axes_name(o.axes));
            const bool there = tub__npz_has(r->z, name);
            assert_int_equal(tub_explain_check(r->model, &o, NULL) == TUB_OK, there);
            if (there) {
                expect_cells(r, &o, name);
            }
        }
    }
}

/* Every head of every layer alone: of both transformers, and of both kinds. */
static void check_heads(const run *r) {
    const int64_t layers = r->k->layers + r->k->temporal_layers, heads = r->k->heads;
    size_t n;
    double *theirs = golden_array(r->z, "attention.each", &n), *ours = malloc(n * sizeof *ours);
    const size_t cells = n / (size_t)(layers * heads);
    for (int64_t i = 0; i < layers * heads; i++) {
        tub_explain_options o = options_of(r, TUB_EXPLAIN_ATTENTION);
        o.layer = i / heads, o.head = i % heads;
        tub_explanation e = explain(r, &o);
        assert_int_equal(e.grid[0] * e.grid[1] * e.grid[2], cells);
        for (size_t k = 0; k < cells; k++) {
            ours[(size_t)i * cells + k] = (double)e.cells[k];
        }
        expect_near(r, "attention of a head", ours + (size_t)i * cells, theirs + (size_t)i * cells,
                    cells);
        tub_explanation_free(&e);
    }
    free(ours), free(theirs);
}

static void check_map(const run *r, tub_upsampling kind, const char *name) {
    tub_explain_options o = options_of(r, TUB_EXPLAIN_ROLLOUT);
    o.upsampling = kind;
    tub_explanation e = explain(r, &o);
    expect_floats(r, name, e.map, FRAMES * SIDE * SIDE);
    tub_explanation_free(&e);
}

static void check_raw(const run *r) {
    static const char *const names[] = {"attention",       "attention-gradients",
                                        "attention-space", "attention-space-gradients",
                                        "attention-time",  "attention-time-gradients",
                                        "pooling",         "pooling-time"};
    tub_explain_options o = options_of(r, TUB_EXPLAIN_GRADIENT_ROLLOUT);
    size_t n;
    o.raw = r->prefix;
    tub_explanation e = explain(r, &o);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        expect_raw(r, names[i]);
    }
    double *cells = read_raw(r, "cells", &n);
    for (size_t i = 0; i < n; i++) {
        assert_true(cells[i] == (double)e.cells[i]);
    }
    free(cells);
    tub_explanation_free(&e);
}

/* As they stand, and by what each point counts in the map. In float32 only the latter: the first points are so near the
 * baseline that layer norms divide by next to nothing, and their large gradients know fewer digits. */
static void expect_gradients(const run *r) {
    size_t n, count;
    double *theirs = golden_array(r->z, "gradients", &n), *ours = read_raw(r, "gradients", &count);
    assert_int_equal(n, count);
    if (r->limit == TWICE) {
        expect_near(r, "gradients", ours, theirs, n);
    }
    for (size_t i = 0; i < n; i++) {
        const double u = ((double)(i / (n / POINTS)) + 0.5) / POINTS;
        ours[i] *= 3 * u * u / POINTS;
        theirs[i] *= 3 * u * u / POINTS;
    }
    expect_near(r, "gradients by their weights", ours, theirs, n);
    free(ours), free(theirs);
}

static void check_path(const run *r) {
    tub_explain_options o = options_of(r, TUB_EXPLAIN_INTEGRATED_GRADIENTS);
    size_t n, count;
    o.steps = POINTS;
    o.baseline = TUB_BASELINE_ZERO;
    o.raw = r->prefix;
    tub_explanation e = explain(r, &o);
    expect_floats(r, "integrated", e.map, FRAMES * SIDE * SIDE);
    double *x = read_raw(r, "input", &n), *baseline = read_raw(r, "baseline", &count);
    assert_int_equal(n, FRAMES * SIDE * SIDE * CHANNELS);
    assert_int_equal(count, n);
    for (size_t i = 0; i < n; i++) {
        assert_true(x[i] == (double)r->x[i] && baseline[i] == 0);
    }
    free(baseline), free(x);
    assert_true(tub__npz_has(r->z, "gradients"));
    expect_gradients(r);
    tub_explanation_free(&e);
    o.raw = NULL;
    o.batch = 3; /* the same bits, whatever is done at once */
    tub_explanation other = explain(r, &o);
    o.batch = 1;
    e = explain(r, &o);
    assert_memory_equal(e.map, other.map, FRAMES * SIDE * SIDE * sizeof *e.map);
    tub_explanation_free(&e);
    tub_explanation_free(&other);
}

static void check(const scene *s, tub__backend *be, const golden_case *k) {
    run r = start(s, be, k);
    tub_error err = {0};
    float logits[3];
    worst = 0;
    assert_ok(tub_model_forward(r.model, 1, TUB_F32, r.x, logits, NULL, &err), err);
    expect_floats(&r, "logits", logits, 3);
    check_cells(&r);
    check_heads(&r);
    check_map(&r, TUB_UPSAMPLING_NEAREST, "map.nearest");
    check_map(&r, TUB_UPSAMPLING_TRILINEAR, "map.trilinear");
    check_raw(&r);
    check_path(&r);
    printf("%-22s %s: within %.2g of the largest number\n", k->name,
           be->real == TUB_F64 ? "double" : "float", worst);
    end(&r);
}

static void test_cases(void **state) {
    const scene *s = *state;
    for (size_t i = 0; i < CASES; i++) {
        check(s, s->f64, &cases[i]);
        check(s, s->ctx->backend, &cases[i]);
    }
}

static int set_up(void **state) {
    static scene s;
    *state = &s;
    temp_folder_make(&s.folder);
    return tub_context_create(NULL, &s.ctx, NULL) != TUB_OK ||
           tub__cpu_backend_create_f64(&s.ctx->allocator, s.ctx->pool, &s.f64, NULL) != TUB_OK;
}

static int tear_down(void **state) {
    scene *s = *state;
    temp_folder_drop(&s->folder);
    tub__cpu_backend_destroy(s->f64);
    tub_context_destroy(s->ctx);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
