/* SPDX-License-Identifier: Apache-2.0 */
/* Files through a model: what comes out is what the model makes of frames that are read, sampled and
 * prepared here step by step; bad files are told and the work goes on. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>

#include "context_folder.h"
#include "convert/prepare.h"
#include "data/clip_file.h"
#include "day_model.h"
#include "failing_alloc.h"
#include "failing_context.h"
#include "make_video.h"

enum { WIDTH = 33, HEIGHT = 24, COUNT = 21, FRAME = WIDTH * HEIGHT * 3, FILES = 12 };

static void make_pattern(const char *path, const char *codec, int frames) {
    make_video(&(video_plan){.path = path,
                             .codec = codec,
                             .pixels = "rgb24",
                             .width = WIDTH,
                             .height = HEIGHT,
                             .frames = frames,
                             .numerator = 25,
                             .denominator = 1});
}

/* A model that cuts 16 x 16 out of frames whose shorter side is 20, every second frame. */
static tub_model *ruled_model(tub_context *ctx) {
    tub_model *model = day_model(ctx);
    const tub__clip_rule rule = {.sampling = TUB_SAMPLING_STRIDE,
                                 .stride = 2,
                                 .picture = {.resize = true,
                                             .crop = true,
                                             .shortest_edge = 20,
                                             .crop_height = DAY_SIDE,
                                             .crop_width = DAY_SIDE,
                                             .filter = TUB__BILINEAR}};
    tub_error err;
    assert_ok(tub__model_set_clip_rule(model, &rule, &err), err);
    return model;
}

/* All frames of a file, [frames, HEIGHT, WIDTH, 3]. */
static unsigned char *read_all(tub_context *ctx, const char *path, int64_t frames) {
    tub__clip_file *clip = NULL;
    tub_error err;
    unsigned char *all = malloc((size_t)frames * FRAME);
    assert_ok(tub__clip_open(ctx, path, 1, NULL, &clip, &err), err);
    for (int64_t i = 0; i < frames; i++) {
        tub__clip_frame frame;
        bool end;
        assert_ok(tub__clip_next(clip, &frame, &end, &err), err);
        assert_false(end);
        memcpy(all + i * FRAME, frame.samples, FRAME);
    }
    tub__clip_close(clip);
    return all;
}

/* The model's logits of one view, prepared with the parts of Pillow's resizing. */
static void by_hand(tub_model *model, const unsigned char *all, const int64_t *frames, int top,
                    int left, float logits[DAY_CLASSES]) {
    enum { W = 27, H = 20 }; /* 33 * 20 / 24, cut down */
    static unsigned char clip[DAY_CLIP], small[W * H * 3];
    tub__resizer *r = NULL;
    tub_error err;
    assert_ok(tub__resizer_create(&tub__default_allocator, TUB__BILINEAR, TUB__PILLOW_13, 3,
                                  (const size_t[2]){HEIGHT, WIDTH}, (const size_t[2]){H, W}, &r,
                                  &err),
              err);
    for (int t = 0; t < DAY_FRAMES; t++) {
        tub__resizer_run(r, all + frames[t] * FRAME, small);
        for (int y = 0; y < DAY_SIDE; y++) {
            memcpy(clip + t * DAY_FRAME + y * DAY_SIDE * 3, small + ((y + top) * W + left) * 3,
                   (size_t)DAY_SIDE * 3);
        }
    }
    tub__resizer_destroy(r);
    assert_ok(tub_model_forward(model, 1, TUB_U8, clip, logits, NULL, &err), err);
}

typedef struct told {
    int count, bad;
    size_t order[FILES];
    float logits[FILES][DAY_CLASSES], probabilities[FILES][DAY_CLASSES];
    int64_t frames[FILES];
    double seconds[FILES];
    char message[FILES][TUB_ERROR_LENGTH];
    int stop; /* after so many; 0: never */
} told;

static int tell(void *user, const tub_file_result *r) {
    told *t = user;
    const int i = t->count++;
    t->order[i] = r->index;
    t->frames[i] = r->frames;
    t->seconds[i] = r->seconds;
    snprintf(t->message[i], sizeof t->message[i], "%s", r->message != NULL ? r->message : "");
    if (r->status == TUB_OK) {
        memcpy(t->logits[i], r->logits, sizeof t->logits[i]);
        memcpy(t->probabilities[i], r->probabilities, sizeof t->probabilities[i]);
    } else {
        assert_null(r->logits);
        t->bad++;
    }
    return t->stop == t->count;
}

static void test_one(void **state) {
    fixture *f = *state;
    tub_model *model = ruled_model(f->ctx);
    tub_error err;
    char path[600];
    snprintf(path, sizeof path, "%s", temp_path(&f->folder, "clip.mov"));
    make_pattern(path, "png", COUNT);
    unsigned char *all = read_all(f->ctx, path, COUNT);
    const char *paths[] = {path};
    told t = {0};
    assert_ok(tub_predict_files(model, 1, paths, NULL, tell, &t, &err), err);
    assert_int_equal(t.count, 1);
    assert_int_equal(t.frames[0], COUNT);
    assert_true(fabs(t.seconds[0] - COUNT / 25.0) < 1e-9);
    /* 8 frames, every second one, in the middle of 21: from 2 on. */
    const int64_t frames[DAY_FRAMES] = {2, 4, 6, 8, 10, 12, 14, 16};
    float logits[DAY_CLASSES];
    by_hand(model, all, frames, 2, 5, logits);
    assert_memory_equal(t.logits[0], logits, sizeof logits);
    free(all);
    tub_model_close(model);
}

/* Two views, three crops: places 0 and 5; columns 0, ceil(11 / 2) and 11 of 27. */
static void test_views(void **state) {
    fixture *f = *state;
    tub_model *model = ruled_model(f->ctx);
    tub_error err;
    char path[600];
    snprintf(path, sizeof path, "%s", temp_path(&f->folder, "clip.mov"));
    make_pattern(path, "png", COUNT);
    unsigned char *all = read_all(f->ctx, path, COUNT);
    const char *paths[] = {path};
    told t = {0};
    tub_file_options o = tub_file_options_default();
    o.views = 2;
    o.crops = 3;
    assert_ok(tub_predict_files(model, 1, paths, &o, tell, &t, &err), err);
    o.average = TUB_AVERAGE_PROBABILITIES;
    assert_ok(tub_predict_files(model, 1, paths, &o, tell, &t, &err), err);
    const int lefts[] = {0, 6, 11};
    double sum[DAY_CLASSES] = {0}, shares = 0;
    for (int c = 0; c < 3; c++) {
        for (int v = 0; v < 2; v++) {
            int64_t frames[DAY_FRAMES];
            float logits[DAY_CLASSES];
            for (int i = 0; i < DAY_FRAMES; i++) {
                frames[i] = 5 * v + 2 * i;
            }
            by_hand(model, all, frames, 2, lefts[c], logits);
            sum[0] += (double)logits[0];
            sum[1] += (double)logits[1];
            shares += 1 / (1 + exp((double)logits[1] - (double)logits[0])) / 6;
        }
    }
    const float mean[] = {(float)(sum[0] / 6), (float)(sum[1] / 6)};
    assert_memory_equal(t.logits[0], mean, sizeof mean);
    assert_memory_equal(t.logits[1], mean, sizeof mean);
    assert_true(fabs((double)t.probabilities[0][0] -
                     1 / (1 + exp((double)mean[1] - (double)mean[0]))) < 1e-6);
    assert_true(fabs((double)t.probabilities[1][0] - shares) < 1e-6);
    free(all);
    tub_model_close(model);
}

/* A folder of transformers', which resizes, crops, rescales and normalises: frames are prepared once, as
 * tub_model_prepare does it of frames that were sampled by hand. */
static void test_prepared_once(void **state) {
    fixture *f = *state;
    tub_model *plain = day_model(f->ctx), *model = NULL;
    tub_error err;
    char path[600], folder[600], file[700];
    static const char text[] =
        "{\"size\":{\"shortest_edge\":19},\"crop_size\":{\"height\":16,\"width\":16},"
        "\"image_mean\":[0.4,0.5,0.6],\"image_std\":[0.3,0.2,0.1],\"resample\":3}";
    snprintf(path, sizeof path, "%s", temp_path(&f->folder, "clip.mov"));
    snprintf(folder, sizeof folder, "%s", temp_path(&f->folder, "model"));
    snprintf(file, sizeof file, "%s/preprocessor_config.json", folder);
    assert_ok(tub_model_save(plain, folder, &err), err);
    tub_model_close(plain);
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    assert_ok(tub_model_open(f->ctx, folder, &model, &err), err);
    make_pattern(path, "png", COUNT);
    unsigned char *all = read_all(f->ctx, path, COUNT), *clip = malloc((size_t)DAY_FRAMES * FRAME);
    float *x = malloc(DAY_CLIP * sizeof *x), logits[DAY_CLASSES];
    /* Uniform: k * 21 / 9, rounded, k = 1 … 8. */
    const int64_t frames[DAY_FRAMES] = {2, 5, 7, 9, 12, 14, 16, 19};
    for (int t = 0; t < DAY_FRAMES; t++) {
        memcpy(clip + t * FRAME, all + frames[t] * FRAME, FRAME);
    }
    assert_ok(tub_model_prepare(model, 1, (const int64_t[4]){DAY_FRAMES, HEIGHT, WIDTH, 3}, clip, x,
                                &err),
              err);
    assert_ok(tub_model_forward(model, 1, TUB_F32, x, logits, NULL, &err), err);
    const char *paths[] = {path};
    told t = {0};
    assert_ok(tub_predict_files(model, 1, paths, NULL, tell, &t, &err), err);
    assert_string_equal(t.message[0], "");
    assert_memory_equal(t.logits[0], logits, sizeof logits);
    free(x);
    free(clip);
    free(all);
    tub_model_close(model);
}

/* Good and bad files in one list; the same for any number of threads. */
static void test_many(void **state) {
    fixture *f = *state;
    char room[FILES][600];
    const char *paths[FILES];
    told one = {0};
    tub_error err;
    for (int i = 0; i < FILES; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d.mov", i);
        snprintf(room[i], sizeof room[i], "%s", temp_path(&f->folder, name));
        paths[i] = room[i];
        if (i == 3) { /* no video */
            FILE *out = fopen(room[i], "w");
            fputs("not a video at all, but some text", out);
            fclose(out);
        } else if (i != 7) { /* 7 is missing */
            make_pattern(room[i], "png", 1 + 3 * i);
        }
    }
    for (int threads = 1; threads <= 4; threads += 3) {
        tub_context_config config = tub_context_config_default();
        tub_context *ctx = NULL;
        config.threads = threads;
        assert_ok(tub_context_create(&config, &ctx, &err), err);
        tub_model *model = ruled_model(ctx);
        told all = {0};
        assert_ok(tub_predict_files(model, FILES, paths, NULL, tell, &all, &err), err);
        assert_int_equal(all.count, FILES);
        assert_int_equal(all.bad, 2);
        for (int i = 0; i < FILES; i++) {
            assert_int_equal(all.order[i], i);
            if (i == 3 || i == 7) {
                assert_int_equal(strncmp(all.message[i], room[i], strlen(room[i])), 0);
            } else {
                told alone = {0};
                assert_string_equal(all.message[i], "");
                assert_int_equal(all.frames[i], 1 + 3 * i);
                assert_ok(tub_predict_files(model, 1, &paths[i], NULL, tell, &alone, &err), err);
                assert_memory_equal(all.logits[i], alone.logits[0], sizeof alone.logits[0]);
                assert_memory_equal(all.probabilities[i], alone.probabilities[0],
                                    sizeof alone.probabilities[0]);
            }
        }
        if (threads == 1) {
            one = all;
        } else {
            assert_memory_equal(one.logits, all.logits, sizeof one.logits);
        }
        told stopped = {.stop = 2};
        assert_ok(tub_predict_files(model, FILES, paths, NULL, tell, &stopped, &err), err);
        assert_int_equal(stopped.count, 2);
        tub_model_close(model);
        tub_context_destroy(ctx);
    }
}

/* A part of a file has the frames whose times lie in it. */
static void test_part(void **state) {
    fixture *f = *state;
    tub_model *model = ruled_model(f->ctx);
    tub_error err;
    char path[600];
    snprintf(path, sizeof path, "%s", temp_path(&f->folder, "clip.mov"));
    make_pattern(path, "png", COUNT);
    unsigned char *all = read_all(f->ctx, path, COUNT);
    const char *paths[] = {path};
    tub_file_options o = tub_file_options_default();
    told t = {0};
    o.from = 80000000; /* frame 2, to the nanosecond */
    o.to = 800000000;  /* before frame 20 */
    o.sampling = TUB_SAMPLING_LINSPACE;
    assert_ok(tub_predict_files(model, 1, paths, &o, tell, &t, &err), err);
    assert_int_equal(t.frames[0], 18);
    const int64_t frames[DAY_FRAMES] = {2, 4, 6, 9, 11, 14, 16, 19};
    float logits[DAY_CLASSES];
    by_hand(model, all, frames, 2, 5, logits);
    assert_memory_equal(t.logits[0], logits, sizeof logits);
    /* The same by numbers, of one of two files. */
    const char *two[] = {path, path};
    const tub_file_part parts[] = {{0, 0}, {2, 18}};
    told by_number = {0};
    o.parts = parts;
    assert_ok(tub_predict_files(model, 2, two, &o, tell, &by_number, &err), err);
    assert_int_equal(by_number.frames[0], COUNT);
    assert_int_equal(by_number.frames[1], 18);
    assert_memory_equal(by_number.logits[1], logits, sizeof logits);
    assert_memory_not_equal(by_number.logits[0], logits, sizeof logits);
    const tub_file_part behind[] = {{COUNT, 1}};
    o.parts = behind;
    assert_ok(tub_predict_files(model, 1, paths, &o, tell, &by_number, &err), err);
    assert_non_null(strstr(by_number.message[2], "clip.mov: no frame 21; there are 21"));
    o.parts = NULL;
    o.from = (int64_t)60 * 1000000000;
    o.to = -1;
    assert_ok(tub_predict_files(model, 1, paths, &o, tell, &t, &err), err);
    assert_non_null(strstr(t.message[1], "clip.mov: a part from 60 s on begins behind its end"));
    free(all);
    tub_model_close(model);
}

static void test_refused(void **state) {
    fixture *f = *state;
    tub_model *model = ruled_model(f->ctx), *plain = day_model(f->ctx);
    tub_error err;
    char path[600];
    snprintf(path, sizeof path, "%s", temp_path(&f->folder, "clip.mov"));
    make_pattern(path, "png", COUNT);
    const char *paths[] = {path};
    told t = {0};
    tub_file_options o = tub_file_options_default();
    o.size = 8;
    assert_int_equal(tub_predict_files(model, 1, paths, &o, tell, &t, &err), TUB_E_ARGUMENT);
    assert_non_null(strstr(err.message, "tub_file_options: size is 8"));
    o = tub_file_options_default();
    o.views = 0;
    assert_int_equal(tub_predict_files(model, 1, paths, &o, tell, &t, &err), TUB_E_RANGE);
    o = tub_file_options_default();
    o.crops = 2;
    assert_int_equal(tub_predict_files(model, 1, paths, &o, tell, &t, &err), TUB_E_RANGE);
    o = tub_file_options_default();
    o.sampling = TUB_SAMPLING_UNIFORM;
    o.stride = 2;
    assert_int_equal(tub_predict_files(model, 1, paths, &o, tell, &t, &err), TUB_E_ARGUMENT);
    assert_int_equal(t.count, 0);
    /* A model whose folder says nothing of sizes takes frames of its own. */
    assert_false(tub_model_takes_files(plain));
    assert_ok(tub_predict_files(plain, 1, paths, NULL, tell, &t, &err), err);
    assert_int_equal(t.bad, 1);
    assert_non_null(
        strstr(t.message[0], "its frames are 24x33 (height, width), the model takes 16x16"));
    o = tub_file_options_default();
    o.crops = 3;
    assert_ok(tub_predict_files(plain, 1, paths, &o, tell, &t, &err), err);
    assert_non_null(strstr(t.message[1], "three crops need frames that are cut"));
    tub_model_close(plain);
    tub_model_close(model);
}

/* ---- Every allocation made to fail once ---- */

static int ignore(void *user, const tub_file_result *r) {
    *(tub_status *)user = r->status;
    return 0;
}
static int ignore_window(void *user, const tub_window *w) {
    (void)user;
    (void)w;
    return 0;
}

static tub_status classify(tub_context *ctx, const void *user, tub_error *err) {
    const char *const *paths = user;
    tub_model *model = NULL;
    tub_status seen = TUB_OK, status = tub_model_open(ctx, paths[1], &model, err);
    tub_file_options o = tub_file_options_default();
    o.views = 2;
    if (status == TUB_OK) {
        status = tub_predict_files(model, 1, paths, &o, ignore, &seen, err);
    }
    if (status == TUB_OK && seen == TUB_OK) {
        status =
            tub_timeline(model, paths[0], 200000000, 100000000, &o, ignore_window, NULL, NULL, err);
    }
    tub_model_close(model);
    return status != TUB_OK ? status : seen;
}

static tub_status run_failing(const tub_allocator *a, void *user, tub_error *err) {
    return in_failing_context(a, 1, TUB_PRECISION_F32, classify, user, err);
}

static void test_memory(void **state) {
    fixture *f = *state;
    tub_model *model = ruled_model(f->ctx);
    tub_error err;
    char path[600], folder[600];
    snprintf(path, sizeof path, "%s", temp_path(&f->folder, "clip.mov"));
    snprintf(folder, sizeof folder, "%s", temp_path(&f->folder, "model"));
    make_pattern(path, "png", 12);
    assert_ok(tub_model_save(model, folder, &err), err);
    tub_model_close(model);
    const char *paths[] = {path, folder};
    failing_report report = failing_run(run_failing, (void *)paths);
    printf("%ld allocations\n", report.allocations);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations > 40);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_views, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_prepared_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_part, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
