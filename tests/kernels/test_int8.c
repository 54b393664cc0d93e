/* SPDX-License-Identifier: Apache-2.0 */
/* Products of factors rounded to int8, by every engine that this processor has: bit for bit against a
 * plain reference with sums of 64 bits. */
#include "kernel_sets.h"

/* Portable first. */
static int engines(const struct tub__kernels *out[5]) {
    int n = kernel_sets(out);
#if defined __x86_64__
    if (tub__cpu_has(TUB_CPU_AVX512_BF16)) {
        out[n++] = &tub__kernels_avx512_bf16;
    }
    if (tub__cpu_has(TUB_CPU_AMX)) {
        out[n++] = &tub__kernels_amx;
    }
#endif
    return n;
}

/* Numbers beside each other or below each other, as whole numbers and a scale. */
typedef struct whole {
    float scale, inverse;
} whole;

static whole measure(const float *x, size_t n, size_t step) {
    float largest = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i * step])) {
            return (whole){NAN, 0};
        }
        largest = fmaxf(largest, fabsf(x[i * step]));
    }
    return largest < 0x1p-100f ? (whole){0, 0} : (whole){largest / 127, 127 / largest};
}

/* To nearest, ties to even; the product of two floats is exact in double. */
static int quantise(float x, whole w) {
    return w.inverse == 0 ? 0 : (int)rint((double)x * (double)w.inverse);
}

typedef struct product {
    tub__mat x;
    tub__weight w;
    float *bias, *scratch;
} product;

enum { SCRATCH = TUB__K_SCRATCH };

static float *weight_at(const tub__weight *w, size_t k, size_t n) {
    return (float *)w->data + (n / TUB__PANEL * w->rows + k) * TUB__PANEL + n % TUB__PANEL;
}

static float *element(const tub__mat *m, size_t r, size_t c) {
    return (float *)m->data + r * m->ld + c;
}

static product new_product(size_t rows, size_t depth, size_t cols, size_t apart) {
    product p = {.x = new_mat(rows, depth, apart, 2),
                 .w = {.data = new_floats(tub__weight_elements(depth, cols)),
                       .rows = depth,
                       .cols = cols,
                       .reduced = new_floats(tub__reduced_bytes(TUB__INT8, depth, cols) / 4),
                       .format = TUB__INT8},
                 .bias = new_floats(tub__padded(cols)),
                 .scratch = new_floats(SCRATCH)};
    for (size_t n = 0; n < cols; n++) {
        for (size_t k = 0; k < depth; k++) {
            fill(weight_at(&p.w, k, n), 1, 1);
        }
    }
    fill(p.bias, cols, 1);
    return p;
}

static void free_product(product *p) {
    free(p->x.data), free(p->w.data), free(p->w.reduced), free(p->bias), free(p->scratch);
}

static tub__k_product operation(const product *p, const tub__mat *y) {
    return (tub__k_product){.a = p->x.data,
                            .lda = p->x.ld,
                            .k = p->x.cols,
                            .reduced = p->w.reduced,
                            .format = TUB__INT8,
                            .bias = p->bias,
                            .c = y->data,
                            .ldc = y->ld,
                            .scratch = SCRATCH};
}

static void reference(const product *p, bool bias, tub__mat *y) {
    for (size_t r = 0; r < y->rows; r++) {
        const whole row = measure(element(&p->x, r, 0), p->x.cols, 1);
        for (size_t n = 0; n < y->cols; n++) {
            const whole column = measure(weight_at(&p->w, 0, n), p->w.rows, TUB__PANEL);
            int64_t sum = 0;
            for (size_t k = 0; k < p->x.cols; k++) {
                sum += (int64_t)quantise(at(&p->x, r, k), row) *
                       quantise(*weight_at(&p->w, k, n), column);
            }
            *element(y, r, n) =
                fmaf((float)sum, row.scale * column.scale, bias ? p->bias[n] : 0.0f);
        }
    }
}

/* Equal values, and NaN in the same places. */
static void assert_equal(const char *set, const tub__mat *right, const tub__mat *y) {
    for (size_t r = 0; r < y->rows; r++) {
        for (size_t n = 0; n < y->cols; n++) {
            const float a = at(right, r, n), b = at(y, r, n);
            if (!(a == b || (isnan(a) && isnan(b)))) {
                fail_msg("%s: (%zu, %zu) of %zu x %zu is %.9g, should be %.9g", set, r, n, y->rows,
                         y->cols, (double)b, (double)a);
            }
        }
    }
}

/* By all engines, each having made the weights itself. */
static void check(product *p, const char *what, bool finite) {
    const struct tub__kernels *k[5];
    const int n = engines(k);
    const size_t rows = p->x.rows, cols = p->w.cols, panels = tub__padded(cols) / TUB__PANEL;
    tub__mat right = new_mat(rows, cols, 0, 0), y = new_mat(rows, cols, 0, 0),
             parts = new_mat(rows, cols, 32, 0);
    for (int bias = 0; bias < 2; bias++) {
        reference(p, bias, &right);
        for (int i = 0; i < n; i++) {
            char name[64];
            snprintf(name, sizeof name, "%s, %s", what, k[i]->name);
            memset(p->w.reduced, 0xa5, tub__reduced_bytes(TUB__INT8, p->w.rows, cols));
            k[i]->reduce_int8(p->w.data, p->w.rows, 0, panels / 2, p->w.reduced);
            k[i]->reduce_int8(p->w.data, p->w.rows, panels / 2, panels, p->w.reduced);
            tub__k_product op = operation(p, &y);
            op.bias = bias ? p->bias : NULL;
            memset(p->scratch, 0xff, SCRATCH * sizeof *p->scratch);
            k[i]->int8_product(&op, 0, rows, 0, panels, p->scratch);
            assert_equal(name, &right, &y);
            if (finite) {
                assert_zero_padding(name, &y);
            }
            op.c = parts.data, op.ldc = parts.ld; /* the same in two parts of rows and of panels */
            for (size_t q = 0; q < 4; q++) {
                k[i]->int8_product(&op, q % 2 ? rows / 3 : 0, q % 2 ? rows : rows / 3,
                                   q / 2 ? panels / 2 : 0, q / 2 ? panels : panels / 2, p->scratch);
            }
            assert_equal(name, &right, &parts);
        }
    }
    free(right.data), free(y.data), free(parts.data);
}

/* Every tail of rows, of depth and of columns, and several chunks and parts. */
static void shapes(void **state) {
    (void)state;
    static const size_t more[][3] = {
        {113, 600, 11}, {70, 96, 160}, {33, 128, 128}, {3, 6144, 33}, {300, 768, 40}};
    for (size_t rows = 1; rows <= 34; rows++) {
        product p = new_product(rows, 1 + rows * 29 % 131, 1 + rows * 37 % 97, 0);
        check(&p, "rows", true);
        free_product(&p);
    }
    for (size_t depth = 1; depth <= 130; depth++) {
        product p = new_product(3, depth, 33, depth % 3 * TUB__PANEL);
        check(&p, "depth", true);
        free_product(&p);
    }
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        product p = new_product(more[i][0], more[i][1], more[i][2], 0);
        check(&p, "large", true);
        free_product(&p);
    }
}

/* All numbers largest and of one sign: what would overflow sums of 16 bits, and needs rounding as a
 * float. */
static void largest(void **state) {
    (void)state;
    for (int sign = -1; sign <= 1; sign += 2) {
        product p = new_product(17, 6144, 32, 0);
        for (size_t k = 0; k < 6144; k++) {
            for (size_t r = 0; r < 17; r++) {
                *element(&p.x, r, k) = (float)(r + 1) - (k == 5000 ? 0.01f : 0);
            }
            for (size_t n = 0; n < 32; n++) {
                *weight_at(&p.w, k, n) = (float)sign;
            }
        }
        check(&p, "largest", true);
        free_product(&p);
    }
}

/* Ties, zeros, the smallest, infinities and NaN, in rows and in columns. */
static void hard_values(void **state) {
    (void)state;
    static const uint32_t hard[] = {0,          0x80000000, 1,          0x007fffff, 0x00800000,
                                    0x0d7fffff, 0x0d800000, 0x0d800001, 0x8d800000, 0x7f7fffff,
                                    0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0xffffffff};
    enum { HARD = sizeof hard / sizeof *hard, DEPTH = 70 };
    product p = new_product(2 * HARD + 2, DEPTH, 2 * HARD + 2, 0);
    for (size_t i = 0; i < HARD; i++) {
        const float x = float_of(hard[i]);
        for (size_t k = 0; k < DEPTH; k++) { /* alone, and among others */
            *element(&p.x, 2 * i, k) = 0, *weight_at(&p.w, k, 2 * i) = 0;
        }
        *element(&p.x, 2 * i, 3 * i) = x, *element(&p.x, 2 * i + 1, DEPTH - 1) = x;
        *weight_at(&p.w, 4 * i, 2 * i) = x, *weight_at(&p.w, DEPTH - 1, 2 * i + 1) = x;
    }
    for (size_t k = 0; k < DEPTH; k++) { /* halves: with 127 the scale is one */
        *element(&p.x, 2 * HARD, k) = k ? (float)k - 35.5f : 127;
        *weight_at(&p.w, k, 2 * HARD) = k ? 30.5f - (float)k : -127;
        *element(&p.x, 2 * HARD + 1, k) = *weight_at(&p.w, k, 2 * HARD + 1) = -0.0f;
    }
    check(&p, "special", false);
    free_product(&p);
}

/* Words, scales and offsets as tensor/mat.h says, padding zero. */
static void layout(void **state) {
    (void)state;
    enum { DEPTH = 70, COLS = 45 };
    const struct tub__kernels *k[5];
    const int n = engines(k);
    product p = new_product(1, DEPTH, COLS, 0);
    const size_t bytes = tub__reduced_panel_bytes(TUB__INT8, DEPTH),
                 depth = tub__reduced_depth(TUB__INT8, DEPTH);
    assert_int_equal(depth, 128);
    for (int i = 0; i < n; i++) {
        k[i]->reduce_int8(p.w.data, DEPTH, 0, 2, p.w.reduced);
        for (size_t c = 0; c < 2 * TUB__PANEL; c++) {
            const tub__int8_head *head =
                (const tub__int8_head *)((char *)p.w.reduced + c / TUB__PANEL * bytes);
            const whole w = measure(weight_at(&p.w, 0, c), DEPTH, TUB__PANEL);
            int32_t sum = 0;
            for (size_t d = 0; d < depth; d++) {
                const int8_t found =
                    ((const int8_t *)(head + 1))[(d / 4 * TUB__PANEL + c % TUB__PANEL) * 4 + d % 4];
                const int right = d < DEPTH ? quantise(*weight_at(&p.w, d, c), w) : 0;
                assert_int_equal(found, right);
                sum += right;
            }
            assert_true(head->scale[c % TUB__PANEL] == w.scale);
            assert_int_equal(head->offset[c % TUB__PANEL], -128 * sum);
        }
    }
    free_product(&p);
}

/* What is fused to the end comes after scale and bias. */
static void endings(void **state) {
    (void)state;
    const struct tub__kernels *k[5];
    const int n = engines(k);
    product p = new_product(37, 100, 70, 0);
    tub__mat plain = new_mat(37, 70, 0, 0), residual = new_mat(37, 70, 0, 1),
             right = new_mat(37, 70, 0, 0), y = new_mat(37, 70, 0, 0);
    reference(&p, true, &plain);
    for (int kind = TUB__LINEAR; kind <= TUB__GELU_ERF; kind++) {
        for (size_t r = 0; r < 37; r++) {
            float *to = element(&right, r, 0);
            memcpy(to, element(&plain, r, 0), right.ld * sizeof(float));
            if (kind != TUB__LINEAR) {
                k[0]->math(kind == TUB__GELU_TANH ? TUB__K_GELU_TANH : TUB__K_GELU_ERF, right.ld,
                           element(&plain, r, 0), to);
            }
            for (size_t c = 0; c < 70; c++) {
                to[c] += at(&residual, r, c);
            }
        }
        for (int i = 0; i < n; i++) {
            k[i]->reduce_int8(p.w.data, 100, 0, 3, p.w.reduced);
            tub__k_product op = operation(&p, &y);
            op.activation = (tub__activation)kind;
            op.residual = residual.data, op.ldres = residual.ld, op.residual_rows = 37;
            k[i]->int8_product(&op, 0, 37, 0, 3, p.scratch);
            assert_equal(k[i]->name, &right, &y);
        }
    }
    free(plain.data), free(residual.data), free(right.data), free(y.data);
    free_product(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes), cmocka_unit_test(largest),
                                       cmocka_unit_test(hard_values), cmocka_unit_test(layout),
                                       cmocka_unit_test(endings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
