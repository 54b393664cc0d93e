/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures resized and cut: where crops lie, borders, and that one piece at a time is what preparing a
 * whole clip gives. scenic's corners are in tests/golden/test_frames.c. */
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "failing_alloc.h"
#include "picture/framing.h"

static const tub_allocator *const heap = &tub__default_allocator;

enum { H = 11, W = 17, C = 3 };
static unsigned char picture[H * W * C];

static void fill(void) {
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof picture; i++) {
        x = x * 1664525u + 1013904223u;
        picture[i] = (unsigned char)(x >> 24);
    }
}

static void cut(const tub__preprocessing *p, tub__crop crop, unsigned char *out, size_t size[2]) {
    tub__framer *f = NULL;
    tub_error err;
    assert_ok(tub__framer_create(heap, p, (const size_t[2]){H, W}, C, false, &f, &err), err);
    memcpy(size, tub__framer_size(f), 2 * sizeof *size);
    tub__framer_take(f, picture);
    tub__framer_cut(f, crop, out);
    tub__framer_destroy(f);
}

static void test_no_change(void **state) {
    (void)state;
    const tub__preprocessing none = {0};
    unsigned char out[sizeof picture];
    size_t size[2];
    fill();
    cut(&none, TUB__CROP_ONLY, out, size);
    assert_true(size[0] == H && size[1] == W);
    assert_memory_equal(out, picture, sizeof picture);
}

/* Every pixel of a crop is the picture's, at its corner. */
static void test_crops(void **state) {
    (void)state;
    const tub__preprocessing p = {.crop = true, .crop_height = 8, .crop_width = 6};
    static const struct {
        tub__crop crop;
        size_t top, left;
    } cases[] = {{TUB__CROP_ONLY, 1, 5},
                 {TUB__CROP_FIRST, 2, 0},
                 {TUB__CROP_MIDDLE, 2, 6},
                 {TUB__CROP_LAST, 2, 11}};
    unsigned char out[8 * 6 * C];
    size_t size[2], corner[2];
    fill();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cut(&p, cases[i].crop, out, size);
        assert_true(size[0] == 8 && size[1] == 6);
        tub__crop_corner((const size_t[2]){H, W}, size, cases[i].crop, corner);
        assert_int_equal(corner[0], cases[i].top);
        assert_int_equal(corner[1], cases[i].left);
        for (size_t y = 0; y < 8; y++) {
            assert_memory_equal(out + y * 6 * C, picture + ((y + corner[0]) * W + corner[1]) * C,
                                (size_t)6 * C);
        }
    }
}

/* A crop that is larger: zeros around, one more at the beginning. */
static void test_border(void **state) {
    (void)state;
    const tub__preprocessing p = {.crop = true, .crop_height = H + 3, .crop_width = W + 2};
    static unsigned char out[(H + 3) * (W + 2) * C];
    size_t size[2], outside = 0;
    fill();
    for (int crop = TUB__CROP_ONLY; crop <= TUB__CROP_LAST; crop++) {
        memset(out, 7, sizeof out);
        cut(&p, (tub__crop)crop, out, size);
        for (size_t y = 0; y < H + 3; y++) {
            for (size_t x = 0; x < W + 2; x++) {
                const unsigned char *pixel = out + (y * (W + 2) + x) * C;
                if (y >= 2 && y < H + 2 && x >= 1 && x < W + 1) {
                    assert_memory_equal(pixel, picture + ((y - 2) * W + x - 1) * C, C);
                } else {
                    assert_true(pixel[0] == 0 && pixel[1] == 0 && pixel[2] == 0);
                    outside++;
                }
            }
        }
    }
    assert_int_equal(outside, 4 * ((H + 3) * (W + 2) - H * W));
}

/* Four bytes of a float are one pixel; their size can't change. */
static void test_wide(void **state) {
    (void)state;
    tub__preprocessing p = {.crop = true, .crop_height = 2, .crop_width = 2};
    const float in[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    float out[4];
    tub__framer *f = NULL;
    tub_error err;
    assert_ok(tub__framer_create(heap, &p, (const size_t[2]){3, 3}, sizeof(float), true, &f, &err),
              err);
    tub__framer_take(f, in);
    tub__framer_cut(f, TUB__CROP_LAST, out);
    assert_true(out[0] == 5 && out[1] == 6 && out[2] == 8 && out[3] == 9);
    tub__framer_destroy(f);
    p.resize = true;
    p.shortest_edge = 2;
    assert_int_equal(
        tub__framer_create(heap, &p, (const size_t[2]){3, 3}, sizeof(float), true, &f, &err),
        TUB_E_SHAPE);
    assert_non_null(strstr(err.message, "3x3"));
    p.shortest_edge = 3; /* the size that they have */
    assert_ok(tub__framer_create(heap, &p, (const size_t[2]){3, 3}, sizeof(float), true, &f, &err),
              err);
    tub__framer_destroy(f);
}

static tub_status framed(const tub_allocator *a, void *user, tub_error *err) {
    const tub__preprocessing p = {.resize = true,
                                  .crop = true,
                                  .shortest_edge = 6,
                                  .crop_height = 5,
                                  .crop_width = 5,
                                  .filter = TUB__BILINEAR};
    tub__framer *f;
    (void)user;
    const tub_status status = tub__framer_create(a, &p, (const size_t[2]){H, W}, C, false, &f, err);
    if (status == TUB_OK) {
        tub__framer_destroy(f);
    }
    return status;
}

static void test_memory(void **state) {
    (void)state;
    failing_report report = failing_run(framed, NULL);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations >= 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_change), cmocka_unit_test(test_crops),
        cmocka_unit_test(test_border),    cmocka_unit_test(test_wide),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
