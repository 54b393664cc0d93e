/* SPDX-License-Identifier: Apache-2.0 */
/* Attention forward with bfloat16 factors for processors that know nothing of them: as in
 * reduced.c, multiply-adds of float32 do what vdpbf16ps does. */
#include "backend/cpu/entries.h"

#ifndef VEC_REAL_IS_DOUBLE

#include "backend/cpu/attention_bf16.h"

enum { PAIR = 2 };

static vf pairs_of_row(vf left, vf right) {
    return vbf16_pack(vbf16(left), vbf16(right));
}

static vf pairs_of_two(vf first, vf second) {
    ALIGNED uint32_t pairs[16];
    vf words;
    vbf16_pairs(pairs, vbf16(first), vbf16(second));
    memcpy(&words, pairs, sizeof words);
    return words;
}

/* A tile's rows have the second numbers of all pairs, then the first, as float32. */
static void store_row(real *to, size_t apart, vf left, vf right) {
    ALIGNED real rounded[32];
    vstore(rounded, vbf16(left)), vstore(rounded + 16, vbf16(right));
    for (size_t i = 0; i < 16; i++) {
        to[i] = rounded[2 * i + 1], to[apart + i] = rounded[2 * i];
    }
}

static void store_two(real *to, size_t apart, vf first, vf second) {
    vstore(to, vbf16(second)), vstore(to + apart, vbf16(first));
}

/* As tile_body in tile.h. The first numbers of a row's pairs lie k reals behind the second, or, of
 * transposed rows, half of lda. */
INLINE void pair_tile(int mr, int nv, int transposed, size_t k, const real *a, size_t lda,
                      const real *b, size_t ldb, const real *start, size_t lds, real *c,
                      size_t ldc) {
    const size_t apart = transposed ? lda / 2 : k, row = transposed ? 1 : lda;
    vf acc[VEC_MR][VEC_NV];
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < nv; j++) acc[i][j] =
        start ? vload(start + (size_t)i * lds + 16 * j) : vzero();
    for (size_t p = 0; p < k; p++, b += ldb, a += transposed ? lda : 1) {
        UNROLL for (int half = 0; half < 2; half++) {
            const real *from = half ? a + apart : a;
            vf bv[VEC_NV];
            UNROLL for (int j = 0; j < nv; j++) {
                const uint32_t *pairs = (const uint32_t *)b + 16 * j;
                bv[j] = half ? vbf16_first(pairs) : vbf16_second(pairs);
            }
            UNROLL for (int i = 0; i < mr; i++) {
                const vf s = vset1(from[(size_t)i * row]);
                UNROLL for (int j = 0; j < nv; j++) acc[i][j] = vfma(s, bv[j], acc[i][j]);
            }
        }
    }
    UNROLL for (int i = 0; i < mr; i++, c += ldc) UNROLL for (int j = 0; j < nv; j++)
        vstore(c + 16 * j, acc[i][j]);
}

#include "backend/cpu/attention_rounded.h"

void KERNEL(attention_rounded)(const tub__attention *op, size_t unit0, size_t unit1,
                               void *scratch) {
    attend_rounded(op, unit0, unit1, scratch);
}

#endif
