/* SPDX-License-Identifier: Apache-2.0 */
/* Products and weight gradients: the stated chain of multiply-adds, equal bits on every instruction
 * set, whatever the split. */
#include "kernel_sets.h"

static tub__weight new_weight(size_t rows, size_t cols) {
    tub__weight w = {
        .data = new_floats(tub__weight_elements(rows, cols)), .rows = rows, .cols = cols};
    for (size_t k = 0; k < rows; k++) {
        for (size_t n = 0; n < cols; n++) {
            fill((float *)w.data + (n / TUB__PANEL * rows + k) * TUB__PANEL + n % TUB__PANEL, 1, 1);
        }
    }
    return w;
}

static tub__weight new_transposed(const tub__weight *w) {
    tub__weight wt = {.data = new_floats(tub__weight_elements(w->cols, w->rows)),
                      .rows = w->cols,
                      .cols = w->rows};
    for (size_t k = 0; k < w->rows; k++) {
        for (size_t n = 0; n < w->cols; n++) {
            ((float *)wt.data)[(k / TUB__PANEL * wt.rows + n) * TUB__PANEL + k % TUB__PANEL] =
                ((const float *)
                     w->data)[(n / TUB__PANEL * w->rows + k) * TUB__PANEL + n % TUB__PANEL];
        }
    }
    return wt;
}

static float weight_at(const tub__weight *w, size_t k, size_t n) {
    return ((const float *)w->data)[(n / TUB__PANEL * w->rows + k) * TUB__PANEL + n % TUB__PANEL];
}

/* All the ways that a product can end. */
typedef struct ending {
    tub__activation activation;
    bool multiply, bias, slope, residual, transposed;
} ending;

static const ending endings[] = {
    {0},
    {.bias = true, .residual = true},
    {.multiply = true, .slope = true},
    {.transposed = true},
    {.multiply = true, .slope = true, .transposed = true},
    {.bias = true, .residual = true, .transposed = true},
    {.activation = TUB__GELU_TANH, .bias = true},
    {.activation = TUB__GELU_TANH, .bias = true, .slope = true},
    {.activation = TUB__GELU_TANH, .bias = true, .residual = true},
    {.activation = TUB__GELU_TANH, .slope = true, .residual = true},
    {.activation = TUB__GELU_ERF, .bias = true},
    {.activation = TUB__GELU_ERF, .bias = true, .slope = true},
    {.activation = TUB__GELU_ERF, .residual = true},
    {.activation = TUB__GELU_ERF, .bias = true, .slope = true, .residual = true},
    {.activation = TUB__TANH, .bias = true},
    {.activation = TUB__TANH, .bias = true, .slope = true},
    {.activation = TUB__TANH, .residual = true},
    {.activation = TUB__TANH, .bias = true, .slope = true, .residual = true},
};

typedef struct operands {
    tub__mat x, residual, factor;
    tub__weight w, wt; /* the same numbers */
    float *bias;
} operands;

static void run_product(const struct tub__kernels *k, const operands *o, const ending *e,
                        size_t split, tub__mat *slope, tub__mat *y) {
    const tub__k_product p = {.a = o->x.data,
                              .lda = o->x.ld,
                              .k = o->w.rows,
                              .w = e->transposed ? o->wt.data : o->w.data,
                              .transposed = e->transposed,
                              .columns = o->w.cols,
                              .bias = e->bias ? o->bias : NULL,
                              .c = y->data,
                              .ldc = y->ld,
                              .activation = e->activation,
                              .multiply = e->multiply,
                              .slope = e->slope ? slope->data : NULL,
                              .ldslope = slope->ld,
                              .residual = e->residual ? o->residual.data : NULL,
                              .ldres = o->residual.ld,
                              .residual_rows = o->residual.rows,
                              .next = o->w.data /* asked for, never used */};
    const size_t panels = tub__padded(o->w.cols) / TUB__PANEL;
    float *scratch = new_floats(TUB__K_SCRATCH);
    memset(scratch, 0xff,
           TUB__K_SCRATCH * sizeof *scratch); /* NaN: is to be written before it is read */
    k->product(&p, 0, split, 0, panels, scratch);
    for (size_t j = 0; j < panels; j++) {
        k->product(&p, split, o->x.rows, j, j + 1, scratch);
    }
    free(scratch);
}

static float chain(const operands *o, size_t r, size_t n, bool bias) {
    float s = bias ? o->bias[n] : 0;
    for (size_t k = 0; k < o->w.rows; k++) {
        s = fmaf(at(&o->x, r, k), weight_at(&o->w, k, n), s);
    }
    return s;
}

/* What the element functions themselves give for the chain that the C library's fmaf gives. */
static void check_element(const struct tub__kernels *k, const operands *o, const ending *e,
                          const tub__mat *slope, const tub__mat *y, size_t r, size_t n) {
    const bool erf = e->activation == TUB__GELU_ERF;
    float v = chain(o, r, n, e->bias), d = 1;
    if (e->multiply) {
        v *= at(&o->factor, r, n);
    } else if (e->activation == TUB__TANH) {
        k->math(TUB__K_TANH, 1, &v, &v);
        d = 1 - v * v;
    } else if (e->activation != TUB__LINEAR) {
        k->math(erf ? TUB__K_GELU_ERF_GRAD : TUB__K_GELU_TANH_GRAD, 1, &v, &d);
        k->math(erf ? TUB__K_GELU_ERF : TUB__K_GELU_TANH, 1, &v, &v);
    }
    if (e->residual) {
        v += at(&o->residual, r % o->residual.rows, n);
    }
    assert_int_equal(bits_of(v), bits_of(at(y, r, n)));
    if (e->slope && !e->multiply) {
        assert_int_equal(bits_of(d), bits_of(at(slope, r, n)));
    }
}

static void check_product(size_t m, size_t k, size_t n) {
    const struct tub__kernels *sets[3];
    const int count = kernel_sets(sets);
    operands o = {.x = new_mat(m, k, 0, 1),
                  .residual = new_mat(m > 3 ? 3 : 1, n, 32, 1),
                  .factor = new_mat(m, n, 0, 3),
                  .w = new_weight(k, n),
                  .bias = new_floats(tub__padded(n))};
    o.wt = new_transposed(&o.w);
    fill(o.bias, n, 1);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        tub__mat first = {0}, first_slope = {0};
        for (int s = 0; s < count; s++) {
            tub__mat y = new_mat(m, n, 32, 0), slope = new_mat(m, n, 0, 0);
            memcpy(slope.data, o.factor.data, m * slope.ld * sizeof(float));
            run_product(sets[s], &o, &endings[i], (size_t)s * m / 3, &slope, &y);
            assert_zero_padding("product", &y);
            for (int t = 0; t < 60; t++) {
                check_element(sets[s], &o, &endings[i], &slope, &y, random_bits() % m,
                              random_bits() % n);
            }
            if (s == 0) {
                first = y, first_slope = slope;
                continue;
            }
            assert_same_mat("product", sets[s]->name, &first, &y);
            assert_same_mat("slope", sets[s]->name, &first_slope, &slope);
            free(y.data), free(slope.data);
        }
        free(first.data), free(first_slope.data);
    }
    free(o.x.data), free(o.residual.data), free(o.factor.data), free(o.w.data), free(o.wt.data),
        free(o.bias);
}

static void test_product(void **state) {
    (void)state;
    static const size_t shape[][3] = {{1, 1, 1},      {5, 3, 7},      {14, 64, 32},  {15, 65, 33},
                                      {27, 128, 96},  {29, 300, 50},  {97, 131, 40}, {230, 60, 17},
                                      {3, 1025, 100}, {17, 4099, 40}, {2, 8200, 9}};
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) {
        check_product(shape[i][0], shape[i][1], shape[i][2]);
    }
    for (size_t m = 1; m <= 30; m++) { /* every tile height */
        check_product(m, 9, 1 + m % 5 * 13);
    }
}

/* The sum as docs/numerics.md defines it: chains inside groups, a tree over groups padded with
 * absent leaves. */
static float tree_sum(const float *group, size_t n, size_t size) {
    if (size == 1) {
        return group[0];
    }
    const size_t half = size / 2;
    return n <= half ? tree_sum(group, n, half)
                     : tree_sum(group, half, half) + tree_sum(group + half, n - half, half);
}

static float gradient_at(const tub__mat *x, const tub__mat *dy, size_t group_rows, size_t k,
                         size_t n) {
    float group[64];
    size_t groups = 0, size = 1;
    for (size_t r = 0; r < x->rows; r += group_rows, groups++) {
        group[groups] = 0;
        for (size_t i = r; i < x->rows && i < r + group_rows; i++) {
            group[groups] = fmaf(at(x, i, k), at(dy, i, n), group[groups]);
        }
    }
    while (size < groups) {
        size *= 2;
    }
    return tree_sum(group, groups, size);
}

static float bias_at(const tub__mat *dy, size_t group_rows, size_t n) {
    tub__mat ones = new_mat(dy->rows, 1, 0, 0);
    for (size_t r = 0; r < dy->rows; r++) {
        ((float *)ones.data)[r * ones.ld] = 1;
    }
    const float s = gradient_at(&ones, dy, group_rows, 0, n);
    free(ones.data);
    return s;
}

static void check_gradient(size_t m, size_t k, size_t n, size_t group_rows) {
    const struct tub__kernels *sets[3];
    const int count = kernel_sets(sets);
    tub__mat x = new_mat(m, k, 32, 1), dy = new_mat(m, n, 0, 1);
    for (int s = 0; s < count; s++) {
        tub__weight dw = {.data = new_floats(tub__weight_elements(k, n)), .rows = k, .cols = n};
        float *dbias = new_floats(tub__padded(n)), *scratch = new_floats(TUB__K_SCRATCH);
        memset(scratch, 0xff,
               TUB__K_SCRATCH * sizeof *scratch); /* NaN: what is not written must not be read */
        const tub__k_dw p = {.x = x.data,
                             .dy = dy.data,
                             .ldx = x.ld,
                             .ldy = dy.ld,
                             .rows = m,
                             .group_rows = group_rows,
                             .k = k,
                             .panels = tub__padded(n) / TUB__PANEL,
                             .dw = dw.data,
                             .dbias = dbias};
        const size_t tasks = sets[s]->dw_tasks(k, tub__padded(n) / TUB__PANEL);
        const size_t split = tasks * (group_rows % 3) / 3; /* all at once, too */
        sets[s]->dw(&p, split, tasks, scratch);
        sets[s]->dw(&p, 0, split, scratch);
        for (size_t i = 0; i < k; i++) {
            for (size_t j = 0; j < n; j++) {
                if (bits_of(weight_at(&dw, i, j)) !=
                    bits_of(gradient_at(&x, &dy, group_rows, i, j))) {
                    fail_msg(
                        "weight gradient on %s: (%zu, %zu) of %zu x %zu, %zu rows in groups of %zu",
                        sets[s]->name, i, j, k, n, m, group_rows);
                }
            }
        }
        for (size_t j = 0; j < tub__padded(n); j++) {
            assert_int_equal(bits_of(dbias[j]), bits_of(j < n ? bias_at(&dy, group_rows, j) : 0));
        }
        free(dw.data), free(dbias), free(scratch);
    }
    free(x.data), free(dy.data);
}

static void test_weight_gradient(void **state) {
    (void)state;
    for (size_t groups = 1; groups <= 9; groups++) {
        check_gradient(groups * 12 - groups % 3, 17, 35, 12);
    }
    check_gradient(64, 128, 32, 8);
    for (size_t groups = 33; groups <= 47; groups += 7) {
        check_gradient(groups * 4, 15, 40, 4); /* a tall tree */
    }
    static const size_t group_rows[] = {108, 109, 216, 217, 432, 433}; /* where slices change */
    for (size_t i = 0; i < sizeof group_rows / sizeof *group_rows; i++) {
        check_gradient(5 * group_rows[i] - 3, 15, 33, group_rows[i]);
    }
    check_gradient(1000, 15, 11, 450); /* groups longer than the packed block */
    check_gradient(1, 1, 1, 4);
    check_gradient(40, 75, 64, 40);
    /* several groups of panels, and more tasks than have room for their sums, in one call and two */
    check_gradient(40, 400, 300, 12);
    check_gradient(40, 400, 300, 13);
    check_gradient(950, 200, 300, 460); /* the same with groups of several slices */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_product),
        cmocka_unit_test(test_weight_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
