/* SPDX-License-Identifier: Apache-2.0 */
/* A dense layer with the norm within gives the bits of a norm and a dense layer, and keeps the same
 * slopes and statistics: for few rows, many rows and rows too wide to be normalised all at once, on
 * any number of threads, alone or in one region with what follows. That only one worker writes the
 * statistics is proved where this runs with the thread sanitizer. */
#include "kernel_sets.h"

typedef struct shape {
    size_t rows, cols, width, side; /* of y: side matrices of `width` columns */
} shape;

static const shape shapes[] = {
    {1, 16, 32, 1},    {5, 40, 40, 3},    {27, 128, 128, 3},  {27, 128, 512, 1},
    {26, 33, 16, 4},   {27, 128, 128, 1}, {27, 9760, 64, 1},  {26, 9760, 32, 3},
    {100, 70, 160, 3}, {56, 96, 32, 1},   {300, 2100, 32, 1}, {13, 64, 224, 3},
};

typedef struct layer {
    tub__mat x, y;
    tub__weight w;
    float *gamma, *beta, *bias, *mean, *inverse;
} layer;

static layer new_layer(const shape *s) {
    layer l = {
        .x = new_mat(s->rows, s->cols, 0, 2),
        .y = new_mat(s->rows, s->side * tub__padded(s->width), 0, 0),
        .w = {.data = new_floats(tub__weight_elements(s->cols, s->side * tub__padded(s->width))),
              .rows = s->cols,
              .cols = s->side * tub__padded(s->width)},
        .gamma = new_floats(tub__padded(s->cols)),
        .beta = new_floats(tub__padded(s->cols)),
        .bias = new_floats(s->side * tub__padded(s->width)),
        .mean = new_floats(s->rows),
        .inverse = new_floats(s->rows)};
    fill(l.w.data, tub__weight_elements(l.w.rows, l.w.cols), 0.1f);
    fill(l.gamma, s->cols, 1), fill(l.beta, s->cols, 1), fill(l.bias, l.w.cols, 1);
    return l;
}

static void free_layer(layer *l) {
    float *blocks[] = {l->x.data, l->y.data, l->w.data, l->gamma,
                       l->beta,   l->bias,   l->mean,   l->inverse};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        free(blocks[i]);
    }
}

/* What a run leaves. */
typedef struct result {
    tub__mat y, slope;
    float *mean, *inverse;
} result;

static tub__norm norm_of(const layer *l, result *r) {
    return (tub__norm){.gamma = l->gamma,
                       .beta = l->beta,
                       .epsilon = 1e-6,
                       .mean = r->mean,
                       .inverse = r->inverse};
}

static tub__linear linear_of(const layer *l, const shape *s, result *r) {
    return (tub__linear){.x = l->x,
                         .w = l->w,
                         .side = s->side,
                         .bias = l->bias,
                         .activation = TUB__GELU_TANH,
                         .slope = r->slope,
                         .y = r->y,
                         .next = l->w};
}

static result new_result(const shape *s) {
    const size_t cols = s->side * tub__padded(s->width);
    return (result){new_mat(s->rows, cols, 0, 0), new_mat(s->rows, cols, 0, 0), new_floats(s->rows),
                    new_floats(s->rows)};
}

static void free_result(result *r) {
    free(r->y.data), free(r->slope.data), free(r->mean), free(r->inverse);
}

static void apart(tub__backend *be, const layer *l, const shape *s, result *r) {
    tub__norm norm = norm_of(l, r);
    tub__linear linear = linear_of(l, s, r);
    tub__mat normed = new_mat(s->rows, s->cols, 0, 0);
    norm.x = l->x, norm.y = normed;
    linear.x = normed;
    be->ops->norm(be, &norm);
    be->ops->linear(be, &linear);
    free(normed.data);
}

/* With an operation after it that needs all columns: y = y * y. */
static void within(tub__backend *be, const layer *l, const shape *s, bool waiting, result *r) {
    const tub__blocks blocks = {.samples = 1, .block = TUB__GROUP, .rows = s->rows};
    tub__linear linear = linear_of(l, s, r);
    linear.norm = norm_of(l, r);
    if (waiting) {
        be->ops->blocks_begin(be, &blocks);
    }
    be->ops->linear(be, &linear);
    be->ops->multiply(be, r->y, r->y, r->y);
    if (waiting) {
        be->ops->blocks_end(be);
    }
}

static tub__backend *make_backend(tub_cpu cpu, int threads, tub__pool **pool) {
    tub_error err;
    tub__backend *be;
    assert_ok(tub__pool_create(&tub__default_allocator, threads, pool, &err), err);
    assert_ok(tub__cpu_backend_create(&tub__default_allocator, *pool, cpu, &be, &err), err);
    return be;
}

/* Not all zero: GELU gives zero for what is far below it. */
static void assert_some(const tub__mat *m) {
    size_t some = 0;
    for (size_t c = 0; c < m->cols; c++) {
        some += at(m, 0, c) != 0;
    }
    assert_true(some > 0);
}

static void check_shape(const shape *s, tub_cpu cpu) {
    layer l = new_layer(s);
    result want = new_result(s);
    tub__pool *pool;
    tub__backend *be = make_backend(cpu, 1, &pool);
    apart(be, &l, s, &want);
    be->ops->multiply(be, want.y, want.y, want.y);
    assert_some(&want.y);
    tub__cpu_backend_destroy(be);
    tub__pool_destroy(pool);
    for (int threads = 1; threads <= 5; threads++) {
        be = make_backend(cpu, threads, &pool);
        for (int waiting = 0; waiting < 2; waiting++) {
            result got = new_result(s);
            within(be, &l, s, waiting, &got);
            assert_same_mat("product of normalised rows", be->name, &want.y, &got.y);
            assert_same_mat("slope", be->name, &want.slope, &got.slope);
            assert_same_bits("mean", be->name, want.mean, got.mean, s->rows);
            assert_same_bits("inverse deviation", be->name, want.inverse, got.inverse, s->rows);
            free_result(&got);
        }
        tub__cpu_backend_destroy(be);
        tub__pool_destroy(pool);
    }
    free_result(&want);
    free_layer(&l);
}

static void test_norm_within(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        for (tub_cpu cpu = TUB_CPU_PORTABLE; cpu <= TUB_CPU_AVX512; cpu++) {
            if (tub__cpu_has(cpu)) {
                check_shape(&shapes[i], cpu);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_norm_within)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
