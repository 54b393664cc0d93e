/* SPDX-License-Identifier: Apache-2.0 */
/* What is fused to a product's end: GELU or tanh, and its derivative, residual. */
#include "backend/cpu/finish.h"

#include "backend/cpu/entries.h"
#include "backend/cpu/vmath.h"

INLINE vf tanh_and_slope(vf x, vf *slope) {
    const vf t = vtanh(x);
    if (slope) {
        *slope = vsub(vset1(1), vmul(t, t));
    }
    return t;
}

INLINE vf activate(tub__activation kind, vf x, vf *slope) {
    if (kind == TUB__TANH) {
        return tanh_and_slope(x, slope);
    }
    return kind == TUB__GELU_TANH ? vgelu_tanh(x, slope) : vgelu_erf(x, slope);
}

/* What is done to the tile's sums: constants where finish_body is inlined, so no branch is in the
 * loop. */
typedef struct ending {
    tub__activation kind;
    bool multiply, slope, residual;
} ending;

/* From the tile's sums in t (rows TILE_COLUMNS apart) to rows of c at row, column col. */
INLINE void finish_body(ending e, const tub__k_product *p, size_t row, size_t rows, size_t col,
                        const real *t) {
    for (size_t r = row; r < row + rows; r++, t += TILE_COLUMNS) {
        real *c = (real *)p->c + r * p->ldc + col;
        real *slope = e.multiply || e.slope ? (real *)p->slope + r * p->ldslope + col : NULL;
        const real *add = NULL;
        if (e.residual) {
            add = (const real *)p->residual + r % p->residual_rows * p->ldres + col;
        }
        UNROLL for (int j = 0; j < TILE_COLUMNS; j += 16) {
            vf v = vload(t + j);
            if (e.multiply) {
                v = vmul(v, vload(slope + j));
            } else if (e.kind != TUB__LINEAR) {
                vf d;
                v = activate(e.kind, v, e.slope ? &d : NULL);
                if (e.slope) {
                    vstream(slope + j, d); /* not read before the backward pass */
                }
            }
            vstore(c + j, e.residual ? vadd(v, vload(add + j)) : v);
        }
    }
}

#define FINISH_(name, ...)                                                                         \
    static __attribute__((noinline)) void name(const tub__k_product *p, size_t row, size_t rows,   \
                                               size_t col, const real *t) {                        \
        finish_body((ending){__VA_ARGS__}, p, row, rows, col, t);                                  \
    }
FINISH_(finish_residual, TUB__LINEAR, false, false, true)
FINISH_(finish_multiply, TUB__LINEAR, true, false, false)
FINISH_(finish_gelu_tanh, TUB__GELU_TANH, false, false, false)
FINISH_(finish_gelu_tanh_residual, TUB__GELU_TANH, false, false, true)
FINISH_(finish_gelu_tanh_slope, TUB__GELU_TANH, false, true, false)
FINISH_(finish_gelu_tanh_slope_residual, TUB__GELU_TANH, false, true, true)
FINISH_(finish_gelu_erf, TUB__GELU_ERF, false, false, false)
FINISH_(finish_gelu_erf_residual, TUB__GELU_ERF, false, false, true)
FINISH_(finish_gelu_erf_slope, TUB__GELU_ERF, false, true, false)
FINISH_(finish_gelu_erf_slope_residual, TUB__GELU_ERF, false, true, true)
FINISH_(finish_tanh, TUB__TANH, false, false, false)
FINISH_(finish_tanh_residual, TUB__TANH, false, false, true)
FINISH_(finish_tanh_slope, TUB__TANH, false, true, false)
FINISH_(finish_tanh_slope_residual, TUB__TANH, false, true, true)

tub__finish_fn *KERNEL(finish)(const tub__k_product *p) {
    static tub__finish_fn *const activations[][2][2] = {
        [TUB__GELU_TANH] = {{finish_gelu_tanh, finish_gelu_tanh_residual},
                            {finish_gelu_tanh_slope, finish_gelu_tanh_slope_residual}},
        [TUB__GELU_ERF] = {{finish_gelu_erf, finish_gelu_erf_residual},
                           {finish_gelu_erf_slope, finish_gelu_erf_slope_residual}},
        [TUB__TANH] = {{finish_tanh, finish_tanh_residual},
                       {finish_tanh_slope, finish_tanh_slope_residual}},
    };
    if (p->multiply) {
        return finish_multiply;
    }
    if (p->activation == TUB__LINEAR) {
        return p->residual ? finish_residual : NULL;
    }
    return activations[p->activation][p->slope != NULL][p->residual != NULL];
}
