/* SPDX-License-Identifier: Apache-2.0 */
/* motion: the same bits everywhere, classes that differ in the order of their frames and in nothing
 * else, and a method of fifteen lines that tells them. */
#include "cmocka_all.h"

#include "base/md5.h"
#include "data/dataset.h"
#include "data/motion.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    CLASSES = TUB__MOTION_CLASSES,
    FRAMES = TUB__MOTION_FRAMES,
    SIDE = TUB__MOTION_SIDE,
    PIXELS = TUB__MOTION_PIXELS,
    BYTES = TUB__MOTION_BYTES
};

typedef struct fixture {
    tub_context *ctx;
    tub_dataset *data;
} fixture;

static void open_motion(fixture *f, int threads) {
    tub_error err;
    tub_context_config config = tub_context_config_default();
    config.threads = threads;
    assert_ok(tub_context_create(&config, &f->ctx, &err), err);
    assert_ok(tub_dataset_open(f->ctx, "motion", NULL, &f->data, &err), err);
}

static void close_motion(fixture *f) {
    tub_dataset_close(f->data);
    tub_context_destroy(f->ctx);
}

static int open_set(void **state) {
    static fixture f;
    open_motion(&f, 1);
    *state = &f;
    return 0;
}

static int close_set(void **state) {
    close_motion(*state);
    return 0;
}

static const unsigned char *clip(const tub_dataset *data, tub_split split, int64_t i) {
    return (const unsigned char *)tub_dataset_samples(data, split) + i * BYTES;
}

static void is_described(void **state) {
    const fixture *f = *state;
    const tub_dataset_info *info = tub_dataset_describe(f->data);
    assert_string_equal(info->name, "motion");
    assert_int_equal(info->frames, FRAMES);
    assert_int_equal(info->height, SIDE);
    assert_int_equal(info->width, SIDE);
    assert_int_equal(info->channels, 1);
    assert_int_equal(info->classes, CLASSES);
    assert_string_equal(info->labels[3], "anticlockwise-3");
    for (int s = 0; s < TUB_SPLITS; s++) {
        static const int64_t counts[TUB_SPLITS] = {2000, 400, 800};
        assert_int_equal(info->count[s], counts[s]);
        assert_int_equal(info->constant[s], 0);
        int64_t count[CLASSES] = {0};
        for (int64_t i = 0; i < info->count[s]; i++) {
            count[tub_dataset_labels(f->data, (tub_split)s)[i]]++;
        }
        for (int k = 0; k < CLASSES; k++) {
            assert_int_equal(count[k], info->count[s] / CLASSES);
        }
    }
}

static void has_the_same_bits_everywhere(void **state) {
    const fixture *f = *state;
    static const char *const sums[TUB_SPLITS] = {"7540bb508a11c3ff2cc9b18f228a863e",
                                                 "7da823dd95b5812a048bb66421a95030",
                                                 "fdbd5d42d991e25b3328f71bdb11e4e2"};
    char hex[33];
    tub__md5 m;
    for (int s = 0; s < TUB_SPLITS; s++) {
        int64_t n = tub_dataset_describe(f->data)->count[s];
        tub__md5_init(&m);
        tub__md5_update(&m, clip(f->data, (tub_split)s, 0), (size_t)n * BYTES);
        for (int64_t i = 0; i < n; i++) { /* one byte a label: any byte order */
            unsigned char label = (unsigned char)tub_dataset_labels(f->data, (tub_split)s)[i];
            tub__md5_update(&m, &label, 1);
        }
        tub__md5_finish(&m, hex);
        assert_string_equal(hex, sums[s]);
    }
    fixture other;
    open_motion(&other, 3); /* threads change nothing */
    for (int s = 0; s < TUB_SPLITS; s++) {
        size_t n = (size_t)tub_dataset_describe(f->data)->count[s];
        assert_memory_equal(clip(f->data, (tub_split)s, 0), clip(other.data, (tub_split)s, 0),
                            n * BYTES);
    }
    close_motion(&other);
}

static void draws_each_clip_alone(void **state) {
    const fixture *f = *state;
    static unsigned char out[BYTES];
    for (int64_t i = 799; i >= 0; i -= 47) {
        tub__motion.draw(NULL, TUB_TEST, (uint32_t)i, tub_dataset_labels(f->data, TUB_TEST)[i],
                         out);
        assert_memory_equal(out, clip(f->data, TUB_TEST, i), BYTES);
    }
}

static int compare_frames(const void *a, const void *b) {
    return memcmp(a, b, PIXELS);
}

/* Drawn as any class, a sample shows the same sixteen pictures, all different, to the last bit; and
 * in no two classes in the same order. */
static void classes_show_the_same_pictures(void **state) {
    static unsigned char drawn[CLASSES][BYTES], sorted[CLASSES][BYTES];
    (void)state;
    for (uint32_t i = 0; i < 50; i++) {
        for (int k = 0; k < CLASSES; k++) {
            tub__motion.draw(NULL, TUB_VAL, i, k, drawn[k]);
            memcpy(sorted[k], drawn[k], BYTES);
            qsort(sorted[k], FRAMES, PIXELS, compare_frames);
            assert_memory_equal(sorted[k], sorted[0], BYTES);
            for (int j = 0; j < k; j++) {
                assert_memory_not_equal(drawn[k], drawn[j], BYTES);
            }
        }
        for (int t = 1; t < FRAMES; t++) {
            assert_memory_not_equal(sorted[0] + t * PIXELS, sorted[0] + (t - 1) * PIXELS, PIXELS);
        }
    }
}

static bool is_reverse(const unsigned char *a, const unsigned char *b) {
    bool same = true;
    for (int t = 0; t < FRAMES; t++) {
        same = same && memcmp(a + t * PIXELS, b + (FRAMES - 1 - t) * PIXELS, PIXELS) == 0;
    }
    return same;
}

/* Classes 2k and 2k + 1 of one sample are one clip and its reverse; no other two are. */
static void partners_are_reverses(void **state) {
    static unsigned char one[BYTES], other[BYTES];
    (void)state;
    for (uint32_t i = 0; i < 10; i++) {
        for (int a = 0; a < CLASSES; a++) {
            for (int b = 0; b < CLASSES; b++) {
                tub__motion.draw(NULL, TUB_TRAIN, i, a, one);
                tub__motion.draw(NULL, TUB_TRAIN, i, b, other);
                assert_int_equal(is_reverse(one, other), a / 2 == b / 2 && a != b);
            }
        }
    }
}

/* Where the brightness of each frame lies beyond the clip's mean picture: a vector that turns with the
 * shape. */
static void moments(const unsigned char *c, double x[FRAMES], double y[FRAMES]) {
    for (int t = 0; t < FRAMES; t++) {
        x[t] = y[t] = 0;
    }
    for (int i = 0; i < PIXELS; i++) {
        double mean = 0;
        for (int t = 0; t < FRAMES; t++) {
            mean += c[t * PIXELS + i] / (double)FRAMES;
        }
        for (int t = 0; t < FRAMES; t++) {
            x[t] += (c[t * PIXELS + i] - mean) * (i % SIDE - SIDE / 2);
            y[t] += (c[t * PIXELS + i] - mean) * (i / SIDE - SIDE / 2);
        }
    }
}

/* The class of a clip by the mean angle from one frame to the next. */
static int solve(const unsigned char *c) {
    static const int steps[CLASSES] = {1, -1, 3, -3, 5, -5, 7, -7};
    double x[FRAMES], y[FRAMES], along = 0, across = 0, highest = -INFINITY;
    int best = 0;
    moments(c, x, y);
    for (int t = 1; t < FRAMES; t++) {
        along += x[t - 1] * x[t] + y[t - 1] * y[t];
        across += x[t - 1] * y[t] - y[t - 1] * x[t];
    }
    for (int k = 0; k < CLASSES; k++) {
        double angle = 6.283185307179586 * steps[k] / FRAMES;
        double fit = along * cos(angle) + across * sin(angle);
        if (fit > highest) {
            highest = fit;
            best = k;
        }
    }
    return best;
}

/* Share of the test clips whose class solve() tells; partner: whose partner's. */
static double solved(const tub_dataset *data, bool partner) {
    int64_t n = tub_dataset_describe(data)->count[TUB_TEST], right = 0;
    for (int64_t i = 0; i < n; i++) {
        int label = tub_dataset_labels(data, TUB_TEST)[i];
        right += solve(clip(data, TUB_TEST, i)) == (partner ? label ^ 1 : label);
    }
    return (double)right / (double)n;
}

/* Three standard errors of a share of 1/8 of 800. */
static const double CHANCE_LOW = 0.125 - 3 * 0.0117, CHANCE_HIGH = 0.125 + 3 * 0.0117;

static void order_tells_the_class(void **state) {
    (void)state;
    fixture f;
    tub_error err;
    open_motion(&f, 1);
    double share = solved(f.data, false);
    print_message("by the turn from frame to frame: %.1f %% of the test clips\n", 100 * share);
    assert_true(share > 0.99);
    assert_ok(tub_dataset_order_frames(f.data, TUB_TEST, TUB_FRAMES_REVERSED, 0, &err), err);
    assert_true(solved(f.data, true) == share); /* the same sums, across with the other sign */
    assert_ok(tub_dataset_order_frames(f.data, TUB_TEST, TUB_FRAMES_SHUFFLED, 1, &err), err);
    share = solved(f.data, false);
    print_message("the same of shuffled frames: %.1f %%\n", 100 * share);
    assert_true(share > CHANCE_LOW && share < CHANCE_HIGH);
    close_motion(&f);
}

/* The frames of a clip from `first` to `last`, added up. */
static void add_frames(const unsigned char *c, int first, int last, double out[PIXELS]) {
    for (int i = 0; i < PIXELS; i++) {
        out[i] = 0;
        for (int t = first; t <= last; t++) {
            out[i] += c[t * PIXELS + i];
        }
    }
}

/* Share of the test clips whose sum of frames is nearest to the mean of their class's training
 * clips. */
static double nearest_mean(const tub_dataset *data, int first, int last) {
    static double mean[CLASSES][PIXELS], picture[PIXELS];
    const tub_dataset_info *info = tub_dataset_describe(data);
    memset(mean, 0, sizeof mean);
    for (int64_t i = 0; i < info->count[TUB_TRAIN]; i++) {
        int label = tub_dataset_labels(data, TUB_TRAIN)[i];
        add_frames(clip(data, TUB_TRAIN, i), first, last, picture);
        for (int j = 0; j < PIXELS; j++) {
            mean[label][j] += picture[j] * CLASSES / (double)info->count[TUB_TRAIN];
        }
    }
    int64_t right = 0;
    for (int64_t i = 0; i < info->count[TUB_TEST]; i++) {
        double least = INFINITY;
        int best = 0;
        add_frames(clip(data, TUB_TEST, i), first, last, picture);
        for (int k = 0; k < CLASSES; k++) {
            double distance = 0;
            for (int j = 0; j < PIXELS; j++) {
                distance += (picture[j] - mean[k][j]) * (picture[j] - mean[k][j]);
            }
            if (distance < least) {
                least = distance;
                best = k;
            }
        }
        right += best == tub_dataset_labels(data, TUB_TEST)[i];
    }
    return (double)right / (double)info->count[TUB_TEST];
}

/* Neither the first frame, nor another, nor all together without their order. */
static void frames_do_not_tell_the_class(void **state) {
    const fixture *f = *state;
    static const int spans[][2] = {{0, 0}, {7, 7}, {15, 15}, {0, 15}};
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        double share = nearest_mean(f->data, spans[i][0], spans[i][1]);
        print_message("by frames %d to %d: %.1f %%\n", spans[i][0], spans[i][1], 100 * share);
        assert_true(share > CHANCE_LOW && share < CHANCE_HIGH);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_described),
        cmocka_unit_test(has_the_same_bits_everywhere),
        cmocka_unit_test(draws_each_clip_alone),
        cmocka_unit_test(classes_show_the_same_pictures),
        cmocka_unit_test(partners_are_reverses),
        cmocka_unit_test(order_tells_the_class),
        cmocka_unit_test(frames_do_not_tell_the_class),
    };
    return cmocka_run_group_tests(tests, open_set, close_set);
}
