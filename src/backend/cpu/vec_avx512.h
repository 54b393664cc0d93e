/* SPDX-License-Identifier: Apache-2.0 */
/* Sixteen float lanes in one 512-bit register. Needs -mavx512f -mavx512dq -mfma. The meaning of
 * each function is in vec_portable.h. */
#ifndef TUB__CPU_VEC_AVX512_H
#define TUB__CPU_VEC_AVX512_H

#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "backend/cpu/inline.h"

/* One line a function, to be read side by side with the other headers. */
/* clang-format off */
#define VEC_NAME avx512
#define VEC_MR 14 /* 14 x 2 accumulators, 2 for B and 1-2 broadcasts: 32 registers */
#define VEC_NV 2
#define VEC_ENGINES /* reduced_dot.c and reduced_amx.c go with it */

typedef float real;
typedef __m512 vf;
typedef __mmask16 vm;
typedef __m512i vu;

INLINE vf vload(const real *p) { return _mm512_loadu_ps(p); }
INLINE void vstore(real *p, vf a) { _mm512_storeu_ps(p, a); }
INLINE void vfence(void) { _mm_sfence(); }
INLINE void vprefetch(const real *p) { __builtin_prefetch(p, 0, 2); }
INLINE void vnear(const real *p) { __builtin_prefetch(p, 0, 3); }
INLINE vf vbytes(const unsigned char *p) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p))); }
INLINE void vstream(real *p, vf a) { _mm512_stream_ps(p, a); }
INLINE real vlane0(vf a) { return _mm512_cvtss_f32(a); }
INLINE vf vset1(real a) { return _mm512_set1_ps(a); }
INLINE vf vadd(vf a, vf b) { return _mm512_add_ps(a, b); }
INLINE vf vsub(vf a, vf b) { return _mm512_sub_ps(a, b); }
INLINE vf vmul(vf a, vf b) { return _mm512_mul_ps(a, b); }
INLINE vf vdiv(vf a, vf b) { return _mm512_div_ps(a, b); }
INLINE vf vsqrt(vf a) { return _mm512_sqrt_ps(a); }
INLINE vf vfma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
INLINE vf vmax(vf a, vf b) { return _mm512_max_ps(a, b); }
INLINE vf vmin(vf a, vf b) { return _mm512_min_ps(a, b); }
INLINE vm vlt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
INLINE vf vsel(vm m, vf a, vf b) { return _mm512_mask_blend_ps(m, b, a); }
INLINE vm vfirst(int n) { return (vm)(n >= 16 ? 0xffffu : (1u << n) - 1); }
INLINE vf vloadn(const real *p, int n, vf rest) { return _mm512_mask_loadu_ps(rest, vfirst(n), p); }
INLINE void vstoren(real *p, int n, vf a) { _mm512_mask_storeu_ps(p, vfirst(n), a); }
INLINE vf vabs(vf a) { return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a); }
INLINE vf vsign(vf a, vf s)
{
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_set1_epi32((int)0x80000000u),
        _mm512_castps_si512(s), _mm512_castps_si512(a), 0xca));
}
INLINE vf vscale(vf a, vf n) { return _mm512_scalef_ps(a, n); }
INLINE vf vpow2(vf t) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(t), 23)); }
INLINE real rsqrt_of(real a) { return 1 / sqrtf(a); }
INLINE real vhsum(vf a) /* not _mm512_reduce_add_ps: its order is not promised */
{
    __m256 x = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_add_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
}
INLINE real vhmax(vf a)
{
    __m256 x = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_max_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_max_ss(y, _mm_movehdup_ps(y)));
}

INLINE vu vuload(const uint32_t *p) { return _mm512_loadu_si512(p); }
INLINE void vustore(uint32_t *p, vu a) { _mm512_storeu_si512(p, a); }
INLINE vu vuset1(uint32_t a) { return _mm512_set1_epi32((int)a); }
INLINE vu vulanes(uint32_t first)
{
    return _mm512_add_epi32(_mm512_set1_epi32((int)first),
                            _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}
INLINE vu vuxor(vu a, vu b) { return _mm512_xor_si512(a, b); }
INLINE void vumul(uint32_t a, vu b, vu *high, vu *low)
{
    __m512i t = _mm512_set1_epi32((int)a);
    __m512i even = _mm512_mul_epu32(t, b), odd = _mm512_mul_epu32(t, _mm512_srli_epi64(b, 32));
    *high = _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd);
    *low = _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
}
INLINE vu vuadd(vu a, vu b) { return _mm512_add_epi32(a, b); }
INLINE vm vuge(vu a, uint32_t b) { return _mm512_cmpge_epu32_mask(a, _mm512_set1_epi32((int)b)); }
INLINE uint32_t vbits(vm m) { return m; }
INLINE vm vmask(uint32_t bits) { return (vm)bits; }
INLINE vu vupairs(uint32_t first)
{
    return _mm512_add_epi32(_mm512_maskz_set1_epi32(0x5555, (int)first),
                            _mm512_setr_epi32(0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0));
}
INLINE vu vuodd(vu a) { return _mm512_shuffle_epi32(a, 0xf5); } /* a shift would queue with the products */
INLINE vu vueven(vu a) { return _mm512_slli_epi64(a, 32); }
INLINE vu vuxor3(vu a, vu b, vu c) { return _mm512_ternarylogic_epi32(a, b, c, 0x96); }
INLINE vu vuwide(vu a, vu b) { return _mm512_mul_epu32(a, b); }
INLINE vu vplace(vf a) { return _mm512_castps_si512(a); }
INLINE vf vpick(const real t[16], vu place) { return _mm512_permutexvar_ps(place, _mm512_loadu_ps(t)); }

INLINE vf vbf16(vf a)
{
    const __m512i u = _mm512_castps_si512(a), odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    const __m512i near = _mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7fff)), odd);
    const __m512i r = _mm512_mask_or_epi32(near, _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), u, _mm512_set1_epi32(0x400000));
    return _mm512_castsi512_ps(_mm512_and_si512(r, _mm512_set1_epi32((int)0xffff0000u)));
}
INLINE vf vbf16_first(const uint32_t *p) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16)); }
INLINE vf vbf16_second(const uint32_t *p)
{
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(p), _mm512_set1_epi32((int)0xffff0000u)));
}
INLINE vf vbf16_pack(vf left, vf right)
{
    const __m256i l = _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(left), 16));
    const __m256i r = _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(right), 16));
    return _mm512_castsi512_ps(_mm512_inserti64x4(_mm512_castsi256_si512(l), r, 1));
}
INLINE void vbf16_pairs(uint32_t *p, vf first, vf second)
{
    _mm512_storeu_si512(p, _mm512_or_si512(_mm512_srli_epi32(_mm512_castps_si512(first), 16), _mm512_castps_si512(second)));
}

INLINE vu vi8_even(const uint32_t *p) { return _mm512_srai_epi16(_mm512_slli_epi16(_mm512_loadu_si512(p), 8), 8); }
INLINE vu vi8_odd(const uint32_t *p) { return _mm512_srai_epi16(_mm512_loadu_si512(p), 8); }
INLINE vu vi16_dot(vu sum, int32_t a, vu b) { return _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_set1_epi32(a), b)); }
INLINE vf vfloat(vu a) { return _mm512_cvtepi32_ps(a); }

/* Pairs, fours, eights, halves. */
INLINE void vtranspose(vf r[16])
{
    vf t[16];
    UNROLL for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    UNROLL for (int i = 0; i < 4; i++) {
        r[4 * i] = _mm512_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        r[4 * i + 1] = _mm512_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
        r[4 * i + 2] = _mm512_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        r[4 * i + 3] = _mm512_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
    /* r[4 b + c] has, in each quarter q of its lanes, column 4 q + c of rows 4 b … 4 b + 3. */
    UNROLL for (int c = 0; c < 4; c++) {
        t[c] = _mm512_shuffle_f32x4(r[c], r[c + 4], 0x88);
        t[c + 4] = _mm512_shuffle_f32x4(r[c + 8], r[c + 12], 0x88);
        t[c + 8] = _mm512_shuffle_f32x4(r[c], r[c + 4], 0xdd);
        t[c + 12] = _mm512_shuffle_f32x4(r[c + 8], r[c + 12], 0xdd);
    }
    UNROLL for (int c = 0; c < 4; c++) {
        r[c] = _mm512_shuffle_f32x4(t[c], t[c + 4], 0x88);
        r[c + 8] = _mm512_shuffle_f32x4(t[c], t[c + 4], 0xdd);
        r[c + 4] = _mm512_shuffle_f32x4(t[c + 8], t[c + 12], 0x88);
        r[c + 12] = _mm512_shuffle_f32x4(t[c + 8], t[c + 12], 0xdd);
    }
}

/* clang-format on */

#endif
