/* SPDX-License-Identifier: Apache-2.0 */
/* Philox against Random123's known answers, and the draws made from it. */
#include "cmocka_all.h"

#include "base/philox.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Random123 1.09, tests/kat_vectors: "philox4x32 10" lines. */
static void test_known_answers(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4];
        tub__key key;
        uint32_t out[4];
    } known[] = {
        {{0, 0, 0, 0}, {{0, 0}}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {{~0u, ~0u}}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {{0xa4093822, 0x299f31d0}},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint32_t out[4];
        tub__philox(known[i].key, known[i].counter, out);
        assert_memory_equal(out, known[i].out, sizeof out);
    }
}

static void test_sequence(void **state) {
    (void)state;
    tub__key key = tub__random_key(42, TUB__RANDOM_AUGMENT);
    tub__random r = tub__random_start(key, 1, 2, 3);
    for (uint32_t block = 0; block < 10; block++) {
        uint32_t out[4];
        tub__philox(key, (const uint32_t[4]){block, 1, 2, 3}, out);
        for (int i = 0; i < 4; i++) {
            assert_int_equal(tub__random_word(&r), out[i]);
        }
    }
    tub__random copy = r; /* a plain value */
    assert_int_equal(tub__random_word(&r), tub__random_word(&copy));
}

static void test_keys_differ(void **state) {
    (void)state;
    for (int a = TUB__RANDOM_INIT; a <= TUB__RANDOM_FRAMES; a++) {
        for (int b = TUB__RANDOM_INIT; b <= TUB__RANDOM_FRAMES; b++) {
            for (uint64_t s = 0; s < 4; s++) {
                tub__key x = tub__random_key(s << 31, (tub__purpose)a);
                tub__key y = tub__random_key(s << 31 ^ 1, (tub__purpose)b);
                tub__key z = tub__random_key(s << 31, (tub__purpose)b);
                assert_memory_not_equal(&x, &y, sizeof x);
                assert_true((memcmp(&x, &z, sizeof x) == 0) == (a == b));
            }
        }
    }
}

static void test_units(void **state) {
    (void)state;
    assert_true(tub__unit_float(0) == 0.0f && tub__unit_float(~0u) == 1.0f - 0x1p-24f);
    assert_true(tub__unit_double(0, 0) == 0.0 && tub__unit_double(~0u, ~0u) == 1.0 - 0x1p-53);
    assert_true(tub__unit_double(1u << 31, 0) == 0.5);
}

static void test_moments(void **state) {
    (void)state;
    enum { DRAWS = 200000 };
    tub__random r = tub__random_start(tub__random_key(7, TUB__RANDOM_PHANTOM), 0, 0, 0);
    double sum = 0, squares = 0, fourth = 0, unit = 0;
    for (int i = 0; i < DRAWS; i++) {
        double x = tub__random_normal(&r);
        sum += x;
        squares += x * x;
        fourth += x * x * x * x;
        unit += tub__random_double(&r);
    }
    /* Five standard errors of each mean: 1, sqrt 2, sqrt 96, sqrt(1/12), over sqrt(draws). */
    double se = 5.0 / sqrt(DRAWS);
    assert_true(fabs(sum / DRAWS) < se && fabs(squares / DRAWS - 1.0) < se * sqrt(2.0));
    assert_true(fabs(fourth / DRAWS - 3.0) < se * sqrt(96.0) &&
                fabs(unit / DRAWS - 0.5) < se * sqrt(1.0 / 12));
}

static void test_below(void **state) {
    (void)state;
    tub__random r = tub__random_start(tub__random_key(9, TUB__RANDOM_BOOTSTRAP), 0, 0, 0);
    for (uint32_t n = 1; n < 40; n++) {
        int count[40] = {0};
        double chi = 0;
        for (uint32_t i = 0; i < 1000 * n; i++) {
            uint32_t x = tub__random_below(&r, n);
            assert_true(x < n);
            count[x]++;
        }
        for (uint32_t i = 0; i < n; i++) {
            chi += (count[i] - 1000.0) * (count[i] - 1000.0) / 1000.0;
        }
        assert_true(chi < n + 6.0 * sqrt(2.0 * n) + 12.0);
    }
    /* Without refusing draws the lower third of 3 * 2^30 values would come twice as often: 1/2
     * instead of 1/3. */
    int low = 0;
    for (int i = 0; i < 30000; i++) {
        low += tub__random_below(&r, 3u << 30) < 1u << 30;
    }
    assert_true(fabs(low / 30000.0 - 1.0 / 3) < 5 * sqrt(2.0 / 9 / 30000));
}

static bool is_permutation(const uint32_t *order, uint32_t n) {
    bool seen[1000] = {false};
    for (uint32_t i = 0; i < n; i++) {
        if (order[i] >= n || seen[order[i]]) {
            return false;
        }
        seen[order[i]] = true;
    }
    return true;
}

static void test_permutation(void **state) {
    (void)state;
    uint32_t a[1000], b[1000];
    tub__permutation(42, 0, 0, a);
    for (uint32_t n = 1; n <= 1000; n += 37) {
        tub__permutation(42, 3, n, a);
        tub__permutation(42, 3, n, b);
        assert_true(is_permutation(a, n));
        assert_memory_equal(a, b, n * sizeof a[0]);
    }
    tub__permutation(42, 4, 1000, b);
    assert_memory_not_equal(a, b, sizeof a);
    tub__permutation(43, 3, 1000, b);
    assert_memory_not_equal(a, b, sizeof a);
    a[0] = a[1];
    assert_false(is_permutation(a, 1000));
    /* Every order of three comes equally often. */
    int count[27] = {0};
    for (uint32_t epoch = 0; epoch < 6000; epoch++) {
        tub__permutation(1, epoch, 3, a);
        count[a[0] * 9 + a[1] * 3 + a[2]]++;
    }
    int orders = 0;
    for (int i = 0; i < 27; i++) {
        orders += count[i] > 0;
        assert_true(count[i] == 0 || abs(count[i] - 1000) < 150);
    }
    assert_int_equal(orders, 6);
}

/* These bits are part of the promise "same seed, same result": a change here changes every run. */
static void test_frozen(void **state) {
    (void)state;
    uint32_t order[8];
    static const uint32_t frozen[8] = {5, 4, 1, 3, 2, 7, 0, 6};
    tub__permutation(42, 0, 8, order);
    assert_memory_equal(order, frozen, sizeof order);
    tub__random r = tub__random_start(tub__random_key(42, TUB__RANDOM_INIT), 0, 0, 0);
    assert_int_equal(tub__random_word(&r), 0xde8c6eb8u);
    r = tub__random_start(tub__random_key(42, TUB__RANDOM_PHANTOM), 0, 0, 0);
    assert_true(tub__random_normal(&r) == -0x1.560480edaf29dp-3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers), cmocka_unit_test(test_sequence),
        cmocka_unit_test(test_keys_differ),   cmocka_unit_test(test_units),
        cmocka_unit_test(test_moments),       cmocka_unit_test(test_below),
        cmocka_unit_test(test_permutation),   cmocka_unit_test(test_frozen)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
