/* SPDX-License-Identifier: Apache-2.0 */
/* Layer norm, forward and backward. Lane l sums elements l, l + 16, …; the lanes meet in the tree
 * of vhsum. */
#include "backend/cpu/entries.h"
#include "backend/cpu/vec.h"

/* Rows of `cols` elements, the last vector perhaps partial. Columns of the padding are zero on
 * entry and stay so. */
typedef struct span {
    size_t whole; /* columns in whole vectors */
    int rest;     /* columns in the last, partial one */
    size_t padded;
} span;

static span span_of(size_t cols) {
    return (span){cols & ~(size_t)15, (int)(cols & 15), tub__padded(cols)};
}

/* x - mean, zero in the lanes past the end. */
INLINE vf centred(const real *x, size_t i, const span *s, vf mean) {
    vf d = vsub(vload(x + i), mean);
    return i < s->whole ? d : vsel(vfirst(s->rest), d, vzero());
}
INLINE size_t vectors_end(const span *s) {
    return s->whole + (s->rest ? 16 : 0);
}

/* Mean and 1 / sqrt(variance + epsilon) of a row. */
INLINE void row_statistics(const tub__norm *op, const span *s, const real *x, real *mean_out,
                           real *inverse) {
    const size_t end = vectors_end(s);
    vf sum = vzero(), squares = vzero();
    for (size_t i = 0; i < end; i += 16) {
        sum = vadd(sum, vload(x + i));
    }
    const real mean = vhsum(sum) / (real)op->x.cols;
    const vf m = vset1(mean);
    for (size_t i = 0; i < end; i += 16) {
        vf d = centred(x, i, s, m);
        squares = vfma(d, d, squares);
    }
    *mean_out = mean;
    *inverse = rsqrt_of(vhsum(squares) / (real)op->x.cols + (real)op->epsilon);
}

static void norm_row(const tub__norm *op, const span *s, const real *x, real *y, size_t row) {
    const size_t end = vectors_end(s);
    const real *gamma = op->gamma, *beta = op->beta;
    real mean, inverse;
    if (op->again) {
        mean = ((const real *)op->mean)[row], inverse = ((const real *)op->inverse)[row];
    } else {
        row_statistics(op, s, x, &mean, &inverse);
        if (op->mean) {
            ((real *)op->mean)[row] = mean, ((real *)op->inverse)[row] = inverse;
        }
    }
    const vf m = vset1(mean), inv = vset1(inverse);
    for (size_t i = 0; i < end; i += 16) {
        vstore(y + i, vfma(vmul(centred(x, i, s, m), inv), vload(gamma + i), vload(beta + i)));
    }
    for (size_t i = end; i < s->padded; i += 16) {
        vstore(y + i, vzero());
    }
}

void KERNEL(norm)(const tub__norm *op, size_t row0, size_t row1) {
    const span s = span_of(op->x.cols);
    for (size_t r = row0; r < row1; r++) {
        norm_row(op, &s, (const real *)op->x.data + r * op->x.ld, (real *)op->y.data + r * op->y.ld,
                 r);
    }
}

/* dx = inv (e - mean(e) - h mean(e h)) with h = (x - mean) inv and e = dy gamma; dgamma += dy h;
 * dbeta += dy. */
static void backward_row(const tub__norm_backward *op, const span *s, size_t row, real *dgamma,
                         real *dbeta) {
    const real *x = (const real *)op->x.data + row * op->x.ld,
               *dy = (const real *)op->dy.data + row * op->dy.ld;
    const real *gamma = op->gamma;
    real *dx = (real *)op->dx.data + row * op->dx.ld;
    const real *add = op->add.data ? (const real *)op->add.data + row * op->add.ld : NULL;
    const size_t end = vectors_end(s);
    const vf mean = vset1(((const real *)op->mean)[row]),
             inv = vset1(((const real *)op->inverse)[row]);
    vf se = vzero(), seh = vzero();
    for (size_t i = 0; i < end; i += 16) {
        vf h = vmul(centred(x, i, s, mean), inv), d = vload(dy + i), e = vmul(d, vload(gamma + i));
        vstore(dgamma + i, vfma(d, h, vload(dgamma + i)));
        vstore(dbeta + i, vadd(vload(dbeta + i), d));
        se = vadd(se, e);
        seh = vfma(e, h, seh);
    }
    const vf a = vset1(vhsum(se) / (real)op->x.cols), c = vset1(vhsum(seh) / (real)op->x.cols);
    for (size_t i = 0; i < end; i += 16) {
        vf h = vmul(centred(x, i, s, mean), inv), e = vmul(vload(dy + i), vload(gamma + i));
        vf v = vmul(inv, vsub(vsub(e, a), vmul(h, c)));
        v = add ? vadd(vload(add + i), v) : v;
        vstore(dx + i, i < s->whole ? v : vsel(vfirst(s->rest), v, vzero()));
    }
    for (size_t i = end; i < s->padded; i += 16) {
        vstore(dx + i, vzero());
    }
}

void KERNEL(norm_backward)(const tub__norm_backward *op, size_t group0, size_t group1,
                           void *partial) {
    const span s = span_of(op->x.cols);
    for (size_t g = group0; g < group1; g++) {
        real *dgamma = (real *)partial + g * 2 * s.padded, *dbeta = dgamma + s.padded;
        for (size_t i = 0; i < s.padded; i += 16) {
            vstore(dgamma + i, op->more ? vload((const real *)op->dgamma + i) : vzero());
            vstore(dbeta + i, op->more ? vload((const real *)op->dbeta + i) : vzero());
        }
        const size_t end =
            (g + 1) * op->group_rows < op->x.rows ? (g + 1) * op->group_rows : op->x.rows;
        for (size_t r = g * op->group_rows; r < end; r++) {
            backward_row(op, &s, r, dgamma, dbeta);
        }
    }
}
