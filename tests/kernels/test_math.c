/* SPDX-License-Identifier: Apache-2.0 */
/* Elementary functions: accuracy against the C library's long double, equal bits on every
 * instruction set, limits; and the fused multiply-add in software against fmaf. DENSE=1 in the
 * environment tries 65 times the points. */
#include "kernel_sets.h"

#define VEC_HEADER "backend/cpu/vec_portable.h"
#include "backend/cpu/vec.h"

static const long double PI_ = 3.14159265358979323846264338327950288L;

static long double true_gelu_erf(long double x) {
    return x * erfcl(-x / sqrtl(2)) / 2;
}
static long double true_gelu_erf_grad(long double x) {
    return erfcl(-x / sqrtl(2)) / 2 + x * expl(-x * x / 2) / sqrtl(2 * PI_);
}
static long double twice_u(long double x) {
    return 2 * sqrtl(2 / PI_) * (x + 0.044715L * x * x * x);
}
static long double true_gelu_tanh(long double x) {
    return x / (1 + expl(-twice_u(x)));
}
static long double true_gelu_tanh_grad(long double x) {
    const long double s = 1 / (1 + expl(-twice_u(x)));
    return s + x * s * (1 - s) * 2 * sqrtl(2 / PI_) * (1 + 3 * 0.044715L * x * x);
}

/* Allowed: `ulp` units in the last place of the result, or `absolute`, whichever is more. */
typedef struct function {
    const char *name;
    int which;
    long double (*truth)(long double);
    float low, high;
    double ulp, absolute;
} function;

static const function functions[] = {
    {"exp", TUB__K_EXP, expl, -104, 89, 2, 0},
    {"tanh", TUB__K_TANH, tanhl, -INFINITY, INFINITY, 2, 0},
    {"erf", TUB__K_ERF, erfl, -INFINITY, INFINITY, 2, 0},
    {"gelu_erf", TUB__K_GELU_ERF, true_gelu_erf, -1e18f, 3e38f, 4, 1e-7},
    {"gelu_tanh", TUB__K_GELU_TANH, true_gelu_tanh, -1e18f, 1e18f, 4, 1e-7},
    {"gelu_erf near 0", TUB__K_GELU_ERF, true_gelu_erf, -0.1f, 0.1f, 2, 0},
    {"gelu_tanh near 0", TUB__K_GELU_TANH, true_gelu_tanh, -0.1f, 0.1f, 2, 0},
    {"gelu_erf'", TUB__K_GELU_ERF_GRAD, true_gelu_erf_grad, -1e18f, 1e18f, 4, 1e-7},
    {"gelu_tanh'", TUB__K_GELU_TANH_GRAD, true_gelu_tanh_grad, -1e18f, 1e18f, 4, 1e-7},
};

static double ulps(long double truth, float got) {
    const float a = (float)fabsl(truth), unit = nextafterf(a, INFINITY) - a;
    return (float)truth == got ? 0 : (double)(fabsl(truth - (long double)got) / (long double)unit);
}

static void check_block(const function *f, const struct tub__kernels *const *sets, int count,
                        const float *x, size_t n, double *worst) {
    float y[3][4096];
    for (int s = 0; s < count; s++) {
        sets[s]->math(f->which, n, x, y[s]);
        assert_same_bits(f->name, sets[s]->name, y[0], y[s], n);
    }
    for (size_t i = 0; i < n; i++) {
        const long double truth = f->truth(x[i]);
        const double e = ulps(truth, y[0][i]);
        if (!(e <= f->ulp) && !(fabsl(truth - (long double)y[0][i]) <= (long double)f->absolute)) {
            fail_msg("%s(%a) is %a: %.2f ulp from the truth", f->name, (double)x[i],
                     (double)y[0][i], e);
        }
        if (fabsl(truth) > 0.125L && e > *worst) {
            *worst = e;
        }
    }
}

static void test_accuracy(void **state) {
    (void)state;
    const struct tub__kernels *sets[3];
    const int count = kernel_sets(sets);
    const uint32_t step = getenv("DENSE") ? 61 : 4001; /* over all floats of both signs */
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        const function *f = &functions[i];
        float x[4096];
        double worst = 0;
        for (uint64_t u = 0; u < 0x100000000u;) {
            size_t n = 0;
            for (; n < 4096 && u < 0x100000000u; u += step) {
                const float t = float_of((uint32_t)u);
                if (t >= f->low && t <= f->high) {
                    x[n++] = t;
                }
            }
            check_block(f, sets, count, x, n, &worst);
        }
        print_message("%-11s at most %.2f ulp where the result is above 1/8\n", f->name, worst);
    }
}

static void test_specials(void **state) {
    (void)state;
    const struct tub__kernels *sets[3];
    const int count = kernel_sets(sets);
    float y[3][SPECIALS];
    for (int which = 0; which < TUB__K_MATH; which++) {
        for (int s = 0; s < count; s++) {
            sets[s]->math(which, SPECIALS, special_values, y[s]);
            assert_same_bits("special values", sets[s]->name, y[0], y[s], SPECIALS);
        }
        assert_true(isnan(y[0][4]));
        assert_false(isnan(y[0][2]) || isnan(y[0][3]));
    }
    sets[0]->math(TUB__K_EXP, SPECIALS, special_values, y[0]);
    assert_true(y[0][0] == 1 && y[0][1] == 1 && isinf(y[0][2]) && y[0][3] == 0);
    sets[0]->math(TUB__K_TANH, SPECIALS, special_values, y[0]);
    assert_true(bits_of(y[0][1]) == 0x80000000u && y[0][2] == 1 && y[0][3] == -1);
    sets[0]->math(TUB__K_GELU_TANH, SPECIALS, special_values, y[0]);
    assert_true(y[0][0] == 0 && isinf(y[0][2]) && y[0][3] == 0);
}

/* Operands that provoke double rounding: sums near a midpoint, subnormals. kind 0: special values,
 * 1: any bits. */
static void fma_operands(int kind, uint32_t i, float *a, float *b, float *c) {
    const uint32_t u = random_bits(), v = random_bits(), w = random_bits();
    const float t = (float)(1 + (u & 63)) * 0x1p-23f;
    *a = float_of(u), *b = float_of(v), *c = float_of(w);
    switch (kind) {
    case 0:
        *a = special_values[i % SPECIALS];
        *b = special_values[i / SPECIALS % SPECIALS];
        *c = special_values[i / SPECIALS / SPECIALS % SPECIALS];
        break;
    case 2: /* a b is just under half the last place of c */
        *a = 1 + t, *b = (1 - t) * (v & 1 ? 0x1p-24f : -0x1p-24f),
        *c = float_of((w & 0x807fffff) | 0x3f800000);
        break;
    case 3: /* the same with a subnormal c */
        *a = (1 + t) * 0x1p-75f, *b = (1 - t) * (v & 1 ? 0x1p-75f : -0x1p-75f),
        *c = float_of(w & 0x807fffff);
        break;
    case 4: /* subnormal results */
        *a = float_of((u & 0x807fffff) | (40 + (v & 15)) << 23);
        *b = float_of((v & 0x807fffff) | (40 + (w & 31)) << 23);
        *c = float_of(w & 0x80ffffff);
        break;
    default:
        break;
    }
}

static void test_software_fma(void **state) {
    (void)state;
    long naive_wrong = 0;
    for (int kind = 0; kind < 5; kind++) {
        for (uint32_t i = 0; i < 1000000; i++) {
            float a, b, c;
            fma_operands(kind, i, &a, &b, &c);
            const float right = fmaf(a, b, c), got = vlane0(vfma(vset1(a), vset1(b), vset1(c)));
            const float naive = (float)((double)a * (double)b + (double)c);
            if (bits_of(got) != bits_of(right) && !(isnan(got) && isnan(right))) {
                fail_msg("fma(%a, %a, %a) is %a, not %a", (double)a, (double)b, (double)c,
                         (double)got, (double)right);
            }
            naive_wrong += !isnan(right) && bits_of(naive) != bits_of(right);
        }
    }
    assert_true(naive_wrong > 100000); /* the operands do provoke what the naive way gets wrong */
}

static void test_random_words(void **state) {
    (void)state;
    const struct tub__kernels *sets[3];
    const int count = kernel_sets(sets);
    const tub__key key = tub__random_key(7, TUB__RANDOM_DROPOUT);
    const uint32_t counter[4] = {48, 3, 1, 4000000000u};
    for (int s = 0; s < count; s++) {
        uint32_t word[64];
        sets[s]->random(key.word, counter, word);
        for (uint32_t lane = 0; lane < 16; lane++) {
            const uint32_t one[4] = {counter[0] + lane, counter[1], counter[2], counter[3]};
            uint32_t out[4];
            tub__philox(key, one, out);
            for (int w = 0; w < 4; w++) {
                assert_int_equal(word[w * 16 + (int)lane], out[w]);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_specials),
        cmocka_unit_test(test_software_fma),
        cmocka_unit_test(test_random_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
