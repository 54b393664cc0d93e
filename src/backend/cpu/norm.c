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

/* Rows whose statistics are made side by side: each step of one waits for the step before. */
enum { TOGETHER = 4 };

/* Mean and 1 / sqrt(variance + epsilon) of n rows from x on. */
INLINE void row_statistics(int n, const tub__norm *op, const span *s, const real *x, real *mean,
                           real *inverse) {
    const size_t end = vectors_end(s), ld = op->x.ld;
    vf sum[TOGETHER], squares[TOGETHER], m[TOGETHER];
    UNROLL for (int r = 0; r < n; r++) sum[r] = squares[r] = vzero();
    for (size_t i = 0; i < end; i += 16) {
        UNROLL for (int r = 0; r < n; r++) sum[r] = vadd(sum[r], vload(x + (size_t)r * ld + i));
    }
    UNROLL for (int r = 0; r < n; r++) {
        mean[r] = vhsum(sum[r]) / (real)op->x.cols;
        m[r] = vset1(mean[r]);
    }
    for (size_t i = 0; i < end; i += 16) {
        UNROLL for (int r = 0; r < n; r++) {
            const vf d = centred(x + (size_t)r * ld, i, s, m[r]);
            squares[r] = vfma(d, d, squares[r]);
        }
    }
    UNROLL for (int r = 0; r < n; r++) {
        inverse[r] = rsqrt_of(vhsum(squares[r]) / (real)op->x.cols + (real)op->epsilon);
    }
}

INLINE void norm_row(const tub__norm *op, const span *s, size_t row, real mean, real inverse) {
    const size_t end = vectors_end(s);
    const real *gamma = op->gamma, *beta = op->beta, *x = (const real *)op->x.data + row * op->x.ld;
    real *y = (real *)op->y.data + row * op->y.ld;
    const vf m = vset1(mean), inv = vset1(inverse);
    for (size_t i = 0; i < end; i += 16) {
        vstore(y + i, vfma(vmul(centred(x, i, s, m), inv), vload(gamma + i), vload(beta + i)));
    }
    for (size_t i = end; i < s->padded; i += 16) {
        vstore(y + i, vzero());
    }
}

/* n rows from `row` on. */
INLINE void norm_rows(int n, const tub__norm *op, const span *s, size_t row) {
    real mean[TOGETHER], inverse[TOGETHER];
    real *means = op->mean ? (real *)op->mean + row : NULL,
         *inverses = op->mean ? (real *)op->inverse + row : NULL;
    if (op->again) {
        UNROLL for (int r = 0; r < n; r++) mean[r] = means[r], inverse[r] = inverses[r];
    } else {
        row_statistics(n, op, s, (const real *)op->x.data + row * op->x.ld, mean, inverse);
        for (int r = 0; means && r < n; r++) {
            means[r] = mean[r], inverses[r] = inverse[r];
        }
    }
    UNROLL for (int r = 0; r < n; r++) norm_row(op, s, row + (size_t)r, mean[r], inverse[r]);
}

void KERNEL(norm)(const tub__norm *op, size_t row0, size_t row1) {
    const span s = span_of(op->x.cols);
    size_t row = row0;
    for (; row + TOGETHER <= row1; row += TOGETHER) {
        norm_rows(TOGETHER, op, &s, row);
    }
    for (; row < row1; row++) {
        norm_rows(1, op, &s, row);
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
