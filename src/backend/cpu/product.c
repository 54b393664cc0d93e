/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix product with a packed weight, and what is fused to its end: bias, GELU or its derivative,
 * residual. */
#include "backend/cpu/entries.h"
#include "backend/cpu/tile.h"
#include "backend/cpu/vmath.h"

DEFINE_TILES(0)

enum {
    WIDTH = 16 * VEC_NV,
    L2_ELEMENTS = 131072 /* of a weight that pass by at once: half a megabyte of floats */
};

INLINE vf activate(tub__activation kind, vf x, vf *slope) {
    return kind == TUB__GELU_TANH ? vgelu_tanh(x, slope) : vgelu_erf(x, slope);
}

/* What is done to the tile's sums: constants where finish_body is inlined, so no branch is in the
 * loop. */
typedef struct ending {
    tub__activation kind;
    bool multiply, slope, residual;
} ending;

/* From the tile's sums in t (rows WIDTH apart) to rows of c at row, column col. */
INLINE void finish_body(ending e, const tub__k_product *p, size_t row, size_t rows, size_t col,
                        const real *t) {
    for (size_t r = row; r < row + rows; r++, t += WIDTH) {
        real *c = (real *)p->c + r * p->ldc + col;
        real *slope = e.multiply || e.slope ? (real *)p->slope + r * p->ldslope + col : NULL;
        const real *add = NULL;
        if (e.residual) {
            add = (const real *)p->residual + r % p->residual_rows * p->ldres + col;
        }
        UNROLL for (int j = 0; j < WIDTH; j += 16) {
            vf v = vload(t + j);
            if (e.multiply) {
                v = vmul(v, vload(slope + j));
            } else if (e.kind != TUB__LINEAR) {
                vf d;
                v = activate(e.kind, v, e.slope ? &d : NULL);
                if (e.slope) {
                    vstore(slope + j, d);
                }
            }
            vstore(c + j, e.residual ? vadd(v, vload(add + j)) : v);
        }
    }
}

typedef void finish_fn(const tub__k_product *p, size_t row, size_t rows, size_t col, const real *t);

#define FINISH_(name, ...)                                                                         \
    static __attribute__((noinline)) void name(const tub__k_product *p, size_t row, size_t rows,   \
                                               size_t col, const real *t) {                        \
        finish_body((ending){__VA_ARGS__}, p, row, rows, col, t);                                  \
    }
FINISH_(finish_residual, TUB__LINEAR, false, false, true)
FINISH_(finish_multiply, TUB__LINEAR, true, false, false)
FINISH_(finish_tanh, TUB__GELU_TANH, false, false, false)
FINISH_(finish_tanh_residual, TUB__GELU_TANH, false, false, true)
FINISH_(finish_tanh_slope, TUB__GELU_TANH, false, true, false)
FINISH_(finish_tanh_slope_residual, TUB__GELU_TANH, false, true, true)
FINISH_(finish_erf, TUB__GELU_ERF, false, false, false)
FINISH_(finish_erf_residual, TUB__GELU_ERF, false, false, true)
FINISH_(finish_erf_slope, TUB__GELU_ERF, false, true, false)
FINISH_(finish_erf_slope_residual, TUB__GELU_ERF, false, true, true)

/* NULL: the tile can write its sums straight to c. */
static finish_fn *choose_finish(const tub__k_product *p) {
    static finish_fn *const activations[2][2][2] = {
        {{finish_tanh, finish_tanh_residual}, {finish_tanh_slope, finish_tanh_slope_residual}},
        {{finish_erf, finish_erf_residual}, {finish_erf_slope, finish_erf_slope_residual}},
    };
    if (p->multiply) {
        return finish_multiply;
    }
    if (p->activation == TUB__LINEAR) {
        return p->residual ? finish_residual : NULL;
    }
    return activations[p->activation == TUB__GELU_ERF][p->slope != NULL][p->residual != NULL];
}

/* One tile of rows times one tile of columns. */
static void tile_product(const tub__k_product *p, finish_fn *finish, size_t row, size_t rows,
                         size_t col) {
    ALIGNED real sums[VEC_MR * WIDTH];
    const real *a = (const real *)p->a + row * p->lda;
    const real *w = (const real *)p->w + col / TUB__PANEL * TUB__PANEL * p->k + col % TUB__PANEL;
    const real *bias = p->bias ? (const real *)p->bias + col : NULL;
    real *c = finish ? sums : (real *)p->c + row * p->ldc + col;
    tiles_0[VEC_NV - 1][rows - 1](p->k, a, p->lda, w, TUB__PANEL, bias, 0, c,
                                  finish ? WIDTH : p->ldc);
    if (finish) {
        finish(p, row, rows, col, sums);
    }
}

/* A tile of rows stays in L1 while the panels of w stream past it from L2, which they do in order,
 * so that the processor fetches ahead; only so many panels at a time as fit there. */
void KERNEL(product)(const tub__k_product *p, size_t row0, size_t row1, size_t panel0,
                     size_t panel1) {
    finish_fn *finish = choose_finish(p);
    const size_t fit = L2_ELEMENTS / (p->k * TUB__PANEL), step = fit > 1 ? fit : 1;
    const size_t rows = row1 - row0, tiles = tile_count(rows);
    for (size_t panel = panel0; panel < panel1; panel += step) {
        const size_t end = panel1 - panel < step ? panel1 : panel + step;
        for (size_t t = 0; t < tiles; t++) {
            const size_t row = row0 + tile_begin(rows, t), n = row0 + tile_begin(rows, t + 1) - row;
            for (size_t col = panel * TUB__PANEL; col < end * TUB__PANEL; col += WIDTH) {
                tile_product(p, finish, row, n, col);
            }
        }
    }
}

/* Sixteen columns of up to sixteen rows of one panel to rows of another: to[c][r] = from[r][c]. */
static void transpose_block(const real *from, size_t rows, size_t cols, real *to) {
    vf r[16];
    UNROLL for (size_t i = 0; i < 16; i++) r[i] = i < rows ? vload(from + i * TUB__PANEL) : vzero();
    vtranspose(r);
    UNROLL for (size_t i = 0; i < 16; i++) {
        if (i < cols) {
            vstore(to + i * TUB__PANEL, r[i]);
        }
    }
}

static size_t at_most(size_t n, size_t most) {
    return n < most ? n : most;
}

/* wt[n][k] = w[k][n], both packed: panels [panel0, panel1) of w become the rows of wt with those
 * numbers. */
void KERNEL(transpose)(const void *w, size_t k, size_t n, void *wt, size_t panel0, size_t panel1) {
    for (size_t col = panel0 * TUB__PANEL; col < at_most(n, panel1 * TUB__PANEL); col += 16) {
        const real *from = (const real *)w + col / TUB__PANEL * TUB__PANEL * k + col % TUB__PANEL;
        for (size_t row = 0; row < tub__padded(k); row += 16) { /* the padding of wt becomes zero */
            real *to = (real *)wt + (row / TUB__PANEL * n + col) * TUB__PANEL + row % TUB__PANEL;
            const size_t rows = row < k ? at_most(k - row, 16) : 0;
            transpose_block(from + row * TUB__PANEL, rows, at_most(n - col, 16), to);
        }
    }
}
