/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads: the clips of a confined process are those of predicting the file, and its limits hold. */
#include <math.h>
#include <stdlib.h>
#include <tubelet/upload.h>

#include "convert/prepare.h"
#include "day_model.h"
#include "failing_alloc.h"
#include "failing_context.h"
#include "make_npz.h"
#include "make_video.h"
#include "temp_folder.h"

static tub_context *ctx;
static tub_model *model;
static temp_folder folder;

static int set_up(void **state) {
    tub_error err;
    (void)state;
    temp_folder_make(&folder);
    assert_ok(tub_context_create(NULL, &ctx, &err), err);
    model = day_model(ctx);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    tub_model_close(model);
    tub_context_destroy(ctx);
    temp_folder_drop(&folder);
    return 0;
}

static char *read_file(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    char *bytes = malloc(1 << 20);
    assert_non_null(f);
    *size = fread(bytes, 1, 1 << 20, f);
    fclose(f);
    return bytes;
}

static const char *film(int frames) {
    const char *path = temp_path(&folder, "film.mkv");
    make_video(&(video_plan){.path = path,
                             .codec = "ffv1",
                             .pixels = "bgr0",
                             .width = DAY_SIDE,
                             .height = DAY_SIDE,
                             .frames = frames,
                             .numerator = 25,
                             .denominator = 1});
    return path;
}

static void test_clip(void **state) {
    const char *path = film(30);
    tub_clip_read_options o = tub_clip_read_options_default();
    size_t size;
    tub_clip clip;
    tub_upload u;
    tub_error err;
    (void)state;
    o.model = model;
    o.scaled = 1;
    assert_ok(tub_clip_read(ctx, path, &o, &clip, &err), err);
    char *bytes = read_file(path, &size);
    assert_ok(tub_upload_read(ctx, model, bytes, size, NULL, &u, &err), err);
    assert_int_equal(u.count, 1);
    assert_int_equal(u.file_frames, 30);
    assert_null(u.begin);
    assert_memory_equal(u.samples, clip.samples, DAY_CLIP * sizeof(float));
    assert_non_null(u.levels);
    tub_upload_free(&u);
    tub_clip_free(&clip);
    free(bytes);
}

/* Intensities become levels in the confined process, too. */
static void test_intensities(void **state) {
    enum { FRAMES = 20, PIXELS = DAY_SIDE * DAY_SIDE * 3 };
    static float values[FRAMES * PIXELS];
    const tub__clip_rule rule = {.sampling = TUB_SAMPLING_UNIFORM, .window = {-1, 3}};
    const test_array array = {NULL, "<f4", 4, {FRAMES, DAY_SIDE, DAY_SIDE, 3}, values, 0};
    const char *path = temp_path(&folder, "volume.npy");
    tub_clip_read_options o = tub_clip_read_options_default();
    size_t size;
    tub_clip clip;
    tub_upload u;
    tub_error err;
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        values[i] = (float)(i % 1000) / 200 - 1.5f;
    }
    assert_int_equal(make_npy(path, &array), 0);
    tub_model *windowed = day_model(ctx);
    assert_ok(tub__model_set_clip_rule(windowed, &rule, &err), err);
    o.model = windowed;
    assert_ok(tub_clip_read(ctx, path, &o, &clip, &err), err);
    assert_int_equal(clip.dtype, TUB_U8);
    char *bytes = read_file(path, &size);
    assert_ok(tub_upload_read(ctx, windowed, bytes, size, NULL, &u, &err), err);
    assert_non_null(u.levels);
    assert_memory_equal(u.levels, clip.samples, DAY_CLIP);
    for (int t = 0; t < clip.frames; t++) { /* by the formula of docs/data.md */
        for (int k = 0; k < PIXELS; k++) {
            const double x = values[clip.indices[t] * PIXELS + k];
            const double level = x < -1 ? 0 : x > 3 ? 255 : floor((x + 1) / 4 * 255 + 0.5);
            assert_int_equal(((unsigned char *)clip.samples)[t * PIXELS + k], (int)level);
        }
    }
    tub_upload_free(&u);
    tub_clip_free(&clip);
    free(bytes);
    tub_model_close(windowed);
}

/* ---- Windows ---- */

typedef struct rows {
    int count;
    double begin[64], end[64];
    float logits[64][DAY_CLASSES];
} rows;

static int take_row(void *user, const tub_window *w) {
    rows *r = user;
    r->begin[r->count] = (double)w->begin / 1e9;
    r->end[r->count] = (double)w->end / 1e9;
    memcpy(r->logits[r->count++], w->logits, sizeof r->logits[0]);
    return 0;
}

/* As tub_timeline has them, over each other or with gaps between. */
static void test_windows(void **state) {
    static const int64_t lengths[][2] = {{1000000000, 1000000000},
                                         {1000000000, 300000000},
                                         {100000000, 700000000},
                                         {90000000000, 1},
                                         {40000000, 40000000}};
    const char *path = film(40);
    size_t size;
    char *bytes = read_file(path, &size);
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        tub_upload_options o = tub_upload_options_default();
        static float logits[64][DAY_CLASSES];
        rows want = {.count = 0};
        tub_upload u;
        tub_error err;
        o.window = lengths[i][0];
        o.hop = lengths[i][1] > 1 ? lengths[i][1] : lengths[i][0];
        assert_ok(tub_timeline(model, path, o.window, o.hop, NULL, take_row, &want, NULL, &err),
                  err);
        assert_ok(tub_upload_read(ctx, model, bytes, size, &o, &u, &err), err);
        assert_int_equal(u.count, want.count);
        assert_ok(tub_model_forward(model, u.count, TUB_F32, u.samples, logits[0], NULL, &err),
                  err);
        assert_memory_equal(logits, want.logits, (size_t)u.count * sizeof logits[0]);
        for (int k = 0; k < want.count; k++) {
            assert_true(u.begin[k] == want.begin[k] && u.end[k] == want.end[k]);
        }
        tub_upload_free(&u);
    }
    free(bytes);
}

/* ---- Limits ---- */

static void expect_refusal(const void *bytes, size_t size, const tub_upload_options *o,
                           tub_status status, const char *word) {
    tub_upload u;
    tub_error err;
    assert_int_equal(tub_upload_read(ctx, model, bytes, size, o, &u, &err), status);
    if (strstr(err.message, word) == NULL || strncmp(err.message, "the upload", 10) != 0) {
        fail_msg("%s", err.message);
    }
    tub_upload_free(&u); /* it is all zero */
}

static void test_limits(void **state) {
    size_t size;
    char *bytes = read_file(film(40), &size);
    tub_upload_options o = tub_upload_options_default();
    (void)state;
    o.frames = 39;
    expect_refusal(bytes, size, &o, TUB_E_RANGE, "40 frames");
    o = tub_upload_options_default();
    o.window = o.hop = 100000000;
    o.clips = 15;
    expect_refusal(bytes, size, &o, TUB_E_RANGE, "15 windows");
    o = tub_upload_options_default();
    o.hop = 5;
    tub_upload u;
    tub_error err;
    assert_int_equal(tub_upload_read(ctx, model, bytes, size, &o, &u, &err), TUB_E_RANGE);
    o = tub_upload_options_default();
    o.memory = 64 << 20; /* what is loaded takes more */
    assert_int_not_equal(tub_upload_read(ctx, model, bytes, size, &o, &u, &err), TUB_OK);
    o.size = 3;
    assert_int_equal(tub_upload_read(ctx, model, bytes, size, &o, &u, &err), TUB_E_ARGUMENT);
    expect_refusal("", 0, NULL, TUB_E_FORMAT, "empty");
    free(bytes);
}

/* What names other files, and what is none. */
static void test_nothing_else(void **state) {
    static const char *const texts[] = {"x",
                                        "ffconcat version 1.0\nfile /etc/passwd\n",
                                        "#EXTM3U\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n",
                                        "\x1f\x8b",
                                        "\x93NUMPY",
                                        "PK\3\4",
                                        "GIF89a"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        tub_upload u;
        tub_error err;
        assert_int_not_equal(
            tub_upload_read(ctx, model, texts[i], strlen(texts[i]), NULL, &u, &err), TUB_OK);
        assert_true(strlen(err.message) > 10 && strchr(err.message, '\n') == NULL);
    }
}

/* ---- Memory ---- */

typedef struct file {
    char *bytes;
    size_t size;
} file;

/* With the memory of a context of its own; the model is another one's, which is only read. */
static tub_status read_upload(tub_context *own, const void *user, tub_error *err) {
    const file *f = user;
    tub_upload_options o = tub_upload_options_default();
    tub_upload u;
    o.window = o.hop = 500000000;
    TUB__TRY(tub_upload_read(own, model, f->bytes, f->size, &o, &u, err));
    tub_upload_free(&u);
    return TUB_OK;
}

static tub_status in_context(const tub_allocator *a, void *user, tub_error *err) {
    return in_failing_context(a, 1, TUB_PRECISION_F32, read_upload, user, err);
}

static void test_memory(void **state) {
    file f;
    (void)state;
    f.bytes = read_file(film(30), &f.size);
    const failing_report report = failing_run(in_context, &f);
    if (report.problem[0] != '\0') {
        fail_msg("%s", report.problem);
    }
    assert_true(report.allocations > 4);
    free(f.bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clip),         cmocka_unit_test(test_intensities),
        cmocka_unit_test(test_windows),      cmocka_unit_test(test_limits),
        cmocka_unit_test(test_nothing_else), cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
