/* SPDX-License-Identifier: Apache-2.0 */
/* Which frames of a file: every table that other programs' sampling gave. */
#include "data/frame_sampling.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend/backend.h"
#include "formats/json.h"
#include "picture/framing.h"
#include "predict/average.h"
#include "support/cmocka_all.h"

#define FOLDER GOLDEN "/frames/"

enum { MOST = 2048 };

static tub__json *load(const char *name) {
    char path[1024];
    tub__json *root = NULL;
    tub_error err = {0};
    snprintf(path, sizeof path, FOLDER "%s.json", name);
    assert_ok(tub__json_load(&tub__default_allocator, path, 1 << 20, &root, &err), err);
    return root;
}

static int64_t number(const tub__json *object, const char *key) {
    int64_t value = -1;
    tub_error err = {0};
    assert_ok(tub__json_get_integer(object, key, &value, &err), err);
    return value;
}

static int64_t at(const tub__json *list, size_t i) {
    int64_t value = -1;
    tub_error err = {0};
    assert_ok(tub__json_to_integer(tub__json_at(list, i), "a frame", &value, &err), err);
    return value;
}

/* The differences of a list from what came out; a table of whole lists only. */
static int differences(const tub__json *list, const int64_t *got, size_t n) {
    int wrong = tub__json_size(list) != n;
    for (size_t i = 0; i < n && wrong == 0; i++) {
        wrong += at(list, i) != got[i];
    }
    return wrong;
}

static void expect(const tub__json *one, const char *key, const int64_t *got, size_t n) {
    const tub__json *list = tub__json_get(one, key);
    assert_non_null(list);
    assert_int_equal(tub__json_size(list), n);
    for (size_t i = 0; i < n; i++) {
        if (at(list, i) != got[i]) {
            fail_msg("%s: number %zu is %lld, not %lld", key, i, (long long)got[i],
                     (long long)at(list, i));
        }
    }
}

static int64_t frames[MOST];

/* NumPy's linspace from the first frame to the last, its rounding included. */
static void test_linspace(void **state) {
    (void)state;
    tub__json *root = load("linspace");
    const tub__json *cases = tub__json_get(root, "cases");
    int listed = 0;
    for (size_t i = 0; i < tub__json_size(cases); i++) {
        const tub__json *one = tub__json_at(cases, i);
        const tub__frame_plan plan = {TUB_SAMPLING_LINSPACE, number(one, "k"), 0};
        const int64_t n = number(one, "n");
        tub__frames_of_view(&plan, n, 0, 1, frames);
        expect(one, "indices", frames, (size_t)plan.frames);
        bool whole = true;
        for (int64_t j = 0; plan.frames > 1 && j < plan.frames; j++) {
            whole = whole && frames[j] == j * (n - 1) / (plan.frames - 1);
        }
        listed += !whole;
    }
    assert_true(tub__json_size(cases) > 100);
    assert_true(listed > 10); /* whole numbers instead would be seen */
    tub__json_free(root);
}

/* sample_frame_indices of transformers' examples. */
static void test_hf(void **state) {
    (void)state;
    tub__json *root = load("hf_sample_frame_indices");
    const tub__json *cases = tub__json_get(root, "cases");
    assert_true(tub__json_size(cases) > 20);
    for (size_t i = 0; i < tub__json_size(cases); i++) {
        const tub__json *one = tub__json_at(cases, i);
        const int64_t length = number(one, "clip_len"), start = number(one, "start_idx"),
                      end = number(one, "end_idx");
        assert_int_equal(end - start, length * number(one, "frame_sample_rate"));
        tub__frames_linspace(start, end, end - 1, length, frames);
        expect(one, "indices", frames, (size_t)length);
    }
    tub__json_free(root);
}

/* The paper's uniform sampling, in the data and in the model's tokeniser. */
static void test_uniform(void **state) {
    (void)state;
    tub__json *root = load("scenic_temporal_sampling");
    const tub__json *cases = tub__json_get(root, "cases");
    assert_true(tub__json_size(cases) > 200);
    for (size_t i = 0; i < tub__json_size(cases); i++) {
        const tub__json *one = tub__json_at(cases, i);
        const int64_t count = number(one, "T"), asked = number(one, "n");
        const size_t n = (size_t)(asked < count ? asked : count);
        const tub__frame_plan plan = {TUB_SAMPLING_UNIFORM, asked, 0};
        tub__frames_of_view(&plan, count, 0, 1, frames);
        expect(one, "indices", frames, n);
        for (int64_t j = count; j < asked; j++) {
            assert_int_equal(frames[j], count - 1);
        }
        const tub__geometry g = {
            .frames = (size_t)count, .grid = {n, 1, 1}, .stride = {1, 1, 1}, .sampled = true};
        for (size_t j = 0; j < n; j++) {
            frames[j] = (int64_t)tub__geometry_frame(&g, j);
        }
        expect(one, "indices", frames, n);
    }
    tub__json_free(root);
}

/* scenic's own results, where its float32 gives as many frames as asked for and its ties are not lost. */
static void test_scenic_uniform(void **state) {
    (void)state;
    tub__json *root = load("scenic_multiview");
    const tub__json *cases = tub__json_get(root, "sample_frames_uniformly");
    int same = 0, other = 0;
    for (size_t i = 0; i < tub__json_size(cases); i++) {
        const tub__json *one = tub__json_at(cases, i), *taken = tub__json_get(one, "taken");
        const tub__frame_plan plan = {TUB_SAMPLING_UNIFORM, number(one, "asked"), 0};
        tub__frames_of_view(&plan, number(one, "frames"), 0, 1, frames);
        const int wrong = differences(taken, frames, (size_t)plan.frames);
        same += wrong == 0;
        other += wrong != 0;
        /* One frame more than asked for is what upstream does; the first ones are the same even then. */
        for (size_t j = 0; j + 1 < (size_t)plan.frames; j++) {
            const int64_t apart = at(taken, j) - frames[j];
            assert_true(apart >= -1 && apart <= 1);
        }
    }
    printf("%d of %d cases of scenic's float32 are the exact ones\n", same, same + other);
    assert_int_equal(same, 88); /* the others are listed because float32 or float64 went wrong */
    assert_int_equal(other, 112);
    tub__json_free(root);
}

static void test_segments(void **state) {
    (void)state;
    tub__json *root = load("segments");
    const tub__json *cases = tub__json_get(root, "cases");
    assert_true(tub__json_size(cases) > 100);
    for (size_t i = 0; i < tub__json_size(cases); i++) {
        const tub__json *one = tub__json_at(cases, i);
        const tub__frame_plan plan = {TUB_SAMPLING_SEGMENTS, number(one, "segments"), 0};
        tub__frames_of_view(&plan, number(one, "n"), 0, 1, frames);
        expect(one, "centres", frames, (size_t)plan.frames);
    }
    const tub__json *dense = tub__json_get(tub__json_get(root, "dense_clip_starts"), "cases");
    assert_true(tub__json_size(dense) >= 9);
    for (size_t i = 0; i < tub__json_size(dense); i++) {
        const tub__json *one = tub__json_at(dense, i);
        const int64_t clips = number(one, "clips");
        for (int64_t v = 0; v < clips; v++) {
            frames[v] = tub__place_rounded(number(one, "n"), number(one, "clip_span"), v, clips);
        }
        expect(one, "starts", frames, (size_t)clips);
    }
    tub__json_free(root);
}

/* DMVR: several clips at equal distances, and the one in the middle; the file begins again behind its
 * end. */
static void test_dmvr(void **state) {
    (void)state;
    tub__json *root = load("scenic_multiview");
    const tub__json *several = tub__json_get(root, "linspace_clips"),
                    *middle = tub__json_get(root, "middle_clip");
    assert_true(tub__json_size(several) >= 7 && tub__json_size(middle) >= 5);
    for (size_t i = 0; i < tub__json_size(several); i++) {
        const tub__json *one = tub__json_at(several, i), *lists = tub__json_get(one, "indices");
        const tub__frame_plan plan = {TUB_SAMPLING_STRIDE, number(one, "steps"),
                                      number(one, "stride")};
        const int64_t clips = number(one, "clips");
        for (int64_t v = 0; v < clips; v++) {
            tub__frames_of_view(&plan, number(one, "frames"), v, clips, frames);
            assert_int_equal(frames[0], at(tub__json_get(one, "first_frame"), (size_t)v));
            if (tub__json_size(lists) > 0) {
                assert_int_equal(
                    differences(tub__json_at(lists, (size_t)v), frames, (size_t)plan.frames), 0);
            }
        }
    }
    for (size_t i = 0; i < tub__json_size(middle); i++) {
        const tub__json *one = tub__json_at(middle, i);
        const tub__frame_plan plan = {TUB_SAMPLING_STRIDE, number(one, "steps"),
                                      number(one, "stride")};
        tub__frames_of_view(&plan, number(one, "frames"), 0, 1, frames);
        expect(one, "indices", frames, (size_t)plan.frames);
    }
    tub__json_free(root);
}

/* Corners of scenic's three crops, and the order of views: crop by crop. */
static void test_crops(void **state) {
    (void)state;
    static const tub__crop three[] = {TUB__CROP_FIRST, TUB__CROP_MIDDLE, TUB__CROP_LAST};
    tub__json *root = load("scenic_multiview");
    const tub__json *cases = tub__json_get(root, "three_spatial_crops");
    assert_int_equal(tub__json_size(cases), 10);
    for (size_t i = 0; i < tub__json_size(cases); i++) {
        const tub__json *one = tub__json_at(cases, i), *corners = tub__json_get(one, "top_left_yx");
        const size_t size[2] = {(size_t)number(one, "height"), (size_t)number(one, "width")};
        const size_t side = (size_t)number(one, "size");
        for (size_t c = 0; c < 3; c++) {
            size_t corner[2];
            tub__crop_corner(size, (const size_t[2]){side, side}, three[c], corner);
            assert_int_equal(corner[0], at(tub__json_at(corners, c), 0));
            assert_int_equal(corner[1], at(tub__json_at(corners, c), 1));
        }
    }
    tub__json_free(root);
}

/* Means over scenic's six views: of logits, and of probabilities. */
static void test_averages(void **state) {
    (void)state;
    enum { VIEWS = 6, CLASSES = 6 };
    float logits[VIEWS * CLASSES], shares[VIEWS * CLASSES], mean[CLASSES], made[CLASSES];
    tub__json *root = load("scenic_averages");
    const tub__json *views = tub__json_get(root, "view_logits"),
                    *average = tub__json_get(root, "average_logits"),
                    *softmax = tub__json_get(root, "average_softmax");
    const tub_model_config c = {.classes = CLASSES, .task = TUB_TASK_MULTI_CLASS};
    tub_error err = {0};
    double value;
    assert_int_equal(tub__json_size(views), VIEWS * CLASSES);
    for (size_t i = 0; i < VIEWS * CLASSES; i++) {
        assert_ok(tub__json_to_real(tub__json_at(views, i), "a logit", &value, &err), err);
        logits[i] = (float)value;
    }
    for (int v = 0; v < VIEWS; v++) {
        tub__probabilities_of(&c, logits + v * CLASSES, shares + v * CLASSES);
    }
    tub__average_views(&c, TUB_AVERAGE_PROBABILITIES, VIEWS, logits, shares, mean, made);
    for (size_t k = 0; k < CLASSES; k++) {
        assert_ok(tub__json_to_real(tub__json_at(average, k), "a mean", &value, &err), err);
        assert_true(fabs((double)mean[k] - value) < 1e-6);
        assert_ok(tub__json_to_real(tub__json_at(softmax, k), "a mean", &value, &err), err);
        assert_true(fabs((double)made[k] - value) < 1e-6);
    }
    /* Of mean logits it is another answer. */
    float other[CLASSES];
    tub__average_views(&c, TUB_AVERAGE_LOGITS, VIEWS, logits, shares, mean, other);
    assert_true(fabsf(other[2] - made[2]) > 1e-4f);
    tub__json_free(root);
}

/* A wrong number in a table would be seen. */
static void test_control(void **state) {
    (void)state;
    tub__json *root = load("segments");
    const tub__json *one = tub__json_at(tub__json_get(root, "cases"), 20);
    const tub__frame_plan plan = {TUB_SAMPLING_SEGMENTS, number(one, "segments"), 0};
    tub__frames_of_view(&plan, number(one, "n") + plan.frames, 0, 1, frames);
    assert_int_not_equal(differences(tub__json_get(one, "centres"), frames, (size_t)plan.frames),
                         0);
    tub__json_free(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linspace), cmocka_unit_test(test_hf),
        cmocka_unit_test(test_uniform),  cmocka_unit_test(test_scenic_uniform),
        cmocka_unit_test(test_segments), cmocka_unit_test(test_dmvr),
        cmocka_unit_test(test_crops),    cmocka_unit_test(test_averages),
        cmocka_unit_test(test_control),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
