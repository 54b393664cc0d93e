/* SPDX-License-Identifier: Apache-2.0 */
/* Reduced products by vdpbf16ps. Needs -mavx512bf16. */
#include "backend/cpu/reduced.h"

#include "backend/cpu/entries.h"

#include <immintrin.h>

static void read_pairs(const real *x, size_t ldx, size_t n, size_t k, void *rows) {
    const size_t depth = tub__padded(k);
    char *to = rows;
    for (size_t r = 0; r < n; r++, x += ldx) {
        for (size_t i = 0; i < depth; i += 32, to += 64) {
            _mm512_storeu_si512(to, (__m512i)_mm512_cvtne2ps_pbh(vload(x + i + 16), vload(x + i)));
        }
    }
}

INLINE void dot_body(int mr, size_t depth, const int32_t *a, const uint32_t *w, const real *bias,
                     real *c) {
    vf acc[VEC_MR][VEC_NV];
    const size_t lda = depth / 2;
    const int32_t *q[(VEC_MR + 3) / 4]; /* one pointer for four rows, as in tile.h */
    UNROLL for (int i = 0; i < mr; i += 4) q[i / 4] = a + (size_t)i * lda;
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < VEC_NV; j++) acc[i][j] =
        bias ? vload(bias + 16 * j) : vzero();
    for (size_t p = 0; p < depth; p += 2, w += TUB__PANEL) {
        __m512bh b[VEC_NV];
        UNROLL for (int j = 0; j < VEC_NV; j++) b[j] = (__m512bh)_mm512_loadu_si512(w + 16 * j);
        UNROLL for (int i = 0; i < mr; i++) {
            const __m512bh s = (__m512bh)_mm512_set1_epi32(q[i / 4][(size_t)(i % 4) * lda]);
            UNROLL for (int j = 0; j < VEC_NV; j++) acc[i][j] =
                _mm512_dpbf16_ps(acc[i][j], s, b[j]);
        }
        UNROLL for (int i = 0; i < mr; i += 4) q[i / 4]++;
    }
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < VEC_NV; j++, c += 16)
        vstore(c, acc[i][j]);
}

typedef void dot_fn(size_t depth, const int32_t *a, const uint32_t *w, const real *bias, real *c);
#define DOT_(mr)                                                                                   \
    static void dot_##mr(size_t depth, const int32_t *a, const uint32_t *w, const real *bias,      \
                         real *c) {                                                                \
        dot_body(mr, depth, a, w, bias, c);                                                        \
    }
DOT_(1)
DOT_(2)
DOT_(3)
DOT_(4)
DOT_(5)
DOT_(6)
DOT_(7)
DOT_(8)
DOT_(9)
DOT_(10)
DOT_(11)
DOT_(12)
DOT_(13)
DOT_(14)

static void tile(const void *rows, size_t n, size_t depth, const uint32_t *w, const real *bias,
                 real *sums) {
    static dot_fn *const tiles[VEC_MR] = {dot_1, dot_2, dot_3,  dot_4,  dot_5,  dot_6,  dot_7,
                                          dot_8, dot_9, dot_10, dot_11, dot_12, dot_13, dot_14};
    tiles[n - 1](depth, rows, w, bias, sums);
}

void KERNEL(product_bf16_dot)(const tub__k_product *p, size_t row0, size_t row1, size_t panel0,
                              size_t panel1, void *scratch) {
    static const tub__engine engine = {
        .tile_rows = VEC_MR, .factor_size = 2, .read = read_pairs, .tile = tile};
    KERNEL(reduced_product)(&engine, p, row0, row1, panel0, panel1, scratch);
}
