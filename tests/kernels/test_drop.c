/* SPDX-License-Identifier: Apache-2.0 */
/* Dropout of elements and of whole samples: against the definition of docs/numerics.md, word by
 * word; equal bits everywhere. */
#include "base/philox.h"
#include "kernel_sets.h"

enum { SAMPLES = 5, ROWS = 7 }; /* of each sample */

typedef struct drop_case {
    tub__mat x, add;
    tub__drop op; /* without z */
} drop_case;

static drop_case make_case(size_t cols, double rate, double sample_rate, bool adds) {
    drop_case c = {.x = new_mat(SAMPLES * ROWS, cols, 32, 3),
                   .add = new_mat(SAMPLES * ROWS, cols, 0, 3)};
    c.op = (tub__drop){.x = c.x,
                       .add = adds ? c.add : (tub__mat){NULL, 0, 0, 0},
                       .samples = SAMPLES,
                       .dropout = {.rate = rate,
                                   .key = tub__random_key(11, TUB__RANDOM_DROPOUT),
                                   .epoch = 3,
                                   .layer = tub__drop_place(2, TUB__DROP_MLP),
                                   .position = 40},
                       .sample_rate = sample_rate,
                       .sample_kept = 1.25,
                       .branch = tub__drop_place(2, TUB__DROP_MLP_BRANCH)};
    return c;
}

static uint32_t word_of(const tub__drop *op, size_t counter, size_t sample, uint32_t layer,
                        size_t word) {
    const uint32_t from[4] = {(uint32_t)counter, op->dropout.position + (uint32_t)sample, layer,
                              op->dropout.epoch};
    uint32_t out[4];
    tub__philox(op->dropout.key, from, out);
    return out[word];
}

/* What the element is multiplied by; 0: it is dropped. */
static double factor_of(const tub__drop *op, size_t r, size_t col) {
    const size_t sample = r / ROWS, v = r % ROWS * (tub__padded(op->x.cols) / 16) + col / 16;
    double factor = op->given ? (double)op->given[sample] : 1;
    if (!op->given && op->sample_rate > 0) {
        const double word = word_of(op, 0, sample, op->branch, 0);
        factor = word < op->sample_rate * 0x1p32 ? 0 : op->sample_kept;
    }
    if (op->dropout.rate > 0) {
        const double word = word_of(op, 16 * (v / 4) + col % 16, sample, op->dropout.layer, v % 4);
        factor *= word < op->dropout.rate * 0x1p32 ? 0 : 1 / (1 - op->dropout.rate);
    }
    return factor;
}

static tub__mat run(const struct tub__kernels *k, const drop_case *c, size_t half) {
    tub__drop op = c->op;
    op.z = new_mat(SAMPLES * ROWS, c->x.cols, 0, 0);
    k->drop(&op, half, SAMPLES * ROWS);
    k->drop(&op, 0, half);
    return op.z;
}

/* Returns the share of elements that were dropped. */
static double check(const drop_case *c) {
    const struct tub__kernels *sets[3];
    const int count = kernel_sets(sets);
    const tub__mat first = run(sets[0], c, 11);
    size_t dropped = 0;
    assert_zero_padding("dropout", &first);
    for (size_t r = 0; r < first.rows; r++) {
        for (size_t i = 0; i < first.cols; i++) {
            const double factor = factor_of(&c->op, r, i);
            const float term = factor == 0 ? 0 : at(&c->x, r, i) * (float)factor;
            const float whole = c->op.add.data ? at(&c->add, r, i) + term : term;
            dropped += factor == 0;
            if (bits_of(whole) != bits_of(at(&first, r, i)) && whole != at(&first, r, i)) {
                fail_msg("(%zu, %zu) is %.9g, not %.9g", r, i, (double)at(&first, r, i),
                         (double)whole);
            }
        }
    }
    for (int s = 0; s < count; s++) {
        for (size_t half = 0; half <= first.rows; half += 9) {
            const tub__mat z = run(sets[s], c, half);
            assert_same_mat("dropout", sets[s]->name, &first, &z);
            free(z.data);
        }
    }
    const double share = (double)dropped / (double)(first.rows * first.cols);
    free(first.data);
    return share;
}

static void free_case(drop_case *c) {
    free(c->x.data), free(c->add.data);
}

static void elements(void **state) {
    static const size_t widths[] = {1, 15, 16, 17, 32, 33, 70, 129, 768};
    (void)state;
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        for (int adds = 0; adds < 2; adds++) {
            drop_case c = make_case(widths[i], 0.3, 0, adds);
            const double share = check(&c);
            if (widths[i] == 768) {
                print_message("rate 0.3 dropped %.4f\n", share);
                assert_true(fabs(share - 0.3) < 0.01);
            }
            free_case(&c);
        }
    }
}

static void samples(void **state) {
    static const float given[SAMPLES] = {1, 0, 0, 1.5f, 1};
    (void)state;
    drop_case c = make_case(40, 0, 0.5, true);
    const double share = check(&c);
    assert_true(share > 0 && share < 1);
    c.op.dropout.rate = 0.2;
    assert_true(check(&c) > share);
    c.op.given = given;
    c.op.dropout.rate = 0;
    assert_true(check(&c) == 0.4);
    free_case(&c);
}

/* What is dropped leaves nothing, not even a NaN. */
static void dropped_is_gone(void **state) {
    static const float given[SAMPLES] = {1, 0, 1, 1, 1};
    (void)state;
    drop_case c = make_case(20, 0, 0.5, true);
    c.op.given = given;
    ((float *)c.x.data)[ROWS * c.x.ld + 3] = NAN;
    ((float *)c.x.data)[ROWS * c.x.ld + 4] = INFINITY;
    const tub__mat z = run(&tub__kernels_portable, &c, 0);
    for (size_t i = 0; i < 20; i++) {
        assert_true(at(&z, ROWS, i) == at(&c.add, ROWS, i));
    }
    free(z.data);
    free_case(&c);
}

/* Samples count from the batch's position: a batch may be cut anywhere between two. */
static void parts_of_a_batch(void **state) {
    (void)state;
    drop_case c = make_case(50, 0.4, 0.5, true);
    const tub__mat whole = run(&tub__kernels_portable, &c, 0);
    drop_case later = c;
    later.op.samples = SAMPLES - 2;
    later.op.dropout.position += 2;
    later.op.x.rows = (SAMPLES - 2) * ROWS;
    later.op.x.data = (float *)c.x.data + 2 * ROWS * c.x.ld;
    later.op.add.data = (float *)c.add.data + 2 * ROWS * c.add.ld;
    later.op.z = new_mat((SAMPLES - 2) * ROWS, 50, 0, 0);
    tub__kernels_portable.drop(&later.op, 0, (SAMPLES - 2) * ROWS);
    for (size_t r = 0; r < later.op.z.rows; r++) {
        for (size_t i = 0; i < 50; i++) {
            assert_true(at(&later.op.z, r, i) == at(&whole, r + 2 * ROWS, i));
        }
    }
    free(later.op.z.data), free(whole.data);
    free_case(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements),
        cmocka_unit_test(samples),
        cmocka_unit_test(dropped_is_gone),
        cmocka_unit_test(parts_of_a_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
