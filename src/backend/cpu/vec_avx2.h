/* SPDX-License-Identifier: Apache-2.0 */
/* Sixteen float lanes in two 256-bit registers. Needs -mavx2 -mfma. The meaning of each function is
 * in vec_portable.h. */
#ifndef TUB__CPU_VEC_AVX2_H
#define TUB__CPU_VEC_AVX2_H

#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "backend/cpu/inline.h"

/* One line a function, to be read side by side with the other headers. */
/* clang-format off */
#define VEC_NAME avx2
#define VEC_MR 6 /* 6 x 2 accumulators, 2 for B and 1-2 broadcasts: 16 registers */
#define VEC_NV 1

typedef float real;
typedef struct { __m256 l, h; } vf;
typedef vf vm; /* every lane all ones or all zeros */
typedef struct { __m256i l, h; } vu;

#define MAP1_(f, a) ((vf){ f((a).l), f((a).h) })
#define MAP2_(f, a, b) ((vf){ f((a).l, (b).l), f((a).h, (b).h) })
#define MAP3_(f, a, b, c) ((vf){ f((a).l, (b).l, (c).l), f((a).h, (b).h, (c).h) })

INLINE vf vload(const real *p) { return (vf){ _mm256_loadu_ps(p), _mm256_loadu_ps(p + 8) }; }
INLINE void vstore(real *p, vf a) { _mm256_storeu_ps(p, a.l); _mm256_storeu_ps(p + 8, a.h); }
INLINE void vfence(void) { }
INLINE void vprefetch(const real *p) { __builtin_prefetch(p, 0, 2); }
INLINE void vnear(const real *p) { __builtin_prefetch(p, 0, 3); }
INLINE __m256 bytes1_(const unsigned char *p) { return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p))); }
INLINE vf vbytes(const unsigned char *p) { return (vf){ bytes1_(p), bytes1_(p + 8) }; }
INLINE void vstream(real *p, vf a) { vstore(p, a); }
INLINE real vlane0(vf a) { return _mm256_cvtss_f32(a.l); }
INLINE vf vset1(real a) { __m256 t = _mm256_set1_ps(a); return (vf){ t, t }; }
INLINE vf vadd(vf a, vf b) { return MAP2_(_mm256_add_ps, a, b); }
INLINE vf vsub(vf a, vf b) { return MAP2_(_mm256_sub_ps, a, b); }
INLINE vf vmul(vf a, vf b) { return MAP2_(_mm256_mul_ps, a, b); }
INLINE vf vdiv(vf a, vf b) { return MAP2_(_mm256_div_ps, a, b); }
INLINE vf vsqrt(vf a) { return MAP1_(_mm256_sqrt_ps, a); }
INLINE vf vfma(vf a, vf b, vf c) { return MAP3_(_mm256_fmadd_ps, a, b, c); }
INLINE vf vmax(vf a, vf b) { return MAP2_(_mm256_max_ps, a, b); }
INLINE vf vmin(vf a, vf b) { return MAP2_(_mm256_min_ps, a, b); }
INLINE vm vlt(vf a, vf b)
{
    return (vm){ _mm256_cmp_ps(a.l, b.l, _CMP_LT_OQ), _mm256_cmp_ps(a.h, b.h, _CMP_LT_OQ) };
}
INLINE vf vsel(vm m, vf a, vf b) { return MAP3_(_mm256_blendv_ps, b, a, m); }
INLINE vm vfirst(int n)
{
    const __m256i i = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return (vm){ _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(n), i)),
                 _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(n - 8), i)) };
}
INLINE vf vloadn(const real *p, int n, vf rest)
{
    vm m = vfirst(n);
    vf a = { _mm256_maskload_ps(p, _mm256_castps_si256(m.l)), _mm256_maskload_ps(p + 8, _mm256_castps_si256(m.h)) };
    return vsel(m, a, rest);
}
INLINE void vstoren(real *p, int n, vf a)
{
    vm m = vfirst(n);
    _mm256_maskstore_ps(p, _mm256_castps_si256(m.l), a.l);
    _mm256_maskstore_ps(p + 8, _mm256_castps_si256(m.h), a.h);
}
INLINE vf vabs(vf a) { return MAP2_(_mm256_andnot_ps, vset1(-0.0f), a); }
INLINE vf vsign(vf a, vf s)
{
    vf m = vset1(-0.0f), x = MAP2_(_mm256_andnot_ps, m, a), y = MAP2_(_mm256_and_ps, m, s);
    return MAP2_(_mm256_or_ps, x, y);
}
INLINE __m256 scale1_(__m256 a, __m256 n)
{
    __m256i k = _mm256_cvtps_epi32(_mm256_and_ps(n, _mm256_cmp_ps(n, n, _CMP_ORD_Q)));
    __m256i h = _mm256_srai_epi32(k, 1), bias = _mm256_set1_epi32(127), r = _mm256_sub_epi32(k, h);
    a = _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(h, bias), 23)));
    return _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(r, bias), 23)));
}
INLINE vf vscale(vf a, vf n) { return MAP2_(scale1_, a, n); }
INLINE __m256 pow2_(__m256 t) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(t), 23)); }
INLINE vf vpow2(vf t) { return MAP1_(pow2_, t); }
INLINE real rsqrt_of(real a) { return 1 / sqrtf(a); }
INLINE real vhsum(vf a)
{
    __m256 x = _mm256_add_ps(a.l, a.h);
    __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_add_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
}
INLINE real vhmax(vf a)
{
    __m256 x = _mm256_max_ps(a.l, a.h);
    __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_max_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_max_ss(y, _mm_movehdup_ps(y)));
}

INLINE vu vuload(const uint32_t *p)
{
    return (vu){ _mm256_loadu_si256((const __m256i *)p), _mm256_loadu_si256((const __m256i *)(p + 8)) };
}
INLINE void vustore(uint32_t *p, vu a)
{
    _mm256_storeu_si256((__m256i *)p, a.l);
    _mm256_storeu_si256((__m256i *)(p + 8), a.h);
}
INLINE vu vuset1(uint32_t a) { __m256i t = _mm256_set1_epi32((int)a); return (vu){ t, t }; }
INLINE vu vulanes(uint32_t first)
{
    const __m256i i = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return (vu){ _mm256_add_epi32(_mm256_set1_epi32((int)first), i),
                 _mm256_add_epi32(_mm256_set1_epi32((int)(first + 8)), i) };
}
INLINE vu vuxor(vu a, vu b) { return (vu){ _mm256_xor_si256(a.l, b.l), _mm256_xor_si256(a.h, b.h) }; }
INLINE void mul1_(__m256i a, __m256i b, __m256i *high, __m256i *low)
{
    __m256i even = _mm256_mul_epu32(a, b), odd = _mm256_mul_epu32(a, _mm256_srli_epi64(b, 32));
    *high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
    *low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
}
INLINE void vumul(uint32_t a, vu b, vu *high, vu *low)
{
    __m256i t = _mm256_set1_epi32((int)a);
    mul1_(t, b.l, &high->l, &low->l);
    mul1_(t, b.h, &high->h, &low->h);
}
INLINE vu vuadd(vu a, vu b) { return (vu){ _mm256_add_epi32(a.l, b.l), _mm256_add_epi32(a.h, b.h) }; }
INLINE vm vuge(vu a, uint32_t b)
{
    __m256i t = _mm256_set1_epi32((int)b);
    return (vm){ _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_max_epu32(a.l, t), a.l)),
                 _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_max_epu32(a.h, t), a.h)) };
}
INLINE uint32_t vbits(vm m) { return (uint32_t)_mm256_movemask_ps(m.l) | (uint32_t)_mm256_movemask_ps(m.h) << 8; }
INLINE vm vmask(uint32_t bits)
{
    const __m256i b = _mm256_set1_epi32((int)bits), l = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128),
                  h = _mm256_slli_epi32(l, 8);
    return (vm){ _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(b, l), l)),
                 _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(b, h), h)) };
}
INLINE vu vupairs(uint32_t first)
{
    const __m256i low = _mm256_set1_epi64x(0xffffffff), f = _mm256_set1_epi32((int)first);
    return (vu){ _mm256_and_si256(low, _mm256_add_epi32(f, _mm256_setr_epi32(0, 0, 1, 0, 2, 0, 3, 0))),
                 _mm256_and_si256(low, _mm256_add_epi32(f, _mm256_setr_epi32(4, 0, 5, 0, 6, 0, 7, 0))) };
}
INLINE vu vuodd(vu a) { return (vu){ _mm256_shuffle_epi32(a.l, 0xf5), _mm256_shuffle_epi32(a.h, 0xf5) }; }
INLINE vu vueven(vu a) { return (vu){ _mm256_slli_epi64(a.l, 32), _mm256_slli_epi64(a.h, 32) }; }
INLINE vu vuxor3(vu a, vu b, vu c) { return vuxor(vuxor(a, b), c); }
INLINE vu vuwide(vu a, vu b) { return (vu){ _mm256_mul_epu32(a.l, b.l), _mm256_mul_epu32(a.h, b.h) }; }
INLINE vu vplace(vf a) { return (vu){ _mm256_castps_si256(a.l), _mm256_castps_si256(a.h) }; }
INLINE __m256 pick1_(const real *t, __m256i place)
{
    const __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(t), place);
    const __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(t + 8), place);
    return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(place, 28)));
}
INLINE vf vpick(const real t[16], vu place) { return (vf){ pick1_(t, place.l), pick1_(t, place.h) }; }

INLINE __m256 vbf16_half_(__m256 a)
{
    const __m256i u = _mm256_castps_si256(a), odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    const __m256i near = _mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7fff)), odd);
    const __m256i quiet = _mm256_or_si256(u, _mm256_set1_epi32(0x400000));
    const __m256 r = _mm256_blendv_ps(_mm256_castsi256_ps(near), _mm256_castsi256_ps(quiet), _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
    return _mm256_and_ps(r, _mm256_castsi256_ps(_mm256_set1_epi32((int)0xffff0000u)));
}
INLINE vf vbf16(vf a) { return (vf){ vbf16_half_(a.l), vbf16_half_(a.h) }; }
INLINE vf vbf16_first(const uint32_t *p)
{
    const vu a = vuload(p);
    return (vf){ _mm256_castsi256_ps(_mm256_slli_epi32(a.l, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(a.h, 16)) };
}
INLINE vf vbf16_second(const uint32_t *p)
{
    const vu a = vuload(p);
    const __m256i upper = _mm256_set1_epi32((int)0xffff0000u);
    return (vf){ _mm256_castsi256_ps(_mm256_and_si256(a.l, upper)), _mm256_castsi256_ps(_mm256_and_si256(a.h, upper)) };
}
INLINE __m256 vbf16_pack_half_(vf a)
{
    const __m256i l = _mm256_srli_epi32(_mm256_castps_si256(a.l), 16), h = _mm256_srli_epi32(_mm256_castps_si256(a.h), 16);
    return _mm256_castsi256_ps(_mm256_permute4x64_epi64(_mm256_packus_epi32(l, h), 0xd8));
}
INLINE vf vbf16_pack(vf left, vf right) { return (vf){ vbf16_pack_half_(left), vbf16_pack_half_(right) }; }
INLINE void vbf16_pairs(uint32_t *p, vf first, vf second)
{
    vustore(p, (vu){ _mm256_or_si256(_mm256_srli_epi32(_mm256_castps_si256(first.l), 16), _mm256_castps_si256(second.l)),
                     _mm256_or_si256(_mm256_srli_epi32(_mm256_castps_si256(first.h), 16), _mm256_castps_si256(second.h)) });
}

INLINE __m256i vi8_even_half_(__m256i a) { return _mm256_srai_epi16(_mm256_slli_epi16(a, 8), 8); }
INLINE vu vi8_even(const uint32_t *p)
{
    const vu a = vuload(p);
    return (vu){ vi8_even_half_(a.l), vi8_even_half_(a.h) };
}
INLINE vu vi8_odd(const uint32_t *p)
{
    const vu a = vuload(p);
    return (vu){ _mm256_srai_epi16(a.l, 8), _mm256_srai_epi16(a.h, 8) };
}
INLINE vu vi16_dot(vu sum, int32_t a, vu b)
{
    const __m256i pair = _mm256_set1_epi32(a);
    return (vu){ _mm256_add_epi32(sum.l, _mm256_madd_epi16(pair, b.l)), _mm256_add_epi32(sum.h, _mm256_madd_epi16(pair, b.h)) };
}
INLINE vf vfloat(vu a) { return (vf){ _mm256_cvtepi32_ps(a.l), _mm256_cvtepi32_ps(a.h) }; }

/* Eight rows of eight: pairs, fours, halves. */
INLINE void transpose8_(__m256 r[8])
{
    __m256 t[8];
    UNROLL for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    UNROLL for (int i = 0; i < 2; i++) {
        r[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        r[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
        r[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        r[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
    UNROLL for (int i = 0; i < 4; i++) {
        __m256 low = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
        r[i] = low;
    }
}
INLINE void vtranspose(vf r[16])
{
    __m256 a[8], b[8], c[8], d[8];
    UNROLL for (int i = 0; i < 8; i++) a[i] = r[i].l, b[i] = r[i].h, c[i] = r[i + 8].l, d[i] = r[i + 8].h;
    transpose8_(a), transpose8_(b), transpose8_(c), transpose8_(d);
    UNROLL for (int i = 0; i < 8; i++) r[i] = (vf){ a[i], c[i] }, r[i + 8] = (vf){ b[i], d[i] };
}

/* clang-format on */

#endif
