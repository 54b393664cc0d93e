/* SPDX-License-Identifier: Apache-2.0 */
/* Exactly rounded a * b + c over the portable lanes: the processor's instruction where the compiler
 * has it, else double arithmetic.
 *
 * Not fmaf(): without hardware it is a call per lane, and very slow. The product of two floats is
 * exact in double; s is its sum with c, rounded once. Rounding s to float goes wrong only where s
 * lies midway between two floats and was itself rounded; subnormal results have their midpoints
 * elsewhere. Those rare vectors are done again by fma1_. Included by vec_portable.h only. */
#ifndef TUB__CPU_SOFT_FMA_H
#define TUB__CPU_SOFT_FMA_H

#if defined __FMA__ || defined __FP_FAST_FMAF ||                                                   \
    defined __aarch64__ /* clang 14 does not define __FP_FAST_FMAF */
INLINE vf vfma(vf a, vf b, vf c) {
    vf r;
    LANES_ r.x[i] = __builtin_fmaf(a.x[i], b.x[i], c.x[i]);
    return r;
}
#else
/* s + e is the exact sum (Knuth's two-sum). Where e is not zero, the odd neighbour of s on the side
 * of e stands for the exact sum: rounding to odd with 53 >= 24 + 2 bits makes the second rounding
 * harmless (Boldo and Melquiond, 2008), for subnormal results too. */
static inline float fma1_(float a, float b, float c) {
    double p = (double)a * b, s = p + c, t = s - p, e = (p - (s - t)) + (c - t);
    uint64_t u, v;
    memcpy(&u, &s, 8);
    memcpy(&v, &e, 8);
    uint64_t odd = (e < 0 || e > 0 ? ~u : 0) & 1; /* not e != 0: e is NaN where s is infinite */
    u += odd -
         ((odd & (u ^ v) >> 63) << 1); /* away from zero where the signs agree, else towards it */
    memcpy(&s, &u, 8);
    return (float)s;
}

/* Out of line: inlined everywhere it makes the file compile four times as long and no faster. */
static __attribute__((noinline, unused)) vf vfma(vf a, vf b, vf c) {
    double s[16];
    uint32_t rare = 0;
    vf r;
    LANES_ s[i] = (double)a.x[i] * b.x[i] + c.x[i];
    LANES_ r.x[i] = (float)s[i];
    LANES_ {
        uint64_t u;
        memcpy(&u, &s[i], 8);
        rare |= ((uint32_t)u & 0x1fffffffu) == 0x10000000u;
    }
    LANES_ rare |=
        (word_(r.x[i]) & 0x7fffffffu) - 1 < 0x00800000u; /* subnormal, or the smallest normal */
    if (rare) {
        LANES_ r.x[i] = fma1_(a.x[i], b.x[i], c.x[i]);
    }
    return r;
}
#endif

#endif
