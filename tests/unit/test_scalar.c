/* SPDX-License-Identifier: Apache-2.0 */
/* Elementary functions of one double against the C library's long double ones: at most 2 ulp,
 * dense over the working range. */
#include "cmocka_all.h"

#include "base/philox.h"
#include "base/scalar.h"
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>

static const double limit = 2.0; /* ulp: docs/numerics.md section 4 */

static uint64_t bits(double x) {
    uint64_t b;
    __builtin_memcpy(&b, &x, sizeof b);
    return b;
}

/* Distance of got from exact in units of the last place of exact. */
static double ulps(double got, long double exact) {
    double near = (double)exact;
    if (got != got || near != near || isinf(near) || isinf(got)) {
        return bits(got) == bits(near) || (got != got && near != near) ? 0.0 : HUGE_VAL;
    }
    int exponent;
    frexp(near, &exponent);
    double unit = ldexp(1.0, (near == 0.0 || exponent < -1021 ? -1021 : exponent) - 53);
    return fabs((double)(((long double)got - exact) / (long double)unit));
}

typedef struct worst {
    double error, at;
} worst;

static void note(worst *w, double got, long double exact, double at) {
    double e = ulps(got, exact);
    if (e > w->error) {
        *w = (worst){e, at};
    }
}

/* Evenly spaced points, points of random digits, and points spaced evenly in their exponent. */
static worst scan(double (*f)(double), long double (*truth)(long double), double low, double high) {
    enum { POINTS = 200000 };
    worst w = {0.0, 0.0};
    tub__random r = tub__random_start(tub__random_key(1, TUB__RANDOM_INIT), 0, 0, 0);
    for (int i = 0; i <= POINTS; i++) {
        double share = (double)i / POINTS;
        double x = low + (high - low) * share;
        note(&w, f(x), truth(x), x);
        x = low + (high - low) * tub__random_double(&r);
        note(&w, f(x), truth(x), x);
        x = high * exp2(-60.0 * share);
        note(&w, f(x), truth(x), x);
        if (low < 0.0) {
            note(&w, f(-x), truth(-x), -x);
        }
    }
    return w;
}

static void check(const char *name, double (*f)(double), long double (*truth)(long double),
                  double low, double high) {
    worst w = scan(f, truth, low, high);
    printf("%-5s [%g, %g]: %.3f ulp at %.17g\n", name, low, high, w.error, w.at);
    if (!(w.error <= limit)) {
        fail_msg("%s(%.17g) is off by %.3f ulp", name, w.at, w.error);
    }
}

static void test_accuracy(void **state) {
    (void)state;
    check("exp", tub__exp, expl, -745.0, 709.7);
    check("exp", tub__exp, expl, -1.0, 1.0);
    check("log", tub__log, logl, 0x1p-1074, 1e300);
    check("log", tub__log, logl, 0.5, 2.0);
    check("log", tub__log, logl, 0x1p-1074, 0x1p-1000);
    check("sin", tub__sin, sinl, -1e6, 1e6);
    check("sin", tub__sin, sinl, -7.0, 7.0);
    check("cos", tub__cos, cosl, -1e6, 1e6);
    check("cos", tub__cos, cosl, -7.0, 7.0);
    check("tanh", tub__tanh, tanhl, -25.0, 25.0);
    check("tanh", tub__tanh, tanhl, -1.0, 1.0);
    check("erf", tub__erf, erfl, -6.5, 6.5);
    check("erf", tub__erf, erfl, -1.0, 1.0);
}

/* Next to multiples of pi/2 all leading digits cancel. */
static void test_near_multiples(void **state) {
    (void)state;
    worst w = {0.0, 0.0};
    for (int k = 1; k < 600000; k += 7) {
        double x = (double)(k * (M_PIl / 2));
        note(&w, tub__sin(x), sinl(x), x);
        note(&w, tub__cos(x), cosl(x), x);
    }
    printf("sin, cos near k pi/2: %.3f ulp at %.17g\n", w.error, w.at);
    assert_true(w.error <= limit);
}

static void test_pow(void **state) {
    (void)state;
    worst w = {0.0, 0.0};
    tub__random r = tub__random_start(tub__random_key(2, TUB__RANDOM_INIT), 0, 0, 0);
    for (int i = 0; i < 300000; i++) {
        double base = exp2(200.0 * tub__random_double(&r) - 100.0);
        double exponent = 20.0 * tub__random_double(&r) - 10.0;
        note(&w, tub__pow(base, exponent), powl(base, exponent), base);
        base = 0.5 + tub__random_double(&r);
        note(&w, tub__pow(base, 100.0 * exponent), powl(base, 100.0 * exponent), base);
        base = 1.0 - 1e-3 * tub__random_double(&r); /* an optimiser's beta and step */
        exponent = floor(1e5 * tub__random_double(&r));
        note(&w, tub__pow(base, exponent), powl(base, exponent), base);
    }
    printf("pow: %.3f ulp at %.17g\n", w.error, w.at);
    assert_true(w.error <= limit);
    assert_true(tub__pow(2.0, 10.0) == 1024.0 && tub__pow(2.0, -1074.0) == 0x1p-1074);
    assert_true(tub__pow(3.0, 1.0) == 3.0 && tub__pow(7.0, 0.0) == 1.0 &&
                tub__pow(1.0, 1e300) == 1.0);
    assert_true(tub__pow(0.0, 2.0) == 0.0 && tub__pow(0.0, -2.0) == HUGE_VAL);
    assert_true(tub__pow(HUGE_VAL, 2.0) == HUGE_VAL && tub__pow(HUGE_VAL, -2.0) == 0.0);
    assert_true(tub__pow(0.5, HUGE_VAL) == 0.0 && tub__pow(2.0, HUGE_VAL) == HUGE_VAL);
    assert_true(tub__pow(0.5, -HUGE_VAL) == HUGE_VAL && tub__pow(2.0, -HUGE_VAL) == 0.0);
    assert_true(tub__pow(10.0, 400.0) == HUGE_VAL && tub__pow(10.0, -400.0) == 0.0);
    assert_true(isnan(tub__pow(NAN, 2.0)) && isnan(tub__pow(2.0, NAN)) &&
                isnan(tub__pow(-2.0, 2.0)));
}

static void test_powi(void **state) {
    (void)state;
    assert_true(tub__powi(3.0, 0) == 1.0 && tub__powi(3.0, 5) == 243.0 &&
                tub__powi(-2.0, 3) == -8.0);
    assert_true(tub__powi(2.0, 1023) == 0x1p1023 && isnan(tub__powi(NAN, 2)));
    assert_true(fabs(tub__powi(0.999, 1000) / (double)powl(0.999L, 1000) - 1.0) < 1e-12);
}

static void test_special(void **state) {
    (void)state;
    double (*const functions[])(double) = {tub__exp, tub__log,  tub__sin,
                                           tub__cos, tub__tanh, tub__erf};
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        assert_true(isnan(functions[i](NAN)));
    }
    assert_true(tub__exp(0.0) == 1.0 && tub__exp(-0.0) == 1.0 && tub__exp(HUGE_VAL) == HUGE_VAL);
    assert_true(tub__exp(-HUGE_VAL) == 0.0 && tub__exp(710.0) == HUGE_VAL &&
                tub__exp(-746.0) == 0.0);
    assert_true(tub__exp(-745.13) == 0x1p-1074 && tub__exp(709.78) < HUGE_VAL);
    assert_true(tub__log(1.0) == 0.0 && !signbit(tub__log(1.0)) && tub__log(0.0) == -HUGE_VAL);
    assert_true(tub__log(HUGE_VAL) == HUGE_VAL && isnan(tub__log(-1.0)) &&
                isnan(tub__log(-HUGE_VAL)));
    assert_true(tub__sin(0.0) == 0.0 && signbit(tub__sin(-0.0)) && tub__cos(0.0) == 1.0);
    assert_true(isnan(tub__sin(HUGE_VAL)) && isnan(tub__cos(-HUGE_VAL)));
    assert_true(tub__tanh(0.0) == 0.0 && signbit(tub__tanh(-0.0)));
    assert_true(tub__tanh(HUGE_VAL) == 1.0 && tub__tanh(-HUGE_VAL) == -1.0);
    assert_true(tub__erf(0.0) == 0.0 && signbit(tub__erf(-0.0)));
    assert_true(tub__erf(HUGE_VAL) == 1.0 && tub__erf(-HUGE_VAL) == -1.0);
    for (double x = 0.001; x < 7.0; x += 0.001) { /* odd functions, bit for bit */
        assert_true(tub__tanh(-x) == -tub__tanh(x) && tub__erf(-x) == -tub__erf(x));
        assert_true(tub__sin(-x) == -tub__sin(x) && tub__cos(-x) == tub__cos(x));
    }
}

static double slightly_wrong_exp(double x) {
    return tub__exp(x) * (1.0 + 3.0 * DBL_EPSILON);
}

/* The scan must see an error of three ulp, and one that is there in a single spot of the range
 * only. */
static void test_scan_finds_errors(void **state) {
    (void)state;
    assert_true(scan(slightly_wrong_exp, expl, -1.0, 1.0).error > limit);
    assert_true(scan(tub__exp, sinhl, -1.0, 1.0).error > limit);
    assert_true(ulps(nextafter(1.0, 2.0), 1.0L) == 1.0);
    assert_true(ulps(0x1p-1074, 0.0L) == 1.0 && isinf(ulps(NAN, 1.0L)) &&
                isinf(ulps(HUGE_VAL, 1.0L)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accuracy), cmocka_unit_test(test_near_multiples),
        cmocka_unit_test(test_pow),      cmocka_unit_test(test_powi),
        cmocka_unit_test(test_special),  cmocka_unit_test(test_scan_finds_errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
