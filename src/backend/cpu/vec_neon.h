/* SPDX-License-Identifier: Apache-2.0 */
/* Sixteen float lanes in four 128-bit registers of aarch64, which always has them. The meaning of
 * each function is in vec_portable.h. */
#ifndef TUB__CPU_VEC_NEON_H
#define TUB__CPU_VEC_NEON_H

#include <arm_neon.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "backend/cpu/inline.h"

/* One line a function, to be read side by side with the other headers. */
/* clang-format off */
#define VEC_NAME neon
#define VEC_MR 6 /* 6 x 4 accumulators, 4 for B and up to 4 broadcasts: 32 registers */
#define VEC_NV 1

typedef float real;
typedef struct { float32x4_t a, b, c, d; } vf; /* lanes 0-3, 4-7, 8-11, 12-15 */
typedef struct { uint32x4_t a, b, c, d; } vu;
typedef vu vm; /* every lane all ones or all zeros */

#define MAP1_(t, f, x) ((t){ f((x).a), f((x).b), f((x).c), f((x).d) })
#define MAP2_(t, f, x, y) ((t){ f((x).a, (y).a), f((x).b, (y).b), f((x).c, (y).c), f((x).d, (y).d) })
#define MAP3_(t, f, x, y, z) ((t){ f((x).a, (y).a, (z).a), f((x).b, (y).b, (z).b), f((x).c, (y).c, (z).c), f((x).d, (y).d, (z).d) })
#define SAME_(t, x) ((t){ (x), (x), (x), (x) })

INLINE vf vload(const real *p) { return (vf){ vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12) }; }
INLINE void vstore(real *p, vf x) { vst1q_f32(p, x.a), vst1q_f32(p + 4, x.b), vst1q_f32(p + 8, x.c), vst1q_f32(p + 12, x.d); }
INLINE void vfence(void) { }
INLINE void vprefetch(const real *p) { __builtin_prefetch(p, 0, 2); }
INLINE void vnear(const real *p) { __builtin_prefetch(p, 0, 3); }
INLINE vf vbytes(const unsigned char *p)
{
    const uint8x16_t b = vld1q_u8(p);
    const uint16x8_t l = vmovl_u8(vget_low_u8(b)), h = vmovl_high_u8(b);
    const vu w = { vmovl_u16(vget_low_u16(l)), vmovl_high_u16(l), vmovl_u16(vget_low_u16(h)), vmovl_high_u16(h) };
    return MAP1_(vf, vcvtq_f32_u32, w);
}
INLINE void vstream(real *p, vf x) { vstore(p, x); }
INLINE real vlane0(vf x) { return vgetq_lane_f32(x.a, 0); }
INLINE vf vset1(real x) { const float32x4_t t = vdupq_n_f32(x); return SAME_(vf, t); }
INLINE vf vadd(vf x, vf y) { return MAP2_(vf, vaddq_f32, x, y); }
INLINE vf vsub(vf x, vf y) { return MAP2_(vf, vsubq_f32, x, y); }
INLINE vf vmul(vf x, vf y) { return MAP2_(vf, vmulq_f32, x, y); }
INLINE vf vdiv(vf x, vf y) { return MAP2_(vf, vdivq_f32, x, y); }
INLINE vf vsqrt(vf x) { return MAP1_(vf, vsqrtq_f32, x); }
INLINE vf vfma(vf x, vf y, vf z) { return MAP3_(vf, vfmaq_f32, z, x, y); }
/* Not FMAX and FMIN: they give NaN where either operand is, and order the two zeros. */
INLINE float32x4_t max1_(float32x4_t x, float32x4_t y) { return vbslq_f32(vcgtq_f32(x, y), x, y); }
INLINE float32x4_t min1_(float32x4_t x, float32x4_t y) { return vbslq_f32(vcltq_f32(x, y), x, y); }
INLINE vf vmax(vf x, vf y) { return MAP2_(vf, max1_, x, y); }
INLINE vf vmin(vf x, vf y) { return MAP2_(vf, min1_, x, y); }
INLINE vm vlt(vf x, vf y) { return MAP2_(vm, vcltq_f32, x, y); }
INLINE vf vsel(vm m, vf x, vf y) { return MAP3_(vf, vbslq_f32, m, x, y); }
INLINE uint32x4_t lanes1_(uint32_t first)
{
    static const uint32_t i[4] = { 0, 1, 2, 3 };
    return vaddq_u32(vdupq_n_u32(first), vld1q_u32(i));
}
INLINE vu vulanes(uint32_t first) { return (vu){ lanes1_(first), lanes1_(first + 4), lanes1_(first + 8), lanes1_(first + 12) }; }
INLINE vm vfirst(int n)
{
    const uint32x4_t t = vdupq_n_u32(n < 0 ? 0 : (uint32_t)n);
    const vu end = SAME_(vu, t), i = vulanes(0);
    return MAP2_(vm, vcltq_u32, i, end);
}
/* There are no masked loads and stores: by way of memory. */
INLINE vf vloadn(const real *p, int n, vf rest)
{
    real t[16];
    vstore(t, rest);
    for (int i = 0; i < n; i++) t[i] = p[i];
    return vload(t);
}
INLINE void vstoren(real *p, int n, vf x)
{
    real t[16];
    vstore(t, x);
    for (int i = 0; i < n; i++) p[i] = t[i];
}
INLINE vf vabs(vf x) { return MAP1_(vf, vabsq_f32, x); }
INLINE float32x4_t sign1_(float32x4_t x, float32x4_t s) { return vbslq_f32(vdupq_n_u32(0x80000000u), s, x); }
INLINE vf vsign(vf x, vf s) { return MAP2_(vf, sign1_, x, s); }
INLINE float32x4_t power1_(int32x4_t n) { return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23)); }
INLINE float32x4_t scale1_(float32x4_t x, float32x4_t n)
{
    const int32x4_t k = vcvtq_s32_f32(n), h = vshrq_n_s32(k, 1); /* NaN becomes 0 */
    return vmulq_f32(vmulq_f32(x, power1_(h)), power1_(vsubq_s32(k, h)));
}
INLINE vf vscale(vf x, vf n) { return MAP2_(vf, scale1_, x, n); }
INLINE float32x4_t pow2_(float32x4_t t) { return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(t), 23)); }
INLINE vf vpow2(vf t) { return MAP1_(vf, pow2_, t); }
INLINE real rsqrt_of(real x) { return 1 / sqrtf(x); }
INLINE real vhsum(vf x) /* not vaddvq_f32: it adds neighbours first */
{
    const float32x4_t s = vaddq_f32(vaddq_f32(x.a, x.c), vaddq_f32(x.b, x.d));
    const float32x2_t t = vadd_f32(vget_low_f32(s), vget_high_f32(s));
    return vget_lane_f32(t, 0) + vget_lane_f32(t, 1);
}
INLINE real vhmax(vf x)
{
    const float32x4_t s = max1_(max1_(x.a, x.c), max1_(x.b, x.d));
    const float32x4_t t = max1_(s, vextq_f32(s, s, 2)), u = max1_(t, vextq_f32(t, t, 1));
    return vgetq_lane_f32(u, 0);
}

INLINE vu vuload(const uint32_t *p) { return (vu){ vld1q_u32(p), vld1q_u32(p + 4), vld1q_u32(p + 8), vld1q_u32(p + 12) }; }
INLINE void vustore(uint32_t *p, vu x) { vst1q_u32(p, x.a), vst1q_u32(p + 4, x.b), vst1q_u32(p + 8, x.c), vst1q_u32(p + 12, x.d); }
INLINE vu vuset1(uint32_t x) { const uint32x4_t t = vdupq_n_u32(x); return SAME_(vu, t); }
INLINE vu vuxor(vu x, vu y) { return MAP2_(vu, veorq_u32, x, y); }
INLINE vu vuadd(vu x, vu y) { return MAP2_(vu, vaddq_u32, x, y); }
INLINE uint32x4_t high1_(uint32x4_t x, uint32x4_t y) /* upper halves of the products */
{
    const uint64x2_t low = vmull_u32(vget_low_u32(x), vget_low_u32(y)), high = vmull_high_u32(x, y);
    return vuzp2q_u32(vreinterpretq_u32_u64(low), vreinterpretq_u32_u64(high));
}
INLINE void vumul(uint32_t x, vu y, vu *high, vu *low)
{
    const vu t = vuset1(x);
    *high = MAP2_(vu, high1_, t, y);
    *low = MAP2_(vu, vmulq_u32, t, y);
}
INLINE vm vuge(vu x, uint32_t y) { const vu t = vuset1(y); return MAP2_(vm, vcgeq_u32, x, t); }
INLINE uint32x4_t bit1_(uint32_t first) /* one bit a lane */
{
    static const uint32_t i[4] = { 1, 2, 4, 8 };
    return vmulq_n_u32(vld1q_u32(i), 1u << first);
}
INLINE uint32_t vbits(vm m)
{
    const uint32x4_t l = vorrq_u32(vandq_u32(m.a, bit1_(0)), vandq_u32(m.b, bit1_(4)));
    const uint32x4_t h = vorrq_u32(vandq_u32(m.c, bit1_(8)), vandq_u32(m.d, bit1_(12)));
    return vaddvq_u32(vorrq_u32(l, h));
}
INLINE vm vmask(uint32_t bits)
{
    const uint32x4_t t = vdupq_n_u32(bits);
    return (vm){ vtstq_u32(t, bit1_(0)), vtstq_u32(t, bit1_(4)), vtstq_u32(t, bit1_(8)), vtstq_u32(t, bit1_(12)) };
}
INLINE uint32x4_t pairs1_(uint32_t first) { return vzip1q_u32(lanes1_(first), vdupq_n_u32(0)); }
INLINE vu vupairs(uint32_t first) { return (vu){ pairs1_(first), pairs1_(first + 2), pairs1_(first + 4), pairs1_(first + 6) }; }
INLINE vu vuodd(vu x) { return MAP2_(vu, vtrn2q_u32, x, x); }
INLINE uint32x4_t even1_(uint32x4_t x) { return vtrn1q_u32(vdupq_n_u32(0), x); }
INLINE vu vueven(vu x) { return MAP1_(vu, even1_, x); }
INLINE vu vuxor3(vu x, vu y, vu z) { return vuxor(vuxor(x, y), z); }
INLINE uint32x4_t wide1_(uint32x4_t x, uint32x4_t y)
{
    return vreinterpretq_u32_u64(vmull_u32(vmovn_u64(vreinterpretq_u64_u32(x)), vmovn_u64(vreinterpretq_u64_u32(y))));
}
INLINE vu vuwide(vu x, vu y) { return MAP2_(vu, wide1_, x, y); }
INLINE uint32x4_t place1_(float32x4_t x) /* the bytes of the number that it picks */
{
    const uint32x4_t n = vandq_u32(vreinterpretq_u32_f32(x), vdupq_n_u32(15));
    return vmlaq_u32(vdupq_n_u32(0x03020100u), n, vdupq_n_u32(0x04040404u));
}
INLINE vu vplace(vf x) { return MAP1_(vu, place1_, x); }
INLINE vf vpick(const real t[16], vu place)
{
    const uint8_t *p = (const uint8_t *)t;
    const uint8x16x4_t all = {{ vld1q_u8(p), vld1q_u8(p + 16), vld1q_u8(p + 32), vld1q_u8(p + 48) }};
#define PICK1_(x) vreinterpretq_f32_u8(vqtbl4q_u8(all, vreinterpretq_u8_u32(x)))
    return MAP1_(vf, PICK1_, place);
#undef PICK1_
}

INLINE float32x4_t bf16_1_(float32x4_t x)
{
    const uint32x4_t u = vreinterpretq_u32_f32(x), odd = vandq_u32(vshrq_n_u32(u, 16), vdupq_n_u32(1));
    const uint32x4_t near = vaddq_u32(vaddq_u32(u, vdupq_n_u32(0x7fff)), odd);
    const uint32x4_t quiet = vorrq_u32(u, vdupq_n_u32(0x400000));
    return vreinterpretq_f32_u32(vandq_u32(vbslq_u32(vceqq_f32(x, x), near, quiet), vdupq_n_u32(0xffff0000u)));
}
INLINE vf vbf16(vf x) { return MAP1_(vf, bf16_1_, x); }
INLINE float32x4_t first1_(uint32x4_t x) { return vreinterpretq_f32_u32(vshlq_n_u32(x, 16)); }
INLINE float32x4_t second1_(uint32x4_t x) { return vreinterpretq_f32_u32(vandq_u32(x, vdupq_n_u32(0xffff0000u))); }
INLINE vf vbf16_first(const uint32_t *p) { const vu x = vuload(p); return MAP1_(vf, first1_, x); }
INLINE vf vbf16_second(const uint32_t *p) { const vu x = vuload(p); return MAP1_(vf, second1_, x); }
INLINE float32x4_t pack1_(float32x4_t x, float32x4_t y)
{
    return vreinterpretq_f32_u16(vuzp2q_u16(vreinterpretq_u16_f32(x), vreinterpretq_u16_f32(y)));
}
INLINE vf vbf16_pack(vf left, vf right)
{
    return (vf){ pack1_(left.a, left.b), pack1_(left.c, left.d), pack1_(right.a, right.b), pack1_(right.c, right.d) };
}
INLINE uint32x4_t join1_(float32x4_t first, float32x4_t second)
{
    return vsriq_n_u32(vreinterpretq_u32_f32(second), vreinterpretq_u32_f32(first), 16);
}
INLINE void vbf16_pairs(uint32_t *p, vf first, vf second) { vustore(p, MAP2_(vu, join1_, first, second)); }

INLINE uint32x4_t i8_even1_(uint32x4_t x) { return vreinterpretq_u32_s16(vshrq_n_s16(vshlq_n_s16(vreinterpretq_s16_u32(x), 8), 8)); }
INLINE uint32x4_t i8_odd1_(uint32x4_t x) { return vreinterpretq_u32_s16(vshrq_n_s16(vreinterpretq_s16_u32(x), 8)); }
INLINE vu vi8_even(const uint32_t *p) { const vu x = vuload(p); return MAP1_(vu, i8_even1_, x); }
INLINE vu vi8_odd(const uint32_t *p) { const vu x = vuload(p); return MAP1_(vu, i8_odd1_, x); }
INLINE uint32x4_t dot1_(uint32x4_t sum, int16x8_t x, uint32x4_t y_)
{
    const int16x8_t y = vreinterpretq_s16_u32(y_);
    const int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y)), high = vmull_high_s16(x, y);
    return vaddq_u32(sum, vreinterpretq_u32_s32(vpaddq_s32(low, high)));
}
INLINE vu vi16_dot(vu sum, int32_t x, vu y)
{
    const int16x8_t t = vreinterpretq_s16_s32(vdupq_n_s32(x));
    return (vu){ dot1_(sum.a, t, y.a), dot1_(sum.b, t, y.b), dot1_(sum.c, t, y.c), dot1_(sum.d, t, y.d) };
}
INLINE float32x4_t float1_(uint32x4_t x) { return vcvtq_f32_s32(vreinterpretq_s32_u32(x)); }
INLINE vf vfloat(vu x) { return MAP1_(vf, float1_, x); }

/* Four rows of four: pairs, halves. */
INLINE void transpose4_(float32x4_t r[4])
{
    const float32x4_t e0 = vtrn1q_f32(r[0], r[1]), o0 = vtrn2q_f32(r[0], r[1]);
    const float32x4_t e1 = vtrn1q_f32(r[2], r[3]), o1 = vtrn2q_f32(r[2], r[3]);
    r[0] = vcombine_f32(vget_low_f32(e0), vget_low_f32(e1));
    r[1] = vcombine_f32(vget_low_f32(o0), vget_low_f32(o1));
    r[2] = vcombine_f32(vget_high_f32(e0), vget_high_f32(e1));
    r[3] = vcombine_f32(vget_high_f32(o0), vget_high_f32(o1));
}
INLINE void vtranspose(vf r[16])
{
    float32x4_t t[4][16]; /* t[quarter of the columns][row] */
    UNROLL for (int i = 0; i < 16; i++) t[0][i] = r[i].a, t[1][i] = r[i].b, t[2][i] = r[i].c, t[3][i] = r[i].d;
    UNROLL for (int q = 0; q < 4; q++) UNROLL for (int i = 0; i < 16; i += 4) transpose4_(t[q] + i);
    UNROLL for (int i = 0; i < 16; i++) r[i] = (vf){ t[i / 4][i % 4], t[i / 4][4 + i % 4], t[i / 4][8 + i % 4], t[i / 4][12 + i % 4] };
}

/* clang-format on */

#endif
