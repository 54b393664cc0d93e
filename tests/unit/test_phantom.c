/* SPDX-License-Identifier: Apache-2.0 */
/* phantom3d: the same bits everywhere, mirror images, and brightness that does not give the class
 * away. */
#include "cmocka_all.h"

#include "base/context.h"
#include "base/md5.h"
#include "data/phantom3d.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    CLASSES = TUB__PHANTOM_CLASSES,
    VOXELS = TUB__PHANTOM_VOXELS,
    SIDE = TUB__PHANTOM_SIDE,
    BINS = 32
};

static tub_context *ctx;
static tub_dataset *data;

static int open_set(void **state) {
    (void)state;
    tub_error err;
    assert_ok(
        tub_context_create(&(tub_context_config){.size = sizeof(tub_context_config), .threads = 1},
                           &ctx, &err),
        err);
    assert_ok(tub_dataset_open(ctx, "phantom3d", NULL, &data, &err), err);
    return 0;
}

static int close_set(void **state) {
    (void)state;
    tub_dataset_close(data);
    tub_context_destroy(ctx);
    return 0;
}

static const unsigned char *volume(tub_split split, int64_t i) {
    return (const unsigned char *)tub_dataset_samples(data, split) + i * VOXELS;
}

static void is_described(void **state) {
    (void)state;
    const tub_dataset_info *info = tub_dataset_describe(data);
    assert_string_equal(info->name, "phantom3d");
    assert_int_equal(info->frames, 28);
    assert_int_equal(info->height, 28);
    assert_int_equal(info->width, 28);
    assert_int_equal(info->channels, 1);
    assert_int_equal(info->classes, CLASSES);
    assert_string_equal(info->labels[1], "kidney-right");
    assert_int_equal(info->count[TUB_TRAIN], 971);
    assert_int_equal(info->count[TUB_VAL], 161);
    assert_int_equal(info->count[TUB_TEST], 610);
    for (int s = 0; s < TUB_SPLITS; s++) {
        assert_int_equal(info->constant[s], 0);
        int64_t count[CLASSES] = {0};
        for (int64_t i = 0; i < info->count[s]; i++) {
            count[tub_dataset_labels(data, (tub_split)s)[i]]++;
        }
        for (int k = 0; k < CLASSES; k++) { /* as equal as can be */
            assert_in_range(count[k], info->count[s] / CLASSES, info->count[s] / CLASSES + 1);
        }
    }
}

static void has_the_same_bits_everywhere(void **state) {
    (void)state;
    static const char *const samples[] = {"47bcc758acced251914e52dcbed9b890",
                                          "f28188be60652a45a6fe9a0ae40b7e83",
                                          "af138ea1208c6b565e669a33df3a18eb"};
    for (int s = 0; s < TUB_SPLITS; s++) {
        char hex[33];
        tub__md5 m;
        tub__md5_init(&m);
        tub__md5_update(&m, volume((tub_split)s, 0),
                        (size_t)tub_dataset_describe(data)->count[s] * VOXELS);
        tub__md5_finish(&m, hex);
        assert_string_equal(hex, samples[s]);
    }
    tub__md5 m;
    char hex[33];
    tub__md5_init(&m);
    for (int s = 0; s < TUB_SPLITS;
         s++) { /* one byte a label, so that the machine's byte order does not show */
        for (int64_t i = 0; i < tub_dataset_describe(data)->count[s]; i++) {
            unsigned char label = (unsigned char)tub_dataset_labels(data, (tub_split)s)[i];
            tub__md5_update(&m, &label, 1);
        }
    }
    tub__md5_finish(&m, hex);
    assert_string_equal(hex, "9736eb2d5cafc772bac9033afdd524a8");
}

/* A volume depends on (split, sample, class) only: not on what the scratch memory held or who drew
 * before. */
static void draws_each_volume_alone(void **state) {
    (void)state;
    static unsigned char out[VOXELS];
    void *scratch = malloc(tub__phantom3d.scratch);
    assert_non_null(scratch);
    for (int64_t i = 609; i >= 0; i -= 29) {
        tub__phantom3d.draw(scratch, TUB_TEST, (uint32_t)i, tub_dataset_labels(data, TUB_TEST)[i],
                            out);
        assert_memory_equal(out, volume(TUB_TEST, i), VOXELS);
    }
    free(scratch);
}

static void mirror(const unsigned char *in, unsigned char *out) {
    for (int i = 0; i < VOXELS; i++) {
        out[i - i % SIDE + SIDE - 1 - i % SIDE] = in[i];
    }
}

/* The side of a paired organ is the only difference between its two classes: same sample, other
 * side, exact mirror image. The other organs have no mirrored class: there the same comparison must
 * fail. */
static void paired_organs_are_mirror_images(void **state) {
    (void)state;
    static const int pairs[][3] = {{1, 2, 1}, {3, 4, 1}, {7, 8, 1},  {0, 9, 0},
                                   {5, 6, 0}, {1, 4, 0}, {10, 10, 0}};
    static unsigned char one[VOXELS], other[VOXELS], mirrored[VOXELS];
    void *scratch = malloc(tub__phantom3d.scratch);
    assert_non_null(scratch);
    for (size_t k = 0; k < sizeof pairs / sizeof pairs[0]; k++) {
        for (uint32_t i = 0; i < 20; i++) {
            tub__phantom3d.draw(scratch, TUB_VAL, i, pairs[k][0], one);
            tub__phantom3d.draw(scratch, TUB_VAL, i, pairs[k][1], other);
            mirror(one, mirrored);
            assert_int_equal(memcmp(mirrored, other, VOXELS) == 0, pairs[k][2]);
            assert_memory_not_equal(one, mirrored, VOXELS); /* no volume is symmetric */
        }
    }
    free(scratch);
}

/* Softmax regression on standardised features: full batches, momentum. Returns the share of right
 * answers on the test features. All arrays are [samples][BINS]. */
static double regression_accuracy(const double *train, const int32_t *train_label, int n,
                                  const double *test, const int32_t *test_label, int m) {
    double w[CLASSES][BINS + 1] = {{0}}, velocity[CLASSES][BINS + 1] = {{0}};
    for (int step = 0; step < 300; step++) {
        double gradient[CLASSES][BINS + 1] = {{0}};
        for (int i = 0; i < n; i++) {
            double p[CLASSES], sum = 0;
            const double *x = train + (size_t)i * BINS;
            for (int k = 0; k < CLASSES; k++) {
                p[k] = w[k][BINS];
                for (int b = 0; b < BINS; b++) {
                    p[k] += w[k][b] * x[b];
                }
                p[k] = exp(p[k]);
                sum += p[k];
            }
            for (int k = 0; k < CLASSES; k++) {
                double d = (p[k] / sum - (train_label[i] == k)) / n;
                for (int b = 0; b < BINS; b++) {
                    gradient[k][b] += d * x[b];
                }
                gradient[k][BINS] += d;
            }
        }
        for (int k = 0; k < CLASSES; k++) {
            for (int b = 0; b <= BINS; b++) {
                velocity[k][b] = 0.9 * velocity[k][b] - 0.1 * gradient[k][b];
                w[k][b] += velocity[k][b];
            }
        }
    }
    int right = 0;
    for (int i = 0; i < m; i++) {
        int best = 0;
        double highest = -INFINITY;
        for (int k = 0; k < CLASSES; k++) {
            double v = w[k][BINS];
            for (int b = 0; b < BINS; b++) {
                v += w[k][b] * test[(size_t)i * BINS + b];
            }
            if (v > highest) {
                highest = v;
                best = k;
            }
        }
        right += best == test_label[i];
    }
    return (double)right / m;
}

/* Histograms of a split; the first `marked` voxels of every volume get a brightness that tells its
 * class. */
static double *histograms(tub_split split, int marked) {
    int64_t n = tub_dataset_describe(data)->count[split];
    double *h = calloc((size_t)n * BINS, sizeof *h);
    assert_non_null(h);
    for (int64_t i = 0; i < n; i++) {
        const unsigned char *v = volume(split, i);
        for (int j = 0; j < VOXELS; j++) {
            int bright = j < marked ? 8 + 22 * tub_dataset_labels(data, split)[i] : v[j];
            h[i * BINS + bright * BINS / 256] += 1.0 / VOXELS;
        }
    }
    return h;
}

/* Mean 0 and deviation 1 of each bin over train; test moves along. */
static void standardise(double *train, int n, double *test, int m) {
    for (int b = 0; b < BINS; b++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < n; i++) {
            sum += train[i * BINS + b];
        }
        for (int i = 0; i < n; i++) {
            double d = train[i * BINS + b] - sum / n;
            squares += d * d;
        }
        double scale = squares > 0 ? 1 / sqrt(squares / n) : 0;
        for (int i = 0; i < n + m; i++) {
            double *x = i < n ? &train[i * BINS + b] : &test[(i - n) * BINS + b];
            *x = (*x - sum / n) * scale;
        }
    }
}

static double accuracy_with_marks(int marked) {
    double *train = histograms(TUB_TRAIN, marked), *test = histograms(TUB_TEST, marked);
    standardise(train, 971, test, 610);
    double share = regression_accuracy(train, tub_dataset_labels(data, TUB_TRAIN), 971, test,
                                       tub_dataset_labels(data, TUB_TEST), 610);
    free(train);
    free(test);
    return share;
}

static void histograms_do_not_tell_the_class(void **state) {
    (void)state;
    double share = accuracy_with_marks(0);
    print_message("regression on histograms: %.1f %% of the test volumes\n", 100 * share);
    assert_true(share < 0.40);
    assert_true(share > 1.0 / CLASSES); /* it learns something: organs differ in size */
    /* Were the classes told by brightness, the same regression would find it. */
    double told = accuracy_with_marks(VOXELS / 10);
    print_message("the same where a tenth of the voxels tells: %.1f %%\n", 100 * told);
    assert_true(told > 0.40);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_described),
        cmocka_unit_test(has_the_same_bits_everywhere),
        cmocka_unit_test(draws_each_volume_alone),
        cmocka_unit_test(paired_organs_are_mirror_images),
        cmocka_unit_test(histograms_do_not_tell_the_class),
    };
    return cmocka_run_group_tests(tests, open_set, close_set);
}
