/* SPDX-License-Identifier: Apache-2.0 */
/* Attention forward by vdpbf16ps. Needs -mavx512bf16. */
#include "backend/cpu/attention_bf16.h"
#include "backend/cpu/dot.h"

enum { PAIR = 1 };

static vf pairs_of_row(vf left, vf right) {
    return _mm512_castsi512_ps(round_two(left, right));
}

static vf pairs_of_two(vf first, vf second) {
    return _mm512_castsi512_ps(round_pairs(first, second));
}

static void store_row(real *to, size_t apart, vf left, vf right) {
    (void)apart;
    vstore(to, pairs_of_row(left, right));
}

static void store_two(real *to, size_t apart, vf first, vf second) {
    (void)apart;
    vstore(to, pairs_of_two(first, second));
}

INLINE void pair_tile(int mr, int nv, int transposed, size_t k, const real *a, size_t lda,
                      const real *b, size_t ldb, const real *start, size_t lds, real *c,
                      size_t ldc) {
    vf acc[VEC_MR][VEC_NV];
    const real *q[(VEC_MR + 3) / 4]; /* one pointer for four rows; transposed: q[0] alone */
    UNROLL for (int i = 0; i < mr; i += 4) q[i / 4] = a + (size_t)i * lda;
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < nv; j++) acc[i][j] = vzero();
    if (start) {
        UNROLL for (int i = 0; i < mr; i++, start += lds) UNROLL for (int j = 0; j < nv; j++)
            acc[i][j] = vload(start + 16 * j);
    }
    for (size_t p = 0; p < k; p++, b += ldb) {
        vf bv[VEC_NV];
        UNROLL for (int j = 0; j < nv; j++) bv[j] = vload(b + 16 * j);
        UNROLL for (int i = 0; i < mr; i++) {
            const vf s = vset1(transposed ? q[0][i] : q[i / 4][(size_t)(i % 4) * lda]);
            UNROLL for (int j = 0; j < nv; j++) acc[i][j] = dot_bf16(acc[i][j], s, bv[j]);
        }
        if (transposed) {
            q[0] += lda;
        } else {
            UNROLL for (int i = 0; i < mr; i += 4) q[i / 4]++;
        }
    }
    UNROLL for (int i = 0; i < mr; i++, c += ldc) UNROLL for (int j = 0; j < nv; j++)
        vstore(c + 16 * j, acc[i][j]);
}

#include "backend/cpu/attention_rounded.h"

void KERNEL(attention_dot)(const tub__attention *op, size_t unit0, size_t unit1, void *scratch) {
    if (rounds_factors(op)) {
        attend_rounded(op, unit0, unit1, scratch);
    } else {
        KERNEL(attention)(op, unit0, unit1, scratch);
    }
}
