/* SPDX-License-Identifier: Apache-2.0 */
/* Which frames of a file: limits, views, random clips, and times. */
#include "data/frame_sampling.h"

#include <stdbool.h>
#include <string.h>

#include "base/ratio.h"
#include "cmocka_all.h"

enum { MOST = 4096 };

static const tub_sampling all[] = {TUB_SAMPLING_DEFAULT, TUB_SAMPLING_UNIFORM,
                                   TUB_SAMPLING_LINSPACE, TUB_SAMPLING_STRIDE,
                                   TUB_SAMPLING_SEGMENTS};
enum { ALL = sizeof all / sizeof *all };

static void test_names(void **state) {
    (void)state;
    tub_sampling s;
    tub_error err;
    for (int i = TUB_SAMPLING_UNIFORM; i < TUB_SAMPLINGS; i++) {
        assert_ok(tub_sampling_parse(tub_sampling_name((tub_sampling)i), &s, &err), err);
        assert_int_equal(s, i);
    }
    assert_string_equal(tub_sampling_name(TUB_SAMPLING_DEFAULT), "uniform");
    assert_string_equal(tub_sampling_name(TUB_SAMPLINGS), "unknown");
    assert_int_equal(tub_sampling_parse("unifrom", &s, &err), TUB_E_ARGUMENT);
    assert_non_null(strstr(err.message, "unifrom is no way of sampling: choose uniform, linspace"));
}

static void test_check(void **state) {
    (void)state;
    tub_error err;
    const tub__frame_plan good[] = {{TUB_SAMPLING_DEFAULT, 1, 0},
                                    {TUB_SAMPLING_UNIFORM, TUB__CLIP_FRAMES, 0},
                                    {TUB_SAMPLING_STRIDE, 16, TUB__STRIDE_LIMIT},
                                    {TUB_SAMPLING_LINSPACE, 16, 4}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_ok(tub__frame_plan_check(&good[i], &err), err);
    }
    const tub__frame_plan bad[] = {{TUB_SAMPLINGS, 16, 0},
                                   {TUB_SAMPLING_STRIDE, 0, 1},
                                   {TUB_SAMPLING_STRIDE, TUB__CLIP_FRAMES + 1, 1},
                                   {TUB_SAMPLING_STRIDE, 16, -1},
                                   {TUB_SAMPLING_STRIDE, 16, TUB__STRIDE_LIMIT + 1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(tub__frame_plan_check(&bad[i], &err), TUB_E_RANGE);
    }
    const tub__frame_plan odd = {TUB_SAMPLING_SEGMENTS, 16, 2};
    assert_int_equal(tub__frame_plan_check(&odd, &err), TUB_E_ARGUMENT);
    assert_non_null(strstr(err.message, "a stride of 2 has no meaning with sampling segments"));
}

/* Indices lie in the file, and time goes forward where a file doesn't begin again. */
static void check(const tub__frame_plan *plan, int64_t count, const int64_t *frames) {
    for (int64_t i = 0; i < plan->frames; i++) {
        assert_in_range(frames[i], 0, count - 1);
        if (i > 0 && plan->sampling != TUB_SAMPLING_STRIDE) {
            assert_true(frames[i] >= frames[i - 1]);
        } else if (i > 0) {
            assert_int_equal(frames[i],
                             (frames[i - 1] + (plan->stride > 0 ? plan->stride : 1)) % count);
        }
    }
}

static void each(int64_t count, int64_t length, int64_t stride, int64_t views) {
    static int64_t frames[MOST];
    for (int s = 0; s < ALL; s++) {
        const bool strides = all[s] == TUB_SAMPLING_STRIDE || all[s] == TUB_SAMPLING_LINSPACE;
        const tub__frame_plan plan = {all[s], length, strides ? stride : 0};
        tub__random r = tub__random_start(tub__random_key(7, TUB__RANDOM_AUGMENT), 1, 2, 3);
        int64_t first = 0;
        for (int64_t v = 0; v < views; v++) {
            tub__frames_of_view(&plan, count, v, views, frames);
            check(&plan, count, frames);
            assert_true(frames[0] >= first); /* later views begin later */
            first = frames[0];
        }
        tub__frames_at_random(&plan, count, &r, frames);
        check(&plan, count, frames);
    }
}

static void test_ranges(void **state) {
    (void)state;
    const int64_t lengths[] = {1, 2, 3, 8, 16, 33};
    for (int64_t count = 1; count < 80; count++) {
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            for (int64_t stride = 0; stride < 4; stride++) {
                each(count, lengths[i], stride, 1);
                each(count, lengths[i], stride, 5);
            }
        }
    }
    each(INT32_MAX, 1000, TUB__STRIDE_LIMIT, 3); /* nothing overflows */
    each(INT32_MAX - 1, 1000, 1, TUB__VIEW_LIMIT);
    each(5, 1000, TUB__STRIDE_LIMIT, 3);
}

/* V views of T frames are one clip of V T frames, dealt out in turn. */
static void test_views_interleave(void **state) {
    (void)state;
    enum { T = 8, V = 3 };
    const tub_sampling dealt[] = {TUB_SAMPLING_UNIFORM, TUB_SAMPLING_LINSPACE,
                                  TUB_SAMPLING_SEGMENTS};
    for (size_t s = 0; s < 3; s++) {
        const tub__frame_plan one = {dealt[s], T, 0}, whole = {dealt[s], T * V, 0};
        int64_t view[T], together[T * V];
        tub__frames_of_view(&whole, 301, 0, 1, together);
        for (int v = 0; v < V; v++) {
            tub__frames_of_view(&one, 301, v, V, view);
            for (int i = 0; i < T; i++) {
                assert_int_equal(view[i], together[i * V + v]);
            }
        }
    }
}

/* Every frame of a part, and every place, comes up; equal keys give equal clips. */
static void test_random(void **state) {
    (void)state;
    const tub__key key = tub__random_key(11, TUB__RANDOM_AUGMENT);
    for (int s = 0; s < ALL; s++) {
        for (int64_t stride = 0; stride <= 2; stride += 2) {
            const bool strides = all[s] == TUB_SAMPLING_STRIDE || all[s] == TUB_SAMPLING_LINSPACE;
            const tub__frame_plan plan = {all[s], 4, strides ? stride : 0};
            bool seen[20] = {false};
            for (uint32_t i = 0; i < 600; i++) {
                tub__random r = tub__random_start(key, i, 0, 0), again = r;
                int64_t a[4], b[4];
                tub__frames_at_random(&plan, 20, &r, a);
                tub__frames_at_random(&plan, 20, &again, b);
                assert_memory_equal(a, b, sizeof a);
                for (int j = 0; j < 4; j++) {
                    seen[a[j]] = true;
                    const bool spread =
                        !strides || (all[s] == TUB_SAMPLING_LINSPACE && stride == 0);
                    assert_true(!spread || a[j] / 5 == j);
                }
            }
            for (int i = 0; i < 20; i++) {
                assert_true(seen[i]);
            }
        }
    }
}

static void test_divide(void **state) {
    (void)state;
    for (uint64_t b = 1; b < 40; b++) {
        for (uint64_t a = 0; a < 200; a++) {
            const uint64_t q = tub__divide_even(a, b);
            const int64_t twice = 2 * ((int64_t)a - (int64_t)(q * b)); /* twice the rest */
            assert_true(twice <= (int64_t)b && twice >= -(int64_t)b);
            assert_true((twice != (int64_t)b && twice != -(int64_t)b) || q % 2 == 0);
        }
    }
}

/* 30000/1001 frames a second: frame 30 is at 1.001 s, later than 1 s by a millisecond. */
static void test_times(void **state) {
    (void)state;
    const int64_t s = TUB__NANOSECONDS;
    assert_true(tub__compare_times(29, 1001, 30000, s) < 0);
    assert_true(tub__compare_times(30, 1001, 30000, s) > 0);
    assert_int_equal(tub__compare_times(30000, 1001, 30000, 1001 * s), 0);
    assert_int_equal(tub__compare_times(30, 1, 30, s), 0); /* 1/30 is no finite decimal */
    assert_true(tub__compare_times(1, 1, 3, 333333333) > 0);
    assert_true(tub__compare_times(1, 1, 3, 333333334) < 0);
    assert_true(tub__compare_times(INT64_MAX, INT32_MAX, 1, INT64_MAX) > 0);
    assert_true(tub__compare_times(INT64_MAX, 1, INT32_MAX, INT64_MAX) < 0);
    assert_int_equal(tub__to_nanoseconds(30, 1001, 30000), 1001000000);
    assert_int_equal(tub__to_nanoseconds(1, 1, 3), 333333333);
    assert_int_equal(tub__to_nanoseconds(INT64_MAX, 1, 1), INT64_MAX);
}

static void test_time_parse(void **state) {
    (void)state;
    const struct {
        const char *text;
        int64_t nanoseconds;
    } good[] = {{"2s", 2000000000},    {"2", 2000000000},        {"2.5", 2500000000},
                {"500ms", 500000000},  {".25s", 250000000},      {"0", 0},
                {"1.s", 1000000000},   {"1m", 60000000000},      {"1.5min", 90000000000},
                {"2h", 7200000000000}, {"0.000000001", 1},       {"1.100000000000s", 1100000000},
                {"0.001ms", 1000},     {"0.033366667", 33366667}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t t = -1;
        tub_error err;
        assert_ok(tub_time_parse(good[i].text, &t, &err), err);
        assert_int_equal(t, good[i].nanoseconds);
    }
    const char *bad[] = {"",     "s",   ".",     "-1",           "+1",          "1 s",
                         "2x",   "1e3", "1.2.3", "0.0000000001", "0.0000001ms", "nan",
                         "1:30", "1,5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t t = -1;
        assert_int_equal(tub_time_parse(bad[i], &t, NULL), TUB_E_ARGUMENT);
        assert_int_equal(t, -1);
    }
    const char *far[] = {"100000h", "99999999999999999999999999", "9223372036854775807",
                         "9223372036854775807h"};
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        int64_t t = -1;
        assert_int_equal(tub_time_parse(far[i], &t, NULL), TUB_E_RANGE);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),  cmocka_unit_test(test_check),
        cmocka_unit_test(test_ranges), cmocka_unit_test(test_views_interleave),
        cmocka_unit_test(test_random), cmocka_unit_test(test_divide),
        cmocka_unit_test(test_times),  cmocka_unit_test(test_time_parse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
