/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of files: pixels that are known because the test painted them, times, seeking, folders of
 * pictures, arrays, damage, and each sentence. */
#include "cmocka_all.h"

#include "base/error.h"
#include "context_folder.h"
#include "data/clip_file.h"
#include "data/natural_order.h"
#include "failing_alloc.h"
#include "failing_context.h"
#include "formats/npy.h"
#include "make_video.h"
#include <sys/stat.h>
#include <unistd.h>

static tub__clip_file *open_clip(fixture *f, const char *path, int threads) {
    tub__clip_file *clip = NULL;
    tub_error err;
    assert_ok(tub__clip_open(f->ctx, path, threads, NULL, &clip, &err), err);
    return clip;
}

static const unsigned char *next_frame(tub__clip_file *clip, tub__clip_frame *frame) {
    bool end;
    tub_error err;
    assert_ok(tub__clip_next(clip, frame, &end, &err), err);
    return end ? NULL : frame->samples;
}

/* The pattern's frame i in rgb, as it was painted. */
static void expect_pattern(const unsigned char *rgb, int i, int height, int width) {
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            for (int c = 0; c < 3; c++) {
                assert_int_equal(rgb[(y * width + x) * 3 + c], video_pattern(i, y, x, c));
            }
        }
    }
}

/* Lossless rgb with odd sizes: every pixel and every time. */
static void test_pixels(void **state) {
    fixture *f = *state;
    const char *path = temp_path(&f->folder, "a.mkv");
    make_video(&(video_plan){path, "ffv1", "bgr0", 7, 5, 9, 30000, 1001, .gop = 3});
    for (int threads = 1; threads <= 3; threads += 2) {
        tub__clip_frame frame;
        tub__clip_file *clip = open_clip(f, path, threads);
        const tub__clip_facts *facts = tub__clip_describe(clip);
        assert_int_equal(facts->kind, TUB__CLIP_VIDEO);
        assert_int_equal(facts->height, 5);
        assert_int_equal(facts->width, 7);
        assert_int_equal(facts->channels, 3);
        for (int i = 0; i < 9; i++) {
            const unsigned char *rgb = next_frame(clip, &frame);
            assert_non_null(rgb);
            assert_int_equal(frame.index, i);
            expect_pattern(rgb, i, 5, 7);
            /* Matroska counts milliseconds: each frame's time is the nearest. */
            assert_int_equal(frame.time * facts->time_base_numerator * 1000 /
                                 facts->time_base_denominator,
                             (i * 1001 * 2 + 30) / 60);
        }
        assert_null(next_frame(clip, &frame));
        assert_null(next_frame(clip, &frame));
        assert_null(tub__clip_damage(clip));
        tub__clip_close(clip);
    }
}

/* Turned as a player turns it; compared with turning by hand. */
static void test_rotation(void **state) {
    fixture *f = *state;
    const char *path = temp_path(&f->folder, "turned.mov");
    for (int degrees = 90; degrees < 360; degrees += 90) {
        tub__clip_frame frame;
        make_video(&(video_plan){path, "png", "rgb24", 6, 4, 2, 25, 1, .rotation = degrees});
        tub__clip_file *clip = open_clip(f, path, 1);
        const int h = degrees == 180 ? 4 : 6, w = degrees == 180 ? 6 : 4;
        assert_int_equal(tub__clip_describe(clip)->height, h);
        assert_int_equal(tub__clip_describe(clip)->width, w);
        const unsigned char *rgb = next_frame(clip, &frame);
        for (int y = 0; y < h; y++) {
            for (int x = 0; x < w; x++) {
                /* Where the pixel that is shown at (y, x) was stored. */
                const int from_y = degrees == 90 ? 3 - x : degrees == 180 ? 3 - y : x;
                const int from_x = degrees == 90 ? y : degrees == 180 ? 5 - x : 5 - y;
                for (int c = 0; c < 3; c++) {
                    assert_int_equal(rgb[(y * w + x) * 3 + c], video_pattern(0, from_y, from_x, c));
                }
            }
        }
        tub__clip_close(clip);
    }
}

/* A variable rate: times as they were written, from the first frame on. */
static void test_variable_rate(void **state) {
    fixture *f = *state;
    const char *path = temp_path(&f->folder, "vfr.mp4");
    static const int64_t times[] = {5, 6, 10, 11, 40, 41, 43};
    make_video(&(video_plan){path, "mpeg4", "yuv420p", 32, 16, 7, 30, 1, .times = times});
    tub__clip_file *clip = open_clip(f, path, 1);
    const tub__clip_facts *facts = tub__clip_describe(clip);
    tub__clip_frame frame;
    for (int i = 0; i < 7; i++) {
        assert_non_null(next_frame(clip, &frame));
        assert_true(frame.time * facts->time_base_numerator * 30 ==
                    (times[i] - 5) * facts->time_base_denominator);
    }
    assert_null(next_frame(clip, &frame));
    tub__clip_close(clip);
}

/* An AVI with frames out of order has no times: they follow from the rate. */
static void test_missing_times(void **state) {
    fixture *f = *state;
    const char *path = temp_path(&f->folder, "b.avi");
    make_video(&(video_plan){path, "mpeg4", "yuv420p", 32, 16, 12, 25, 1, .gop = 6, .b_frames = 2});
    tub__clip_file *clip = open_clip(f, path, 1);
    const tub__clip_facts *facts = tub__clip_describe(clip);
    tub__clip_frame frame;
    for (int i = 0; i < 12; i++) {
        assert_non_null(next_frame(clip, &frame));
        assert_int_equal(frame.time * facts->time_base_numerator * 25,
                         i * facts->time_base_denominator);
    }
    assert_null(next_frame(clip, &frame));
    tub__clip_close(clip);
}

static void keep_all(tub__clip_file *clip, unsigned char *out, int64_t *times, int count) {
    const tub__clip_facts *facts = tub__clip_describe(clip);
    const size_t size = (size_t)(facts->height * facts->width * 3);
    for (int i = 0; i < count; i++) {
        tub__clip_frame frame;
        const unsigned char *rgb = next_frame(clip, &frame);
        assert_non_null(rgb);
        memcpy(out + (size_t)i * size, rgb, size);
        times[i] = frame.time;
    }
}

/* Each frame by seeking, in a mixed order, is the frame that reading from the start gives; counting
 * says the same number and times. */
static void expect_seeking(fixture *f, const char *path, int count) {
    enum { SIZE = 32 * 16 * 3, MOST = 40 };
    static unsigned char all[MOST * SIZE];
    int64_t times[MOST];
    tub_error err;
    tub__clip_frame frame;
    tub__clip_file *clip = open_clip(f, path, 1);
    keep_all(clip, all, times, count);
    assert_null(next_frame(clip, &frame));
    tub__clip_close(clip);
    clip = open_clip(f, path, 1);
    for (int round = 0; round < 2; round++) {
        for (int i = 0, at = count - 1; i < count; i++, at = (at + 7) % count) {
            assert_ok(tub__clip_seek(clip, at, &err), err);
            const unsigned char *rgb = next_frame(clip, &frame);
            assert_non_null(rgb);
            assert_int_equal(frame.index, at);
            assert_int_equal(frame.time, times[at]);
            assert_memory_equal(rgb, all + (size_t)at * SIZE, SIZE);
        }
        assert_int_equal(tub__clip_seek(clip, count, &err), TUB_E_RANGE);
        assert_int_equal(tub__clip_seek(clip, -1, &err), TUB_E_RANGE);
        assert_ok(tub__clip_count(clip, &err), err);
        assert_true(tub__clip_describe(clip)->frames_exact);
        assert_int_equal(tub__clip_describe(clip)->frames, count);
        assert_memory_equal(tub__clip_times(clip), times, (size_t)count * sizeof *times);
        assert_memory_equal(next_frame(clip, &frame), all, SIZE);
    }
    tub__clip_close(clip);
}

static void test_seek(void **state) {
    fixture *f = *state;
    static const struct {
        const char *name, *codec;
        int gop, b_frames;
    } cases[] = {{"key.mkv", "ffv1", 4, 0},   {"intra.mov", "mjpeg", 1, 0},
                 {"b.mp4", "mpeg4", 5, 2},    {"b.avi", "mpeg4", 5, 2},
                 {"one.mkv", "ffv1", 100, 0}, {"ps.mpg", "mpeg2video", 6, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = temp_path(&f->folder, cases[i].name);
        make_video(&(video_plan){
            path, cases[i].codec, strcmp(cases[i].codec, "mjpeg") == 0 ? "yuvj420p" : "yuv420p", 32,
            16, 23, 25, 1, .gop = cases[i].gop, .b_frames = cases[i].b_frames});
        expect_seeking(f, path, 23);
    }
}

/* An animation of grey levels; every delay is its own. */
static void test_gif(void **state) {
    fixture *f = *state;
    const char *path = temp_path(&f->folder, "a.gif");
    static const int64_t times[] = {0, 5, 30, 37};
    make_video(&(video_plan){path, "gif", "gray", 6, 5, 4, 100, 1, .times = times});
    tub__clip_file *clip = open_clip(f, path, 1);
    const tub__clip_facts *facts = tub__clip_describe(clip);
    tub__clip_frame frame;
    for (int i = 0; i < 4; i++) {
        const unsigned char *rgb = next_frame(clip, &frame);
        for (int p = 0; p < 30; p++) {
            for (int c = 0; c < 3; c++) {
                assert_int_equal(rgb[p * 3 + c], video_pattern(i, p / 6, p % 6, 0));
            }
        }
        assert_int_equal(frame.time * facts->time_base_numerator * 100,
                         times[i] * facts->time_base_denominator);
    }
    assert_null(next_frame(clip, &frame));
    tub__clip_close(clip);
}

/* Alpha is left out as ffmpeg does; ten bits become eight. */
static void test_pixel_formats(void **state) {
    fixture *f = *state;
    tub__clip_frame frame;
    const char *path = temp_path(&f->folder, "alpha.png");
    make_video(&(video_plan){path, "png", "rgba", 7, 5, 1, 1, 1, .gop = 0});
    tub__clip_file *clip = open_clip(f, path, 1);
    expect_pattern(next_frame(clip, &frame), 0, 5, 7);
    tub__clip_close(clip);
    path = temp_path(&f->folder, "ten.mkv");
    static const int levels[] = {16, 235, 126};
    static const unsigned char shown[] = {0, 255, 128};
    make_video(&(video_plan){path, "ffv1", "yuv420p10le", 16, 16, 3, 25, 1, .levels = levels});
    clip = open_clip(f, path, 1);
    for (int i = 0; i < 3; i++) {
        const unsigned char *rgb = next_frame(clip, &frame);
        for (int c = 0; c < 3; c++) {
            assert_in_range(rgb[c], shown[i] > 2 ? shown[i] - 2 : 0,
                            shown[i]); /* swscale's rounding */
        }
    }
    tub__clip_close(clip);
}

static void test_natural_order(void **state) {
    static const char *const sorted[] = {"a",
                                         "a0",
                                         "a1",
                                         "a01",
                                         "a2",
                                         "a10",
                                         "a10b",
                                         "a10b3",
                                         "a10b20",
                                         "b1",
                                         "b99999999999999999999998",
                                         "b99999999999999999999999"};
    const size_t n = sizeof sorted / sizeof *sorted;
    (void)state;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            const bool swapped = i == 2 && j == 3;
            const int order = tub__natural_compare(sorted[i], sorted[j]);
            if (i == 2 || i == 3) {
                assert_true((i == j) == (order == 0) || swapped);
            } else {
                assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
            }
        }
    }
}

static void make_picture(fixture *f, const char *name, int width, int level) {
    make_video(&(video_plan){temp_path(&f->folder, name), "png", "rgb24", width, 4, 1, 1, 1,
                             .levels = &level});
}

/* Pictures in the order of their numbers; other files don't count; others' sizes become the first's. */
static void test_folder(void **state) {
    fixture *f = *state;
    tub_error err;
    tub__clip_frame frame;
    char folder[512];
    snprintf(folder, sizeof folder, "%s", temp_path(&f->folder, "frames"));
    mkdir(folder, 0700);
    make_picture(f, "frames/f2.png", 6, 20);
    make_picture(f, "frames/f10.png", 12, 30);
    make_picture(f, "frames/f%1.png", 6, 10); /* no pattern of names */
    assert_ok(tub__file_write(&tub__default_allocator, temp_path(&f->folder, "frames/notes.txt"),
                              "x", 1, &err),
              err);
    tub__clip_file *clip = open_clip(f, folder, 1);
    const tub__clip_facts *facts = tub__clip_describe(clip);
    assert_int_equal(facts->kind, TUB__CLIP_PICTURES);
    assert_int_equal(facts->frames, 3);
    assert_true(facts->frames_exact);
    assert_int_equal(facts->width, 6);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3; i++) {
            const unsigned char *rgb = next_frame(clip, &frame);
            assert_int_equal(frame.index, i);
            for (int k = 0; k < 6 * 4 * 3; k++) {
                assert_int_equal(rgb[k], 10 + 10 * i);
            }
        }
        assert_null(next_frame(clip, &frame));
        assert_ok(tub__clip_seek(clip, 0, &err), err);
    }
    assert_ok(tub__clip_seek(clip, 2, &err), err);
    assert_int_equal(next_frame(clip, &frame)[0], 30);
    tub__clip_close(clip);
}

/* Pictures that can't be decoded are left out and told, the first one as well; where none can, that is the sentence. */
static void test_broken_pictures(void **state) {
    fixture *f = *state;
    tub__clip_frame frame;
    tub_error err;
    char folder[512];
    snprintf(folder, sizeof folder, "%s", temp_path(&f->folder, "frames"));
    mkdir(folder, 0700);
    for (int i = 1; i <= 5; i++) {
        char name[32];
        snprintf(name, sizeof name, "frames/%d.png", i);
        make_picture(f, name, 6, 10 * i);
    }
    static const char text[] = "no picture";
    const char *const broken[] = {"frames/3.png", "frames/1.png"};
    for (int round = 0; round < 2; round++) {
        assert_ok(tub__file_write(&tub__default_allocator, temp_path(&f->folder, broken[round]),
                                  text, sizeof text, &err),
                  err);
        tub__clip_file *clip = open_clip(f, folder, 1);
        assert_int_equal(tub__clip_describe(clip)->frames, 5 - round);
        assert_true((tub__clip_damage(clip) == NULL) == (round == 0));
        const int levels[2][4] = {{10, 20, 40, 50}, {20, 40, 50}};
        for (int i = 0; i < 4 - round; i++) {
            assert_int_equal(next_frame(clip, &frame)[0], levels[round][i]);
            assert_int_equal(frame.index, i);
        }
        assert_null(next_frame(clip, &frame));
        assert_int_equal(tub__clip_describe(clip)->frames, 4 - round);
        assert_string_equal(tub__clip_damage(clip),
                            round == 0 ? "3.png can't be decoded" : "2 pictures can't be decoded");
        assert_ok(tub__clip_seek(clip, 1, &err), err);
        assert_int_equal(next_frame(clip, &frame)[0], levels[round][1]);
        tub__clip_close(clip);
    }
    for (int i = 1; i <= 5; i++) {
        char name[32];
        snprintf(name, sizeof name, "frames/%d.png", i);
        assert_ok(tub__file_write(&tub__default_allocator, temp_path(&f->folder, name), text,
                                  sizeof text, &err),
                  err);
    }
    tub__clip_file *clip = NULL;
    assert_int_equal(tub__clip_open(f->ctx, folder, 1, NULL, &clip, &err), TUB_E_FORMAT);
    assert_non_null(strstr(err.message, "frames/1.png: "));
}

/* The first part of a file that was cut off, and what is said of the rest. */
static void test_broken_tail(void **state) {
    fixture *f = *state;
    const char *path = temp_path(&f->folder, "cut.mkv");
    make_video(&(video_plan){path, "ffv1", "bgr0", 32, 16, 20, 25, 1, .gop = 1});
    struct stat facts;
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(truncate(path, facts.st_size / 2), 0);
    tub__clip_file *clip = open_clip(f, path, 1);
    tub__clip_frame frame;
    tub_error err;
    int count = 0;
    for (const unsigned char *rgb; (rgb = next_frame(clip, &frame)) != NULL; count++) {
        if (count < 8) {
            expect_pattern(rgb, count, 16, 32);
        }
    }
    assert_in_range(count, 8, 11);
    assert_ok(tub__clip_count(clip, &err), err);
    assert_int_equal(tub__clip_describe(clip)->frames, count);
    tub__clip_close(clip);
}

static void write_text(fixture *f, const char *name, const void *bytes, size_t size) {
    tub_error err;
    assert_ok(
        tub__file_write(&tub__default_allocator, temp_path(&f->folder, name), bytes, size, &err),
        err);
}

static void expect_refused(fixture *f, const char *name, tub_status status, const char *sentence) {
    tub__clip_file *clip = NULL;
    tub_error err = {0};
    char expected[700];
    const char *path = temp_path(&f->folder, name);
    snprintf(expected, sizeof expected, "%s%s", path, sentence);
    const tub_status got = tub__clip_open(f->ctx, path, 1, NULL, &clip, &err);
    assert_string_equal(err.message, expected);
    assert_int_equal(got, status);
    assert_null(clip);
}

static void test_refused(void **state) {
    fixture *f = *state;
    make_sound(temp_path(&f->folder, "sound.wav"));
    expect_refused(f, "sound.wav", TUB_E_FORMAT, ": no video stream (audio only)");
    expect_refused(f, "none.mp4", TUB_E_NOT_FOUND, ": no such file");
    write_text(f, "empty.mp4", "", 0);
    expect_refused(f, "empty.mp4", TUB_E_FORMAT, ": the file is empty");
    write_text(f, "words.bin", "this is no video at all", 23);
    expect_refused(f, "words.bin", TUB_E_FORMAT,
                   ": no video, animation or picture of a known kind; look at it with ffprobe");
    mkdir(temp_path(&f->folder, "nothing"), 0700);
    expect_refused(f, "nothing", TUB_E_NOT_FOUND,
                   ": no picture (.png, .jpg, .bmp, ...) in the folder, which would be the frames "
                   "of a clip");
    /* A list must not lead to other files, nor to itself. */
    static const char list[] = "ffconcat version 1.0\nfile 'clip.ffconcat'\nfile '/etc/passwd'\n";
    write_text(f, "list.ffconcat", list, sizeof list - 1);
    expect_refused(f, "list.ffconcat", TUB_E_UNSUPPORTED,
                   ": a list of other files; give the video itself");
    const char *path = temp_path(&f->folder, "half.mp4");
    make_video(&(video_plan){path, "mpeg4", "yuv420p", 32, 16, 5, 25, 1, .gop = 0});
    assert_int_equal(truncate(path, 600), 0);
    expect_refused(f, "half.mp4", TUB_E_FORMAT,
                   ": of an unknown codec, or what describes its video is damaged or cut off");
    /* Without its index at the end an .mp4 tells nothing at all. */
    assert_int_equal(truncate(path, 100), 0);
    expect_refused(f, "half.mp4", TUB_E_FORMAT,
                   ": begins as a file of the kind mov,mp4,m4a,3gp,3g2,mj2, and what describes its "
                   "streams is damaged or cut off; copy it again");
}

static void test_arrays(void **state) {
    fixture *f = *state;
    tub_error err;
    tub__clip_frame frame;
    const char *path = temp_path(&f->folder, "a.npy");
    float values[3 * 2 * 4];
    for (int i = 0; i < 24; i++) {
        values[i] = (float)i / 32;
    }
    assert_ok(tub__npy_write(&tub__default_allocator, path, "<f4", 3, (const uint64_t[]){3, 2, 4},
                             values, &err),
              err);
    tub__clip_file *clip = open_clip(f, path, 1);
    const tub__clip_facts *facts = tub__clip_describe(clip);
    assert_int_equal(facts->kind, TUB__CLIP_ARRAY);
    assert_int_equal(facts->dtype, TUB_F32);
    assert_int_equal(facts->frames, 3);
    assert_int_equal(facts->channels, 1);
    assert_ok(tub__clip_count(clip, &err), err);
    assert_ok(tub__clip_seek(clip, 2, &err), err);
    assert_memory_equal(next_frame(clip, &frame), values + 16, 8 * sizeof(float));
    assert_null(next_frame(clip, &frame));
    assert_int_equal(tub__clip_seek(clip, 3, &err), TUB_E_RANGE);
    tub__clip_close(clip);
    /* A stack is no clip; one of it is. */
    path = temp_path(&f->folder, "stack.npy");
    assert_ok(tub__npy_write(&tub__default_allocator, path, "<f4", 5,
                             (const uint64_t[]){2, 3, 2, 2, 1}, values, &err),
              err);
    expect_refused(f, "stack.npy", TUB_E_SHAPE,
                   ": a stack of 2 clips; name one, as in stack.npy[0]");
    clip = open_clip(f, temp_path(&f->folder, "stack.npy[1]"), 1);
    assert_memory_equal(next_frame(clip, &frame), values + 12, 4 * sizeof(float));
    tub__clip_close(clip);
}

static tub_status read_and_seek(tub_context *ctx, const void *user, tub_error *err) {
    tub__clip_file *clip;
    bool end;
    TUB__TRY(tub__clip_open(ctx, user, 1, NULL, &clip, err));
    tub_status status = tub__clip_next(clip, NULL, &end, err);
    status = status == TUB_OK ? tub__clip_seek(clip, 17, err) : status;
    status = status == TUB_OK ? tub__clip_next(clip, NULL, &end, err) : status;
    status = status == TUB_OK ? tub__clip_count(clip, err) : status;
    tub__clip_close(clip);
    return status;
}

static tub_status failing_read(const tub_allocator *a, void *user, tub_error *err) {
    return in_failing_context(a, 1, TUB_PRECISION_F32, read_and_seek, user, err);
}

static void test_failing_alloc(void **state) {
    fixture *f = *state;
    static const char *const names[] = {"a.mkv", "b.avi", "frames", "a.npy"};
    mkdir(temp_path(&f->folder, "frames"), 0700);
    for (int i = 0; i < 18; i++) {
        char name[32];
        snprintf(name, sizeof name, "frames/%d.png", i);
        make_picture(f, name, 6, i);
    }
    make_video(
        &(video_plan){temp_path(&f->folder, "a.mkv"), "ffv1", "bgr0", 8, 8, 20, 25, 1, .gop = 4});
    make_video(&(video_plan){temp_path(&f->folder, "b.avi"), "mpeg4", "yuv420p", 16, 16, 20, 25, 1,
                             .b_frames = 1});
    static const unsigned char zeros[20 * 4];
    tub_error err;
    assert_ok(tub__npy_write(&tub__default_allocator, temp_path(&f->folder, "a.npy"), "|u1", 3,
                             (const uint64_t[]){20, 2, 2}, zeros, &err),
              err);
    for (int i = 0; i < 4; i++) {
        const failing_report report =
            failing_run(failing_read, (void *)temp_path(&f->folder, names[i]));
        assert_string_equal(report.problem, "");
        assert_true(report.allocations > 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pixels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rotation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_variable_rate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_missing_times, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_seek, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_gif, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pixel_formats, set_up, tear_down),
        cmocka_unit_test(test_natural_order),
        cmocka_unit_test_setup_teardown(test_folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_broken_pictures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_broken_tail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_arrays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failing_alloc, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
