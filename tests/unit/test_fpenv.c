/* SPDX-License-Identifier: Apache-2.0 */
/* The floating-point guard: a caller with flushed denormals and directed rounding changes nothing,
 * and gets its settings back. */
#include "cmocka_all.h"

#include "base/fpenv.h"
#include "base/pool.h"
#include <fenv.h>
#include <stdbool.h>
#include <string.h>

#if defined __x86_64__
#include <xmmintrin.h>
enum { FLUSH = 0x8040 }; /* flush-to-zero and denormals-are-zero */

static void flush_denormals(void) {
    _mm_setcsr(_mm_getcsr() | FLUSH);
}
#else
static void flush_denormals(void) {
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr\n\torr %0, %0, #0x1000000\n\tmsr fpcr, %0" : "=r"(control));
}
#endif

/* A comparison of floats would itself take denormals for zero. */
static bool same_bits(volatile float *x, float wanted) {
    float value = *x;
    return memcmp(&value, &wanted, sizeof value) == 0;
}

/* True when denormals live and rounding is to nearest; volatile keeps the compiler from working it
 * out. */
static bool clean(void) {
    volatile float tiny = 0x1p-126f, half = 0.5f, one = 1.0f, small = 0x1p-25f;
    volatile float denormal = tiny * half;
    volatile float kept = denormal * one;
    volatile float up = one + small, down = one - small * half;
    return same_bits(&denormal, 0x1p-127f) && same_bits(&kept, 0x1p-127f) && same_bits(&up, 1.0f) &&
           same_bits(&down, 1.0f);
}

static const int directions[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};

static void test_guard(void **state) {
    (void)state;
    tub__fpenv before = tub__fpenv_enter();
    assert_true(clean());
    for (int flush = 0; flush < 2; flush++) {
        for (int i = 0; i < 4; i++) {
            fesetround(directions[i]);
            if (flush) {
                flush_denormals();
            }
            bool dirty = !clean();
            tub__fpenv saved = tub__fpenv_enter();
            bool inside = clean();
            tub__fpenv_leave(saved);
            bool dirty_again = !clean();
            int direction = fegetround();
            tub__fpenv_leave(before);
            tub__fpenv_enter();
            assert_true(inside);
            assert_int_equal(dirty,
                             flush || i > 0); /* the check itself sees what the guard is for */
            assert_int_equal(dirty_again, dirty);
            assert_int_equal(direction, directions[i]);
        }
    }
    tub__fpenv_leave(before);
}

static void look(void *argument, int worker, int workers) {
    (void)workers;
    ((bool *)argument)[worker] = clean();
}

/* Workers are clean even when the pool is made and run by a thread that is not. */
static void test_workers(void **state) {
    (void)state;
    bool seen[3] = {false, false, false};
    tub__pool *pool = NULL;
    tub_error err;
    fesetround(FE_UPWARD);
    flush_denormals();
    tub_status status = tub__pool_create(&tub__default_allocator, 3, &pool, &err);
    if (status == TUB_OK) {
        tub__pool_run(pool, look, seen);
    }
    bool dirty = !clean();
    int direction = fegetround();
    (void)tub__fpenv_enter();
    tub__pool_destroy(pool);
    assert_int_equal(status, TUB_OK);
    assert_true(seen[0] && seen[1] && seen[2]);
    assert_true(dirty);
    assert_int_equal(direction, FE_UPWARD);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_guard),
                                       cmocka_unit_test(test_workers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
