/* SPDX-License-Identifier: Apache-2.0 */
/* Clips by the public functions: frames, times and sizes of what is read against the pattern that was written, a
 * model's clips against what it predicts of the file, files that are written against what is read of them
 * again; every error of the header, and every allocation made to fail once. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <tubelet/clip.h>
#include <unistd.h>

#include "context_folder.h"
#include "convert/prepare.h"
#include "day_model.h"
#include "failing_alloc.h"
#include "failing_context.h"
#include "make_npz.h"
#include "make_video.h"
#include "spoil_pictures.h"

enum { W = 26, H = 18, N = 60, FRAME = W * H * 3, RATE = 25 };
static const int64_t SECOND = 1000000000;

static const char *make(fixture *f, const char *name) {
    const char *path = temp_path(&f->folder, name);
    make_video(&(video_plan){.path = path,
                             .codec = "ffv1",
                             .pixels = "bgr0",
                             .width = W,
                             .height = H,
                             .frames = N,
                             .numerator = RATE,
                             .denominator = 1});
    return path;
}

/* Frames of one level each. */
static const char *make_levels(fixture *f, const char *name, const int *levels, int frames) {
    const char *path = temp_path(&f->folder, name);
    make_video(&(video_plan){.path = path,
                             .codec = "ffv1",
                             .pixels = "bgr0",
                             .width = W,
                             .height = H,
                             .frames = frames,
                             .numerator = 10,
                             .denominator = 1,
                             .levels = levels});
    return path;
}

static void write_array(fixture *f, const char *name, test_array array) {
    array.name = name;
    assert_int_equal(make_npy(temp_path(&f->folder, name), &array), 0);
}

static tub_clip must_read(const fixture *f, const char *path, const tub_clip_read_options *o) {
    tub_clip clip;
    tub_error err = {0};
    assert_ok(tub_clip_read(f->ctx, path, o, &clip, &err), err);
    return clip;
}

static void assert_shape(const tub_clip *c, int64_t frames, int64_t height, int64_t width,
                         int64_t channels) {
    assert_int_equal(c->frames, frames);
    assert_int_equal(c->height, height);
    assert_int_equal(c->width, width);
    assert_int_equal(c->channels, channels);
}

/* The clip has these frames of the pattern, and says so. */
static void assert_frames(const tub_clip *c, const int64_t *frames) {
    for (int64_t t = 0; t < c->frames; t++) {
        const unsigned char *got = (const unsigned char *)c->samples + t * FRAME;
        assert_int_equal(c->indices[t], frames[t]);
        assert_true(fabs(c->seconds[t] - (double)frames[t] / RATE) < 1e-9);
        for (int i = 0; i < FRAME; i++) {
            assert_int_equal(got[i], video_pattern((int)frames[t], i / 3 / W, i / 3 % W, i % 3));
        }
    }
}

/* ---- Reading ---- */

/* Frame k n / (T + 1) for k = 1 ... T, rounded to the nearest, as docs/predicting.md says. */
static void test_whole_file(void **state) {
    fixture *f = *state;
    tub_clip c = must_read(f, make(f, "a.mkv"), NULL);
    int64_t frames[16];
    for (int k = 1; k <= 16; k++) {
        frames[k - 1] = (int64_t)rint(k * (double)N / 17);
    }
    assert_shape(&c, 16, H, W, 3);
    assert_int_equal(c.dtype, TUB_U8);
    assert_int_equal(c.file_frames, N);
    assert_string_equal(c.damage, "");
    assert_frames(&c, frames);
    tub_clip_free(&c);
    assert_null(c.samples);
    tub_clip_free(&c); /* all zero */
}

static void test_part(void **state) {
    fixture *f = *state;
    tub_clip_read_options o = tub_clip_read_options_default();
    o.frames = 3;
    o.sampling = TUB_SAMPLING_STRIDE;
    o.stride = 4;
    o.from = SECOND * 3 / 5; /* frame 15 */
    o.to = SECOND * 7 / 5;   /* before frame 35: of 20 frames the middle 12 */
    tub_clip c = must_read(f, make(f, "a.mkv"), &o);
    assert_shape(&c, 3, H, W, 3);
    assert_int_equal(c.indices[1] - c.indices[0], 4);
    assert_frames(&c, (const int64_t[]){19, 23, 27});
    assert_int_equal(c.file_frames, N);
    tub_clip_free(&c);
}

/* Resized and cut to a square: of frames of one level nothing else changes. */
static void test_side(void **state) {
    fixture *f = *state;
    static const int levels[] = {10, 200, 90, 3};
    tub_clip_read_options o = tub_clip_read_options_default();
    o.frames = 4;
    o.side = 9;
    o.sampling = TUB_SAMPLING_SEGMENTS;
    tub_clip c = must_read(f, make_levels(f, "levels.mkv", levels, 4), &o);
    assert_shape(&c, 4, 9, 9, 3);
    for (int i = 0; i < 4 * 9 * 9 * 3; i++) {
        assert_int_equal(((const unsigned char *)c.samples)[i], levels[i / (9 * 9 * 3)]);
    }
    tub_clip_free(&c);
}

/* Arrays have no times; floats stay floats. */
static void test_arrays(void **state) {
    fixture *f = *state;
    static float values[4 * 2 * 3];
    for (int i = 0; i < 4 * 2 * 3; i++) {
        values[i] = (float)i / 7;
    }
    write_array(f, "v.npy",
                (test_array){.type = "<f4", .rank = 3, .shape = {4, 2, 3}, .data = values});
    tub_clip_read_options o = tub_clip_read_options_default();
    o.frames = 2;
    o.sampling = TUB_SAMPLING_SEGMENTS; /* frames 1 and 3 */
    tub_clip c = must_read(f, temp_path(&f->folder, "v.npy"), &o);
    assert_shape(&c, 2, 2, 3, 1);
    assert_int_equal(c.dtype, TUB_F32);
    assert_null(c.seconds);
    assert_true(c.indices[0] == 1 && c.indices[1] == 3 && c.file_frames == 4);
    assert_memory_equal(c.samples, values + 6, 6 * sizeof(float));
    assert_memory_equal((float *)c.samples + 6, values + 18, 6 * sizeof(float));
    tub_clip_free(&c);
}

static tub_model *ruled_model(tub_context *ctx) {
    tub_model *model = day_model(ctx);
    const tub__clip_rule rule = {.sampling = TUB_SAMPLING_STRIDE,
                                 .stride = 3,
                                 .picture = {.resize = true,
                                             .crop = true,
                                             .shortest_edge = DAY_SIDE,
                                             .crop_height = DAY_SIDE,
                                             .crop_width = DAY_SIDE,
                                             .filter = TUB__BILINEAR}};
    tub_error err;
    assert_ok(tub__model_set_clip_rule(model, &rule, &err), err);
    return model;
}

static int keep_logits(void *user, const tub_file_result *r) {
    assert_int_equal(r->status, TUB_OK);
    memcpy(user, r->logits, DAY_CLASSES * sizeof(float));
    return 0;
}

/* What a model sees of a file: the bits that it predicts from, scaled or not. */
static void test_as_a_model(void **state) {
    fixture *f = *state;
    tub_model *model = ruled_model(f->ctx);
    const char *path = make(f, "a.mkv");
    float predicted[DAY_CLASSES], by_levels[DAY_CLASSES], by_floats[DAY_CLASSES];
    tub_error err;
    tub_clip_read_options o = tub_clip_read_options_default();
    o.model = model;
    assert_ok(tub_predict_files(model, 1, &path, NULL, keep_logits, predicted, &err), err);
    tub_clip levels = must_read(f, path, &o);
    o.scaled = 1;
    tub_clip floats = must_read(f, path, &o);
    assert_shape(&levels, DAY_FRAMES, DAY_SIDE, DAY_SIDE, 3);
    assert_shape(&floats, DAY_FRAMES, DAY_SIDE, DAY_SIDE, 3);
    assert_true(levels.dtype == TUB_U8 && floats.dtype == TUB_F32);
    assert_int_equal(levels.indices[1] - levels.indices[0], 3);
    assert_ok(tub_model_forward(model, 1, TUB_U8, levels.samples, by_levels, NULL, &err), err);
    assert_ok(tub_model_forward(model, 1, TUB_F32, floats.samples, by_floats, NULL, &err), err);
    assert_memory_equal(by_levels, predicted, sizeof predicted);
    assert_memory_equal(by_floats, predicted, sizeof predicted);
    tub_clip_free(&levels);
    tub_clip_free(&floats);
    tub_model_close(model);
}

/* What can be decoded of a damaged file is all there is, and the rest is told. */
static void test_damage(void **state) {
    fixture *f = *state;
    enum { WHOLE = 40 };
    const char *path = temp_path(&f->folder, "damaged.mkv"), *all = temp_path(&f->folder, "a.npy");
    char damage[TUB_CLIP_DAMAGE_LENGTH] = "";
    int64_t shape[4];
    tub_error err;
    make_video(&(video_plan){.path = path,
                             .codec = "png",
                             .pixels = "rgb24",
                             .width = W,
                             .height = H,
                             .frames = N,
                             .numerator = RATE,
                             .denominator = 1});
    spoil_range(path, N, WHOLE, N);
    tub_clip c = must_read(f, path, NULL);
    assert_int_equal(c.file_frames, WHOLE);
    assert_string_equal(c.damage,
                        "the last 0.8 s can't be decoded"); /* 20 frames; their packets are there */
    assert_true(c.indices[0] > 0 && c.indices[15] < WHOLE);
    assert_frames(&c, c.indices);
    tub_clip_free(&c);
    assert_ok(tub_clip_write_all(f->ctx, path, all, shape, damage, &err), err);
    assert_int_equal(shape[0], WHOLE);
    assert_string_equal(damage, "the last 0.8 s can't be decoded");
}

/* Files that were cut off say how much is missing, whatever their container tells of its length. */
static void test_cut_off(void **state) {
    fixture *f = *state;
    static const char *const kinds[][3] = {{"cut.avi", "mjpeg", "yuvj420p"},
                                           {"cut.mkv", "ffv1", "bgr0"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *path = temp_path(&f->folder, kinds[i][0]);
        struct stat facts;
        char wanted[64];
        make_video(&(video_plan){.path = path,
                                 .codec = kinds[i][1],
                                 .pixels = kinds[i][2],
                                 .width = 32,
                                 .height = 32,
                                 .frames = N,
                                 .numerator = RATE,
                                 .denominator = 1,
                                 .gop = 1});
        assert_int_equal(stat(path, &facts), 0);
        assert_int_equal(truncate(path, facts.st_size / 2), 0);
        tub_clip c = must_read(f, path, NULL);
        assert_in_range(c.file_frames, N / 4, 3 * N / 4);
        snprintf(wanted, sizeof wanted, "the last %.1f s can't be decoded",
                 (double)(N - c.file_frames) / RATE);
        assert_string_equal(c.damage, wanted);
        tub_clip_free(&c);
    }
}

/* Pictures in the middle of a file can't be decoded: those behind them keep their times, and a part has those of its
 * own time only. */
static void test_damage_in_the_middle(void **state) {
    fixture *f = *state;
    enum { BAD = 15, BAD_END = 37, LONE = 45 };
    const char *path = temp_path(&f->folder, "middle.mov");
    const struct {
        int64_t from, to;
        int frames, all; /* of the clip; of the file that can be decoded, where damage was met */
        int64_t first[2], last[2];
    } parts[] = {{SECOND * 2 / 5, SECOND * 8 / 5, 8, N - 23, {10, 37}, {14, 39}},
                 {SECOND, SECOND * 7 / 5, 1, N - 23, {14, 0}, {14, -1}},
                 {SECOND * 8 / 5, SECOND * 2, 10, N - 23, {40, 46}, {44, 49}},
                 {SECOND * 2, -1, 10, N, {50, 0}, {59, -1}}};
    make_video(&(video_plan){.path = path,
                             .codec = "png",
                             .pixels = "rgb24",
                             .width = W,
                             .height = H,
                             .frames = N,
                             .numerator = RATE,
                             .denominator = 1});
    spoil_range(path, N, BAD, BAD_END);
    bool lone[N] = {[LONE] = true};
    spoil_pictures(path, N, lone);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        tub_clip_read_options o = tub_clip_read_options_default();
        o.frames = parts[i].frames;
        o.sampling = TUB_SAMPLING_SEGMENTS;
        o.from = parts[i].from;
        o.to = parts[i].to;
        tub_clip c = must_read(f, path, &o);
        int64_t there[N], count = 0;
        for (int k = 0; k < 2; k++) {
            for (int64_t n = parts[i].first[k]; n <= parts[i].last[k]; n++) {
                there[count++] = n;
            }
        }
        assert_int_equal(c.file_frames, parts[i].all);
        for (int64_t t = 0; t < c.frames; t++) { /* the middle of each segment */
            const int64_t frame = there[(2 * t + 1) * count / (2 * c.frames)];
            const unsigned char *got = (const unsigned char *)c.samples + t * FRAME;
            assert_true(fabs(c.seconds[t] - (double)frame / RATE) < 1e-9);
            for (int k = 0; k < FRAME; k++) {
                assert_int_equal(got[k], video_pattern((int)frame, k / 3 / W, k / 3 % W, k % 3));
            }
        }
        tub_clip_free(&c);
    }
}

/* ---- Writing ---- */

/* A clip of one channel: levels of a pattern that no two frames share. */
static tub_clip gray_clip(const fixture *f, unsigned char *samples, int64_t frames) {
    for (int64_t i = 0; i < frames * 4 * 5; i++) {
        samples[i] = (unsigned char)(i * 11 + 3);
    }
    return (tub_clip){.owner = f->ctx,
                      .frames = frames,
                      .height = 4,
                      .width = 5,
                      .channels = 1,
                      .dtype = TUB_U8,
                      .samples = samples};
}

static void test_write_array(void **state) {
    fixture *f = *state;
    unsigned char samples[3 * 4 * 5];
    float values[3 * 4 * 5];
    tub_error err;
    tub_volumes v;
    tub_clip c = gray_clip(f, samples, 3);
    const char *path = temp_path(&f->folder, "c.npy");
    for (int turn = 0; turn < 2; turn++) { /* the second replaces the first */
        assert_ok(tub_clip_write(&c, path, &err), err);
        assert_ok(tub_volumes_read(f->ctx, path, (const int64_t[4]){3, 4, 5, 1}, &v, &err), err);
        assert_true(v.count == 1 && v.frames == 3 && v.height == 4 && v.width == 5);
        assert_int_equal(v.dtype, c.dtype);
        assert_memory_equal(v.data, c.samples, sizeof samples * (turn == 0 ? 1 : sizeof(float)));
        tub_volumes_free(&v);
        for (int i = 0; i < 3 * 4 * 5; i++) {
            values[i] = (float)samples[i] / 255;
        }
        c.dtype = TUB_F32;
        c.samples = values;
    }
}

/* Gray frames come back exactly; a strip has them side by side. */
static void test_write_pictures(void **state) {
    fixture *f = *state;
    unsigned char samples[3 * 4 * 5];
    tub_error err;
    const tub_clip c = gray_clip(f, samples, 3);
    tub_clip_read_options o = tub_clip_read_options_default();
    o.frames = 3;
    assert_ok(tub_clip_write(&c, temp_path(&f->folder, "c.gif"), &err), err);
    tub_clip gif = must_read(f, temp_path(&f->folder, "c.gif"), &o);
    assert_shape(&gif, 3, 4, 5, 3);
    for (int i = 0; i < 3 * 4 * 5 * 3; i++) {
        assert_int_equal(((const unsigned char *)gif.samples)[i], samples[i / 3]);
    }
    tub_clip_free(&gif);
    o.frames = 1;
    assert_ok(tub_clip_write(&c, temp_path(&f->folder, "c.PNG"), &err), err);
    tub_clip strip = must_read(f, temp_path(&f->folder, "c.PNG"), &o);
    assert_shape(&strip, 1, 4, 15, 3);
    for (int y = 0; y < 4; y++) {
        for (int x = 0; x < 15; x++) {
            assert_int_equal(((const unsigned char *)strip.samples)[(y * 15 + x) * 3],
                             samples[(x / 5 * 4 + y) * 5 + x % 5]);
        }
    }
    tub_clip_free(&strip);
}

/* The least value is black, the greatest white. */
static void test_write_floats(void **state) {
    fixture *f = *state;
    float values[] = {-3.0f, 1.0f, -1.0f, -2.0f};
    static const unsigned char shown[] = {0, 255, 128, 64};
    tub_error err;
    const tub_clip c = {.owner = f->ctx,
                        .frames = 1,
                        .height = 2,
                        .width = 2,
                        .channels = 1,
                        .dtype = TUB_F32,
                        .samples = values};
    tub_clip_read_options o = tub_clip_read_options_default();
    o.frames = 1;
    assert_ok(tub_clip_write(&c, temp_path(&f->folder, "c.png"), &err), err);
    tub_clip read = must_read(f, temp_path(&f->folder, "c.png"), &o);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(((const unsigned char *)read.samples)[i * 3], shown[i]);
    }
    tub_clip_free(&read);
}

static void test_write_all(void **state) {
    fixture *f = *state;
    const char *path = make(f, "a.mkv"), *out = temp_path(&f->folder, "all.npy");
    int64_t shape[4];
    char damage[TUB_CLIP_DAMAGE_LENGTH] = "?";
    tub_error err;
    assert_ok(tub_clip_write_all(f->ctx, path, out, shape, damage, &err), err);
    assert_memory_equal(shape, ((const int64_t[]){N, H, W, 3}), sizeof shape);
    assert_string_equal(damage, "");
    tub_volumes v;
    assert_ok(tub_volumes_read(f->ctx, out, shape, &v, &err), err);
    assert_true(v.count == 1 && v.frames == N && v.dtype == TUB_U8);
    for (int i = 0; i < N * FRAME; i++) {
        assert_int_equal(((const unsigned char *)v.data)[i],
                         video_pattern(i / FRAME, i % FRAME / 3 / W, i / 3 % W, i % 3));
    }
    tub_volumes_free(&v);
    assert_ok(tub_clip_write_all(f->ctx, path, out, NULL, NULL, &err), err);
}

/* ---- Errors ---- */

static void expect(tub_status status, tub_status wanted, const tub_error *err, const char *part) {
    if (status != wanted || err->status != wanted || strstr(err->message, part) == NULL) {
        fail_msg("status %d, wanted %d; '%s' in '%s'", (int)status, (int)wanted, part,
                 err->message);
    }
}

static void refuse_read(fixture *f, const char *name, const tub_clip_read_options *o,
                        tub_status wanted, const char *part) {
    tub_clip clip;
    tub_error err;
    memset(&clip, 0xA5, sizeof clip);
    expect(tub_clip_read(f->ctx, temp_path(&f->folder, name), o, &clip, &err), wanted, &err, part);
    assert_null(clip.samples);
    tub_clip_free(&clip); /* nothing is left of it */
    assert_int_not_equal(tub_clip_read(f->ctx, temp_path(&f->folder, name), o, &clip, NULL),
                         TUB_OK);
}

static void test_refused_files(void **state) {
    fixture *f = *state;
    static unsigned char stack[2 * 3 * 8 * 9];
    tub_error err;
    write_array(f, "stack.npy",
                (test_array){.type = "|u1", .rank = 4, .shape = {2, 3, 8, 9}, .data = stack});
    assert_int_equal(tub__file_write(&tub__default_allocator, temp_path(&f->folder, "text.mp4"),
                                     "no video", 8, &err),
                     TUB_OK);
    make_sound(temp_path(&f->folder, "sound.wav"));
    refuse_read(f, "nowhere.mkv", NULL, TUB_E_NOT_FOUND, "nowhere.mkv: no such file");
    refuse_read(f, "text.mp4", NULL, TUB_E_FORMAT, "text.mp4: no video, animation or picture");
    refuse_read(f, "sound.wav", NULL, TUB_E_FORMAT, "sound.wav: no video stream (audio only)");
    refuse_read(f, "stack.npy", NULL, TUB_E_SHAPE, "stack.npy: a stack of 2 clips; name one");
}

static void test_refused_options(void **state) {
    fixture *f = *state;
    tub_model *model = ruled_model(f->ctx);
    const tub_clip_read_options usual = tub_clip_read_options_default();
    tub_clip_read_options o = usual;
    make(f, "a.mkv");
    o.model = model;
    o.frames = 4;
    refuse_read(f, "a.mkv", &o, TUB_E_ARGUMENT, "a model has frames of its own");
    o = usual;
    o.scaled = 1;
    refuse_read(f, "a.mkv", &o, TUB_E_ARGUMENT, "only a model says how levels are scaled");
    o = usual;
    o.frames = -1;
    refuse_read(f, "a.mkv", &o, TUB_E_RANGE, "a.mkv: frames is -1");
    o = usual;
    o.side = 100000;
    refuse_read(f, "a.mkv", &o, TUB_E_RANGE, "side is 100000");
    o = usual;
    o.stride = 2;
    refuse_read(f, "a.mkv", &o, TUB_E_ARGUMENT,
                "a stride of 2 has no meaning with sampling uniform");
    o = usual;
    o.from = 3 * SECOND;
    refuse_read(f, "a.mkv", &o, TUB_E_RANGE, "a part from 3 s on begins behind its end at 2.4 s");
    o = usual;
    o.from = SECOND;
    o.to = SECOND;
    refuse_read(f, "a.mkv", &o, TUB_E_RANGE, "has nothing in it");
    o = usual;
    o.size = 8;
    refuse_read(f, "a.mkv", &o, TUB_E_ARGUMENT, "tub_clip_read_options: size is 8");
    tub_model_close(model);
}

static void refuse_write(fixture *f, const tub_clip *clip, const char *name, tub_status wanted,
                         const char *part) {
    tub_error err;
    const char *path = temp_path(&f->folder, name);
    expect(tub_clip_write(clip, path, &err), wanted, &err, part);
    assert_false(tub__file_exists(path));
}

static void test_refused_writing(void **state) {
    fixture *f = *state;
    unsigned char samples[3 * 4 * 5];
    static unsigned char wide[70000];
    tub_error err;
    tub_clip c = gray_clip(f, samples, 3);
    refuse_write(f, &c, "c.bmp", TUB_E_ARGUMENT, "c.bmp: a clip is written as .npy, .gif or .png");
    refuse_write(f, &c, "none/c.npy", TUB_E_NOT_FOUND, "none/c.npy: ");
    refuse_write(f, &c, "none/c.png", TUB_E_NOT_FOUND, "none/c.png: ");
    c.channels = 5, c.width = 1;
    refuse_write(f, &c, "c.gif", TUB_E_SHAPE, "c.gif: frames of 5 channels; a picture has 1 or 3");
    const tub_clip long_one = {.owner = f->ctx,
                               .frames = 70000,
                               .height = 1,
                               .width = 1,
                               .channels = 1,
                               .dtype = TUB_U8,
                               .samples = wide};
    refuse_write(f, &long_one, "c.png", TUB_E_RANGE, "c.png: a picture of 70000x1 pixels");
    expect(tub_clip_write_all(f->ctx, make(f, "a.mkv"), temp_path(&f->folder, "all.gif"), NULL,
                              NULL, &err),
           TUB_E_ARGUMENT, &err, "all.gif: all frames of a file are written as .npy");
    expect(tub_clip_write_all(f->ctx, temp_path(&f->folder, "nowhere.mkv"),
                              temp_path(&f->folder, "all.npy"), NULL, NULL, &err),
           TUB_E_NOT_FOUND, &err, "nowhere.mkv: no such file");
    assert_false(tub__file_exists(temp_path(&f->folder, "all.npy")));
}

/* ---- No memory ---- */

typedef struct job {
    char video[600], npy[600], gif[600], png[600];
} job;

static tub_status read_and_write(tub_context *ctx, const void *user, tub_error *err) {
    const job *j = user;
    tub_clip_read_options o = tub_clip_read_options_default();
    tub_clip clip;
    o.frames = 4;
    o.side = 9;
    TUB__TRY(tub_clip_read(ctx, j->video, &o, &clip, err));
    tub_status status = tub_clip_write(&clip, j->npy, err);
    if (status == TUB_OK) {
        status = tub_clip_write(&clip, j->gif, err);
    }
    if (status == TUB_OK) {
        status = tub_clip_write(&clip, j->png, err);
    }
    tub_clip_free(&clip);
    return status == TUB_OK ? tub_clip_write_all(ctx, j->video, j->npy, NULL, NULL, err) : status;
}

static tub_status with_allocator(const tub_allocator *a, void *user, tub_error *err) {
    return in_failing_context(a, 2, TUB_PRECISION_F32, read_and_write, user, err);
}

static void test_no_memory(void **state) {
    fixture *f = *state;
    job j;
    snprintf(j.video, sizeof j.video, "%s", make(f, "a.mkv"));
    snprintf(j.npy, sizeof j.npy, "%s", temp_path(&f->folder, "c.npy"));
    snprintf(j.gif, sizeof j.gif, "%s", temp_path(&f->folder, "c.gif"));
    snprintf(j.png, sizeof j.png, "%s", temp_path(&f->folder, "c.png"));
    const failing_report report = failing_run(with_allocator, &j);
    print_message("%ld allocations\n", report.allocations);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations > 30);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_part, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_side, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_arrays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_as_a_model, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cut_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage_in_the_middle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_write_array, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_write_pictures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_write_floats, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_write_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused_options, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused_writing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
