/* SPDX-License-Identifier: Apache-2.0 */
/* Infinities, NaN, subnormal numbers, both zeros and the largest numbers through every kernel, and
 * host memory at every address: equal bits on every instruction set, NaN in the same places. */
#include "kernel_sets.h"

enum { ROWS = 2 * SPECIALS, DEPTH = 37, COLS = 45, OUT = 40000 };

/* Rows of ordinary numbers, each with one special value in it, so that not all sums are NaN. */
static tub__mat sprinkled(size_t rows, size_t cols) {
    tub__mat m = new_mat(rows, cols, 0, 2);
    for (size_t r = 0; r < rows; r++) {
        ((float *)m.data)[r * m.ld + r * 7 % cols] = special_values[r % SPECIALS];
    }
    return m;
}

typedef struct inputs {
    tub__mat x, y; /* [ROWS, DEPTH], [ROWS, COLS] */
    float *w;      /* packed [DEPTH, COLS] */
    float *bias;   /* [padded COLS] */
    float *scratch;
} inputs;

/* What a kernel writes, in a row. */
typedef struct outputs {
    float *all;
    size_t used;
} outputs;

static float *take(outputs *o, size_t n) {
    float *p = o->all + o->used;
    o->used += tub__round_up(n, 16);
    assert_true(o->used <= OUT);
    return p;
}

static tub__mat take_mat(outputs *o, size_t rows, size_t cols) {
    return (tub__mat){take(o, rows * tub__padded(cols)), rows, cols, tub__padded(cols)};
}

/* A float64 result as two floats that hold its bits. */
static void keep_double(outputs *o, double x) {
    x = isnan(x) ? (double)NAN : x;
    memcpy(take(o, 2), &x, sizeof x);
}

typedef void kernel_fn(const struct tub__kernels *k, const inputs *in, outputs *out);

static void products(const struct tub__kernels *k, const inputs *in, outputs *out) {
    static const tub__activation activations[] = {TUB__LINEAR, TUB__GELU_TANH, TUB__GELU_ERF};
    for (int i = 0; i < 3; i++) {
        tub__mat y = take_mat(out, ROWS, COLS), slope = take_mat(out, ROWS, COLS);
        const tub__k_product p = {.a = in->x.data,
                                  .lda = in->x.ld,
                                  .k = DEPTH,
                                  .w = in->w,
                                  .columns = COLS,
                                  .bias = in->bias,
                                  .c = y.data,
                                  .ldc = y.ld,
                                  .activation = activations[i],
                                  .slope = i ? slope.data : NULL,
                                  .ldslope = slope.ld,
                                  .residual = i ? in->y.data : NULL,
                                  .ldres = in->y.ld,
                                  .residual_rows = ROWS};
        k->product(&p, 0, ROWS, 0, 2, in->scratch);
    }
}

static void weight_gradient(const struct tub__kernels *k, const inputs *in, outputs *out) {
    const tub__k_dw p = {.x = in->x.data,
                         .dy = in->y.data,
                         .ldx = in->x.ld,
                         .ldy = in->y.ld,
                         .rows = ROWS,
                         .group_rows = 5,
                         .k = DEPTH,
                         .panels = 2,
                         .dw = take(out, tub__weight_elements(DEPTH, COLS)),
                         .dbias = take(out, tub__padded(COLS))};
    k->dw(&p, 0, k->dw_tasks(DEPTH, 2), in->scratch);
}

static void norms(const struct tub__kernels *k, const inputs *in, outputs *out) {
    enum { GROUPS = (ROWS + 2) / 3, PADDED = 64 };
    const tub__norm f = {.x = in->y,
                         .gamma = in->bias,
                         .beta = in->bias,
                         .epsilon = 1e-6,
                         .mean = take(out, ROWS),
                         .inverse = take(out, ROWS),
                         .y = take_mat(out, ROWS, COLS)};
    const tub__norm_backward b = {.dy = in->y,
                                  .x = in->y,
                                  .gamma = in->bias,
                                  .mean = f.mean,
                                  .inverse = f.inverse,
                                  .group_rows = 3,
                                  .dx = take_mat(out, ROWS, COLS)};
    float *partial = take(out, GROUPS * 2 * PADDED);
    k->norm(&f, 0, ROWS);
    k->norm_backward(&b, 0, GROUPS, partial);
    k->tree(partial, GROUPS, 2 * PADDED, 2 * PADDED, take(out, 2 * PADDED));
    memset(partial, 0, GROUPS * 2 * PADDED * sizeof *partial); /* tree may leave anything there */
}

static void losses(const struct tub__kernels *k, const inputs *in, outputs *out) {
    int32_t labels[ROWS];
    float *loss = take(out, ROWS);
    for (int i = 0; i < ROWS; i++) {
        labels[i] = i % COLS;
    }
    k->probabilities(&(tub__outputs){.task = TUB_TASK_MULTI_CLASS}, in->y,
                     take_mat(out, ROWS, COLS), 0, ROWS);
    k->probabilities(&(tub__outputs){.task = TUB_TASK_MULTI_LABEL}, in->y,
                     take_mat(out, ROWS, COLS), 0, ROWS);
    k->loss(&(tub__loss){.logits = in->y,
                         .labels = labels,
                         .smoothing = 0.1,
                         .scale = 0.125,
                         .dlogits = take_mat(out, ROWS, COLS),
                         .probabilities = take_mat(out, ROWS, COLS),
                         .loss = loss},
            0, ROWS);
}

/* Weights, gradient and moments of every special value. */
static void updates(const struct tub__kernels *k, const inputs *in, outputs *out) {
    enum { N = 32 * SPECIALS };
    const tub__segment all = {0, N, 0.01, 1};
    for (int kind = TUB__ADAM_KERAS; kind <= TUB__SGD_PYTORCH; kind++) {
        float *a[4];
        for (size_t i = 0; i < 4; i++) {
            a[i] = take(out, N);
            for (size_t j = 0; j < N; j++) {
                a[i][j] = j % 4 == i ? special_values[j / 4 % SPECIALS] : ((float *)in->x.data)[j];
            }
        }
        k->update(&(tub__update){.kind = (tub__update_kind)kind,
                                 .rate = 0.01,
                                 .lr = 0.02,
                                 .beta1 = 0.9,
                                 .beta2 = 0.999,
                                 .epsilon = 1e-7,
                                 .v_scale = 2,
                                 .momentum = 0.9,
                                 .gradient_scale = 0.5,
                                 .segments = &all,
                                 .segment_count = 1,
                                 .w = a[0],
                                 .g = a[1],
                                 .m = a[2],
                                 .v = a[3]},
                  0, N);
    }
}

static void sums(const struct tub__kernels *k, const inputs *in, outputs *out) {
    tub__mat z = take_mat(out, ROWS, COLS);
    k->sum_samples(ROWS / 7, 4, false, in->y, take_mat(out, 7, COLS), 0, 7);
    k->multiply(in->y, in->y, z, 0, ROWS);
    k->add(z.data, in->y.data, 0, ROWS * z.ld);
    k->average(z.data, in->y.data, 0.25, 0, ROWS * z.ld);
    for (size_t depth = 1; depth <= DEPTH; depth++) {
        keep_double(out, k->square_sum(in->w, depth, COLS));
    }
}

/* The class token before the rest, and all kinds of pooling. */
static void tokens(const struct tub__kernels *k, const inputs *in, outputs *out) {
    enum { SAMPLES = 8, TOKENS = ROWS / SAMPLES };
    tub__mat longer = take_mat(out, SAMPLES * (TOKENS + 1), COLS);
    const tub__mat position = {in->y.data, TOKENS + 1, COLS, in->y.ld};
    k->prepend(in->y, in->bias, position, longer, 0, SAMPLES, SAMPLES);
    k->prepend_backward(longer, take_mat(out, SAMPLES * TOKENS, COLS), 0, SAMPLES, SAMPLES);
    for (int kind = TUB_POOL_MEAN; kind <= TUB_POOL_SUM; kind++) {
        tub__mat pooled = take_mat(out, SAMPLES, COLS);
        k->pool((tub_pooling)kind, SAMPLES, in->y, pooled, 0, SAMPLES);
        k->pool_backward(&(tub__pool_backward){.kind = (tub_pooling)kind,
                                               .samples = SAMPLES,
                                               .x = in->y,
                                               .y = pooled,
                                               .dy = pooled,
                                               .dx = take_mat(out, ROWS, COLS)},
                         0, SAMPLES);
    }
}

static void reduced_products(const struct tub__kernels *k, const inputs *in, outputs *out) {
    float *w = new_floats(tub__reduced_bytes(TUB__BF16, DEPTH, COLS) / 4);
    tub__mat y = take_mat(out, ROWS, COLS);
    k->reduce(in->w, DEPTH, 0, 2, w);
    const tub__k_product p = {.a = in->x.data,
                              .lda = in->x.ld,
                              .k = DEPTH,
                              .reduced = w,
                              .bias = in->bias,
                              .c = y.data,
                              .ldc = y.ld,
                              .scratch = TUB__K_SCRATCH};
    k->reduced_product(&p, 0, ROWS, 0, 2, in->scratch);
    free(w);
}

static inputs new_inputs(void) {
    inputs in = {.x = sprinkled(ROWS, DEPTH),
                 .y = sprinkled(ROWS, COLS),
                 .w = new_floats(tub__weight_elements(DEPTH, COLS)),
                 .bias = new_floats(tub__padded(COLS)),
                 .scratch = new_floats(TUB__K_SCRATCH)};
    fill(in.bias, COLS, 1);
    for (size_t k = 0; k < DEPTH; k++) { /* the second panel has 13 columns, and special values */
        fill(in.w + k * TUB__PANEL, TUB__PANEL, 1);
        fill(in.w + (DEPTH + k) * TUB__PANEL, COLS - TUB__PANEL, 1);
        in.w[(DEPTH + k) * TUB__PANEL + k % (COLS - TUB__PANEL)] = special_values[k % SPECIALS];
    }
    return in;
}

static void free_inputs(inputs *in) {
    free(in->x.data), free(in->y.data), free(in->w), free(in->bias), free(in->scratch);
}

static void compare(const char *what, kernel_fn *run, const inputs *in,
                    const struct tub__kernels *const *sets, int count) {
    outputs first = {.all = new_floats(OUT)}, other = {.all = new_floats(OUT)};
    int special = 0;
    run(sets[0], in, &first);
    for (size_t i = 0; i < first.used; i++) {
        special += !isfinite(first.all[i]);
    }
    assert_true(special > 0); /* or the test would show nothing */
    for (int s = 1; s < count; s++) {
        memset(other.all, 0, OUT * sizeof *other.all);
        other.used = 0;
        run(sets[s], in, &other);
        assert_int_equal(other.used, first.used);
        assert_same_bits(what, sets[s]->name, first.all, other.all, first.used);
    }
    free(first.all), free(other.all);
}

static void test_kernels(void **state) {
    (void)state;
    static const struct {
        const char *name;
        kernel_fn *run;
    } kernels[] = {{"product", products}, {"weight gradient", weight_gradient},
                   {"layer norm", norms}, {"loss", losses},
                   {"update", updates},   {"sum", sums},
                   {"tokens", tokens},    {"reduced product", reduced_products}};
    const struct tub__kernels *sets[3];
    const int count = kernel_sets(sets);
    inputs in = new_inputs();
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        compare(kernels[i].name, kernels[i].run, &in, sets, count);
    }
    free_inputs(&in);
}

/* vdpbf16ps takes subnormal factors for zero: the same numbers without them. */
static void test_dot(void **state) {
    (void)state;
#if defined __x86_64__
    if (!tub__cpu_has(TUB_CPU_AVX512_BF16)) {
        print_message("skipped: this processor has no vdpbf16ps\n");
        return;
    }
    const struct tub__kernels *const sets[] = {&tub__kernels_portable, &tub__kernels_avx512_bf16};
    inputs in = new_inputs();
    float *const arrays[] = {in.x.data, in.w};
    const size_t sizes[] = {ROWS * in.x.ld, tub__weight_elements(DEPTH, COLS)};
    for (int a = 0; a < 2; a++) {
        for (size_t i = 0; i < sizes[a]; i++) {
            arrays[a][i] = fpclassify(arrays[a][i]) == FP_SUBNORMAL ? 0 : arrays[a][i];
        }
    }
    compare("reduced product", reduced_products, &in, sets, 2);
    free_inputs(&in);
#endif
}

/* Voxels of a caller may begin anywhere, and end where the memory does. */
static void test_addresses(void **state) {
    (void)state;
    const struct tub__kernels *sets[3];
    const int count = kernel_sets(sets);
    static const tub_dtype types[] = {TUB_U8, TUB_F32};
    for (int t = 0; t < 2; t++) {
        for (int64_t width = 3; width <= 40; width++) {
            const tub__geometry g = {.frames = 4,
                                     .height = 5,
                                     .width = (size_t)width,
                                     .channels = 1,
                                     .kernel = {2, 2, 3},
                                     .stride = {2, 2, 3},
                                     .grid = {2, 2, (size_t)width / 3}};
            const size_t size = t ? sizeof(float) : 1, voxels = tub__geometry_voxels(&g),
                         rows = tub__geometry_tokens(&g), offset = (size_t)width % 16 * size;
            unsigned char *block = malloc(offset + voxels * size); /* its end is watched */
            for (size_t i = 0; t == 0 && i < voxels; i++) {
                block[offset + i] = (unsigned char)random_bits();
            }
            for (size_t i = 0; t == 1 && i < voxels; i++) {
                memcpy(block + offset + i * size, &special_values[i % SPECIALS], size);
            }
            tub__mat first = new_mat(rows, tub__geometry_row(&g), 0, 0);
            for (int s = 0; s < count; s++) {
                tub__mat cut = s ? new_mat(rows, tub__geometry_row(&g), 0, 0) : first;
                sets[s]->cut(&g, types[t], block + offset, true, cut, rows / 2, rows);
                sets[s]->cut(&g, types[t], block + offset, true, cut, 0, rows / 2);
                assert_same_mat("cut", sets[s]->name, &first, &cut);
                assert_zero_padding("cut", &cut);
                if (s) {
                    free(cut.data);
                }
            }
            free(first.data), free(block);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kernels), cmocka_unit_test(test_dot),
                                       cmocka_unit_test(test_addresses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
