/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures in memory: what FFmpeg reads of them is what they were made of; what is refused; and every
 * allocation made to fail. */
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "failing_alloc.h"
#include "temp_folder.h"
#include <tubelet/clip.h>
#include <tubelet/picture.h>

enum { FRAMES = 5, HEIGHT = 9, WIDTH = 14, LEVELS = FRAMES * HEIGHT * WIDTH * 3 };

static unsigned char levels[LEVELS];

static tub_context *context_with(const tub_allocator *a) {
    tub_context_config c = tub_context_config_default();
    tub_context *ctx = NULL;
    tub_error err;
    c.threads = 1;
    if (a != NULL) {
        c.allocator = *a;
    }
    return tub_context_create(&c, &ctx, &err) == TUB_OK ? ctx : NULL;
}

static int set_up(void **state) {
    (void)state;
    for (size_t i = 0; i < LEVELS; i++) {
        levels[i] = (unsigned char)((uint32_t)i * 2654435761u >> 26 << 2); /* 64 levels */
    }
    return 0;
}

static tub_picture picture_of(int64_t frames, int64_t channels) {
    return (tub_picture){.levels = levels,
                         .frames = frames,
                         .height = HEIGHT,
                         .width = WIDTH,
                         .channels = channels,
                         .hundredths = 7};
}

static void write_bytes(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* Encodes, reads the file back as a clip, and compares; gray comes back as three equal channels. */
static void round_trip(const char *name, tub_picture_kind kind, const tub_picture *p) {
    tub_context *ctx = context_with(NULL);
    temp_folder folder;
    void *bytes;
    size_t size;
    tub_error err = {0};
    tub_clip clip;
    tub_clip_read_options o = tub_clip_read_options_default();
    temp_folder_make(&folder);
    const char *path = temp_path(&folder, name);
    assert_int_equal(tub_picture_encode(ctx, p, kind, &bytes, &size, &err), TUB_OK);
    write_bytes(path, bytes, size);
    tub_picture_free(ctx, bytes);
    o.frames = p->frames;
    assert_int_equal(tub_clip_read(ctx, path, &o, &clip, &err), TUB_OK);
    assert_int_equal(clip.frames, p->frames);
    assert_int_equal(clip.height, HEIGHT);
    assert_int_equal(clip.width, WIDTH);
    assert_int_equal(clip.file_frames, p->frames);
    for (int64_t i = 0; i < clip.frames * HEIGHT * WIDTH * clip.channels; i++) {
        const int64_t pixel = i / clip.channels, channel = i % clip.channels;
        const int64_t at = p->channels == 1 ? pixel : pixel * 3 + channel;
        assert_int_equal(((unsigned char *)clip.samples)[i], levels[at]);
    }
    if (p->frames > 1) {
        assert_float_equal(clip.seconds[1] - clip.seconds[0], 0.07, 1e-9);
    }
    tub_clip_free(&clip);
    temp_folder_drop(&folder);
    tub_context_destroy(ctx);
}

static void test_round_trips(void **state) {
    (void)state;
    tub_picture p = picture_of(FRAMES, 1);
    round_trip("gray.gif", TUB_PICTURE_GIF, &p);
    p.frames = 1;
    round_trip("gray.png", TUB_PICTURE_PNG, &p);
    p.channels = 3;
    round_trip("colours.png", TUB_PICTURE_PNG, &p);
    /* No more than 256 colours: exact, too. */
    for (size_t i = 0; i < LEVELS; i++) {
        levels[i] = (unsigned char)(i % 3 == 0   ? levels[i]
                                    : i % 3 == 1 ? 255 - levels[i - 1]
                                                 : 128);
    }
    p.frames = FRAMES;
    round_trip("colours.gif", TUB_PICTURE_GIF, &p);
}

static void refuse(tub_status status, const char *word, tub_picture p, int kind) {
    tub_context *ctx = context_with(NULL);
    void *bytes = NULL;
    size_t size;
    tub_error err = {0};
    assert_int_equal(tub_picture_encode(ctx, &p, (tub_picture_kind)kind, &bytes, &size, &err),
                     status);
    assert_non_null(strstr(err.message, word));
    assert_null(bytes);
    tub_context_destroy(ctx);
}

static void test_refused(void **state) {
    (void)state;
    tub_picture p = picture_of(1, 2);
    refuse(TUB_E_SHAPE, "2 channels", p, TUB_PICTURE_PNG);
    p = picture_of(2, 1);
    refuse(TUB_E_ARGUMENT, "a PNG of 2 frames", p, TUB_PICTURE_PNG);
    refuse(TUB_E_ARGUMENT, "no kind", p, 7);
    p.hundredths = 0;
    refuse(TUB_E_ARGUMENT, "0 hundredths", p, TUB_PICTURE_GIF);
    p.hundredths = 65536; /* which would be none in the sixteen bits of the file */
    refuse(TUB_E_ARGUMENT, "65536 hundredths; it takes 1 to 65535", p, TUB_PICTURE_GIF);
    p = picture_of(1, 1);
    p.width = 70000;
    refuse(TUB_E_RANGE, "70000x9", p, TUB_PICTURE_GIF);
    p.levels = NULL;
    refuse(TUB_E_ARGUMENT, "a GIF of 1 frames", p, TUB_PICTURE_GIF);
}

/* Of many at once each is what it is alone. */
static void test_batch(void **state) {
    (void)state;
    enum { COUNT = 9 };
    tub_context_config c = tub_context_config_default();
    tub_context *ctx = NULL;
    tub_picture pictures[COUNT];
    tub_picture_kind kinds[COUNT];
    tub_encoded made[COUNT];
    tub_error err = {0};
    c.threads = 3;
    assert_int_equal(tub_context_create(&c, &ctx, &err), TUB_OK);
    for (int i = 0; i < COUNT; i++) {
        kinds[i] = i % 3 == 0 ? TUB_PICTURE_PNG : TUB_PICTURE_GIF;
        pictures[i] = picture_of(i % 3 == 0 ? 1 : 1 + i % FRAMES, i % 2 == 0 ? 1 : 3);
    }
    assert_int_equal(tub_pictures_encode(ctx, COUNT, pictures, kinds, made, &err), TUB_OK);
    for (int i = 0; i < COUNT; i++) {
        void *bytes;
        size_t size;
        assert_int_equal(tub_picture_encode(ctx, &pictures[i], kinds[i], &bytes, &size, &err),
                         TUB_OK);
        assert_int_equal(size, made[i].size);
        assert_memory_equal(bytes, made[i].bytes, size);
        tub_picture_free(ctx, bytes);
        tub_picture_free(ctx, made[i].bytes);
    }
    assert_int_equal(tub_pictures_encode(ctx, 0, NULL, NULL, NULL, &err), TUB_OK);
    /* One that can't be made: its sentence, and none of the others. */
    pictures[4].channels = 2;
    assert_int_equal(tub_pictures_encode(ctx, COUNT, pictures, kinds, made, &err), TUB_E_SHAPE);
    assert_non_null(strstr(err.message, "2 channels"));
    for (int i = 0; i < COUNT; i++) {
        assert_null(made[i].bytes);
    }
    tub_context_destroy(ctx);
}

static tub_status encode_both(const tub_allocator *a, void *user, tub_error *err) {
    tub_context_config c = tub_context_config_default();
    tub_context *ctx = NULL;
    (void)user;
    c.threads = 1;
    c.allocator = *a;
    tub_status status = tub_context_create(&c, &ctx, err);
    for (int kind = TUB_PICTURE_PNG; kind <= TUB_PICTURE_GIF && status == TUB_OK; kind++) {
        const tub_picture p = picture_of(1, 1);
        void *bytes = NULL;
        size_t size;
        status = tub_picture_encode(ctx, &p, (tub_picture_kind)kind, &bytes, &size, err);
        tub_picture_free(ctx, status == TUB_OK ? bytes : NULL);
    }
    if (status == TUB_OK) {
        const tub_picture two[] = {picture_of(1, 1), picture_of(FRAMES, 3)};
        const tub_picture_kind kinds[] = {TUB_PICTURE_PNG, TUB_PICTURE_GIF};
        tub_encoded made[2];
        status = tub_pictures_encode(ctx, 2, two, kinds, made, err);
        for (int i = 0; i < 2; i++) {
            tub_picture_free(ctx, made[i].bytes);
        }
    }
    tub_context_destroy(ctx);
    return status;
}

static void test_every_allocation(void **state) {
    (void)state;
    const failing_report report = failing_run(encode_both, NULL);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations > 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trips),
                                       cmocka_unit_test(test_refused), cmocka_unit_test(test_batch),
                                       cmocka_unit_test(test_every_allocation)};
    return cmocka_run_group_tests(tests, set_up, NULL);
}
