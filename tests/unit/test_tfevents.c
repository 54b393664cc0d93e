/* SPDX-License-Identifier: Apache-2.0 */
/* Event files of a training: their names and records, what happens where they can't be written;
 * histograms, strips of frames, and settings as hyperparameters. */
#include "cmocka_all.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "formats/tfevents.h"
#include "temp_folder.h"
#include "train/histogram.h"
#include "train/hparams.h"
#include "train/strip.h"

static const tub_allocator *const allocator = &tub__default_allocator;

typedef struct scene {
    temp_folder folder;
    tub_context *ctx;
} scene;

static int set_up(void **state) {
    scene *s = calloc(1, sizeof *s);
    temp_folder_make(&s->folder);
    *state = s;
    return tub_context_create(NULL, &s->ctx, NULL) == TUB_OK ? 0 : -1;
}

static int tear_down(void **state) {
    scene *s = *state;
    tub_context_destroy(s->ctx);
    temp_folder_drop(&s->folder);
    free(s);
    return 0;
}

static tub__tfevents create(scene *s, double wall_time, bool expect_others) {
    tub__tfevents e;
    tub_error err;
    bool others = !expect_others;
    assert_ok(tub__tfevents_create(s->ctx, s->folder.path, wall_time, &e, &others, &err), err);
    assert_int_equal(others, expect_others);
    return e;
}

static void put_scalar(tub__tfevents *e, int64_t step, float number) {
    const tub__tfevent_value value = {
        .kind = TUB__TFEVENT_SCALAR, .tag = "loss", .as.scalar = number};
    const tub__tfevent event = {
        .wall_time = 1700000000, .step = step, .values = &value, .count = 1};
    assert_int_equal(tub__tfevents_put(e, &event, NULL), TUB_OK);
}

static uint32_t word(const unsigned char *at) {
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Records of a file that is whole to its end. */
static int count_records(const char *path) {
    char *text = NULL;
    size_t size = 0, at = 0;
    int count = 0;
    assert_int_equal(tub__file_read(allocator, path, 1 << 20, &text, &size, NULL), TUB_OK);
    const unsigned char *bytes = (const unsigned char *)text;
    for (; at < size; count++) {
        const size_t length = word(bytes + at);
        assert_true(size - at >= 16 + length);
        assert_int_equal(word(bytes + at + 8), tub__crc32c_masked(tub__crc32c(bytes + at, 8)));
        assert_int_equal(word(bytes + at + 12 + length),
                         tub__crc32c_masked(tub__crc32c(bytes + at + 12, length)));
        at += 16 + length;
    }
    tub__free(allocator, text);
    return count;
}

/* Sorted by name they are sorted by session, whatever the clock does. */
static void files_come_one_after_another(void **state) {
    scene *s = *state;
    static const double times[] = {1700000000.9, 1700000000.95, 1600000000, 1700000009};
    static const char *const names[] = {"1700000000", "1700000001", "1700000002", "1700000009"};
    for (int i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof name, "events.out.tfevents.%s.tubelet", names[i]);
        tub__tfevents e = create(s, times[i], i > 0);
        assert_string_equal(tub__path_name(e.path), name);
        assert_true(tub__tfevents_is_name(name));
        assert_int_equal(tub__tfevents_flush(&e, NULL), TUB_OK);
        tub__tfevents_close(&e);
    }
    static const char *const others[] = {
        "events.out.tfevents.1700000000.host", "events.out.tfevents.tubelet",
        "events.out.tfevents.1700000000.tubelet.old", "my.events.out.tfevents.1700000000.tubelet"};
    for (int i = 0; i < 4; i++) {
        assert_false(tub__tfevents_is_name(others[i]));
    }
}

static void a_file_appears_with_its_first_records(void **state) {
    scene *s = *state;
    tub__tfevents e = create(s, 1700000000, false);
    put_scalar(&e, 1, 0.5f);
    assert_false(tub__file_exists(e.path));
    assert_int_equal(tub__tfevents_flush(&e, NULL), TUB_OK);
    assert_int_equal(tub__tfevents_flush(&e, NULL), TUB_OK); /* nothing waits */
    assert_int_equal(count_records(e.path), 2);
    put_scalar(&e, 2, NAN);
    tub__tfevents_close(&e); /* and is lost */
    tub__tfevents_close(&e);
    assert_int_equal(count_records(temp_path(&s->folder, "events.out.tfevents.1700000000.tubelet")),
                     2);
}

/* What could not be written is written the next time, in its order. */
static void a_place_that_can_not_be_written(void **state) {
    scene *s = *state;
    tub_error err;
    tub__tfevents e = create(s, 1700000000, false);
    assert_int_equal(mkdir(e.path, 0777), 0);
    put_scalar(&e, 1, 0.5f);
    assert_int_equal(tub__tfevents_flush(&e, &err), TUB_E_IO);
    assert_non_null(strstr(err.message, "events.out.tfevents.1700000000.tubelet: Is a directory"));
    put_scalar(&e, 2, 0.25f);
    assert_int_equal(rmdir(e.path), 0);
    assert_ok(tub__tfevents_flush(&e, &err), err);
    assert_int_equal(count_records(e.path), 3);
    tub__tfevents_close(&e);
    bool others;
    const char *none = temp_path(&s->folder, "none");
    assert_int_equal(tub__tfevents_create(s->ctx, none, 0, &e, &others, &err), TUB_E_NOT_FOUND);
    tub__tfevents_close(&e);
}

/* ---- histograms ---- */

static void histograms(void **state) {
    (void)state;
    tub__histogram_room room;
    tub__histogram h;
    float values[64];
    for (int i = 0; i <= 60; i++) {
        values[i] = (float)i;
    }
    values[61] = NAN;
    values[62] = INFINITY;
    assert_true(tub__histogram_of(values, 63, &room, &h));
    assert_true(h.least == 0 && h.most == 60 && h.count == 61 && h.sum == 1830);
    assert_true(h.square_sum == 60.0 * 61 * 121 / 6);
    assert_int_equal(h.buckets, 31);
    assert_true(h.limits[0] == 0 && h.counts[0] == 0);
    for (int i = 1; i <= 30; i++) { /* [0, 2), [2, 4), ..., [58, 60] */
        assert_true(h.limits[i] == 2 * i && h.counts[i] == (i < 30 ? 2 : 3));
    }
    assert_false(tub__histogram_of(values + 61, 2, &room, &h));
    assert_false(tub__histogram_of(values, 0, &room, &h));
}

static void a_histogram_of_equal_values(void **state) {
    (void)state;
    const float values[] = {-3, -3, -3};
    tub__histogram_room room;
    tub__histogram h;
    assert_true(tub__histogram_of(values, 3, &room, &h));
    assert_int_equal(h.buckets, 2);
    assert_true(h.limits[0] == -3.5 && h.limits[1] == -2.5 && h.counts[0] == 0 && h.counts[1] == 3);
}

/* ---- strips ---- */

static tub__strip strip_of(const int64_t shape[4], tub_dtype dtype, const void *sample) {
    tub__strip s;
    assert_int_equal(tub__strip_make(allocator, shape, dtype, sample, &s, NULL), TUB_OK);
    return s;
}

static void frames_lie_side_by_side(void **state) {
    (void)state;
    unsigned char rgb[2 * 2 * 2 * 3], grey[40];
    for (unsigned char i = 0; i < sizeof rgb; i++) {
        rgb[i] = i;
    }
    tub__strip s = strip_of((const int64_t[]){2, 2, 2, 3}, TUB_U8, rgb);
    static const unsigned char expected[] = {0, 1, 2, 3, 4,  5,  12, 13, 14, 15, 16, 17,
                                             6, 7, 8, 9, 10, 11, 18, 19, 20, 21, 22, 23};
    assert_true(s.height == 2 && s.width == 4 && s.channels == 3);
    assert_memory_equal(s.pixels, expected, sizeof expected);
    tub__free(allocator, s.pixels);
    for (unsigned char i = 0; i < sizeof grey; i++) {
        grey[i] = i;
    }
    s = strip_of((const int64_t[]){20, 1, 1, 2}, TUB_U8, grey); /* the first of two channels */
    assert_true(s.height == 1 && s.width == TUB_STRIP_FRAMES && s.channels == 1);
    for (int i = 0; i < TUB_STRIP_FRAMES; i++) {
        assert_int_equal(s.pixels[i], 2 * ((2 * i + 1) * 20 / 32));
    }
    tub__free(allocator, s.pixels);
}

static void floats_are_seen(void **state) {
    (void)state;
    static const int64_t shape[] = {4, 1, 1, 1};
    static const float unit[] = {0, 0.5f, 0.25f, 1}, wide[] = {-2, 0, 2, 6}, same[] = {7, 7, 7, 7},
                       some[] = {0.25f, 0.5f, 0.5f, 0.5f}, bad[] = {NAN, 0, 1, 0.5f},
                       huge[] = {-3e38f, 3e38f, INFINITY, -INFINITY};
    static const struct {
        const float *from;
        unsigned char to[4];
    } cases[] = {{unit, {0, 128, 64, 255}},  {wide, {0, 64, 128, 255}}, {same, {0, 0, 0, 0}},
                 {some, {0, 255, 255, 255}}, {bad, {0, 0, 255, 128}},   {huge, {0, 255, 0, 0}}};
    for (int i = 0; i < 6; i++) {
        tub__strip s = strip_of(shape, TUB_F32, cases[i].from);
        assert_memory_equal(s.pixels, cases[i].to, 4);
        tub__free(allocator, s.pixels);
    }
}

/* ---- hyperparameters ---- */

static const tub__hparam *find(const tub__hparams *h, const char *name) {
    for (size_t i = 0; i < h->count; i++) {
        if (strcmp(h->list[i].name, name) == 0) {
            return &h->list[i];
        }
    }
    return NULL;
}

static void settings_that_can_change_a_result(void **state) {
    (void)state;
    tub_train_config c = tub_train_config_default();
    tub__hparams h;
    memset(c.data, 'd', sizeof c.data - 1); /* the longest texts fit */
    memset(c.init_from, 'i', sizeof c.init_from - 1);
    assert_int_equal(tub__hparams_create(allocator, &c, &h, NULL), TUB_OK);
    assert_true(find(&h, "lr")->kind == TUB__HPARAM_NUMBER && find(&h, "lr")->number == 1e-4);
    assert_true(find(&h, "model.qkv_bias")->kind == TUB__HPARAM_FLAG &&
                find(&h, "model.qkv_bias")->flag);
    assert_string_equal(find(&h, "model.tubelet")->text, "8,8,8");
    assert_string_equal(find(&h, "optimizer")->text, "adam");
    assert_int_equal(strlen(find(&h, "data")->text), sizeof c.data - 1);
    static const char *const none[] = {"ranks", "cache_limit", "events", "events_images"};
    for (int i = 0; i < 4; i++) {
        assert_null(find(&h, none[i]));
    }
    tub__hparams_destroy(&h);
    tub__hparams_destroy(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_come_one_after_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_appears_with_its_first_records, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_place_that_can_not_be_written, set_up, tear_down),
        cmocka_unit_test(histograms),
        cmocka_unit_test(a_histogram_of_equal_values),
        cmocka_unit_test(frames_lie_side_by_side),
        cmocka_unit_test(floats_are_seen),
        cmocka_unit_test(settings_that_can_change_a_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
