/* SPDX-License-Identifier: Apache-2.0 */
/* Attention forward and backward: against a plain double computation with its own dropout mask, for
 * any grouping, length and head width; equal bits on every instruction set and for every split of
 * the work. */
#include "kernel_sets.h"

/* A case: the pattern, and everything that the operation reads and writes. */
typedef struct shape {
    size_t samples, groups, length, heads, width;
    bool interleaved; /* groups' tokens alternate (attention over time) instead of lying side by
                         side */
    double dropout;
} shape;

typedef struct buffers {
    tub__mat q, k, v, o, d_o, dq, dk, dv;
    float *stats, *probabilities, *dp;
} buffers;

static tub__attention operation(const shape *s, const buffers *b) {
    return (tub__attention){
        .samples = s->samples,
        .groups = s->groups,
        .length = s->length,
        .sample_stride = s->groups * s->length,
        .group_stride = s->interleaved ? 1 : s->length,
        .token_stride = s->interleaved ? s->groups : 1,
        .heads = s->heads,
        .head_width = s->width,
        .scale = 1 / sqrt((double)s->width),
        .q = b->q,
        .k = b->k,
        .v = b->v,
        .o = b->o,
        .stats = b->stats,
        .dropout = {.rate = s->dropout, .key = {{11, 22}}, .epoch = 5, .layer = 2, .position = 9},
        .probabilities = b->probabilities};
}

static size_t row_of(const tub__attention *a, size_t sample, size_t group, size_t t) {
    return sample * a->sample_stride + group * a->group_stride + t * a->token_stride;
}

/* ---- the truth ---- */

/* 0, or 1 / (1 - rate): the factor of one probability, counted as numerics.md and attention.h say.
 */
static double mask_of(const tub__attention *a, size_t sample, size_t rest, size_t query,
                      size_t key) {
    if (a->dropout.rate == 0) {
        return 1;
    }
    uint32_t word[4];
    const uint32_t threshold = (uint32_t)(a->dropout.rate * 4294967296.0);
    if (a->length <= TUB__K_SMALL) {
        const size_t element = key * a->length + query, blocks = (a->length * a->length + 31) / 32,
                     i = element % 32;
        const uint32_t counter[4] = {(uint32_t)((rest * blocks + element / 32) * 8 + i % 16 / 2),
                                     (uint32_t)(a->dropout.position + sample), a->dropout.layer,
                                     a->dropout.epoch};
        tub__philox(a->dropout.key, counter, word);
        return word[i / 16 * 2 + 1 - i % 2] < threshold ? 0 : 1 / (1 - a->dropout.rate);
    }
    const size_t row = rest * a->length + query, element = row * tub__round_up(a->length, 16) + key;
    const size_t vector = element / 16;
    const uint32_t counter[4] = {(uint32_t)(vector / 4 * 16 + element % 16),
                                 (uint32_t)(a->dropout.position + sample), a->dropout.layer,
                                 a->dropout.epoch};
    tub__philox(a->dropout.key, counter, word);
    return word[vector % 4] < threshold ? 0 : 1 / (1 - a->dropout.rate);
}

typedef struct truth {
    double *p, *mask;         /* [length][length] of one unit */
    double *o, *dq, *dk, *dv; /* [rows][heads * width] */
    double *all, *dp;         /* probabilities of all units, and their gradients */
} truth;

static void unit_forward(const tub__attention *a, size_t sample, size_t group, size_t head,
                         truth *t) {
    const size_t n = a->length, c0 = head * a->head_width, rest = group * a->heads + head;
    for (size_t i = 0; i < n; i++) {
        const size_t qr = row_of(a, sample, group, i);
        double sum = 0, top = -INFINITY;
        for (size_t j = 0; j < n; j++) {
            double s = 0;
            for (size_t c = 0; c < a->head_width; c++) {
                s += (double)at(&a->q, qr, c0 + c) * at(&a->k, row_of(a, sample, group, j), c0 + c);
            }
            t->p[i * n + j] = s * a->scale;
            top = fmax(top, t->p[i * n + j]);
        }
        for (size_t j = 0; j < n; j++) {
            sum += t->p[i * n + j] = exp(t->p[i * n + j] - top);
        }
        for (size_t j = 0; j < n; j++) {
            t->p[i * n + j] /= sum;
            t->mask[i * n + j] = mask_of(a, sample, rest, i, j);
            t->all[((sample * a->groups * a->heads + rest) * n + i) * n + j] = t->p[i * n + j];
        }
    }
}

/* Adds up the outputs and gradients of one unit from its probabilities. */
static void unit_rest(const tub__attention *a, const tub__mat *d_o, size_t sample, size_t group,
                      size_t head, truth *t) {
    const size_t n = a->length, w = a->heads * a->head_width, c0 = head * a->head_width;
    for (size_t i = 0; i < n; i++) {
        const size_t r = row_of(a, sample, group, i);
        double delta = 0;
        for (size_t j = 0; j < n; j++) {
            const size_t kr = row_of(a, sample, group, j);
            double dp = 0;
            for (size_t c = c0; c < c0 + a->head_width; c++) {
                const double p = t->p[i * n + j] * t->mask[i * n + j];
                t->o[r * w + c] += p * at(&a->v, kr, c);
                t->dv[kr * w + c] += p * at(d_o, r, c);
                dp += (double)at(d_o, r, c) * at(&a->v, kr, c);
            }
            t->dp[((sample * a->groups + group) * a->heads + head) * n * n + i * n + j] = dp;
            delta += t->p[i * n + j] * dp * t->mask[i * n + j];
        }
        for (size_t j = 0; j < n; j++) {
            const size_t kr = row_of(a, sample, group, j);
            double dp = 0;
            for (size_t c = c0; c < c0 + a->head_width; c++) {
                dp += (double)at(d_o, r, c) * at(&a->v, kr, c);
            }
            const double ds = t->p[i * n + j] * (dp * t->mask[i * n + j] - delta) * a->scale;
            for (size_t c = c0; c < c0 + a->head_width; c++) {
                t->dq[r * w + c] += ds * at(&a->k, kr, c);
                t->dk[kr * w + c] += ds * at(&a->q, r, c);
            }
        }
    }
}

static truth new_truth(const tub__attention *a, const tub__mat *d_o) {
    const size_t n = a->length, size = a->samples * a->groups * n * a->heads * a->head_width;
    truth t = {.p = calloc(n * n, sizeof(double)),
               .mask = calloc(n * n, sizeof(double)),
               .o = calloc(size, sizeof(double)),
               .dq = calloc(size, sizeof(double)),
               .dk = calloc(size, sizeof(double)),
               .dv = calloc(size, sizeof(double)),
               .all = calloc(a->samples * a->groups * a->heads * n * n, sizeof(double)),
               .dp = calloc(a->samples * a->groups * a->heads * n * n, sizeof(double))};
    for (size_t unit = 0; unit < a->samples * a->groups * a->heads; unit++) {
        const size_t sample = unit / (a->groups * a->heads), group = unit / a->heads % a->groups;
        unit_forward(a, sample, group, unit % a->heads, &t);
        unit_rest(a, d_o, sample, group, unit % a->heads, &t);
    }
    return t;
}

static void free_truth(truth *t) {
    free(t->p), free(t->mask), free(t->o), free(t->dq), free(t->dk), free(t->dv), free(t->all),
        free(t->dp);
}

/* ---- the kernels ---- */

static buffers new_buffers(const shape *s) {
    const size_t rows = s->samples * s->groups * s->length, cols = s->heads * s->width;
    buffers b = {.q = new_mat(rows, cols, 32, 2),
                 .k = new_mat(rows, cols, 0, 2),
                 .v = new_mat(rows, cols, 64, 1),
                 .d_o = new_mat(rows, cols, 0, 1)};
    return b;
}

/* Fresh outputs; those of the padding must come out zero even when they were not. */
static void new_outputs(const shape *s, buffers *b) {
    const size_t rows = s->samples * s->groups * s->length, cols = s->heads * s->width,
                 n = s->length;
    b->o = new_mat(rows, cols, 0, 0);
    fill(b->o.data, rows * b->o.ld, 1);
    b->dq = new_mat(rows, cols, 0, 0), b->dk = new_mat(rows, cols, 32, 0),
    b->dv = new_mat(rows, cols, 0, 0);
    b->stats = new_floats(s->samples * s->groups * s->heads * n * TUB__ATTENTION_STATS);
    b->probabilities = new_floats(s->samples * s->groups * s->heads * n * n);
    b->dp = new_floats(s->samples * s->groups * s->heads * n * n);
}

static void free_outputs(buffers *b) {
    free(b->o.data), free(b->dq.data), free(b->dk.data), free(b->dv.data), free(b->stats),
        free(b->probabilities), free(b->dp);
}

static void run(const struct tub__kernels *k, const shape *s, const buffers *b, size_t split) {
    float *scratch = new_floats(TUB__K_SCRATCH);
    const tub__attention_backward op = {
        .forward = operation(s, b), .d_o = b->d_o, .dq = b->dq, .dk = b->dk, .dv = b->dv};
    const size_t units = s->samples * s->groups * s->heads;
    memset(scratch, 0xff, TUB__K_SCRATCH * sizeof *scratch);
    k->attention(&op.forward, split % (units + 1), units, scratch);
    k->attention(&op.forward, 0, split % (units + 1), scratch);
    memset(scratch, 0xff, TUB__K_SCRATCH * sizeof *scratch);
    k->attention_backward(&op, split % (units + 1), units, scratch);
    k->attention_backward(&op, 0, split % (units + 1), scratch);
    const tub__attention_dp gradient = {.forward = op.forward, .d_o = b->d_o, .dp = b->dp};
    memset(scratch, 0xff, TUB__K_SCRATCH * sizeof *scratch);
    k->attention_dp(&gradient, split % (units + 1), units, scratch);
    k->attention_dp(&gradient, 0, split % (units + 1), scratch);
    free(scratch);
}

static void assert_near(const char *what, const shape *s, const tub__mat *got,
                        const double *expected, double limit) {
    double worst = 0, largest = 0;
    for (size_t r = 0; r < got->rows; r++) {
        for (size_t c = 0; c < got->cols; c++) {
            const double d = fabs(at(got, r, c) - expected[r * got->cols + c]);
            worst = d <= worst ? worst : d;
            largest = fmax(largest, fabs(expected[r * got->cols + c]));
        }
    }
    if (!(worst <= limit * largest + 1e-7)) {
        fail_msg("%s, length %zu, width %zu: %.3g of its largest entry away, allowed %.3g", what,
                 s->length, s->width, worst / largest, limit);
    }
}

static void check(const shape *s) {
    const struct tub__kernels *sets[3];
    const int count = kernel_sets(sets);
    buffers b = new_buffers(s), first = {0};
    for (int i = 0; i < count; i++) {
        new_outputs(s, &b);
        run(sets[i], s, &b, (size_t)i * 7);
        assert_zero_padding("attention output", &b.o);
        if (i == 0) {
            first = b;
            continue;
        }
        assert_same_mat("attention", sets[i]->name, &first.o, &b.o);
        assert_same_mat("dq", sets[i]->name, &first.dq, &b.dq);
        assert_same_mat("dk", sets[i]->name, &first.dk, &b.dk);
        assert_same_mat("dv", sets[i]->name, &first.dv, &b.dv);
        assert_same_bits("probabilities", sets[i]->name, first.probabilities, b.probabilities,
                         s->samples * s->groups * s->heads * s->length * s->length);
        assert_same_bits("dp", sets[i]->name, first.dp, b.dp,
                         s->samples * s->groups * s->heads * s->length * s->length);
        free_outputs(&b);
    }
    const tub__attention op = operation(s, &first);
    truth t = new_truth(&op, &first.d_o);
    assert_near("o", s, &first.o, t.o, 2e-6);
    assert_near("dv", s, &first.dv, t.dv, 2e-6);
    assert_near("dq", s, &first.dq, t.dq, 5e-6);
    assert_near("dk", s, &first.dk, t.dk, 5e-6);
    const size_t all = s->samples * s->groups * s->heads * s->length;
    const tub__mat flat = {first.probabilities, all, s->length, s->length},
                   gradients = {first.dp, all, s->length, s->length};
    assert_near("probabilities", s, &flat, t.all, 2e-6);
    assert_near("dp", s, &gradients, t.dp, 2e-6);
    free_truth(&t);
    free_outputs(&first);
    free(b.q.data), free(b.k.data), free(b.v.data), free(b.d_o.data);
}

static void test_shapes(void **state) {
    (void)state;
    static const shape shapes[] = {
        {2, 1, 27, 8, 16, false, 0},     {2, 1, 27, 8, 16, false, 0.1},
        {1, 1, 1, 1, 1, false, 0.5},     {3, 1, 12, 3, 8, false, 0.3},
        {1, 1, 64, 2, 5, false, 0},      {1, 1, 65, 2, 24, false, 0.2},
        {1, 1, 130, 1, 64, false, 0.1},  {1, 1, 300, 1, 80, false, 0},
        {1, 1, 33, 1, 256, false, 0},    {2, 5, 7, 2, 12, true, 0.25},
        {2, 5, 7, 2, 12, false, 0.25},   {1, 3, 70, 2, 16, true, 0.1},
        {1, 1, 16, 4, 17, false, 0},     {1, 1, 15, 1, 31, false, 0},
        {1, 1, 128, 1, 16, false, 0.9}, /* then: several blocks of queries */
        {1, 1, 530, 1, 16, false, 0.1},  {1, 1, 520, 1, 128, false, 0},
        {1, 1, 270, 1, 144, false, 0.1}, {1, 1, 270, 1, 256, false, 0},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        check(&shapes[i]);
    }
}

/* The algorithm for short sequences: every tail of lanes and tiles, up to the first length that it
 * does not take; head widths in and out of whole vectors; both groupings, with and without
 * dropout. */
static void test_short(void **state) {
    (void)state;
    static const size_t widths[] = {8, 12, 16, 20, 32, 64};
    int turn = 0;
    for (size_t length = 1; length <= 65; length++) {
        const bool border = length % 16 <= 1 || length % 16 == 15 || length == 27;
        for (size_t w = 0; w < 6; w++, turn++) {
            if (border || turn % 5 == 0) {
                check(&(shape){1, 2, length, 2, widths[w], turn % 2, 0});
                check(&(shape){1, 2, length, 2, widths[w], turn % 3 % 2, 0.3});
            }
        }
    }
}

/* Some of the heads, and the others in an operation of their own, as where they have other patterns: the
 * bits of all at once, padding of the output included. */
static void check_parts(const struct tub__kernels *k, const shape *s) {
    buffers b = new_buffers(s);
    new_outputs(s, &b);
    run(k, s, &b, 0);
    const buffers whole = b;
    new_outputs(s, &b);
    for (size_t part = 0; part < 2; part++) {
        float *scratch = new_floats(TUB__K_SCRATCH);
        tub__attention_backward op = {
            .forward = operation(s, &b), .d_o = b.d_o, .dq = b.dq, .dk = b.dk, .dv = b.dv};
        const size_t heads = s->heads / 2, rows = s->samples * s->groups * s->length,
                     units = s->samples * s->groups * heads;
        op.forward.first_head = part * heads;
        op.forward.heads = heads;
        op.forward.probabilities = NULL;
        op.forward.stats = b.stats + part * rows * heads * TUB__ATTENTION_STATS;
        k->attention(&op.forward, 0, units, scratch);
        k->attention_backward(&op, 0, units, scratch);
        free(scratch);
    }
    assert_same_mat("o of two parts", k->name, &whole.o, &b.o);
    assert_same_mat("dq of two parts", k->name, &whole.dq, &b.dq);
    assert_same_mat("dk of two parts", k->name, &whole.dk, &b.dk);
    assert_same_mat("dv of two parts", k->name, &whole.dv, &b.dv);
    assert_zero_padding("output of two parts", &b.o);
    free_outputs(&b);
    b = whole;
    free_outputs(&b);
    free(b.q.data), free(b.k.data), free(b.v.data), free(b.d_o.data);
}

static void test_parts(void **state) {
    static const shape shapes[] = {{2, 5, 7, 4, 12, true, 0},
                                   {2, 5, 7, 4, 6, false, 0},
                                   {1, 3, 70, 4, 16, true, 0},
                                   {1, 1, 20, 2, 16, false, 0},
                                   {1, 2, 100, 2, 9, false, 0}};
    const struct tub__kernels *sets[3];
    const int count = kernel_sets(sets);
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        for (int j = 0; j < count; j++) {
            check_parts(sets[j], &shapes[i]);
        }
    }
}

/* Weights that differ by more than a float can hold: the small ones may come out as anything that
 * does not count, and nothing may overflow. */
static void test_steep(void **state) {
    (void)state;
    const struct tub__kernels *sets[3];
    const int count = kernel_sets(sets);
    const shape s = {1, 1, 27, 2, 16, false, 0};
    for (int i = 0; i < count; i++) {
        buffers b = new_buffers(&s);
        float *q = b.q.data;
        for (size_t j = 0; j < b.q.rows * b.q.ld; j++) {
            q[j] *= 50;
        }
        new_outputs(&s, &b);
        run(sets[i], &s, &b, 0);
        const tub__attention op = operation(&s, &b);
        truth t = new_truth(&op, &b.d_o);
        const tub__mat flat = {b.probabilities, 27 * 2, 27, 27};
        assert_near("steep o", &s, &b.o, t.o, 2e-5);
        assert_near("steep probabilities", &s, &flat, t.all, 2e-5);
        free_truth(&t);
        free_outputs(&b);
        free(b.q.data), free(b.k.data), free(b.v.data), free(b.d_o.data);
    }
}

/* Scores that overflow a naive softmax, all-equal rows, infinities and NaN: the same on every
 * instruction set. */
static void extremes(size_t length, int kind) {
    const struct tub__kernels *sets[3];
    const int count = kernel_sets(sets);
    const shape s = {1, 1, length, 1, 8, false, 0};
    buffers b = new_buffers(&s), first = {0};
    float *q = b.q.data;
    for (size_t r = 0; r < b.q.rows; r++) {
        for (size_t c = 0; c < 8; c++) {
            q[r * b.q.ld + c] *= kind == 0 ? 1e4f : kind == 1 ? 0 : 1;
        }
        if (kind == 2) {
            q[r * b.q.ld] = special_values[r % SPECIALS];
        }
    }
    for (int i = 0; i < count; i++) {
        new_outputs(&s, &b);
        run(sets[i], &s, &b, 0);
        if (i == 0) {
            first = b;
            for (size_t r = 0; kind < 2 && r < length; r++) {
                assert_true(isfinite(at(&b.o, r, 0)));
            }
            continue;
        }
        assert_same_mat("attention of extremes", sets[i]->name, &first.o, &b.o);
        assert_same_mat("dq of extremes", sets[i]->name, &first.dq, &b.dq);
        assert_same_mat("dk of extremes", sets[i]->name, &first.dk, &b.dk);
        assert_same_mat("dv of extremes", sets[i]->name, &first.dv, &b.dv);
        free_outputs(&b);
    }
    free_outputs(&first);
    free(b.q.data), free(b.k.data), free(b.v.data), free(b.d_o.data);
}

static void test_extremes(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        extremes(70, kind);
        extremes(30, kind);
    }
}

/* Rows of queries by themselves, split anywhere, give what whole heads give: the padding, too. */
static void test_rows(void **state) {
    (void)state;
    static const size_t lengths[] = {1, 2, 15, 16, 17, 27, 33, 64}, widths[] = {16, 5, 17, 40};
    const struct tub__kernels *sets[3];
    const int count = kernel_sets(sets);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths * 4; i++) {
        const shape s = {1, 1, lengths[i / 4], 3, widths[i % 4], false, 0};
        buffers b = new_buffers(&s), whole;
        new_outputs(&s, &b);
        run(sets[0], &s, &b, 0);
        whole = b;
        for (size_t j = 0; j < (s.length + 1) * (size_t)count; j++) {
            float *scratch = new_floats(TUB__K_SCRATCH);
            const size_t k = j % (size_t)count, split = j / (size_t)count;
            new_outputs(&s, &b);
            tub__attention op = operation(&s, &b);
            op.stats = NULL, op.probabilities = NULL;
            memset(scratch, 0xff, TUB__K_SCRATCH * sizeof *scratch);
            sets[k]->attention_rows(&op, split, s.length, scratch);
            sets[k]->attention_rows(&op, 0, split, scratch);
            assert_same_mat("attention by rows", sets[k]->name, &whole.o, &b.o);
            free_outputs(&b);
            free(scratch);
        }
        free_outputs(&whole);
        free(b.q.data), free(b.k.data), free(b.v.data), free(b.d_o.data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),   cmocka_unit_test(test_short),
        cmocka_unit_test(test_parts),    cmocka_unit_test(test_steep),
        cmocka_unit_test(test_extremes), cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
