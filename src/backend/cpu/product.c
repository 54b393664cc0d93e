/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix product with a packed weight, and what is fused to its end: bias, GELU or its derivative,
 * residual. */
#include "backend/cpu/entries.h"
#include "backend/cpu/tile.h"
#include "backend/cpu/vmath.h"

DEFINE_TILES(0)

enum {
    WIDTH = 16 * VEC_NV,
    ROW_BLOCK = 224 /* rows of a that stay in L2 while the panels of w pass by */
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

static void block(const tub__k_product *p, finish_fn *finish, size_t row, size_t rows, size_t col) {
    ALIGNED real sums[VEC_MR * WIDTH];
    const real *w = (const real *)p->w + col / TUB__PANEL * TUB__PANEL * p->k + col % TUB__PANEL;
    const real *bias = p->bias ? (const real *)p->bias + col : NULL;
    const size_t tiles = tile_count(rows);
    for (size_t t = 0; t < tiles; t++) {
        const size_t r = row + tile_begin(rows, t), n = row + tile_begin(rows, t + 1) - r;
        const real *a = (const real *)p->a + r * p->lda;
        if (finish) {
            tiles_0[VEC_NV - 1][n - 1](p->k, a, p->lda, w, TUB__PANEL, bias, 0, sums, WIDTH);
            finish(p, r, n, col, sums);
        } else {
            tiles_0[VEC_NV - 1][n - 1](p->k, a, p->lda, w, TUB__PANEL, bias, 0,
                                       (real *)p->c + r * p->ldc + col, p->ldc);
        }
    }
}

void KERNEL(product)(const tub__k_product *p, size_t row0, size_t row1, size_t panel0,
                     size_t panel1) {
    finish_fn *finish = choose_finish(p);
    for (size_t row = row0; row < row1; row += ROW_BLOCK) {
        const size_t rows = row1 - row < ROW_BLOCK ? row1 - row : ROW_BLOCK;
        for (size_t col = panel0 * TUB__PANEL; col < panel1 * TUB__PANEL; col += WIDTH) {
            block(p, finish, row, rows, col);
        }
    }
}

/* wt[n][k] = w[k][n], both packed: panels [panel0, panel1) of w become the rows of wt with those
 * numbers. */
void KERNEL(transpose)(const void *w_, size_t k, size_t n, void *wt_, size_t panel0,
                       size_t panel1) {
    const real *w = w_;
    real *wt = wt_;
    for (size_t panel = panel0; panel < panel1; panel++) {
        const real *from = w + panel * TUB__PANEL * k;
        const size_t cols =
            n - panel * TUB__PANEL < TUB__PANEL ? n - panel * TUB__PANEL : TUB__PANEL;
        for (size_t p = 0; p < k; p += TUB__PANEL) {
            const size_t rows = k - p < TUB__PANEL ? k - p : TUB__PANEL;
            real *to =
                wt + p * n + panel * TUB__PANEL * TUB__PANEL; /* panel p / 32 of wt has n rows */
            for (size_t c = 0; c < cols; c++) {
                for (size_t r = 0; r < TUB__PANEL; r++) {
                    to[c * TUB__PANEL + r] = r < rows ? from[(p + r) * TUB__PANEL + c] : 0;
                }
            }
        }
    }
}
