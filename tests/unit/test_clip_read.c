/* SPDX-License-Identifier: Apache-2.0 */
/* From files to clips: frames in any order, parts by exact times, colours to gray, files that end before
 * they say. */
#include "cmocka_all.h"

#include <stdio.h>

#include "base/context.h"
#include "base/file.h"
#include "context_folder.h"
#include "data/clip_read.h"
#include "data/dataset.h"
#include "failing_alloc.h"
#include "failing_context.h"
#include "make_video.h"
#include "spoil_pictures.h"

enum { W = 18, H = 10, N = 60, SECOND = 1000000000 };

static tub__clip_file *open_clip(const fixture *f, const char *path) {
    tub__clip_file *clip = NULL;
    tub_error err;
    assert_ok(tub__clip_open(f->ctx, path, 1, NULL, &clip, &err), err);
    return clip;
}

static const char *make(fixture *f, const char *name, const int64_t *times) {
    const char *path = temp_path(&f->folder, name);
    make_video(&(video_plan){.path = path,
                             .codec = "ffv1",
                             .pixels = "bgr0",
                             .width = W,
                             .height = H,
                             .frames = N,
                             .numerator = times != NULL ? 1000 : 30,
                             .denominator = 1,
                             .times = times});
    return path;
}

static void expect_frame(const unsigned char *got, int64_t frame) {
    for (int y = 0; y < H; y++) {
        for (int x = 0; x < W; x++) {
            for (int c = 0; c < 3; c++) {
                assert_int_equal(got[(y * W + x) * 3 + c], video_pattern((int)frame, y, x, c));
            }
        }
    }
}

/* Backwards, twice, far apart: each place has its frame. */
static void test_any_order(void **state) {
    fixture *f = *state;
    static const int64_t frames[] = {7, 7, 59, 0, 31, 30, 0, 58};
    enum { n = sizeof frames / sizeof *frames };
    static unsigned char out[n * W * H * 3];
    const tub__clip_form form = {.channels = 3};
    tub__clip_file *clip = open_clip(f, make(f, "a.mkv", NULL));
    tub__clip_reader *r = NULL;
    int64_t shape[3];
    tub_error err;
    assert_ok(tub__clip_reader_create(&f->ctx->allocator, clip, &form, 1, &r, &err), err);
    tub__clip_reader_shape(r, shape);
    assert_true(shape[0] == H && shape[1] == W && shape[2] == 3);
    for (int turn = 0; turn < 2; turn++) {
        memset(out, 0, sizeof out);
        assert_ok(tub__clip_read_frames(r, n, frames, out, &err), err);
        for (int i = 0; i < n; i++) {
            expect_frame(out + i * W * H * 3, frames[i]);
        }
    }
    const int64_t behind[] = {3, N};
    assert_int_equal(tub__clip_read_frames(r, 2, behind, out, &err), TUB_E_RANGE);
    assert_non_null(strstr(err.message, "a.mkv: no frame 60"));
    assert_ok(tub__clip_read_frames(r, 1, frames, out, &err), err); /* and goes on after it */
    expect_frame(out, frames[0]);
    tub__clip_reader_destroy(r);
    tub__clip_close(clip);
}

/* Crops are the outermost axis, then views. */
static void test_views(void **state) {
    fixture *f = *state;
    enum { T = 4, V = 2, S = 8, CLIP = T * S * S };
    static unsigned char out[3 * V * CLIP];
    const tub__clip_form form = {.channels = 1,
                                 .picture = {.crop = true, .crop_height = S, .crop_width = S}};
    const tub__frame_plan plan = {TUB_SAMPLING_STRIDE, T, 5};
    const int lefts[] = {0, 5, 10};
    tub__clip_file *clip = open_clip(f, make(f, "a.mkv", NULL));
    tub__clip_reader *r = NULL;
    tub_error err;
    assert_ok(tub__clip_reader_create(&f->ctx->allocator, clip, &form, 3, &r, &err), err);
    tub__clip_part part = {10, 40};
    assert_ok(tub__clip_read_views(r, &plan, &part, V, out, &err), err);
    const unsigned char *at = out;
    for (int c = 0; c < 3; c++) {
        for (int v = 0; v < V; v++) {
            for (int t = 0; t < T; t++) {
                const int frame = 10 + v * (40 - T * 5) + t * 5;
                for (int y = 0; y < S; y++) {
                    for (int x = 0; x < S; x++, at++) {
                        unsigned rgb[3];
                        for (int k = 0; k < 3; k++) {
                            rgb[k] = video_pattern(frame, y + 1, x + lefts[c], k);
                        }
                        /* ITU-R 601, as Pillow's convert("L"). */
                        assert_int_equal(
                            *at, (rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 32768) / 65536);
                    }
                }
            }
        }
    }
    tub__clip_reader_destroy(r);
    tub__clip_close(clip);
}

static void expect_part(tub__clip_file *clip, int64_t from, int64_t to, int64_t first,
                        int64_t count) {
    tub__clip_part part;
    tub_error err;
    assert_ok(tub__clip_part_of(clip, from, to, &part, &err), err);
    assert_int_equal(part.first, first);
    assert_int_equal(part.count, count);
}

static void test_parts(void **state) {
    fixture *f = *state;
    static int64_t times[N];
    for (int i = 0; i < N; i++) {
        times[i] = i < 30 ? 40 * i : 3000 + 40 * (i - 30); /* 1160 is shown up to 3000 */
    }
    tub__clip_file *clip = open_clip(f, make(f, "odd.mkv", times));
    const int64_t ms = SECOND / 1000;
    expect_part(clip, 0, -1, 0, N);
    expect_part(clip, -5, -1, 0, N);
    expect_part(clip, 0, 40 * ms, 0, 1);
    expect_part(clip, 0, 40 * ms + 1, 0, 2);
    expect_part(clip, 40 * ms, 80 * ms, 1, 1);
    expect_part(clip, 40 * ms + 1, 81 * ms, 2, 1);
    expect_part(clip, 2000 * ms, 2500 * ms, 29, 1); /* nothing begins: what is shown */
    expect_part(clip, 2000 * ms, 3001 * ms, 30, 1);
    expect_part(clip, 4160 * ms, -1, 59, 1);
    expect_part(clip, 4199 * ms, 9000 * ms, 59, 1); /* the last lasts as long as the one before */
    tub__clip_part part;
    tub_error err;
    assert_int_equal(tub__clip_part_of(clip, 4200 * ms, -1, &part, &err), TUB_E_RANGE);
    assert_non_null(strstr(err.message, "odd.mkv: a part from 4.2 s on begins behind its end"));
    assert_int_equal(tub__clip_part_of(clip, ms, ms, &part, &err), TUB_E_RANGE);
    assert_non_null(strstr(err.message, "has nothing in it"));
    tub__clip_close(clip);
}

/* ---- Arrays ---- */

static const char *write_npy(fixture *f, const char *name, const char *type, const char *shape,
                             const void *data, size_t size) {
    const char *path = temp_path(&f->folder, name);
    char header[128] = "\x93NUMPY\x01";
    snprintf(header + 10, sizeof header - 10,
             "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", type, shape);
    const size_t used = strlen(header + 10);
    memset(header + 10 + used, ' ', sizeof header - 10 - used);
    header[127] = '\n';
    header[7] = 0;
    header[8] = 118;
    header[9] = 0;
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(header, 1, sizeof header, out), sizeof header);
    assert_int_equal(fwrite(data, 1, size, out), size);
    fclose(out);
    return path;
}

/* Floats may be cut, not resized; they have no times and no colours. */
static void test_floats(void **state) {
    fixture *f = *state;
    enum { T = 5, S = 6 };
    static float in[T * S * S], out[2 * 4 * 4];
    tub_error err;
    for (int i = 0; i < T * S * S; i++) {
        in[i] = (float)i / 256;
    }
    const char *path = write_npy(f, "v.npy", "<f4", "(5, 6, 6, 1)", in, sizeof in);
    tub__clip_file *clip = open_clip(f, path);
    tub__clip_reader *r = NULL;
    tub__clip_form form = {.picture = {.crop = true, .crop_height = 4, .crop_width = 4}};
    const tub__frame_plan plan = {TUB_SAMPLING_SEGMENTS, 2, 0}; /* frames 1 and 3 */
    assert_ok(tub__clip_reader_create(&f->ctx->allocator, clip, &form, 1, &r, &err), err);
    assert_ok(tub__clip_read_views(r, &plan, NULL, 1, out, &err), err);
    for (int t = 0; t < 2; t++) {
        for (int y = 0; y < 4; y++) {
            for (int x = 0; x < 4; x++) {
                assert_true(out[(t * 4 + y) * 4 + x] == in[((1 + 2 * t) * S + y + 1) * S + x + 1]);
            }
        }
    }
    tub__clip_reader_destroy(r);
    form.picture.resize = true;
    form.picture.shortest_edge = 5;
    assert_int_equal(tub__clip_reader_create(&f->ctx->allocator, clip, &form, 1, &r, &err),
                     TUB_E_SHAPE);
    assert_non_null(strstr(err.message, "v.npy: frames of float32 values are 6x6"));
    form.channels = 3;
    assert_int_equal(tub__clip_reader_create(&f->ctx->allocator, clip, &form, 1, &r, &err),
                     TUB_E_SHAPE);
    assert_non_null(strstr(err.message, "v.npy: its frames have 1 channel, the model takes 3"));
    tub__clip_part part;
    assert_int_equal(tub__clip_part_of(clip, SECOND, -1, &part, &err), TUB_E_RANGE);
    assert_non_null(strstr(err.message, "v.npy: its frames have no times"));
    tub__clip_close(clip);
}

static void test_crops_refused(void **state) {
    fixture *f = *state;
    tub__clip_file *clip = open_clip(f, make(f, "a.mkv", NULL));
    tub__clip_reader *r = NULL;
    tub_error err;
    const tub__clip_form form = {.picture = {.resize = true, .height = 8, .width = 8}};
    assert_int_equal(tub__clip_reader_create(&f->ctx->allocator, clip, &form, 3, &r, &err),
                     TUB_E_SHAPE);
    assert_non_null(strstr(err.message, "three crops need frames that are cut"));
    assert_int_equal(tub__clip_reader_create(&f->ctx->allocator, clip, &form, 2, &r, &err),
                     TUB_E_SHAPE);
    tub__clip_close(clip);
}

/* A file that lost its end: what can be decoded is sampled as if that were all. */
static void test_cut_off(void **state) {
    fixture *f = *state;
    const char *path = make(f, "whole.mkv", NULL), *cut = temp_path(&f->folder, "cut.mkv");
    static unsigned char out[16 * W * H * 3];
    const tub__clip_form form = {.channels = 3};
    const tub__frame_plan plan = {TUB_SAMPLING_UNIFORM, 16, 0};
    static char bytes[1 << 20];
    tub_error err;
    FILE *in = fopen(path, "rb"), *to = fopen(cut, "wb");
    const size_t size = fread(bytes, 1, sizeof bytes, in);
    assert_int_equal(fwrite(bytes, 1, size * 6 / 10, to), size * 6 / 10);
    fclose(in);
    fclose(to);
    tub__clip_file *clip = open_clip(f, cut);
    tub__clip_reader *r = NULL;
    assert_ok(tub__clip_reader_create(&f->ctx->allocator, clip, &form, 1, &r, &err), err);
    assert_ok(tub__clip_read_views(r, &plan, NULL, 1, out, &err), err);
    const int64_t count = tub__clip_describe(clip)->frames;
    assert_in_range(count, 20, 50);
    int64_t frames[16];
    tub__frames_of_view(&plan, count, 0, 1, frames);
    for (int i = 0; i < 16; i++) {
        expect_frame(out + i * W * H * 3, frames[i]);
    }
    tub__clip_reader_destroy(r);
    tub__clip_close(clip);
}

/* Training keeps what can be decoded of such a file, evenly, and does not end there. */
static void test_kept_of_damaged(void **state) {
    fixture *f = *state;
    enum { WHOLE = 40 };
    tub_dataset_options o = tub_dataset_options_default();
    tub_dataset *data;
    tub__source source = {0};
    tub_file file;
    tub_error err;
    for (int k = 0; k < 2; k++) {
        const char *name = k == 0 ? "set/a/damaged.mkv" : "set/b/whole.mkv";
        assert_ok(tub__folder_create(temp_path(&f->folder, k == 0 ? "set/a" : "set/b"), &err), err);
        make_video(&(video_plan){.path = temp_path(&f->folder, name),
                                 .codec = "png",
                                 .pixels = "rgb24",
                                 .width = W,
                                 .height = H,
                                 .frames = N,
                                 .numerator = 30,
                                 .denominator = 1});
    }
    spoil_range(temp_path(&f->folder, "set/a/damaged.mkv"), N, WHOLE, N);
    o.clip.frames = 4;
    o.clip.height = o.clip.width = H;
    o.no_cache = 1;
    assert_ok(tub_dataset_open(f->ctx, temp_path(&f->folder, "set"), &o, &data, &err), err);
    assert_ok(tub_dataset_file(data, 0, &file, &err), err);
    assert_null(file.problem);
    assert_int_equal(file.frames, N); /* packets: the survey decodes the first frame only */
    assert_ok(tub__dataset_source(data, file.split, (size_t)file.sample, &source, &err), err);
    assert_int_equal(source.frames, N);
    for (int i = 0; i < N; i++) {
        expect_frame((const unsigned char *)source.samples + i * W * H * 3,
                     (2 * i + 1) * WHOLE / (2 * N));
    }
    tub__source_free(data, &source);
    tub_dataset_close(data);
}

/* A sample of train as training draws from it; frames [15]: of the file, in order. */
static void expect_source(tub_dataset *data, size_t sample, const int64_t *frames, int64_t kept) {
    tub__source source = {0};
    tub_error err;
    assert_ok(tub__dataset_source(data, TUB_TRAIN, sample, &source, &err), err);
    assert_int_equal(source.frames, kept);
    for (int64_t i = 0; i < kept; i++) {
        expect_frame((const unsigned char *)source.samples + i * W * H * 3,
                     frames[(2 * i + 1) * 15 / (2 * kept)]);
    }
    tub__source_free(data, &source);
}

/* Parts of a file with pictures in its middle that can't be decoded: each has frames of its own time. */
static void test_parts_of_damaged(void **state) {
    fixture *f = *state;
    enum { BAD = 20, BAD_END = 35 };
    static unsigned char out[5 * H * H * 3];
    tub_dataset_options o = tub_dataset_options_default();
    tub_dataset *data;
    tub_error err;
    int64_t across[15], behind[15];
    const char *path = temp_path(&f->folder, "a.mkv");
    make_video(&(video_plan){.path = path,
                             .codec = "png",
                             .pixels = "rgb24",
                             .width = W,
                             .height = H,
                             .frames = N,
                             .numerator = 30,
                             .denominator = 1});
    spoil_range(path, N, BAD, BAD_END);
    for (int i = 0; i < 15; i++) {
        across[i] = i < 5 ? 15 + i : 30 + i;
        behind[i] = 45 + i;
    }
    FILE *list = fopen(temp_path(&f->folder, "set.csv"), "w");
    fputs("path,label,start,end,split\na.mkv,x,0.5,1.5,train\na.mkv,x,1.5,,train\n", list);
    fclose(list);
    o.clip.frames = 5;
    o.clip.height = o.clip.width = H;
    o.clip.sampling = TUB_SAMPLING_SEGMENTS;
    o.no_cache = 1;
    assert_ok(tub_dataset_open(f->ctx, temp_path(&f->folder, "set.csv"), &o, &data, &err), err);
    expect_source(data, 0, across, 30);
    expect_source(data, 1, behind, 15);
    for (int part = 0; part < 2; part++) {
        assert_ok(tub_dataset_read(data, TUB_TRAIN, part, 1, out, &err), err);
        for (int t = 0; t < 5; t++) {
            const int64_t frame = (part == 0 ? across : behind)[3 * t + 1];
            for (int i = 0; i < H * H * 3; i++) { /* the square in the middle */
                assert_int_equal(
                    out[t * H * H * 3 + i],
                    video_pattern((int)frame, i / 3 / H, i / 3 % H + (W - H) / 2, i % 3));
            }
        }
    }
    tub_dataset_close(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_any_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_views, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_floats, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_crops_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cut_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kept_of_damaged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_parts_of_damaged, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
