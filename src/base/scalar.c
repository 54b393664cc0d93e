/* SPDX-License-Identifier: Apache-2.0 */
/* Elementary functions of one double in a fixed order of + - * / and fma: no table and no libm, so
 * the bits are the same everywhere.
 *
 * Each function reduces its argument with constants split into parts whose products with the small
 * integer are exact, then sums a Taylor series (exp, log, sin, cos), or an interpolating
 * polynomial (erf), smallest terms first. */
#include "base/scalar.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* ln 2 = HIGH + MIDDLE + LOW; an integer below 2^11 times HIGH is exact. */
#define LN2_HIGH     0x1.62e42fefa3800p-1
#define LN2_MIDDLE   0x1.ef35793c76730p-45
#define LN2_LOW      0x1.f97b57a079a19p-103
#define INVERSE_LN2  0x1.71547652b82fep+0
#define NOT_A_NUMBER __builtin_nan("")
#define INFINITE     __builtin_inf()

enum { MANTISSA = 52, BIAS = 1023 };

static uint64_t bits_of(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static double from_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* 2^k for -1022 <= k <= 1023. */
static double power_of_two(int k) {
    return from_bits((uint64_t)(k + BIAS) << MANTISSA);
}

/* x * 2^k with one rounding, -1100 <= k <= 1100. */
static double scale(double x, int k) {
    if (k > BIAS) {
        return x * power_of_two(BIAS) * power_of_two(k - BIAS);
    }
    if (k < 1 - BIAS) {
        return x * power_of_two(k + 200) * power_of_two(-200);
    }
    return x * power_of_two(k);
}

static double with_sign_of(double magnitude, double sign) {
    return from_bits(bits_of(magnitude) | (bits_of(sign) & (uint64_t)1 << 63));
}

/* c[0] + x (c[1] + x (c[2] + ...)). */
static double polynomial(const double *c, int count, double x) {
    double sum = c[count - 1];
    for (int i = count - 2; i >= 0; i--) {
        sum = sum * x + c[i];
    }
    return sum;
}

/* ---- sums of two doubles ---- */

/* An unevaluated sum of two doubles, |low| at most half an ulp of high. */
typedef struct pair {
    double high, low;
} pair;

static pair two_sum(double a, double b) {
    double sum = a + b;
    double part = sum - a;
    return (pair){sum, (a - (sum - part)) + (b - part)};
}

static pair pair_add(pair a, pair b) {
    pair s = two_sum(a.high, b.high);
    return two_sum(s.high, s.low + (a.low + b.low));
}

static pair pair_mul(pair a, pair b) {
    double product = a.high * b.high;
    double rest = fma(a.high, b.high, -product) + (a.high * b.low + a.low * b.high);
    return two_sum(product, rest);
}

static pair pair_div(pair a, pair b) {
    double quotient = a.high / b.high;
    double rest = fma(-quotient, b.high, a.high) + a.low - quotient * b.low;
    return two_sum(quotient, rest / b.high);
}

/* ---- exp ---- */

/* e^(high + low) = 2^k (head + tail), |tail| small beside head; head is 1 + r, r in [-ln 2 / 2, ln
 * 2 / 2]. */
typedef struct exponential {
    int k;
    double head, tail;
} exponential;

/* |high| < 800. */
static exponential exponential_of(double high, double low) {
    /* 1 / n! from n = 2 on: the first term left out is below 2^-57. */
    static const double c[] = {
        1.0 / 2,     1.0 / 6,      1.0 / 24,      1.0 / 120,      1.0 / 720,       1.0 / 5040,
        1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800,
    };
    double k = rint(high * INVERSE_LN2);
    double exact = high - k * LN2_HIGH;
    double correction = low - k * LN2_MIDDLE;
    double r = exact + correction;
    /* Far below r, whatever low was: so r_low times e^r may be r_low times head. */
    double r_low = (exact - r) + correction;
    double head = 1.0 + r;
    double lost = r - (head - 1.0);
    double series = r * r * polynomial(c, 12, r);
    return (exponential){(int)k, head, lost + (series + r_low * head)};
}

double tub__exp(double x) {
    if (x != x) {
        return x;
    }
    if (x > 709.79) {
        return INFINITE;
    }
    if (x < -745.14) {
        return 0.0;
    }
    exponential e = exponential_of(x, 0.0);
    return scale(e.head + e.tail, e.k);
}

/* ---- log ---- */

/* x = 2^k m with m in [sqrt(1/2), sqrt(2)), x positive and finite. */
static double split(double x, int *k) {
    int exponent = 0;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        exponent = -54;
    }
    uint64_t bits = bits_of(x);
    exponent += (int)(bits >> MANTISSA) - BIAS;
    double m = from_bits((bits & (((uint64_t)1 << MANTISSA) - 1)) | (uint64_t)BIAS << MANTISSA);
    if (m >= 0x1.6a09e667f3bcdp+0) {
        m *= 0.5;
        exponent++;
    }
    *k = exponent;
    return m;
}

double tub__log(double x) {
    /* log(1 + f) = 2 atanh(s), s = f / (2 + f): 2 (s + s^3 / 3 + s^5 / 5 + ...). */
    static const double c[] = {2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9,  2.0 / 11, 2.0 / 13,
                               2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21, 2.0 / 23};
    if (x != x || x == INFINITE) {
        return x;
    }
    if (x <= 0.0) {
        return x == 0.0 ? -INFINITE : NOT_A_NUMBER;
    }
    int k;
    double f = split(x, &k) - 1.0;
    double s = f / (2.0 + f);
    double z = s * s;
    double series = z * polynomial(c, 11, z);
    /* 2 s = f - s f = f - (f^2 / 2 - s f^2 / 2): the large term f is exact. */
    double half = 0.5 * f * f;
    return k * LN2_HIGH - ((half - (s * (half + series) + k * LN2_MIDDLE)) - f);
}

/* ---- pow ---- */

/* log of a positive finite x to about 100 bits: an exponent of 700 must leave 53 good ones. */
static pair log_pair(double x) {
    int k;
    double m = split(x, &k);
    pair s = pair_div((pair){m - 1.0, 0.0}, two_sum(m, 1.0));
    pair z = pair_mul(s, s);
    pair sum = {0.0, 0.0};
    for (int n = 20; n >= 0; n--) {
        sum = pair_add(pair_mul(sum, z), pair_div((pair){2.0, 0.0}, (pair){2.0 * n + 1.0, 0.0}));
    }
    sum = pair_mul(sum, s);
    pair exponent =
        pair_add((pair){k * LN2_HIGH, 0.0}, pair_mul((pair){k, 0.0}, (pair){LN2_MIDDLE, LN2_LOW}));
    return pair_add(exponent, sum);
}

double tub__pow(double base, double exponent) {
    if (exponent == 0.0 || base == 1.0) {
        return 1.0;
    }
    if (base != base || exponent != exponent || base < 0.0) {
        return NOT_A_NUMBER;
    }
    if (base == 0.0 || base == INFINITE) {
        return (base == 0.0) == (exponent > 0.0) ? 0.0 : INFINITE;
    }
    if (exponent == INFINITE || exponent == -INFINITE) {
        return (base < 1.0) == (exponent > 0.0) ? 0.0 : INFINITE;
    }
    pair l = log_pair(base);
    if (l.high * exponent > 710.0) {
        return INFINITE;
    }
    if (l.high * exponent < -746.0) {
        return 0.0;
    }
    pair p = pair_mul(l, (pair){exponent, 0.0});
    exponential e = exponential_of(p.high, p.low);
    return scale(e.head + e.tail, e.k);
}

double tub__powi(double base, unsigned long exponent) {
    double result = 1.0;
    for (double square = base; exponent > 0; exponent >>= 1, square *= square) {
        if (exponent & 1) {
            result *= square;
        }
    }
    return result;
}

/* ---- sin, cos ---- */

/* x = k pi/2 + r, r in about [-pi/4, pi/4]; returns k mod 4. pi/2 in four parts, three of them of
 * 33 bits: products with k < 2^20 are exact, and what cancels when x lies next to a multiple is
 * made up for by the fourth. */
static int quarter_turns(double x, pair *r) {
    double k = rint(x * 0x1.45f306dc9c883p-1);
    pair a = two_sum(x, -k * 0x1.921fb54400000p+0);
    pair b = two_sum(a.high, -k * 0x1.0b4611a600000p-34);
    pair c = two_sum(b.high, -k * 0x1.3198a2e000000p-69);
    *r = two_sum(c.high, ((a.low + b.low) + c.low) - k * 0x1.b839a252049c1p-104);
    return (int)((long)k & 3);
}

static double sin_near_zero(pair r) {
    /* (-1)^n / (2n + 1)! from n = 1 on. */
    static const double c[] = {
        -1.0 / 6,        1.0 / 120,        -1.0 / 5040,         1.0 / 362880,
        -1.0 / 39916800, 1.0 / 6227020800, -1.0 / 1307674368e3, 1.0 / 355687428096e3};
    double z = r.high * r.high;
    return r.high + (r.high * z * polynomial(c, 8, z) + r.low * (1.0 - 0.5 * z));
}

static double cos_near_zero(pair r) {
    /* (-1)^n / (2n)! from n = 2 on. */
    static const double c[] = {
        1.0 / 24,        -1.0 / 720,         1.0 / 40320,         -1.0 / 3628800,
        1.0 / 479001600, -1.0 / 87178291200, 1.0 / 20922789888e3, -1.0 / 6402373705728e3};
    double z = r.high * r.high;
    double half = 0.5 * z;
    double head = 1.0 - half;
    return head + (((1.0 - head) - half) + (z * z * polynomial(c, 8, z) - r.high * r.low));
}

/* sin(x + turns pi/2). */
static double sine(double x, int turns) {
    if (!(x >= -0x1p20 && x <= 0x1p20)) {
        return NOT_A_NUMBER; /* NaN, infinities, and arguments whose reduction would lose digits */
    }
    pair r;
    int quarter = (quarter_turns(x, &r) + turns) & 3;
    double value = quarter & 1 ? cos_near_zero(r) : sin_near_zero(r);
    return quarter & 2 ? -value : value;
}

double tub__sin(double x) {
    return x == 0.0 ? x : sine(x, 0);
}

double tub__cos(double x) {
    return sine(x, 1);
}

/* ---- tanh, erf ---- */

/* e^x - 1 for 0 <= x < 100. */
static pair exp_minus_one(double x) {
    exponential e = exponential_of(x, 0.0);
    double power = power_of_two(e.k);
    pair difference = two_sum(power * e.head, -1.0);
    return two_sum(difference.high, difference.low + power * e.tail);
}

double tub__tanh(double x) {
    double magnitude = x < 0.0 ? -x : x;
    if (x != x || magnitude < 0x1p-28) {
        return x;
    }
    if (magnitude > 22.0) {
        return with_sign_of(1.0, x);
    }
    pair t = exp_minus_one(2.0 * magnitude);
    return with_sign_of(pair_div(t, pair_add(t, (pair){2.0, 0.0})).high, x);
}

/* Interpolation at Chebyshev nodes of erf(x) / x - 1 in x^2, and of erf(x) in x - centre, computed
 * with 400 bits (tools/erf_coefficients.py). The error of each is below 2^-54 of the value. */
static const double erf_small[] = {/* 0 <= x <= 1 */
                                   0x1.06eba8214db69p-3,  -0x1.812746b0379e7p-2,
                                   0x1.ce2f21a042bdep-4,  -0x1.b82ce312889bap-6,
                                   0x1.565bcd0e6502dp-8,  -0x1.c02db3feeb579p-11,
                                   0x1.f9a326c233146p-14, -0x1.f4d2561aeafd4p-17,
                                   0x1.b9e6509b9867dp-20, -0x1.5f6d925a0bc7ap-23,
                                   0x1.fc4356498c2d9p-27, -0x1.4e607b41a6416p-30,
                                   0x1.7f072188e194dp-34, -0x1.29b9f1b3df556p-38};
static const double erf_1_2[] =
    {/* centre 1.5 */
     0x1.eea5557137ae0p-1,  0x1.e723726b824a9p-4,   -0x1.6d5a95d0a1b7ep-3,  0x1.1c2a02beb6ab8p-3,
     -0x1.6d5a95d0a1bcfp-5, -0x1.e723726b822bdp-7,  0x1.3ca3d72c49e35p-6,   -0x1.36d73a61e7facp-8,
     -0x1.35ae4e3afe5fep-9, 0x1.c0380c3e7a9e9p-10,  -0x1.85b5f21f6c77bp-14, -0x1.0acef99f3d7e1p-12,
     0x1.45daeb145d51ep-14, 0x1.2d3e038ae8dd8p-16,  -0x1.d8d80830f91bbp-17, 0x1.3f349499affe8p-21,
     0x1.9adf423e99bbcp-20, -0x1.65a924a9889e4p-22, -0x1.b1419858bc4dfp-24, 0x1.7adde0bcaf287p-25};
static const double erf_2_3[] =
    {/* centre 2.5 */
     0x1.ffcaa8f4c9beap-1,   0x1.1d83170fbf6fbp-9,   -0x1.64e3dcd3af4b8p-8,  0x1.119da0c46ccb0p-7,
     -0x1.1a89b97ceacedp-7,  0x1.90e81283fab57p-8,   -0x1.6ecdbf67c2e74p-9,  0x1.1c610bcb91738p-11,
     0x1.11551dee09da7p-12,  -0x1.067178c563ad0p-12, 0x1.4a84499a51cfap-14,  0x1.58bd06cc713eep-18,
     -0x1.d872c09dc41bfp-17, 0x1.3ace1e251efafp-18,  0x1.85fbfd1dd52e5p-23,  -0x1.58541e58bd3a4p-21,
     0x1.7f34b10448a3fp-23,  0x1.3ca2c1ec9a7f6p-26,  -0x1.7ed6a2a0b209bp-26, 0x1.f667c1433043bp-29};
static const double erf_3_4[] = {/* centre 3.5 */
                                 0x1.ffffe710d565ep-1,   0x1.6a597219a93dap-18,
                                 -0x1.3d0e43d67412ep-16, 0x1.62ccea63cb0c0p-15,
                                 -0x1.1c07721ac862dp-14, 0x1.586bafc9b99cap-14,
                                 -0x1.46153fb9756a2p-14, 0x1.e827fafa9a49ap-15,
                                 -0x1.1f6304e2293b1p-15, 0x1.013525f99d85ap-16,
                                 -0x1.377411d6438e5p-18, 0x1.dd7f35486d16ap-22,
                                 0x1.dc7e947ad1b07p-22,  -0x1.43ea28d943826p-22,
                                 0x1.8c962f14619edp-24,  -0x1.8a21ba90d495ep-28,
                                 -0x1.1e83dad877c3cp-27, 0x1.164fdd9fc6a4cp-28,
                                 -0x1.34a901b26b9c3p-31, -0x1.78ff49d3f04f5p-33};
static const double erf_4_6[] =
    {/* centre 5 */
     0x1.fffffffffc9e8p-1,   0x1.13af4f04f5e1cp-36,  -0x1.589b22c94b06ep-34, 0x1.196da0aaac634p-32,
     -0x1.516d3ca51fa4cp-31, 0x1.3c51d0a786b4fp-30,  -0x1.e235878c45e58p-30, 0x1.32c72923f79d7p-29,
     -0x1.4bcea1a1948a2p-29, 0x1.3505fc4bb36a5p-29,  -0x1.f4124ad5f41c7p-30, 0x1.6179a4c1b8d24p-30,
     -0x1.b59598e5dd581p-31, 0x1.d9d05d845d347p-32,  -0x1.be1a3a57773bcp-33, 0x1.6820a5eefe597p-34,
     -0x1.e375b9efbb2dbp-36, 0x1.f684042d06513p-38,  -0x1.3c191e9589607p-40, -0x1.17d5137c2cda7p-43,
     0x1.a7b35f5284547p-43,  -0x1.551ccaf594e39p-44, 0x1.7fa0d6e36d695p-47,  0x1.1553ad9a931adp-50};

double tub__erf(double x) {
    double magnitude = x < 0.0 ? -x : x;
    if (x != x) {
        return x;
    }
    if (magnitude < 1.0) {
        return x + x * polynomial(erf_small, 14, x * x);
    }
    double value = 1.0;
    if (magnitude < 2.0) {
        value = polynomial(erf_1_2, 20, magnitude - 1.5);
    } else if (magnitude < 3.0) {
        value = polynomial(erf_2_3, 20, magnitude - 2.5);
    } else if (magnitude < 4.0) {
        value = polynomial(erf_3_4, 20, magnitude - 3.5);
    } else if (magnitude < 6.0) {
        value = polynomial(erf_4_6, 24, magnitude - 5.0);
    }
    return with_sign_of(value, x);
}
