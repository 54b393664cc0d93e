/* SPDX-License-Identifier: Apache-2.0 */
/* Preparing frames: what a file may say, where odd sizes leave their pixels, and levels worked out by
 * hand. The numbers of Pillow and transformers are in tests/golden/test_preprocess.c. */
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "convert/preprocessor_json.h"
#include "failing_alloc.h"

static const tub_allocator *const heap = &tub__default_allocator;

static tub_status read(const char *text, tub__preprocessing *p, tub_error *err) {
    tub__json *root = NULL;
    assert_ok(tub__json_parse(text, strlen(text), &root, err), *err);
    tub_status status = tub__preprocessing_from_json(root, p, err);
    tub__json_free(root);
    return status;
}

static void test_defaults(void **state) {
    (void)state;
    tub__preprocessing p;
    tub_error err = {0};
    assert_ok(read("{}", &p, &err), err);
    assert_true(p.resize && p.crop && p.rescale && p.normalize && p.offset);
    assert_int_equal(p.shortest_edge, 256);
    assert_int_equal(p.crop_height, 224);
    assert_int_equal(p.crop_width, 224);
    assert_int_equal(p.filter, TUB__BILINEAR);
    assert_true(p.factor == 1.0 / 127.5 && p.mean[0] == 0.5f && p.deviation[0] == 0.5f);
    assert_ok(read("{\"size\":40,\"crop_size\":32,\"image_mean\":[0.1,0.2,0.3],\"image_std\":2,"
                   "\"resample\":3,\"rescale_factor\":null,\"unknown\":[1]}",
                   &p, &err),
              err);
    assert_int_equal(p.shortest_edge, 40);
    assert_int_equal(p.crop_width, 32);
    assert_int_equal(p.channels, 3);
    assert_true(p.mean[2] == 0.3f && p.deviation[2] == 2.0f);
    assert_int_equal(p.filter, TUB__BICUBIC);
    assert_ok(read("{\"size\":{\"height\":3,\"width\":5},\"offset\":false,\"do_rescale\":false}",
                   &p, &err),
              err);
    assert_true(p.shortest_edge == 0 && p.height == 3 && p.width == 5);
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *text;
        tub_status status;
        const char *words;
    } cases[] = {
        {"{\"do_rescale\":false}", TUB_E_FORMAT, "offset: it needs do_rescale"},
        {"[1]", TUB_E_FORMAT, "the file: expected a table of keys"},
        {"{\"rescale_factor\":1e300}", TUB_E_RANGE, "numbers of pixels that float32 does not have"},
        {"{\"image_std\":1e-40}", TUB_E_RANGE, "numbers of pixels that float32 does not have"},
        {"{\"image_mean\":[0,0,1e39],\"image_std\":1}", TUB_E_RANGE, "that float32 does not have"},
        {"{\"do_resize\":1}", TUB_E_FORMAT, "do_resize: expected true or false"},
        {"{\"resample\":6}", TUB_E_RANGE, "resample is 6"},
        {"{\"size\":{\"shortest_edge\":0}}", TUB_E_RANGE, "size is 0"},
        {"{\"size\":{\"shortest_edge\":65537}}", TUB_E_RANGE, "size is 65537"},
        {"{\"size\":{\"shortest_edge\":4,\"longest_edge\":9}}", TUB_E_UNSUPPORTED,
         "size: expected height and width"},
        {"{\"size\":{\"height\":4}}", TUB_E_UNSUPPORTED, "size: expected height and width"},
        {"{\"size\":\"4\"}", TUB_E_FORMAT, "size: expected a table of keys, found text"},
        {"{\"crop_size\":{\"shortest_edge\":4}}", TUB_E_UNSUPPORTED, "crop_size: expected height"},
        {"{\"crop_size\":{\"height\":4,\"width\":4.5}}", TUB_E_FORMAT,
         "crop_size: expected a whole"},
        {"{\"image_mean\":[]}", TUB_E_RANGE, "image_mean: expected 1 to 16 numbers, found 0"},
        {"{\"image_mean\":[1,\"2\"]}", TUB_E_FORMAT, "image_mean: expected a number, found text"},
        {"{\"image_mean\":[1,2],\"image_std\":[1,2,3]}", TUB_E_SHAPE, "has 2 numbers, image_std 3"},
        {"{\"image_std\":[1,0]}", TUB_E_RANGE, "image_std: 0 is not above 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tub__preprocessing p;
        tub_error err = {0};
        tub_status status = read(cases[i].text, &p, &err);
        if (status != cases[i].status || strstr(err.message, cases[i].words) == NULL) {
            fail_msg("%s: %s: %s", cases[i].text, tub_status_name(status), err.message);
        }
    }
}

/* One channel, no resizing: level * 2, or level * 2 - 1. */
static tub__preprocessing plain(int64_t crop_height, int64_t crop_width) {
    return (tub__preprocessing){.crop = true,
                                .crop_height = crop_height,
                                .crop_width = crop_width,
                                .rescale = true,
                                .factor = 2,
                                .channels = 1};
}

static void test_crop(void **state) {
    (void)state;
    static const struct {
        int64_t height, width;
        float expected[12];
    } cases[] = {
        {2, 3, {2, 4, 6, 8, 10, 12}},
        {1, 1, {4}}, /* floor(1/2) rows and floor(2/2) columns are left out before it */
        {1, 2, {2, 4}},
        {3, 4, {0, 0, 0, 0, 0, 2, 4, 6, 0, 8, 10, 12}}, /* the odd one of padding comes before */
        {4, 1, {0, 4, 10, 0}},
        {1, 5, {0, 2, 4, 6, 0}},
    };
    static const unsigned char picture[6] = {1, 2, 3, 4, 5, 6};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tub__preprocessing p = plain(cases[i].height, cases[i].width);
        const size_t n = (size_t)(cases[i].height * cases[i].width);
        float out[12];
        tub_error err = {0};
        assert_ok(tub__preprocess(heap, &p, 1, (const size_t[2]){2, 3}, 1, picture, out, &err),
                  err);
        assert_memory_equal(out, cases[i].expected, n * sizeof *out);
        p.offset = p.normalize = true; /* padding is moved and normalised like any black */
        p.mean[0] = 1;
        p.deviation[0] = 4;
        assert_ok(tub__preprocess(heap, &p, 1, (const size_t[2]){2, 3}, 1, picture, out, &err),
                  err);
        for (size_t j = 0; j < n; j++) {
            assert_true(out[j] == (cases[i].expected[j] - 2) / 4);
        }
    }
}

static void test_sizes(void **state) {
    (void)state;
    tub__preprocessing p = {.resize = true, .shortest_edge = 40};
    size_t out[2];
    tub_error err = {0};
    assert_ok(tub__preprocessed_size(&p, (const size_t[2]){61, 83}, out, &err), err);
    assert_int_equal(out[0], 40);
    assert_int_equal(out[1], 54); /* 54.4 */
    assert_ok(tub__preprocessed_size(&p, (const size_t[2]){79, 41}, out, &err), err);
    assert_int_equal(out[0], 77); /* 77.07 */
    assert_int_equal(out[1], 40);
    assert_int_equal(tub__preprocessed_size(&p, (const size_t[2]){0, 4}, out, &err), TUB_E_RANGE);
    assert_string_equal(err.message, "the picture has height 0; it must be from 1 to 65536");
    assert_int_equal(tub__preprocessed_size(&p, (const size_t[2]){1, 9000}, out, &err),
                     TUB_E_RANGE);
    assert_string_equal(err.message,
                        "the resized picture has width 360000; it must be from 1 to 65536");
    p = (tub__preprocessing){.normalize = true, .channels = 3};
    assert_int_equal(tub__preprocess(heap, &p, 1, (const size_t[2]){1, 1}, 2,
                                     (const unsigned char[2]){0}, (float[2]){0}, &err),
                     TUB_E_SHAPE);
    assert_string_equal(err.message, "pictures have 2 channels; image_mean and image_std have 3");
}

/* A picture of one colour stays so by every filter, from every small size to every other; so weights
 * sum to one, and sums stay within 32 bits. */
static void test_flat(void **state) {
    (void)state;
    enum { LARGEST = 24 };
    unsigned char in[LARGEST * 3], out[LARGEST * 3];
    memset(in, 255, sizeof in);
    for (int filter = TUB__NEAREST; filter <= TUB__HAMMING; filter++) {
        for (size_t i = 0; i < (size_t)LARGEST * LARGEST; i++) {
            const size_t from[2] = {1 + i / LARGEST, 3}, to[2] = {1 + i % LARGEST, 3};
            tub__resizer *r = NULL;
            tub_error err = {0};
            memset(out, 7, sizeof out);
            assert_ok(tub__resizer_create(heap, (tub__filter)filter, TUB__PILLOW_13, 1, from, to,
                                          &r, &err),
                      err);
            tub__resizer_run(r, in, out);
            tub__resizer_destroy(r);
            assert_memory_equal(out, in, to[0] * 3);
        }
    }
    tub__resizer_destroy(NULL);
}

static void test_resizer_refused(void **state) {
    (void)state;
    tub__resizer *r;
    tub_error err = {0};
    assert_int_equal(tub__resizer_create(heap, TUB__BOX, TUB__PILLOW_13, 3, (const size_t[2]){0, 1},
                                         (const size_t[2]){1, 1}, &r, &err),
                     TUB_E_RANGE);
    assert_int_equal(tub__resizer_create(heap, TUB__BOX, TUB__PILLOW_13, 3, (const size_t[2]){1, 1},
                                         (const size_t[2]){1, 65537}, &r, &err),
                     TUB_E_RANGE);
    assert_int_equal(tub__resizer_create(heap, (tub__filter)6, TUB__PILLOW_13, 3,
                                         (const size_t[2]){1, 1}, (const size_t[2]){1, 1}, &r,
                                         &err),
                     TUB_E_RANGE);
}

static tub_status prepare(const tub_allocator *a, void *user, tub_error *err) {
    static const unsigned char clip[2 * 5 * 7 * 3] = {1, 2, 3};
    float out[2 * 4 * 4 * 3];
    (void)user;
    const tub__preprocessing p = {.resize = true,
                                  .shortest_edge = 3,
                                  .filter = TUB__LANCZOS,
                                  .crop = true,
                                  .crop_height = 4,
                                  .crop_width = 4,
                                  .channels = 1};
    return tub__preprocess(a, &p, 2, (const size_t[2]){5, 7}, 3, clip, out, err);
}

static void test_failing_allocations(void **state) {
    (void)state;
    failing_report report = failing_run(prepare, NULL);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations >= 11);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_crop),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_flat),
        cmocka_unit_test(test_resizer_refused),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
