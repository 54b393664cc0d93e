/* SPDX-License-Identifier: Apache-2.0 */
/* Batch norm, forward and backward: columns in the lanes, rows chained in blocks whose sums meet in
 * the balanced tree. */
#include "backend/cpu/entries.h"

/* Rows [*begin, *end) of a block. */
static void rows_of_block(size_t block, size_t rows, size_t *begin, size_t *end) {
    *begin = block * TUB__BATCH_ROWS;
    *end = tub__min(*begin + TUB__BATCH_ROWS, rows);
}

/* partial[block]: sums of x, or with `squares` those of (x - mean)^2. */
void KERNEL(batch_norm_sums)(const tub__batch_norm *op, bool squares, size_t block0,
                             size_t block1) {
    const size_t padded = tub__padded(op->x.cols);
    for (size_t b = block0; b < block1; b++) {
        real *to = (real *)op->workspace + b * padded;
        size_t begin, end;
        rows_of_block(b, op->x.rows, &begin, &end);
        for (size_t i = 0; i < padded; i += 16) {
            const vf mean = squares ? vload((const real *)op->mean + i) : vzero();
            vf sum = vzero();
            for (size_t r = begin; r < end; r++) {
                const vf d = vsub(vload(row_of(op->x, r) + i), mean);
                sum = squares ? vfma(d, d, sum) : vadd(sum, d);
            }
            vstore(to + i, sum);
        }
    }
}

static vf inverse_of(vf variance, double epsilon) {
    return vdiv(vset1(1), vsqrt(vadd(variance, vset1((real)epsilon))));
}

/* The sums in `mean`, and then those in `inverse`, to what they are called. */
void KERNEL(batch_norm_mean)(const tub__batch_norm *op) {
    const vf count = vset1((real)op->x.rows);
    for (size_t i = 0; i < tub__padded(op->x.cols); i += 16) {
        real *mean = (real *)op->mean + i;
        vstore(mean, vdiv(vload(mean), count));
    }
}

INLINE void follow(real *moving, vf value, double momentum) {
    const vf kept = vmul(vset1((real)(1 - momentum)), vload(moving));
    vstore(moving, vfma(vset1((real)momentum), value, kept));
}

void KERNEL(batch_norm_inverse)(const tub__batch_norm *op) {
    const size_t rows = op->x.rows;
    const vf count = vset1((real)rows), less = vset1((real)(rows > 1 ? rows - 1 : 1));
    for (size_t i = 0; i < tub__padded(op->x.cols); i += 16) {
        real *inverse = (real *)op->inverse + i;
        const vf sum = vload(inverse);
        vstore(inverse, inverse_of(vdiv(sum, count), op->epsilon));
        follow((real *)op->moving_mean + i, vload((const real *)op->mean + i), op->momentum);
        follow((real *)op->moving_variance + i, vdiv(sum, less), op->momentum);
    }
}

/* Mean and inverse of the moving statistics. */
void KERNEL(batch_norm_moving)(const tub__batch_norm *op) {
    for (size_t i = 0; i < tub__padded(op->x.cols); i += 16) {
        vstore((real *)op->mean + i, vload((const real *)op->moving_mean + i));
        vstore((real *)op->inverse + i,
               inverse_of(vload((const real *)op->moving_variance + i), op->epsilon));
    }
}

void KERNEL(batch_norm)(const tub__batch_norm *op, size_t row0, size_t row1) {
    for (size_t r = row0; r < row1; r++) {
        const real *x = row_of(op->x, r), *add = op->add.data ? row_of(op->add, r) : NULL;
        real *y = row_of(op->y, r);
        for (size_t i = 0; i < tub__padded(op->x.cols); i += 16) {
            const vf h = vmul(vsub(vload(x + i), vload((const real *)op->mean + i)),
                              vload((const real *)op->inverse + i));
            vf v = vfma(h, vload((const real *)op->gamma + i), vload((const real *)op->beta + i));
            v = add ? vadd(v, vload(add + i)) : v;
            vstore(y + i, op->relu ? vmax(vzero(), v) : v);
        }
    }
}

/* Sums of dy and of dy h, h = (x - mean) inverse; dy is zero where y is. */
void KERNEL(batch_norm_backward_sums)(const tub__batch_norm_backward *op, size_t block0,
                                      size_t block1) {
    const size_t padded = tub__padded(op->x.cols);
    for (size_t b = block0; b < block1; b++) {
        real *to = (real *)op->workspace + b * 2 * padded;
        size_t begin, end;
        rows_of_block(b, op->x.rows, &begin, &end);
        for (size_t i = 0; i < padded; i += 16) {
            const vf mean = vload((const real *)op->mean + i),
                     inverse = vload((const real *)op->inverse + i);
            vf gamma = vzero(), beta = vzero();
            for (size_t r = begin; r < end; r++) {
                real *dy = row_of(op->dy, r) + i;
                vf d = vload(dy);
                if (op->y.data) {
                    d = vsel(vlt(vzero(), vload(row_of(op->y, r) + i)), d, vzero());
                    vstore(dy, d);
                }
                const vf h = vmul(vsub(vload(row_of(op->x, r) + i), mean), inverse);
                gamma = vfma(d, h, gamma);
                beta = vadd(beta, d);
            }
            vstore(to + i, gamma);
            vstore(to + padded + i, beta);
        }
    }
}

/* dx = gamma inverse (dy - dbeta / M - h dgamma / M). */
void KERNEL(batch_norm_backward)(const tub__batch_norm_backward *op, size_t row0, size_t row1) {
    const vf count = vset1((real)op->x.rows);
    for (size_t i = 0; i < tub__padded(op->x.cols); i += 16) {
        const vf mean = vload((const real *)op->mean + i),
                 inverse = vload((const real *)op->inverse + i),
                 scale = vmul(vload((const real *)op->gamma + i), inverse),
                 gamma = vdiv(vload((const real *)op->dgamma + i), count),
                 beta = vdiv(vload((const real *)op->dbeta + i), count);
        for (size_t r = row0; r < row1; r++) {
            const vf h = vmul(vsub(vload(row_of(op->x, r) + i), mean), inverse);
            const vf d = vsub(vsub(vload(row_of(op->dy, r) + i), beta), vmul(h, gamma));
            vstore(row_of(op->dx, r) + i, vmul(scale, d));
        }
    }
}
