/* SPDX-License-Identifier: Apache-2.0 */
/* Products of factors rounded to bfloat16, by every engine that this processor has: against float64
 * sums of the rounded factors, and the engines that promise equal bits against each other. */
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

/* To nearest, ties to even, by arithmetic on the value. */
static float rounded(float x) {
    const uint32_t u = bits_of(x);
    const float below = float_of(u & 0xffff0000u), above = float_of((u & 0xffff0000u) + 0x10000u);
    const double down = fabs((double)x - (double)below), up = fabs((double)above - (double)x);
    return down < up || (down == up && (u >> 16 & 1) == 0) ? below : above;
}

typedef struct product {
    tub__mat x;
    tub__weight w;
    float *bias, *scratch;
} product;

enum { SCRATCH = TUB__K_SCRATCH };

static product new_product(const struct tub__kernels *k, size_t rows, size_t depth, size_t cols) {
    product p = {.x = new_mat(rows, depth, 0, 2),
                 .w = {.data = new_floats(tub__weight_elements(depth, cols)),
                       .rows = depth,
                       .cols = cols,
                       .reduced = new_floats(tub__reduced_bytes(TUB__BF16, depth, cols) / 4),
                       .transposed = new_floats(tub__reduced_bytes(TUB__BF16, cols, depth) / 4)},
                 .bias = new_floats(tub__padded(cols)),
                 .scratch = new_floats(SCRATCH)};
    for (size_t panel = 0; panel < tub__padded(cols) / TUB__PANEL; panel++) {
        for (size_t i = 0; i < depth; i++) {
            const size_t left = cols - panel * TUB__PANEL;
            fill((float *)p.w.data + (panel * depth + i) * TUB__PANEL,
                 left < TUB__PANEL ? left : TUB__PANEL, 1);
        }
    }
    fill(p.bias, cols, 1);
    k->reduce(p.w.data, depth, 0, tub__padded(cols) / TUB__PANEL, p.w.reduced);
    k->reduce_transposed(p.w.data, depth, cols, 0, tub__padded(depth) / TUB__PANEL, p.w.transposed);
    return p;
}

static void free_product(product *p) {
    free(p->x.data), free(p->w.data), free(p->w.reduced), free(p->w.transposed);
    free(p->bias), free(p->scratch);
}

static float weight_at(const tub__weight *w, size_t k, size_t n) {
    return ((const float *)w->data)[(n / TUB__PANEL * w->rows + k) * TUB__PANEL + n % TUB__PANEL];
}

static tub__k_product operation(const product *p, const tub__mat *y) {
    return (tub__k_product){.a = p->x.data,
                            .lda = p->x.ld,
                            .k = p->x.cols,
                            .reduced = p->w.reduced,
                            .bias = p->bias,
                            .c = y->data,
                            .ldc = y->ld,
                            .scratch = SCRATCH};
}

static const size_t shapes[][3] = {{1, 1, 1},     {2, 3, 5},      {13, 32, 32},  {14, 33, 40},
                                   {15, 64, 31},  {16, 128, 64},  {17, 31, 33},  {27, 512, 96},
                                   {32, 100, 70}, {33, 128, 128}, {70, 96, 160}, {113, 600, 11},
                                   {67, 15360, 5}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* Every output against the float64 sum of the rounded factors: within depth 2^-24 of the sum of sizes,
 * twice over for orders other than one chain. */
static void check_values(const char *set, const product *p, const tub__mat *y) {
    for (size_t r = 0; r < y->rows; r++) {
        for (size_t n = 0; n < y->cols; n++) {
            double sum = (double)p->bias[n], size = fabs(sum);
            for (size_t k = 0; k < p->x.cols; k++) {
                const double t =
                    (double)rounded(at(&p->x, r, k)) * (double)rounded(weight_at(&p->w, k, n));
                sum += t, size += fabs(t);
            }
            const double bound = 2 * ((double)p->x.cols + 2) * size / 16777216;
            if (fabs(sum - (double)at(y, r, n)) > bound) {
                fail_msg("%s: (%zu, %zu) of %zu x %zu x %zu is %.9g, should be %.9g", set, r, n,
                         p->x.rows, p->x.cols, y->cols, (double)at(y, r, n), sum);
            }
        }
    }
}

static void products(void **state) {
    (void)state;
    const struct tub__kernels *k[5];
    const int n = engines(k);
    for (int s = 0; s < SHAPES; s++) {
        const size_t rows = shapes[s][0], cols = shapes[s][2], panels = tub__padded(cols) / 32;
        product p = new_product(k[0], rows, shapes[s][1], cols);
        tub__mat first = new_mat(rows, cols, 0, 0), parts = new_mat(rows, cols, 32, 0);
        for (int i = 0; i < n; i++) {
            tub__mat y = i ? new_mat(rows, cols, 0, 0) : first;
            tub__k_product op = operation(&p, &y);
            k[i]->reduced_product(&op, 0, rows, 0, panels, p.scratch);
            check_values(k[i]->name, &p, &y);
            assert_zero_padding(k[i]->name, &y);
            op = operation(&p, &parts); /* the same in two parts of rows and of panels */
            for (size_t q = 0; q < 4; q++) {
                k[i]->reduced_product(&op, q % 2 ? rows / 3 : 0, q % 2 ? rows : rows / 3,
                                      q / 2 ? panels / 2 : 0, q / 2 ? panels : panels / 2,
                                      p.scratch);
            }
            assert_same_mat("parts", k[i]->name, &y, &parts);
            if (strcmp(k[i]->name, "amx") != 0) { /* which adds in another order */
                assert_same_mat("product", k[i]->name, &first, &y);
            }
            if (i) {
                free(y.data);
            }
        }
        free(first.data), free(parts.data);
        free_product(&p);
    }
}

/* Rounding of weights: ties, carries, the largest, infinities and NaN; all sets alike. */
static void weights(void **state) {
    (void)state;
    static const uint32_t hard[] = {0x3f808000, 0x3f818000, 0x3f807fff, 0x3f808001,
                                    0x3fffffff, 0xbf808000, 0x7f7fffff, 0x7f800000,
                                    0xff800000, 0x00000001, 0x80008000, 0x007fffff,
                                    0x7f800001, 0xffffffff, 0,          0x80000000};
    static const uint32_t right[] = {0x3f80, 0x3f82, 0x3f80, 0x3f81, 0x4000, 0xbf80,
                                     0x7f80, 0x7f80, 0xff80, 0,      0x8000, 0x0080,
                                     0x7fc0, 0xffff, 0,      0x8000};
    const struct tub__kernels *k[5];
    const int n = engines(k);
    enum { N = sizeof hard / sizeof *hard };
    for (int i = 0; i < n; i++) {
        float *w = new_floats(N * TUB__PANEL); /* [N, 1]: down a column */
        uint16_t *r = (uint16_t *)new_floats(tub__reduced_bytes(TUB__BF16, N, 1) / 4);
        uint16_t *t = (uint16_t *)new_floats(tub__reduced_bytes(TUB__BF16, 1, N) / 4);
        for (size_t j = 0; j < N; j++) {
            w[j * TUB__PANEL] = float_of(hard[j]);
        }
        k[i]->reduce(w, N, 0, 1, r);
        k[i]->reduce_transposed(w, N, 1, 0, 1, t);
        for (size_t j = 0; j < N; j++) {
            if (r[j / 2 * 64 + j % 2] != right[j] || t[2 * j] != right[j]) {
                fail_msg("%s: %08x is rounded to %04x and %04x, should be %04x", k[i]->name,
                         (unsigned)hard[j], r[j / 2 * 64 + j % 2], t[2 * j], (unsigned)right[j]);
            }
        }
        for (size_t j = 0; j < tub__reduced_bytes(TUB__BF16, N, 1) / 2; j++) {
            const size_t column = j % 64 / 2, row = j / 64 * 2 + j % 2;
            assert_true((column == 0 && row < N) || r[j] == 0);
        }
        free(w), free(r), free(t);
    }
}

/* x^T dy against float64, its bias, and tasks in parts. */
static void weight_gradients(void **state) {
    (void)state;
    const struct tub__kernels *k[5];
    const int n = engines(k);
    for (int i = 0; i < n; i++) {
        for (int s = 0; s < SHAPES; s++) {
            const size_t depth = shapes[s][1], cols = shapes[s][2], rows = 9 * shapes[s][0];
            tub__mat x = new_mat(rows, depth, 0, 1), dy = new_mat(rows, cols, 0, 1);
            tub__weight dw = {
                .data = new_floats(tub__weight_elements(depth, cols)), .rows = depth, .cols = cols};
            float *again = new_floats(tub__weight_elements(depth, cols)),
                  *bias = new_floats(tub__padded(cols)), *scratch = new_floats(SCRATCH);
            tub__k_dw op = {.x = x.data,
                            .dy = dy.data,
                            .ldx = x.ld,
                            .ldy = dy.ld,
                            .rows = rows,
                            .group_rows = rows,
                            .k = depth,
                            .panels = tub__padded(cols) / TUB__PANEL,
                            .dw = dw.data,
                            .dbias = bias};
            const size_t tasks = k[i]->reduced_dw_tasks(depth, op.panels);
            k[i]->reduced_dw(&op, 0, tasks, scratch);
            op.dw = again;
            k[i]->reduced_dw(&op, tasks / 3, tasks, scratch);
            k[i]->reduced_dw(&op, 0, tasks / 3, scratch);
            assert_same_bits("parts", k[i]->name, dw.data, again,
                             tub__weight_elements(depth, cols));
            op.rows = rows / 2 / 32 * 32; /* whole steps of every engine, and the rest later */
            if (op.rows > 0) {
                k[i]->reduced_dw(&op, 0, tasks, scratch);
                op.x = (float *)x.data + op.rows * x.ld, op.dy = (float *)dy.data + op.rows * dy.ld;
                op.rows = rows - op.rows, op.more = true;
                k[i]->reduced_dw(&op, 0, tasks, scratch);
                assert_same_bits("continued", k[i]->name, dw.data, again,
                                 tub__weight_elements(depth, cols));
            }
            for (size_t a = 0; a < depth; a++) {
                for (size_t b = 0; b < cols; b++) {
                    double sum = 0, size = 0;
                    for (size_t r = 0; r < rows; r++) {
                        const double t =
                            (double)rounded(at(&x, r, a)) * (double)rounded(at(&dy, r, b));
                        sum += t, size += fabs(t);
                    }
                    assert_true(fabs(sum - (double)weight_at(&dw, a, b)) <=
                                2 * ((double)rows + 2) * size / 16777216);
                }
            }
            for (size_t b = 0; b < cols; b++) {
                double sum = 0, size = 0;
                for (size_t r = 0; r < rows; r++) {
                    sum += (double)at(&dy, r, b), size += fabs((double)at(&dy, r, b));
                }
                assert_true(fabs(sum - (double)bias[b]) <= (double)rows * size / 16777216);
            }
            free(x.data), free(dy.data), free(dw.data), free(again), free(bias), free(scratch);
        }
    }
}

/* ---- attention of long sequences ---- */

typedef enum inputs { ROUNDED, FULL, EXTREME, INPUTS } inputs; /* FULL: rounding is the kernels' */

/* Numbers of bfloat16; all of float32; or great ones with specials in the first columns of queries. */
static tub__mat factors(size_t rows, size_t cols, double limit, inputs kind, bool queries) {
    static const float special[] = {INFINITY, -INFINITY, NAN, -0.0f, 0, 3e38f};
    tub__mat m = new_mat(rows, cols, 0, limit);
    for (size_t r = 0; r < rows; r++) {
        float *row = (float *)m.data + r * m.ld;
        for (size_t i = 0; i < cols; i++) {
            row[i] = kind == ROUNDED              ? rounded(row[i])
                     : kind == EXTREME && queries ? 1e3f * row[i]
                                                  : row[i];
        }
        if (kind == EXTREME && queries && r % 7 == 0) {
            row[r % cols] = special[r / 7 % (sizeof special / sizeof *special)];
        }
    }
    return m;
}

static tub__mat zeros(size_t rows, size_t cols) {
    tub__mat m = new_mat(rows, cols, 0, 0);
    memset(m.data, 0, rows * m.ld * sizeof(float)); /* half of them were -0 */
    return m;
}

static void attend(const struct tub__kernels *k, tub__attention *op, tub__mat o, bool reduced) {
    float *scratch = new_floats(SCRATCH);
    memset(scratch, 0xff, SCRATCH * sizeof *scratch);
    op->o = o, op->reduced = reduced;
    k->attention(op, 0, op->samples * op->groups * op->heads, scratch);
    free(scratch);
}

/* How far rounding of the weights, and of all factors, may move an average of values below 1. */
static void assert_near(const tub__mat *o, const tub__mat *whole, inputs kind) {
    const float most = kind == ROUNDED ? 1.0f / 256 + 1e-5f : 1.0f / 64;
    bool other = false;
    for (size_t r = 0; r < o->rows; r++) {
        for (size_t j = 0; j < o->cols; j++) {
            assert_true(fabsf(at(o, r, j) - at(whole, r, j)) < most);
            other = other || at(o, r, j) != at(whole, r, j);
        }
    }
    assert_true(other); /* else nothing was rounded */
}

/* All engines but AMX, which adds in another order, give the portable kernels' bits. Groups' tokens
 * alternate; the first head stays untouched. */
static void attention_case(size_t length, size_t width, inputs kind) {
    const struct tub__kernels *k[5];
    const int n = engines(k);
    const size_t groups = 2, heads = 2, rows = groups * length, cols = (heads + 1) * width;
    tub__mat q = factors(rows, cols, 2, kind, true), key = factors(rows, cols, 2, kind, false),
             v = factors(rows, cols, 1, kind, false), whole = zeros(rows, cols),
             first = zeros(rows, cols), o = zeros(rows, cols);
    tub__attention op = {.samples = 1,
                         .groups = groups,
                         .length = length,
                         .sample_stride = rows,
                         .group_stride = 1,
                         .token_stride = groups,
                         .first_head = 1,
                         .heads = heads,
                         .head_width = width,
                         .scale = kind == ROUNDED ? 0.25 : 1 / sqrt((double)width),
                         .q = q,
                         .k = key,
                         .v = v};
    attend(k[0], &op, whole, false);
    attend(k[0], &op, first, true);
    for (int i = 0; i < n; i++) {
        attend(k[i], &op, o, true);
        if (kind != EXTREME) {
            assert_near(&o, &whole, kind);
        }
        if (strcmp(k[i]->name, "amx") != 0) {
            assert_same_mat("attention", k[i]->name, &first, &o);
        }
        assert_zero_padding(k[i]->name, &o);
    }
    free(q.data), free(key.data), free(v.data), free(whole.data), free(first.data), free(o.data);
}

static void attention(void **state) {
    (void)state;
    static const size_t lengths[] = {65, 79, 128, 300}, widths[] = {8, 16, 20, 64, 80};
    for (size_t c = 0; c < 20; c++) {
        attention_case(lengths[c % 4], widths[c / 4], (inputs)(c % INPUTS));
        attention_case(lengths[c % 4], widths[c / 4], ROUNDED);
    }
    /* More than a block of queries, and the narrower blocks of wide heads. */
    attention_case(513, 64, FULL);
    attention_case(257, 136, FULL);
    attention_case(130, 256, FULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(products), cmocka_unit_test(weights),
                                       cmocka_unit_test(weight_gradients),
                                       cmocka_unit_test(attention)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
