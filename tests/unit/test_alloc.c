/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks and arenas: alignment, overflow, failure, and a measuring pass that agrees with the real
 * one. */
#include "cmocka_all.h"

#include "base/error.h"
#include "failing_alloc.h"
#include <string.h>

static void test_blocks(void **state) {
    (void)state;
    tub_error err;
    void *p, *q;
    for (size_t n = 0; n < 200; n++) {
        assert_ok(tub__alloc(&tub__default_allocator, n, &p, &err), err);
        assert_int_equal((uintptr_t)p % TUB__ALIGN, 0);
        memset(p, 1, n);
        tub__free(&tub__default_allocator, p);
    }
    assert_ok(tub__alloc_array(&tub__default_allocator, 100, 3, &p, &err), err);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(((char *)p)[i], 0);
    }
    memset(p, 7, 300);
    q = p;
    assert_ok(tub__alloc_grow(&tub__default_allocator, &q, 300, 5000, &err), err);
    assert_int_equal(((char *)q)[299], 7);
    tub__free(&tub__default_allocator, q);
    char *text;
    assert_ok(tub__alloc_string(&tub__default_allocator, "tubelet", &text, &err), err);
    assert_string_equal(text, "tubelet");
    tub__free(&tub__default_allocator, text);
    tub__free(&tub__default_allocator, NULL);
}

static void test_overflow(void **state) {
    (void)state;
    tub_error err;
    void *p = &err;
    assert_int_equal(tub__alloc(&tub__default_allocator, SIZE_MAX, &p, &err), TUB_E_MEMORY);
    assert_int_equal(tub__alloc(&tub__default_allocator, SIZE_MAX - 62, &p, &err), TUB_E_MEMORY);
    assert_int_equal(tub__alloc_array(&tub__default_allocator, SIZE_MAX / 2, 3, &p, &err),
                     TUB_E_MEMORY);
    assert_non_null(strstr(err.message, "address space"));
    assert_ptr_equal(p, &err);
    size_t n = 5;
    assert_false(tub__mul(SIZE_MAX / 2, 3, &n));
    assert_false(tub__add(SIZE_MAX, 1, &n));
    assert_true(tub__mul(6, 7, &n) && n == 42);
}

static tub_status grow_twice(const tub_allocator *a, void *user, tub_error *err) {
    void *p;
    (void)user;
    TUB__TRY(tub__alloc(a, 10, &p, err));
    tub_status status = tub__alloc_grow(a, &p, 10, 100, err);
    if (status == TUB_OK) {
        status = tub__alloc_grow(a, &p, 100, 1000, err);
    }
    tub__free(a, p);
    return status;
}

static tub_status leaks(const tub_allocator *a, void *user, tub_error *err) {
    void *p, *q;
    TUB__TRY(tub__alloc(a, 10, &p, err));
    *(void **)user = p;                   /* for the test to clean up */
    TUB__TRY(tub__alloc(a, 10, &q, err)); /* the mistake: p is lost when this fails */
    tub__free(a, q);
    tub__free(a, p);
    return TUB_OK;
}

static tub_status swallows(const tub_allocator *a, void *user, tub_error *err) {
    void *p;
    (void)user;
    if (tub__alloc(a, 10, &p, err) == TUB_OK) {
        tub__free(a, p);
    }
    return TUB_OK;
}

static tub_status wrong_status(const tub_allocator *a, void *user, tub_error *err) {
    void *p;
    (void)user;
    if (tub__alloc(a, 10, &p, err) != TUB_OK) {
        return TUB_E_IO;
    }
    tub__free(a, p);
    return TUB_OK;
}

/* The harness itself: it passes what is right and finds each kind of mistake. */
static void test_harness(void **state) {
    (void)state;
    failing_report report = failing_run(grow_twice, NULL);
    assert_string_equal(report.problem, "");
    assert_int_equal(report.allocations, 3);
    void *leaked = NULL;
    assert_non_null(strstr(failing_run(leaks, &leaked).problem, "not released"));
    tub__default_allocator.free(NULL, leaked);
    assert_non_null(strstr(failing_run(swallows, NULL).problem, "not reported"));
    assert_non_null(strstr(failing_run(wrong_status, NULL).problem, "not TUB_E_MEMORY"));
}

/* A set-up as a model's: it asks the same of a measuring and of a real arena. */
static void set_up(tub__arena *arena, char **parts, int count) {
    for (int i = 0; i < count; i++) {
        parts[i] = tub__arena_take(arena, (size_t)i * 37 % 101, (size_t)i % 9);
        size_t mark = tub__arena_mark(arena);
        (void)tub__arena_take(arena, 1000, 8);
        tub__arena_release(arena, mark);
    }
}

static void test_arena(void **state) {
    (void)state;
    enum { PARTS = 50 };
    char *parts[PARTS];
    tub_error err;
    tub__arena measure, real;
    void *block;
    tub__arena_measure(&measure);
    set_up(&measure, parts, PARTS);
    for (int i = 0; i < PARTS; i++) {
        assert_null(parts[i]);
    }
    assert_false(measure.overflow);
    assert_ok(tub__alloc(&tub__default_allocator, measure.peak, &block, &err), err);
    tub__arena_init(&real, block, measure.peak);
    set_up(&real, parts, PARTS);
    assert_false(real.overflow);
    assert_int_equal(real.used, measure.used);
    assert_int_equal(real.peak, measure.peak);
    for (int i = 0; i < PARTS; i++) {
        size_t size = (size_t)i * 37 % 101 * ((size_t)i % 9);
        assert_int_equal((uintptr_t)parts[i] % TUB__ALIGN, 0);
        assert_true(i == 0 || parts[i] >= parts[i - 1]);
        memset(parts[i], i, size);
    }
    for (int i = 0; i < PARTS; i++) {
        size_t size = (size_t)i * 37 % 101 * ((size_t)i % 9);
        assert_true(size == 0 || (parts[i][0] == i && parts[i][size - 1] == i));
    }
    /* One byte less than measured is noticed. */
    tub__arena_init(&real, block, measure.peak - 1);
    set_up(&real, parts, PARTS);
    assert_true(real.overflow);
    tub__free(&tub__default_allocator, block);
}

static void test_arena_overflow(void **state) {
    (void)state;
    tub__arena arena;
    tub__arena_measure(&arena);
    assert_null(tub__arena_take(&arena, SIZE_MAX / 2, 3));
    assert_true(arena.overflow);
    tub__arena_measure(&arena);
    assert_null(tub__arena_take(&arena, SIZE_MAX, 1));
    assert_true(arena.overflow);
    tub__arena_measure(&arena);
    (void)tub__arena_take(&arena, (size_t)PTRDIFF_MAX / 2, 1);
    assert_false(arena.overflow);
    (void)tub__arena_take(&arena, (size_t)PTRDIFF_MAX / 2, 1);
    (void)tub__arena_take(&arena, (size_t)PTRDIFF_MAX / 2, 1);
    assert_true(arena.overflow);
    assert_int_equal(arena.used % TUB__ALIGN, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_blocks),
                                       cmocka_unit_test(test_overflow),
                                       cmocka_unit_test(test_harness), cmocka_unit_test(test_arena),
                                       cmocka_unit_test(test_arena_overflow)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
