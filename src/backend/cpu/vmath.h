/* SPDX-License-Identifier: Apache-2.0 */
/* Elementary functions over sixteen lanes: one polynomial each, the same operations in the same
 * order in every build.
 *
 * Coefficients are minimax fits in float; tests/kernels/test_math.c measures the errors (exp 1.0
 * ulp, tanh 1.3, erf 1.1). In the double checking build the C library stands in, because the
 * polynomials are made for float. */
#ifndef TUB__CPU_VMATH_H
#define TUB__CPU_VMATH_H

#include "backend/cpu/vec.h"

#ifdef VEC_REAL_IS_DOUBLE

#define LIBM1_(name, expression)                                                                   \
    INLINE vf name(vf a) {                                                                         \
        vf r;                                                                                      \
        LANES_ {                                                                                   \
            double x = a.x[i];                                                                     \
            r.x[i] = (expression);                                                                 \
        }                                                                                          \
        return r;                                                                                  \
    }
LIBM1_(vexp, exp(x))
LIBM1_(vtanh, tanh(x))
LIBM1_(verf, erf(x))
/* gelu(x) = x P(x), and its slope into *slope where that is not NULL. */
INLINE vf vgelu_erf(vf x, vf *slope) {
    vf r;
    LANES_ {
        const double v = x.x[i], p = 0.5 * erfc(-v * 0.70710678118654752440);
        r.x[i] = v * p;
        if (slope) {
            slope->x[i] = p + v * 0.39894228040143267794 * exp(-0.5 * v * v);
        }
    }
    return r;
}
INLINE vf vgelu_tanh(vf x, vf *slope) {
    const double c = 0.79788456080286535588; /* sqrt(2 / pi) */
    vf r;
    LANES_ {
        const double v = x.x[i], t = tanh(c * (v + 0.044715 * v * v * v));
        r.x[i] = 0.5 * v * (1 + t);
        if (slope) {
            slope->x[i] = 0.5 * (1 + t) + 0.5 * v * (1 - t * t) * c * (1 + 3 * 0.044715 * v * v);
        }
    }
    return r;
}

#else

#include "backend/cpu/gelu_table.h"

INLINE vf poly_(vf x, int n, const float *c) /* c[0] + c[1] x + … by Horner */
{
    vf r = vset1(c[n - 1]);
    UNROLL for (int i = n - 2; i >= 0; i--) r = vfma(r, x, vset1(c[i]));
    return r;
}
#define POLY(x, ...)                                                                               \
    poly_(x, sizeof((float[]){__VA_ARGS__}) / sizeof(float), (const float[]){__VA_ARGS__})

/* The variable is the second operand of vmax and vmin: a NaN passes through. */
INLINE vf vexp(vf x) {
    const vf magic =
        vset1(12582912.0f); /* 1.5 * 2^23: adding it rounds to a whole number, half to even */
    x = vmin(vset1(90.0f), vmax(vset1(-105.0f), x));
    vf n = vsub(vfma(x, vset1(1.44269504f), magic), magic);
    vf r = vfma(n, vset1(-0.693359375f), x);
    r = vfma(n, vset1(2.12194440e-4f), r);
    vf q = POLY(r, 0.49999994f, 0.166665211f, 0.041668389f, 0.00836874545f, 0.00138145406f);
    return vscale(vadd(vfma(q, vmul(r, r), r), vset1(1.0f)), n);
}

INLINE vf vtanh(vf x) {
    vf a = vabs(x), z = vmul(x, x);
    vf q = POLY(z, -0.333332807f, 0.133314416f, -0.0537397154f, 0.020639088f, -0.00570498733f);
    vf small = vfma(vmul(x, z), q, x);
    vf e = vexp(vadd(a, a));
    vf big = vsub(vset1(1.0f), vdiv(vset1(2.0f), vadd(e, vset1(1.0f))));
    return vsign(vsel(vlt(a, vset1(0.625f)), small, big), x); /* also tanh(-0) = -0 */
}

INLINE vf verf(vf x) {
    vf a = vabs(x), z = vmul(x, x), t = vmin(vset1(4.0f), a);
    vf q = POLY(z, 0.128379166f, -0.376126319f, 0.112836875f, -0.0268589426f, 0.00519990688f,
                -0.00081300165f, 8.31678772e-05f);
    vf l = POLY(t, -1.12863708f, -0.635198057f, -0.106159039f, 0.0236945562f, -0.00361033669f,
                0.000314856763f, -1.04329711e-05f);
    vf big = vsub(vset1(1.0f), vexp(vmul(t, l)));
    return vsel(vlt(a, vset1(0.921875f)), vfma(q, x, x), vsign(big, x));
}

/* gelu(x) = max(x, 0) - G(|x|), where G(u) = u (1 - P(u)) is the tail that both signs share. G is one of
 * sixteen polynomials, the one whose middle n W is nearest to u: two fifths of the operations that an
 * exponential and a reciprocal would take. The slope is G's own derivative, by Horner's scheme beside that
 * of the value. The first piece is exact at zero, the last is zero; NaN passes through r. */
INLINE vf gelu_(const real table[][16], vf x, vf *slope) {
    enum { DEGREE = 6 };
    const real w = 0.40625f; /* as in tools/gelu-table; times a small whole number it is exact */
    const vf magic = vset1(12582912.0f), u = vmin(vset1(15 * w), vabs(x));
    const vf nearest = vfma(u, vset1(1 / w), magic); /* its last bits are n */
    const vf r = vfma(vsub(magic, nearest), vset1(w), u);
    const vu at = vplace(nearest);
    vf d = vpick(table[DEGREE], at), g = vfma(d, r, vpick(table[DEGREE - 1], at));
    UNROLL for (int i = DEGREE - 2; i >= 0; i--) {
        if (slope) {
            d = vfma(d, r, g);
        }
        g = vfma(g, r, vpick(table[i], at));
    }
    if (slope) {
        *slope = vsel(vlt(x, vzero()), d, vsub(vset1(1.0f), d));
    }
    return vsub(vmax(vzero(), x), g);
}
INLINE vf vgelu_erf(vf x, vf *slope) {
    return gelu_(gelu_erf_table, x, slope);
}
INLINE vf vgelu_tanh(vf x, vf *slope) {
    return gelu_(gelu_tanh_table, x, slope);
}

#endif

/* exp of the first n lanes, zero in the others. Not exp(-infinity) there: results that underflow
 * cost a microcode assist each. */
INLINE vf vexp_first(vf x, size_t n) {
    if (n >= 16) {
        return vexp(x);
    }
    const vm first = vfirst((int)n);
    return vsel(first, vexp(vsel(first, x, vzero())), vzero());
}

/* ---- weights of attention ---- */

/* exp of x <= 0, and exp(-64) below -64: too little to count beside a weight of 1, and far enough
 * from the smallest numbers for its products not to underflow, which would cost an assist each. The
 * polynomial is vexp's. */
INLINE vf vweight(vf x) {
#ifdef VEC_REAL_IS_DOUBLE
    return vexp(x);
#else
    const vf magic = vset1(12583039.0f); /* 1.5 * 2^23 + 127: a sum with it ends in n + 127 */
    x = vmax(vset1(-64.0f), x);
    const vf t = vfma(x, vset1(1.44269504f), magic), n = vsub(t, magic), power = vpow2(t);
    vf r = vfma(n, vset1(-0.693359375f), x);
    r = vfma(n, vset1(2.12194440e-4f), r);
    const vf square = vmul(r, r), low = vfma(r, vset1(0.166665211f), vset1(0.49999994f));
    vf high = vfma(r, vset1(0.00836874545f), vset1(0.041668389f));
    high = vfma(square, vset1(0.00138145406f), high);
    r = vfma(vfma(high, square, low), square, r); /* exp(r) - 1 */
    return vfma(r, power, power);
#endif
}

/* The same of the first n lanes, zero in the others. */
INLINE vf vweight_first(vf x, size_t n) {
    return n >= 16 ? vweight(x) : vsel(vfirst((int)n), vweight(x), vzero());
}

/* Philox 4x32-10 on sixteen counters at once: counter word 0 is first + lane, the others are equal.
 */
INLINE void vphilox(const uint32_t key[2], uint32_t first, const uint32_t rest[3], vu out[4]) {
    vu a = vulanes(first), b = vuset1(rest[0]), c = vuset1(rest[1]), d = vuset1(rest[2]);
    uint32_t k0 = key[0], k1 = key[1];
    UNROLL for (int round = 0; round < 10; round++) {
        vu h0, l0, h1, l1;
        vumul(0xD2511F53u, a, &h0, &l0);
        vumul(0xCD9E8D57u, c, &h1, &l1);
        a = vuxor(vuxor(h1, b), vuset1(k0));
        c = vuxor(vuxor(h0, d), vuset1(k1));
        b = l1;
        d = l0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = a, out[1] = b, out[2] = c, out[3] = d;
}

#endif
