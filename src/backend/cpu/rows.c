/* SPDX-License-Identifier: Apache-2.0 */
/* Row by row and element by element: activation gradient, slab sums and averages. */
#include "backend/cpu/entries.h"
#include "backend/cpu/vec.h"

void KERNEL(multiply)(tub__mat x, tub__mat y, tub__mat z, size_t row0, size_t row1) {
    for (size_t r = row0; r < row1; r++) {
        const real *a = row_of(x, r), *b = row_of(y, r);
        real *out = row_of(z, r);
        for (size_t c = 0; c < tub__padded(z.cols); c += 16) {
            vstore(out + c, vmul(vload(a + c), vload(b + c)));
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

void KERNEL(average)(void *to_, const void *from_, double share, size_t begin, size_t end) {
    real *to = to_;
    const real *from = from_;
    const vf s = vset1((real)share);
    for (size_t i = begin; i < end; i += 16) {
        const vf old = vload(to + i);
        vstore(to + i, vadd(old, vmul(vsub(vload(from + i), old), s)));
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
