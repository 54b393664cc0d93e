/* SPDX-License-Identifier: Apache-2.0 */
/* Row by row and element by element: activation gradient, softmax, cross-entropy, slab sums. */
#include "backend/cpu/entries.h"
#include "backend/cpu/vmath.h"
#include "base/scalar.h"

void KERNEL(multiply)(tub__mat x, tub__mat y, tub__mat z, size_t row0, size_t row1) {
    for (size_t r = row0; r < row1; r++) {
        const real *a = row_of(x, r), *b = row_of(y, r);
        real *out = row_of(z, r);
        for (size_t c = 0; c < tub__padded(z.cols); c += 16) {
            vstore(out + c, vmul(vload(a + c), vload(b + c)));
        }
    }
}

/* Element i of a row of n, lanes past the end at minus infinity. */
INLINE vf logit(const real *x, size_t i, size_t n) {
    vf v = vload(x + i);
    return n - i >= 16 ? v : vsel(vfirst((int)(n - i)), v, vset1(-(real)INFINITY));
}

/* Largest element and sum of exp(x - largest) of a row. */
static real row_sum(const real *x, size_t n, real *largest) {
    vf m = vset1(-(real)INFINITY), s = vzero();
    for (size_t i = 0; i < n; i += 16) {
        m = vmax(m, logit(x, i, n));
    }
    *largest = vhmax(m);
    m = vset1(*largest);
    for (size_t i = 0; i < n; i += 16) {
        s = vadd(s, vexp_first(vsub(vload(x + i), m), n - i));
    }
    return vhsum(s);
}

static void probabilities_row(const real *x, size_t n, real largest, real sum, real *out) {
    const vf m = vset1(largest), s = vset1(sum);
    for (size_t i = 0; i < tub__padded(n); i += 16) {
        vstore(out + i, i < n ? vdiv(vexp_first(vsub(vload(x + i), m), n - i), s) : vzero());
    }
}

void KERNEL(softmax)(tub__mat logits, tub__mat probabilities, size_t row0, size_t row1) {
    for (size_t r = row0; r < row1; r++) {
        real largest, sum = row_sum(row_of(logits, r), logits.cols, &largest);
        probabilities_row(row_of(logits, r), logits.cols, largest, sum, row_of(probabilities, r));
    }
}

/* -sum over classes of target * log softmax; target is (1 - smoothing) on the label plus smoothing
 * / K everywhere. Logits are taken relative to the largest first: huge ones would swallow the
 * logarithm. */
static double row_loss(const tub__loss *op, size_t row, double largest, double sum) {
    const real *x = row_of(op->logits, row);
    const double log_sum = tub__log(sum), k = (double)op->logits.cols;
    double loss = (1 - op->smoothing) * (log_sum + (largest - (double)x[op->labels[row]]));
    if (op->smoothing > 0) {
        double rest = 0;
        for (size_t c = 0; c < op->logits.cols; c++) {
            rest += log_sum + (largest - (double)x[c]);
        }
        loss += op->smoothing / k * rest;
    }
    return loss;
}

void KERNEL(loss)(const tub__loss *op, size_t row0, size_t row1) {
    const size_t k = op->logits.cols;
    for (size_t r = row0; r < row1; r++) {
        const double weight = op->class_weight ? (double)op->class_weight[op->labels[r]] : 1;
        real largest, sum = row_sum(row_of(op->logits, r), k, &largest);
        ((real *)op->loss)[r] = (real)(weight * row_loss(op, r, (double)largest, (double)sum));
        if (op->probabilities.data) {
            probabilities_row(row_of(op->logits, r), k, largest, sum, row_of(op->probabilities, r));
        }
        if (op->dlogits.data) {
            real *d = row_of(op->dlogits, r);
            const real share = (real)(op->smoothing / (double)k),
                       scale = (real)(weight * op->scale);
            probabilities_row(row_of(op->logits, r), k, largest, sum, d);
            for (size_t c = 0; c < k; c++) {
                const real target =
                    share + (c == (size_t)op->labels[r] ? (real)(1 - op->smoothing) : 0);
                d[c] = (d[c] - target) * scale;
            }
        }
    }
}

void KERNEL(add)(void *to_, const void *from_, size_t begin, size_t end) {
    real *to = to_;
    const real *from = from_;
    for (size_t i = begin; i < end; i += 16) {
        vstore(to + i, vadd(vload(to + i), vload(from + i)));
    }
}

/* Element i of the row-major array is added to lane i % 16, in double; the lanes meet in the tree.
 */
INLINE void add_squares(const real *p, size_t n, size_t shift, double lane[16]) {
    if (shift == 0 &&
        n % 16 == 0) { /* the usual case: lanes stand still, and the compiler can use vectors */
        for (size_t c = 0; c < n; c += 16) {
            for (size_t l = 0; l < 16; l++) {
                lane[l] += (double)p[c + l] * (double)p[c + l];
            }
        }
        return;
    }
    for (size_t c = 0; c < n; c++) {
        lane[(shift + c) % 16] += (double)p[c] * (double)p[c];
    }
}

double KERNEL(square_sum)(const void *w_, size_t rows, size_t cols) {
    const real *w = w_;
    double lane[16] = {0};
    for (size_t r = 0; r < rows; r++) {
        for (size_t panel = 0; panel * TUB__PANEL < cols; panel++) {
            const size_t first = panel * TUB__PANEL,
                         n = cols - first < TUB__PANEL ? cols - first : TUB__PANEL;
            add_squares(w + (panel * rows + r) * TUB__PANEL, n, (r * cols + first) % 16, lane);
        }
    }
    for (int s = 8; s; s >>= 1) {
        for (int i = 0; i < s; i++) {
            lane[i] += lane[i + s];
        }
    }
    return lane[0];
}
