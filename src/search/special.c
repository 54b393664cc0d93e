/* SPDX-License-Identifier: Apache-2.0 */
/* Normal and beta distribution over our own elementary functions: the same bits on every
 * machine. */
#include "search/special.h"

#include "base/scalar.h"
#include <math.h>
#include <stddef.h>

double tub__normal_density(double x) {
    return 0.39894228040143267794 * tub__exp(-0.5 * x * x);
}

double tub__normal_cdf(double x) {
    return 0.5 * (1.0 + tub__erf(x * 0.70710678118654752440));
}

static double polynomial(const double *c, size_t n, double x) {
    double sum = c[n - 1];
    for (size_t i = n - 1; i-- > 0;) {
        sum = sum * x + c[i];
    }
    return sum;
}

/* Applied Statistics 37, 477: the coefficients of PPND16. */
double tub__normal_quantile(double p) {
    static const double a[] = {3.3871328727963666080e0,  1.3314166789178437745e+2,
                               1.9715909503065514427e+3, 1.3731693765509461125e+4,
                               4.5921953931549871457e+4, 6.7265770927008700853e+4,
                               3.3430575583588128105e+4, 2.5090809287301226727e+3};
    static const double b[] = {1.0,
                               4.2313330701600911252e+1,
                               6.8718700749205790830e+2,
                               5.3941960214247511077e+3,
                               2.1213794301586595867e+4,
                               3.9307895800092710610e+4,
                               2.8729085735721942674e+4,
                               5.2264952788528545610e+3};
    static const double c[] = {1.42343711074968357734e0,  4.63033784615654529590e0,
                               5.76949722146069140550e0,  3.64784832476320460504e0,
                               1.27045825245236838258e0,  2.41780725177450611770e-1,
                               2.27238449892691845833e-2, 7.74545014278341407640e-4};
    static const double d[] = {1.0,
                               2.05319162663775882187e0,
                               1.67638483018380384940e0,
                               6.89767334985100004550e-1,
                               1.48103976427480074590e-1,
                               1.51986665636164571966e-2,
                               5.47593808499534494600e-4,
                               1.05075007164441684324e-9};
    static const double e[] = {6.65790464350110377720e0,  5.46378491116411436990e0,
                               1.78482653991729133580e0,  2.96560571828504891230e-1,
                               2.65321895265761230930e-2, 1.24266094738807843860e-3,
                               2.71155556874348757815e-5, 2.01033439929228813265e-7};
    static const double f[] = {1.0,
                               5.99832206555887937690e-1,
                               1.36929880922735805310e-1,
                               1.48753612908506148525e-2,
                               7.86869131145613259100e-4,
                               1.84631831751005468180e-5,
                               1.42151175831644588870e-7,
                               2.04426310338993978564e-15};
    const double q = p - 0.5;
    if (q >= -0.425 && q <= 0.425) {
        const double r = 0.180625 - q * q;
        return q * polynomial(a, 8, r) / polynomial(b, 8, r);
    }
    double r = sqrt(-tub__log(q < 0 ? p : 1 - p));
    r = r <= 5 ? polynomial(c, 8, r - 1.6) / polynomial(d, 8, r - 1.6)
               : polynomial(e, 8, r - 5) / polynomial(f, 8, r - 5);
    return q < 0 ? -r : r;
}

/* Stirling's series from 15 on, where its next term is below 1e-17; recurrence below. */
static double log_gamma(double x) {
    static const double c[] = {1.0 / 12,   -1.0 / 360,      1.0 / 1260, -1.0 / 1680,
                               1.0 / 1188, -691.0 / 360360, 1.0 / 156};
    double product = 1;
    while (x < 15) {
        product *= x;
        x += 1;
    }
    const double series = polynomial(c, sizeof c / sizeof *c, 1 / (x * x)) / x;
    return (x - 0.5) * tub__log(x) - x + 0.91893853320467274178 + series - tub__log(product);
}

/* The continued fraction of the incomplete beta function (DLMF 8.17.22) by Lentz's method. */
static double beta_fraction(double x, double a, double b) {
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (d < tiny && d > -tiny ? tiny : d);
    double f = d;
    for (int m = 1; m < 10000; m++) {
        for (int odd = 0; odd < 2; odd++) {
            const double k = odd ? -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
                                 : m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
            d = 1 + k * d;
            c = 1 + k / c;
            d = 1 / (d < tiny && d > -tiny ? tiny : d);
            c = c < tiny && c > -tiny ? tiny : c;
            f *= c * d;
        }
        const double change = c * d - 1;
        if (change < 1e-16 && change > -1e-16) {
            break;
        }
    }
    return f;
}

static double beta_front(double x, double a, double b) {
    return tub__exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * tub__log(x) +
                    b * tub__log(1 - x));
}

double tub__beta_cdf(double x, double a, double b) {
    if (!(x > 0)) {
        return 0;
    }
    if (x >= 1) {
        return 1;
    }
    return x < (a + 1) / (a + b + 2) ? beta_front(x, a, b) * beta_fraction(x, a, b) / a
                                     : 1 - beta_front(x, a, b) * beta_fraction(1 - x, b, a) / b;
}

/* Newton's steps within a bracket that bisection keeps closing. */
double tub__beta_quantile(double p, double a, double b) {
    double low = 0, high = 1, x = a / (a + b);
    for (int i = 0; i < 2000 && high - low > 4e-16 * x; i++) {
        const double miss = tub__beta_cdf(x, a, b) - p;
        if (miss > 0) {
            high = x;
        } else {
            low = x;
        }
        const double slope = beta_front(x, a, b) / (x * (1 - x));
        double next = x - miss / slope;
        if (!(next > low && next < high)) {
            next = 0.5 * (low + high);
        }
        const double step = next > x ? next - x : x - next;
        x = next;
        if (step <= 1e-16 * x) {
            break;
        }
    }
    return x;
}
