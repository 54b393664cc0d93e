/* SPDX-License-Identifier: Apache-2.0 */
/* Windows of videos: at 25, 29.97 and 30 frames a second and with frames at odd times, each row is what
 * the model makes of exactly the frames whose times lie in the window, worked out here from the times that
 * the videos were made with. */
#include "cmocka_all.h"

#include <stdbool.h>
#include <stdio.h>

#include "context_folder.h"
#include "data/frame_sampling.h"
#include "day_model.h"
#include "make_video.h"
#include "spoil_pictures.h"

enum { MOST = 512 };
static const int64_t SECOND = 1000000000;

/* A video of grey frames: its frame times in units of numerator / denominator seconds. */
typedef struct film {
    const char *name, *codec;
    int rate, rate_denominator; /* as it is made */
    int frames;
    int64_t times[MOST]; /* in units of 1 / denominator seconds */
    int64_t denominator;
    int64_t length; /* where its last frame ends, likewise */
    bool odd;       /* times are given */
    int level[MOST];
    char path[600];
} film;

/* Bright from 2 to 4 seconds; no two neighbours are equal. */
static void paint(film *v) {
    for (int i = 0; i < v->frames; i++) {
        const bool bright = v->times[i] >= 2 * v->denominator && v->times[i] < 4 * v->denominator;
        v->level[i] = (bright ? 210 : 5) + i % 30;
    }
}

static void make(fixture *f, film *v) {
    paint(v);
    snprintf(v->path, sizeof v->path, "%s", temp_path(&f->folder, v->name));
    make_video(&(video_plan){.path = v->path,
                             .codec = v->codec,
                             .pixels = "rgb24",
                             .width = DAY_SIDE,
                             .height = DAY_SIDE,
                             .frames = v->frames,
                             .numerator = v->rate,
                             .denominator = v->rate_denominator,
                             .times = v->odd ? v->times : NULL,
                             .levels = v->level});
}

static film cfr25(void) {
    film v = {.name = "25.mov",
              .codec = "png",
              .rate = 25,
              .rate_denominator = 1,
              .frames = 150,
              .denominator = 25,
              .length = 150};
    for (int i = 0; i < v.frames; i++) {
        v.times[i] = i;
    }
    return v;
}

static film ntsc(void) {
    film v = {.name = "ntsc.mov",
              .codec = "png",
              .rate = 30000,
              .rate_denominator = 1001,
              .frames = 180,
              .denominator = 30000,
              .length = 180 * 1001};
    for (int i = 0; i < v.frames; i++) {
        v.times[i] = i * 1001;
    }
    return v;
}

/* Matroska keeps whole milliseconds: frame 1 is at 33 of them. */
static film cfr30(void) {
    film v = {.name = "30.mkv",
              .codec = "png",
              .rate = 30,
              .rate_denominator = 1,
              .frames = 180,
              .denominator = 1000};
    for (int i = 0; i < v.frames; i++) {
        v.times[i] = (i * 1000 + 15) / 30;
    }
    v.length = v.times[179] + 33; /* the frame before lasts 34, by rounding */
    return v;
}

/* Frames at odd times, none for more than a second. */
static film odd(void) {
    static const int steps[] = {40, 20, 60, 33, 1, 90, 17};
    film v = {.name = "odd.mkv",
              .codec = "png",
              .rate = 1000,
              .rate_denominator = 1,
              .denominator = 1000,
              .odd = true};
    for (int64_t t = 0; t < 6000; t += steps[v.frames % 7]) {
        t = t > 2800 && t < 4100 ? 4100 : t;
        v.times[v.frames++] = t;
    }
    v.length = 2 * v.times[v.frames - 1] - v.times[v.frames - 2];
    return v;
}

/* Frames of it can't be decoded: it has the others, at the times that they had. */
static void spoil(film *v, const bool *bad) {
    int good = 0;
    spoil_pictures(v->path, v->frames, bad);
    for (int i = 0; i < v->frames; i++) {
        if (!bad[i]) {
            v->times[good] = v->times[i];
            v->level[good++] = v->level[i];
        }
    }
    v->frames = good;
}

/* units / denominator < nanoseconds / 10^9, in whole numbers that fit. */
static bool before(const film *v, int64_t units, int64_t nanoseconds) {
    return units * SECOND < nanoseconds * v->denominator;
}

typedef struct checking {
    const film *video;
    tub_model *model;
    int64_t window, hop, rows, views;
    int64_t end_of_last;
} checking;

static void expect_logits(const checking *c, int64_t first, int64_t count, const float *got) {
    static unsigned char clip[DAY_CLIP];
    const tub__frame_plan plan = {TUB_SAMPLING_UNIFORM, DAY_FRAMES, 0};
    double sum[DAY_CLASSES] = {0};
    tub_error err;
    for (int64_t v = 0; v < c->views; v++) {
        int64_t frames[DAY_FRAMES];
        float logits[DAY_CLASSES];
        tub__frames_of_view(&plan, count, v, c->views, frames);
        for (int t = 0; t < DAY_FRAMES; t++) {
            memset(clip + t * DAY_FRAME, c->video->level[first + frames[t]], DAY_FRAME);
        }
        assert_ok(tub_model_forward(c->model, 1, TUB_U8, clip, logits, NULL, &err), err);
        for (int k = 0; k < DAY_CLASSES; k++) {
            sum[k] += (double)logits[k];
        }
    }
    for (int k = 0; k < DAY_CLASSES; k++) {
        assert_true(got[k] == (float)(sum[k] / (double)c->views));
    }
}

static int check_row(void *user, const tub_window *w) {
    checking *c = user;
    const film *v = c->video;
    float logits[DAY_CLASSES];
    memcpy(logits, w->logits, sizeof logits);
    const int64_t begin = c->rows * c->hop, end = begin + c->window;
    int64_t first = 0, count = 0;
    assert_int_equal(w->index, c->rows);
    assert_int_equal(w->begin, begin);
    assert_true(begin * v->denominator < v->length * SECOND); /* it has time of the file */
    assert_int_equal(w->end, before(v, v->length, end) ? v->length * SECOND / v->denominator : end);
    for (int64_t i = 0; i < v->frames; i++) {
        first += before(v, v->times[i], begin);
        count += !before(v, v->times[i], begin) && before(v, v->times[i], end);
    }
    first = count > 0 ? first : first - 1; /* none begins: the one that is shown */
    count = count > 0 ? count : 1;
    assert_int_equal(w->frames, count);
    expect_logits(c, first, count, logits);
    c->rows++;
    c->end_of_last = w->end;
    return 0;
}

static void check_film(tub_model *model, const film *v, bool damaged) {
    const struct {
        int64_t window, hop;
    } cases[] = {{SECOND, SECOND},
                 {2 * SECOND, SECOND},
                 {SECOND / 4, SECOND / 2},
                 {SECOND * 7 / 10, SECOND * 3 / 10},
                 {1001000000, 1001000000},
                 {33366667, 333666667},
                 {SECOND / 200, SECOND / 20},
                 {5 * SECOND, SECOND / 10},
                 {3600 * SECOND, SECOND},
                 {1, SECOND}};
    tub_error err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        checking c = {.video = v,
                      .model = model,
                      .window = cases[i].window,
                      .hop = cases[i].hop,
                      .views = i == 1 ? 3 : 1};
        tub_file_options o = tub_file_options_default();
        char damage[TUB_ERROR_LENGTH];
        o.views = c.views;
        assert_ok(tub_timeline(model, v->path, c.window, c.hop, &o, check_row, &c, damage, &err),
                  err);
        assert_true(damaged == (strstr(damage, "packets can't be decoded") != NULL));
        assert_true(damaged || damage[0] == '\0');
        /* Rows go on until one has the end, or none begins before it. */
        int64_t rows = 1;
        while (rows * c.hop * v->denominator < v->length * SECOND &&
               ((rows - 1) * c.hop + c.window) * v->denominator < v->length * SECOND) {
            rows++;
        }
        assert_int_equal(c.rows, rows);
    }
}

static void test_frames(void **state) {
    fixture *f = *state;
    tub_model *model = day_model(f->ctx);
    film films[] = {cfr25(), ntsc(), cfr30(), odd()};
    for (size_t i = 0; i < sizeof films / sizeof *films; i++) {
        make(f, &films[i]);
        check_film(model, &films[i], false);
    }
    tub_model_close(model);
}

/* Pictures that can't be decoded in the middle: no row is told at another time than its frames have. */
static void test_damaged(void **state) {
    fixture *f = *state;
    bool bad[MOST] = {false};
    tub_model *model = day_model(f->ctx);
    film films[] = {cfr25(), ntsc(), cfr30()};
    for (int i = 50; i < 100; i++) {
        bad[i] = true;
    }
    bad[103] = true;
    for (size_t i = 0; i < sizeof films / sizeof *films; i++) {
        make(f, &films[i]);
        spoil(&films[i], bad);
        check_film(model, &films[i], true);
    }
    tub_model_close(model);
}

/* ---- The class changes where it does ---- */

typedef struct classes {
    char text[256]; /* a letter for each row */
    int64_t stop;   /* rows; 0: all */
} classes;

static int note(void *user, const tub_window *w) {
    classes *c = user;
    const size_t n = strlen(c->text);
    c->text[n] = w->probabilities[1] > w->probabilities[0] ? 'B' : 'd';
    c->text[n + 1] = '\0';
    return c->stop > 0 && (int64_t)n + 1 == c->stop;
}

static void test_borders(void **state) {
    fixture *f = *state;
    tub_model *model = day_model(f->ctx);
    film films[] = {cfr25(), ntsc(), cfr30()};
    tub_error err;
    for (size_t i = 0; i < sizeof films / sizeof *films; i++) {
        classes half = {.stop = 0}, first = {.stop = 3};
        make(f, &films[i]);
        assert_ok(tub_timeline(model, films[i].path, SECOND / 2, SECOND / 2, NULL, note, &half,
                               NULL, &err),
                  err);
        /* 29.97: the last of 180 frames begins at 5.972633 s and ends at 6.006 s. */
        assert_string_equal(half.text, i == 1 ? "ddddBBBBddddd" : "ddddBBBBdddd");
        assert_ok(tub_timeline(model, films[i].path, SECOND / 2, SECOND / 2, NULL, note, &first,
                               NULL, &err),
                  err);
        assert_string_equal(first.text, "ddd");
    }
    tub_model_close(model);
}

/* The same rows for any number of threads. */
static void test_threads(void **state) {
    fixture *f = *state;
    film v = ntsc();
    make(f, &v);
    for (int threads = 1; threads <= 3; threads++) {
        tub_context_config config = tub_context_config_default();
        tub_context *ctx = NULL;
        tub_error err;
        config.threads = threads;
        assert_ok(tub_context_create(&config, &ctx, &err), err);
        tub_model *model = day_model(ctx);
        checking c = {.video = &v, .model = model, .window = SECOND, .hop = SECOND / 2, .views = 1};
        assert_ok(tub_timeline(model, v.path, c.window, c.hop, NULL, check_row, &c, NULL, &err),
                  err);
        assert_int_equal(c.rows, 12);
        tub_model_close(model);
        tub_context_destroy(ctx);
    }
}

static void test_refused(void **state) {
    fixture *f = *state;
    tub_model *model = day_model(f->ctx);
    film v = cfr25();
    classes none = {.stop = 0};
    tub_error err;
    make(f, &v);
    assert_int_equal(tub_timeline(model, v.path, 0, SECOND, NULL, note, &none, NULL, &err),
                     TUB_E_RANGE);
    assert_int_equal(tub_timeline(model, v.path, SECOND, 0, NULL, note, &none, NULL, &err),
                     TUB_E_RANGE);
    assert_int_equal(tub_timeline(model, v.path, 3600 * SECOND, 1, NULL, note, &none, NULL, &err),
                     TUB_E_RANGE);
    assert_non_null(strstr(err.message, "let them begin less often"));
    assert_int_equal(tub_timeline(model, temp_path(&f->folder, "none.mp4"), SECOND, SECOND, NULL,
                                  note, &none, NULL, &err),
                     TUB_E_NOT_FOUND);
    assert_string_equal(none.text, "");
    tub_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_frames, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_borders, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_threads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
