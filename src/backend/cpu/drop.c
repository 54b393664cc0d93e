/* SPDX-License-Identifier: Apache-2.0 */
/* Dropout of elements and stochastic depth: rows of which elements, or all of a sample's, are left
 * out at random. */
#include "backend/cpu/entries.h"
#include "backend/cpu/vmath.h"

/* Words are drawn sixteen counters at a time: those of four vectors of a row. */
typedef struct draw {
    const tub__drop *op;
    uint32_t rest[3]; /* counter words 1 to 3 */
    size_t block;     /* whose words these are; (size_t)-1: none's yet */
    vu word[4];
} draw;

static uint32_t threshold(double rate) {
    return (uint32_t)(rate * 4294967296.0);
}

/* Which of the sixteen elements of vector `vector` of the sample are kept. */
INLINE vm kept(draw *d, size_t vector) {
    const size_t block = vector / 4;
    if (block != d->block) {
        vphilox(d->op->dropout.key.word, (uint32_t)(block * 16), d->rest, d->word);
        d->block = block;
    }
    return vuge(d->word[vector % 4], threshold(d->op->dropout.rate));
}

/* What all of a sample's rows are multiplied by; 0: they are left out. */
static double sample_factor(const tub__drop *op, size_t sample) {
    if (op->given) {
        return (double)op->given[sample];
    }
    if (op->sample_rate > 0) {
        const uint32_t counter[4] = {0, op->dropout.position + (uint32_t)sample, op->branch,
                                     op->dropout.epoch};
        uint32_t word[4];
        tub__philox(op->dropout.key, counter, word);
        return word[0] >= threshold(op->sample_rate) ? op->sample_kept : 0;
    }
    return 1;
}

INLINE vf plus(const real *add, size_t i, vf v) {
    return add ? vadd(vload(add + i), v) : v;
}

static void row_of_all(const real *x, const real *add, real factor, size_t n, real *z) {
    for (size_t i = 0; i < n; i += 16) {
        vstore(z + i, plus(add, i, factor == 0 ? vzero() : vmul(vload(x + i), vset1(factor))));
    }
}

static void row_of_some(draw *d, size_t vector, const real *x, const real *add, real factor,
                        size_t n, real *z) {
    for (size_t i = 0; i < n; i += 16, vector++) {
        const vf v = vsel(kept(d, vector), vmul(vload(x + i), vset1(factor)), vzero());
        vstore(z + i, plus(add, i, v));
    }
}

void KERNEL(drop)(const tub__drop *op, size_t row0, size_t row1) {
    const size_t of_sample = op->x.rows / op->samples, n = tub__padded(op->x.cols);
    const double scale = 1 / (1 - op->dropout.rate);
    draw d = {.op = op, .rest = {0, op->dropout.layer, op->dropout.epoch}, .block = (size_t)-1};
    double factor = 1;
    for (size_t r = row0; r < row1; r++) {
        const size_t sample = r / of_sample, row = r % of_sample;
        const real *x = row_of(op->x, r), *add = op->add.data ? row_of(op->add, r) : NULL;
        if (r == row0 || row == 0) {
            factor = sample_factor(op, sample);
            d.rest[0] = op->dropout.position + (uint32_t)sample;
            d.block = (size_t)-1;
        }
        if (op->dropout.rate > 0 && factor != 0) {
            row_of_some(&d, row * (n / 16), x, add, (real)(factor * scale), n, row_of(op->z, r));
        } else {
            row_of_all(x, add, (real)factor, n, row_of(op->z, r));
        }
    }
}
