/* SPDX-License-Identifier: Apache-2.0 */
/* Sixteen lanes as a plain array: the definition that the other vector headers must match bit for
 * bit.
 *
 * Needs IEEE 754 float and double, round to nearest, and -ffp-contract=off. With VEC_REAL_IS_DOUBLE
 * the lanes are doubles: the checking build. */
#ifndef TUB__CPU_VEC_PORTABLE_H
#define TUB__CPU_VEC_PORTABLE_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "backend/cpu/inline.h"

#ifdef VEC_REAL_IS_DOUBLE
#define VEC_NAME f64
typedef double real;
#else
#define VEC_NAME portable
typedef float real;
#endif
#define VEC_MR 2
#define VEC_NV 1

/* One line a function, to be read side by side with the other headers. */
/* clang-format off */
#define LANES_ for (int i = 0; i < 16; i++)
typedef struct { real x[16]; } vf;
typedef struct { int32_t x[16]; } vm;  /* 0 or -1 */
typedef struct { uint32_t x[16]; } vu;

INLINE vf vload(const real *p) { vf r; LANES_ r.x[i] = p[i]; return r; }
INLINE void vstore(real *p, vf a) { LANES_ p[i] = a.x[i]; }
/* vstream stores what is not read soon, perhaps past the caches: p is aligned to the size of the
 * sixteen lanes, and vfence comes before another thread looks. vprefetch asks for the line of p,
 * which may be any address, for the second cache, vnear for the first. */
INLINE void vfence(void) { }
INLINE void vprefetch(const real *p) { __builtin_prefetch(p, 0, 2); }
INLINE void vnear(const real *p) { __builtin_prefetch(p, 0, 3); }
INLINE vf vbytes(const unsigned char *p) { vf r; LANES_ r.x[i] = p[i]; return r; }
INLINE void vstream(real *p, vf a) { vstore(p, a); }
INLINE real vlane0(vf a) { return a.x[0]; }
INLINE vf vset1(real a) { vf r; LANES_ r.x[i] = a; return r; }
INLINE vf vadd(vf a, vf b) { vf r; LANES_ r.x[i] = a.x[i] + b.x[i]; return r; }
INLINE vf vsub(vf a, vf b) { vf r; LANES_ r.x[i] = a.x[i] - b.x[i]; return r; }
INLINE vf vmul(vf a, vf b) { vf r; LANES_ r.x[i] = a.x[i] * b.x[i]; return r; }
INLINE vf vdiv(vf a, vf b) { vf r; LANES_ r.x[i] = a.x[i] / b.x[i]; return r; }
/* a > b ? a : b, as the machine instruction: the second operand where either is NaN. */
INLINE vf vmax(vf a, vf b) { vf r; LANES_ r.x[i] = a.x[i] > b.x[i] ? a.x[i] : b.x[i]; return r; }
INLINE vf vmin(vf a, vf b) { vf r; LANES_ r.x[i] = a.x[i] < b.x[i] ? a.x[i] : b.x[i]; return r; }
INLINE vm vlt(vf a, vf b) { vm r; LANES_ r.x[i] = -(a.x[i] < b.x[i]); return r; }
INLINE vf vsel(vm m, vf a, vf b) { vf r; LANES_ r.x[i] = m.x[i] ? a.x[i] : b.x[i]; return r; }
INLINE vm vfirst(int n) { vm r; LANES_ r.x[i] = -(i < n); return r; }
INLINE vf vloadn(const real *p, int n, vf rest) { for (int i = 0; i < n; i++) rest.x[i] = p[i]; return rest; }
INLINE void vstoren(real *p, int n, vf a) { for (int i = 0; i < n; i++) p[i] = a.x[i]; }

#ifdef VEC_REAL_IS_DOUBLE
INLINE vf vfma(vf a, vf b, vf c) { vf r; LANES_ r.x[i] = a.x[i] * b.x[i] + c.x[i]; return r; }
INLINE vf vsqrt(vf a) { vf r; LANES_ r.x[i] = sqrt(a.x[i]); return r; }
INLINE real rsqrt_of(real a) { return 1 / sqrt(a); }
#else
INLINE float bits_(uint32_t u) { float f; memcpy(&f, &u, 4); return f; }
INLINE uint32_t word_(float f) { uint32_t u; memcpy(&u, &f, 4); return u; }
#include "backend/cpu/soft_fma.h"
INLINE vf vsqrt(vf a) { vf r; LANES_ r.x[i] = sqrtf(a.x[i]); return r; }
INLINE real rsqrt_of(real a) { return 1 / sqrtf(a); }
INLINE vf vabs(vf a) { vf r; LANES_ r.x[i] = bits_(word_(a.x[i]) & 0x7fffffffu); return r; }
INLINE vf vsign(vf a, vf s) /* magnitude of a, sign of s */
{
    vf r;
    LANES_ r.x[i] = bits_((word_(a.x[i]) & 0x7fffffffu) | (word_(s.x[i]) & 0x80000000u));
    return r;
}
INLINE vf vscale(vf a, vf n) /* a * 2^n, one rounding: |a| in [1/2, 2], n whole, -160 <= n <= 160; NaN in, NaN out */
{
    vf r;
    LANES_ {
        int k = n.x[i] == n.x[i] ? (int)n.x[i] : 0, h = k >> 1;
        r.x[i] = a.x[i] * bits_((uint32_t)(h + 127) << 23) * bits_((uint32_t)(k - h + 127) << 23);
    }
    return r;
}
INLINE vf vpow2(vf t) /* 2^n for t = 1.5 * 2^23 + 127 + n, n whole, -127 < n < 128 */
{
    vf r;
    LANES_ r.x[i] = bits_(word_(t.x[i]) << 23);
    return r;
}
#endif

INLINE real vhsum(vf a) /* lane i + lane i + 8, then + 4, + 2, + 1 */
{
    for (int s = 8; s; s >>= 1) for (int i = 0; i < s; i++) a.x[i] += a.x[i + s];
    return a.x[0];
}
INLINE real vhmax(vf a)
{
    for (int s = 8; s; s >>= 1) for (int i = 0; i < s; i++) a.x[i] = a.x[i] > a.x[i + s] ? a.x[i] : a.x[i + s];
    return a.x[0];
}

/* Whole numbers, for the random generator. */
INLINE vu vuload(const uint32_t *p) { vu r; LANES_ r.x[i] = p[i]; return r; }
INLINE void vustore(uint32_t *p, vu a) { LANES_ p[i] = a.x[i]; }
INLINE vu vuset1(uint32_t a) { vu r; LANES_ r.x[i] = a; return r; }
INLINE vu vulanes(uint32_t first) { vu r; LANES_ r.x[i] = first + (uint32_t)i; return r; }
INLINE vu vuxor(vu a, vu b) { vu r; LANES_ r.x[i] = a.x[i] ^ b.x[i]; return r; }
INLINE void vumul(uint32_t a, vu b, vu *high, vu *low)
{
    LANES_ {
        uint64_t p = (uint64_t)a * b.x[i];
        high->x[i] = (uint32_t)(p >> 32);
        low->x[i] = (uint32_t)p;
    }
}
INLINE vu vuadd(vu a, vu b) { vu r; LANES_ r.x[i] = a.x[i] + b.x[i]; return r; }
INLINE vm vuge(vu a, uint32_t b) { vm r; LANES_ r.x[i] = -(a.x[i] >= b); return r; }
INLINE uint32_t vbits(vm m) { uint32_t r = 0; LANES_ r |= (uint32_t)(m.x[i] & 1) << i; return r; } /* bit i: lane i */
INLINE vm vmask(uint32_t bits) { vm r; LANES_ r.x[i] = -(int32_t)(bits >> i & 1); return r; }

/* Eight pairs of lanes: the even lane is the low half of 64 bits. */
#define PAIRS_ for (int i = 0; i < 16; i += 2)
INLINE vu vupairs(uint32_t first) { vu r; PAIRS_ r.x[i] = first + (uint32_t)i / 2, r.x[i + 1] = 0; return r; }
INLINE vu vuodd(vu a) { vu r; PAIRS_ r.x[i] = r.x[i + 1] = a.x[i + 1]; return r; } /* in both lanes */
INLINE vu vueven(vu a) { vu r; PAIRS_ r.x[i + 1] = a.x[i], r.x[i] = 0; return r; } /* shifted up by 32 */
/* bfloat16: the upper half of a float. vbf16 rounds to it, half to even, and keeps NaN quiet. Pairs of
 * them stand in 32 bits, the first in the lower half. */
#ifndef VEC_REAL_IS_DOUBLE
INLINE vf vbf16(vf a)
{
    LANES_ {
        uint32_t u;
        memcpy(&u, &a.x[i], 4);
        u = (a.x[i] != a.x[i] ? u | 0x400000u : u + 0x7fffu + (u >> 16 & 1)) & 0xffff0000u;
        memcpy(&a.x[i], &u, 4);
    }
    return a;
}
INLINE vf vbf16_first(const uint32_t *p) { vf r; LANES_ { uint32_t u; memcpy(&u, p + i, 4); u <<= 16; memcpy(&r.x[i], &u, 4); } return r; }
INLINE vf vbf16_second(const uint32_t *p) { vf r; LANES_ { uint32_t u; memcpy(&u, p + i, 4); u &= 0xffff0000u; memcpy(&r.x[i], &u, 4); } return r; }
INLINE vf vbf16_pack(vf left, vf right) /* 32 rounded numbers in a row to 16 pairs */
{
    vf r;
    LANES_ {
        const real *x = i < 8 ? left.x + 2 * i : right.x + 2 * (i - 8);
        uint32_t a, b;
        memcpy(&a, x, 4), memcpy(&b, x + 1, 4);
        a = a >> 16 | b;
        memcpy(&r.x[i], &a, 4);
    }
    return r;
}
INLINE void vbf16_pairs(uint32_t *p, vf first, vf second) /* both already rounded */
{
    LANES_ {
        uint32_t a, b;
        memcpy(&a, &first.x[i], 4), memcpy(&b, &second.x[i], 4);
        p[i] = a >> 16 | b;
    }
}
/* int8 in words of four: the first and third, or the second and fourth, as pairs of int16. */
INLINE int32_t int8_in_(uint32_t a, int i) { return (int32_t)((a >> 8 * i & 255) ^ 128) - 128; }
INLINE uint32_t int16_pair_(uint32_t a, int i) { return ((uint32_t)int8_in_(a, i) & 0xffffu) | (uint32_t)int8_in_(a, i + 2) << 16; }
INLINE vu vi8_even(const uint32_t *p) { vu r; LANES_ r.x[i] = int16_pair_(p[i], 0); return r; }
INLINE vu vi8_odd(const uint32_t *p) { vu r; LANES_ r.x[i] = int16_pair_(p[i], 1); return r; }
INLINE int32_t low_(uint32_t a) { return (int32_t)((a & 0xffffu) ^ 0x8000u) - 0x8000; }
INLINE vu vi16_dot(vu sum, int32_t a, vu b) /* plus both products of a pair */
{
    const int32_t low = low_((uint32_t)a), high = low_((uint32_t)a >> 16);
    LANES_ sum.x[i] += (uint32_t)(low * low_(b.x[i]) + high * low_(b.x[i] >> 16));
    return sum;
}
INLINE vf vfloat(vu a) /* of a signed whole number, to nearest */
{
    vf r;
    LANES_ {
        int32_t whole;
        memcpy(&whole, &a.x[i], 4);
        r.x[i] = (float)whole;
    }
    return r;
}
#endif
INLINE vu vuxor3(vu a, vu b, vu c) { vu r; LANES_ r.x[i] = a.x[i] ^ b.x[i] ^ c.x[i]; return r; }
INLINE vu vuwide(vu a, vu b) /* product of the even lanes */
{
    vu r;
    PAIRS_ {
        uint64_t p = (uint64_t)a.x[i] * b.x[i];
        r.x[i] = (uint32_t)p, r.x[i + 1] = (uint32_t)(p >> 32);
    }
    return r;
}

/* One of sixteen numbers for each lane: that which the last four bits of a name. */
#ifndef VEC_REAL_IS_DOUBLE
INLINE vu vplace(vf a) { vu r; memcpy(&r, &a, sizeof r); LANES_ r.x[i] &= 15; return r; }
INLINE vf vpick(const real t[16], vu place) { vf r; LANES_ r.x[i] = t[place.x[i]]; return r; }
#endif

/* r[i] lane j becomes r[j] lane i. */
INLINE void vtranspose(vf r[16])
{
    for (int i = 0; i < 16; i++) for (int j = 0; j < i; j++) {
        real t = r[i].x[j];
        r[i].x[j] = r[j].x[i];
        r[j].x[i] = t;
    }
}

/* clang-format on */

#endif
