/* SPDX-License-Identifier: Apache-2.0 */
/* Augmentation against a reference that takes each point and value through the documented order in
 * float64; what it refuses; that nothing but seed, epoch and position decides; and mixing. */
#include "cmocka_all.h"

#include "augment_reference.h"
#include "data/augment.h"
#include "data/augment_mix.h"
#include "data/augment_values.h"
#include "data/dataset.h"
#include "failing_alloc.h"

enum { SEED = 11, GUARD = 64 };

static uint64_t draws = 3;
static double unit(void) { /* [0, 1) */
    draws = draws * 6364136223846793005u + 1442695040888963407u;
    return (double)(draws >> 11) * 0x1p-53;
}
static double in(double low, double high) {
    return low + (high - low) * unit();
}

/* A sample and room for its clip with guards on both sides. */
typedef struct scene {
    tub_dataset_info info;
    int64_t clip[3];
    void *sample;
    double *values; /* the sample's, 0 to 1 */
    tub__augmenter *augmenter;
    void *scratch;
    unsigned char *room, *out;
    size_t out_bytes;
} scene;

static scene open_scene(const tub_augment_config *c, const int64_t sample[3], const int64_t clip[3],
                        int64_t channels, tub_dtype dtype) {
    tub_error err = {0};
    scene s = {.info = {.name = "made",
                        .frames = sample[0],
                        .height = sample[1],
                        .width = sample[2],
                        .channels = channels,
                        .dtype = dtype,
                        .task = TUB_TASK_MULTI_CLASS,
                        .classes = 3},
               .clip = {clip[0], clip[1], clip[2]}};
    const size_t n = tub__dataset_elements(&s.info);
    s.sample = malloc(n * sizeof(float));
    s.values = malloc(n * sizeof(double));
    for (size_t i = 0; i < n; i++) {
        const unsigned byte = (unsigned)(unit() * 256);
        if (dtype == TUB_U8) {
            ((unsigned char *)s.sample)[i] = (unsigned char)byte;
            s.values[i] = byte / 255.0;
        } else {
            ((float *)s.sample)[i] = (float)unit();
            s.values[i] = ((float *)s.sample)[i];
        }
    }
    assert_ok(
        tub__augmenter_create(&tub__default_allocator, c, SEED, &s.info, clip, &s.augmenter, &err),
        err);
    const size_t scratch = tub__augmenter_scratch(s.augmenter);
    assert_int_equal(tub__alloc(&tub__default_allocator, scratch, &s.scratch, NULL), TUB_OK);
    memset(s.scratch, 0xa5, scratch); /* NaN and worse */
    assert_int_equal(scratch, tub__augment_scratch_of(c, &s.info, clip));
    s.out_bytes = tub__augmenter_clip_bytes(s.augmenter);
    s.room = malloc(s.out_bytes + 2 * GUARD);
    memset(s.room, 0x5a, s.out_bytes + 2 * GUARD);
    s.out = s.room + GUARD;
    return s;
}

static void close_scene(scene *s) {
    for (int i = 0; i < GUARD; i++) {
        assert_int_equal(s->room[i], 0x5a);
        assert_int_equal(s->out[s->out_bytes + (size_t)i], 0x5a);
    }
    tub__augmenter_destroy(s->augmenter);
    tub__free(&tub__default_allocator, s->scratch);
    free(s->sample), free(s->values), free(s->room);
}

static void augment(scene *s, uint32_t epoch, uint32_t position) {
    tub__augment(s->augmenter, (tub__augment_key){epoch, position}, s->scratch, s->sample, s->out);
}

/* The largest distance from the reference, values from 0 to 1; of uint8 beyond the half that rounding may
 * take. */
static double distance(const scene *s, const tub_augment_config *c, uint32_t epoch,
                       uint32_t position, bool wrong_order) {
    const ref r = {.c = c,
                   .seed = SEED,
                   .epoch = epoch,
                   .position = position,
                   .sample = {(int)s->info.frames, (int)s->info.height, (int)s->info.width},
                   .clip = {(int)s->clip[0], (int)s->clip[1], (int)s->clip[2]},
                   .channels = (int)s->info.channels,
                   .voxels = s->values,
                   .wrong_order = wrong_order};
    const size_t n = ref_elements(&r);
    double *truth = malloc(n * sizeof *truth), most = 0;
    ref_augment(&r, truth);
    for (size_t i = 0; i < n; i++) {
        double miss;
        if (tub__augmenter_dtype(s->augmenter) == TUB_U8) {
            const double cut = truth[i] < 0 ? 0 : truth[i] > 1 ? 1 : truth[i];
            miss = fabs(s->out[i] / 255.0 - cut) - 0.5 / 255;
        } else {
            miss = fabs((double)((const float *)(const void *)s->out)[i] - truth[i]);
        }
        most = miss > most ? miss : most;
    }
    free(truth);
    return most;
}

static void range(double at[2], double low, double high) {
    at[0] = in(low, high);
    at[1] = in(at[0], high);
}

/* Everything may be on; of each transform about every second clip has it. */
static tub_augment_config random_config(bool volume) {
    tub_augment_config c = tub_augment_config_default();
    c.volume = volume;
    c.border = (tub_border)(unit() * 3);
    c.crop = (tub_crop)(unit() * 3);
    if (unit() < 0.5 && !volume) {
        c.temporal_jitter = 1;
        range(c.speed, 0.5, 2);
    }
    range(c.crop_scale, 0.2, 1);
    range(c.crop_aspect, 0.5, 2);
    c.flip_t = c.flip_h = c.flip_w = 0.5;
    c.rotate = unit() < 0.6 ? in(0, 60) : 0;
    c.shift = unit() < 0.6 ? in(0, 0.5) : 0;
    if (unit() < 0.6) {
        range(c.scale, 0.6, 1.6);
    }
    if (unit() < 0.4) {
        range(c.blur, 0.2, 2);
    }
    if (unit() < 0.4) {
        range(c.intensity, 0.6, 1.4);
    }
    c.brightness = unit() < 0.4 ? in(0, 0.3) : 0;
    if (unit() < 0.4) {
        range(c.contrast, 0.5, 1.5);
    }
    if (unit() < 0.4) {
        range(c.gamma, 0.8, 1.6); /* steeper ones magnify rounding near 0 */
    }
    if (unit() < 0.4) {
        range(c.noise, 0, 0.2);
    }
    c.cutout = unit() < 0.4 ? in(0, 1) : 0;
    c.rand_ops = unit() < 0.4 ? (int64_t)in(1, 4) : 0;
    c.rand_strength = in(0, 4);
    c.shape_intensity = unit() < 0.2;
    return c;
}

static int64_t size_in(int low, int high) {
    return low + (int64_t)(unit() * (high - low + 1));
}

static void check_against_reference(bool volume, tub_dtype dtype) {
    double most = 0;
    for (int i = 0; i < 60; i++) {
        const tub_augment_config c = random_config(volume);
        const int64_t clip[3] = {size_in(1, 6), size_in(1, 9), size_in(1, 20)};
        const int64_t sample[3] = {clip[0] + size_in(0, 5), clip[1] + size_in(0, 4),
                                   clip[2] + size_in(0, 4)};
        scene s = open_scene(&c, sample, clip, size_in(1, 3), dtype);
        for (uint32_t k = 0; k < 2; k++) {
            augment(&s, k, 7 + k);
            const double miss = distance(&s, &c, k, 7 + k, false);
            most = miss > most ? miss : most;
            if (miss > 5e-5) {
                fail_msg("clip %d, epoch %u: %g from the reference", i, (unsigned)k, miss);
            }
        }
        close_scene(&s);
    }
    print_message("%s, %s: largest distance %.3g\n", volume ? "volumes" : "clips",
                  dtype == TUB_U8 ? "uint8" : "float32", most);
}

static void as_documented(void **state) {
    (void)state;
    for (int volume = 0; volume < 2; volume++) {
        check_against_reference(volume, TUB_F32);
        check_against_reference(volume, TUB_U8);
    }
}

/* The order matters, and the comparison sees it. */
static void another_order_is_found(void **state) {
    (void)state;
    tub_augment_config c = tub_augment_config_default();
    c.rotate = 45;
    c.shift = 0.4;
    int found = 0;
    scene s = open_scene(&c, (const int64_t[]){3, 9, 9}, (const int64_t[]){3, 9, 9}, 1, TUB_F32);
    for (uint32_t i = 0; i < 8; i++) {
        augment(&s, 0, i);
        assert_true(distance(&s, &c, 0, i, false) < 1e-4);
        found += distance(&s, &c, 0, i, true) > 1e-2;
    }
    close_scene(&s);
    assert_int_equal(found, 8);
}

/* Each alone, and to what precision. */
static void powers_are_powers(void **state) {
    (void)state;
    for (double g = 0.1; g <= 10; g += 0.37) {
        tub_augment_config c = tub_augment_config_default();
        c.gamma[0] = c.gamma[1] = g;
        scene s =
            open_scene(&c, (const int64_t[]){1, 9, 9}, (const int64_t[]){1, 9, 9}, 1, TUB_F32);
        float *x = s.sample;
        x[0] = 0, x[1] = -0.5f, x[2] = 1e-6f, x[3] = 1, x[4] = 20, x[5] = 1e-30f;
        augment(&s, 0, 0);
        const float *y = (const float *)(const void *)s.out;
        for (int i = 0; i < 81; i++) {
            const double truth = x[i] > 0 ? pow((double)x[i], (double)(float)g) : (double)x[i];
            if (truth > 1e-37 || truth <= 0) {
                assert_true(fabs(y[i] - truth) <= 1e-5 * fabs(truth));
            }
        }
        close_scene(&s);
    }
}

static void nothing_switched_on_copies(void **state) {
    (void)state;
    const tub_augment_config c = tub_augment_config_default();
    assert_false(tub_augment_is_on(&c));
    for (int i = 0; i < 20; i++) {
        const tub_dtype dtype = i % 2 ? TUB_U8 : TUB_F32;
        const int64_t clip[3] = {size_in(1, 4), size_in(1, 5), size_in(1, 5)}, more = i < 4 ? 0 : 3;
        const int64_t sample[3] = {clip[0] + size_in(0, (int)more), clip[1] + size_in(0, (int)more),
                                   clip[2] + size_in(0, (int)more)};
        scene s = open_scene(&c, sample, clip, 2, dtype);
        augment(&s, 5, 9);
        const size_t voxel = 2 * (dtype == TUB_U8 ? 1 : sizeof(float));
        for (int64_t t = 0, at = 0; t < clip[0]; t++) {
            for (int64_t h = 0; h < clip[1]; h++, at++) {
                const size_t row = (size_t)clip[2] * voxel;
                const int64_t from =
                    (((t + (sample[0] - clip[0]) / 2) * sample[1] + h + (sample[1] - clip[1]) / 2) *
                         sample[2] +
                     (sample[2] - clip[2]) / 2);
                assert_memory_equal(s.out + (size_t)at * row,
                                    (const char *)s.sample + (size_t)from * voxel, row);
            }
        }
        close_scene(&s);
    }
}

/* Scratch that something else was made in, another order of calls: the same bits. */
static void only_the_key_decides(void **state) {
    (void)state;
    for (int volume = 0; volume < 2; volume++) {
        tub_augment_config c = random_config(volume);
        c.rotate = 20;
        c.noise[0] = 0, c.noise[1] = 0.1;
        scene s =
            open_scene(&c, (const int64_t[]){5, 8, 9}, (const int64_t[]){4, 7, 7}, 2, TUB_F32);
        unsigned char *kept = malloc(s.out_bytes);
        augment(&s, 1, 2);
        memcpy(kept, s.out, s.out_bytes);
        augment(&s, 1, 3);
        assert_memory_not_equal(kept, s.out, s.out_bytes);
        augment(&s, 2, 2);
        assert_memory_not_equal(kept, s.out, s.out_bytes);
        augment(&s, 1, 2);
        assert_memory_equal(kept, s.out, s.out_bytes);
        free(kept);
        close_scene(&s);
    }
}

/* Any settings within their bounds, on the smallest clips: nothing outside is read or written (under a
 * sanitizer), and every byte is made. */
static void any_settings_stay_inside(void **state) {
    (void)state;
    for (int i = 0; i < 300; i++) {
        tub_augment_config c = random_config(i % 2);
        range(c.scale, 0.1, 10);
        c.rotate = 180;
        c.shift = 1;
        range(c.crop_scale, 0.01, 1);
        range(c.crop_aspect, 0.1, 10);
        c.cutout = 1;
        c.rand_ops = size_in(0, 8);
        c.rand_strength = 10;
        range(c.gamma, 0.1, 10);
        range(c.blur, 0, 2);
        if (!c.volume) {
            range(c.speed, 0.1, 10);
        }
        const int64_t clip[3] = {size_in(1, 3), size_in(1, 4), size_in(1, 6)};
        const int64_t sample[3] = {clip[0] + size_in(0, 2), clip[1] + size_in(0, 2),
                                   clip[2] + size_in(0, 30)};
        scene s = open_scene(&c, sample, clip, size_in(1, 3), i % 3 ? TUB_U8 : TUB_F32);
        for (uint32_t k = 0; k < 4; k++) {
            augment(&s, k, k * 1000);
        }
        if (tub__augmenter_dtype(s.augmenter) == TUB_F32) {
            for (size_t k = 0; k < s.out_bytes / sizeof(float); k++) {
                assert_true(isfinite(((const float *)(const void *)s.out)[k]));
            }
        }
        close_scene(&s);
    }
}

/* What one transform draws does not depend on the others. */
static void lanes_are_apart(void **state) {
    (void)state;
    const tub__augment_sizes z = {{6, 12, 12}, {4, 10, 10}, 1};
    const tub__key key = tub__random_key(SEED, TUB__RANDOM_AUGMENT);
    tub_augment_config c = tub_augment_config_default(), more;
    c.rotate = 30;
    c.noise[1] = 0.5;
    c.intensity[1] = 2;
    more = c;
    more.brightness = 0.5;
    more.blur[1] = 1;
    more.cutout = 0.5;
    more.temporal_jitter = 1;
    for (uint32_t i = 0; i < 20; i++) {
        tub__augment_plan a, b;
        tub__augment_draw(&c, &z, key, (tub__augment_key){0, i}, &a);
        tub__augment_draw(&more, &z, key, (tub__augment_key){0, i}, &b);
        assert_memory_equal(a.map, b.map, sizeof a.map);
        assert_int_equal(a.steps, 2);
        assert_int_equal(b.steps, 5);
        assert_true(a.step[0].amount == b.step[1].amount && a.step[1].amount == b.step[3].amount);
    }
}

static void noise_is_normal(void **state) {
    (void)state;
    static float table[TUB__NOISE_VALUES];
    const double *truth = ref_noise_table();
    double sum = 0, squares = 0;
    tub__noise_table(table);
    for (int i = 0; i < TUB__NOISE_VALUES; i++) {
        assert_true(fabs((double)table[i] - truth[i]) < 1e-6);
        sum += (double)table[i];
        squares += (double)table[i] * (double)table[i];
    }
    assert_true(fabs(sum) < 1e-3 && fabs(squares / TUB__NOISE_VALUES - 1) < 1e-6);
}

/* ---- refusals ---- */

static void refuse(const tub_augment_config *c, const tub_dataset_info *info, const int64_t clip[3],
                   tub_status status, const char *words) {
    tub_error err = {0};
    tub__augmenter *m = NULL;
    assert_int_equal(tub__augmenter_create(&tub__default_allocator, c, 1, info, clip, &m, &err),
                     status);
    if (strstr(err.message, words) == NULL) {
        fail_msg("'%s' lacks '%s'", err.message, words);
    }
}

static const tub_dataset_info plain_info = {.name = "made",
                                            .frames = 4,
                                            .height = 5,
                                            .width = 6,
                                            .channels = 1,
                                            .task = TUB_TASK_MULTI_CLASS,
                                            .classes = 2};
static const int64_t plain_clip[3] = {4, 5, 6};

static void wrong_values_are_refused(void **state) {
    (void)state;
    const tub_augment_config good = tub_augment_config_default();
    tub_augment_config c = good;
    c.size = 8;
    refuse(&c, &plain_info, plain_clip, TUB_E_ARGUMENT, "tub_augment_config_default");
#define WRONG(field, value, status, words)                                                         \
    c = good, c.field = value;                                                                     \
    refuse(&c, &plain_info, plain_clip, status, words)
    WRONG(rotate, 180.5, TUB_E_RANGE, "augment.rotate is 180.5");
    WRONG(rotate, NAN, TUB_E_RANGE, "augment.rotate");
    WRONG(scale[0], 0, TUB_E_RANGE, "augment.scale");
    WRONG(scale[0], 1.5, TUB_E_RANGE, "the lower bound comes first");
    WRONG(noise[1], INFINITY, TUB_E_RANGE, "augment.noise");
    WRONG(rand_ops, 9, TUB_E_RANGE, "augment.rand_ops");
    WRONG(rand_ops, -1, TUB_E_RANGE, "augment.rand_ops");
    WRONG(border, (tub_border)3, TUB_E_RANGE, "augment.border");
    WRONG(crop, (tub_crop)-1, TUB_E_RANGE, "augment.crop");
    WRONG(mixup, -0.1, TUB_E_RANGE, "augment.mixup");
    c = good, c.volume = 1, c.speed[1] = 2;
    refuse(&c, &plain_info, plain_clip, TUB_E_ARGUMENT, "axis of space");
#undef WRONG
    const int64_t large[3] = {4, 6, 6}, none[3] = {0, 5, 6};
    refuse(&good, &plain_info, large, TUB_E_SHAPE, "height 5");
    refuse(&good, &plain_info, none, TUB_E_SHAPE, "frames 4");
    tub_dataset_info huge = plain_info;
    huge.frames = huge.height = 65536;
    refuse(&good, &huge, plain_clip, TUB_E_SHAPE, "too many to augment");
}

static void sides_are_not_flipped(void **state) {
    (void)state;
    static const char *const sides[][2] = {
        {"kidney-left", "liver"}, {"a", "Turn Right"}, {"clockwise-1", "x"}, {"moving_up", "y"}};
    static const char *const none[] = {"leftover", "upright downtown"};
    double *fields[3];
    tub_augment_config c = tub_augment_config_default();
    tub_dataset_info info = plain_info;
    fields[0] = &c.flip_t, fields[1] = &c.flip_h, fields[2] = &c.flip_w;
    for (int f = 0; f < 3; f++) {
        *fields[f] = 0.5;
        for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
            info.labels = sides[i];
            refuse(&c, &info, plain_clip, TUB_E_ARGUMENT, "sides or directions");
        }
        info.labels = none;
        assert_int_equal(tub__augment_check(&c, &info, plain_clip, NULL), TUB_OK);
        info.labels = NULL;
        assert_int_equal(tub__augment_check(&c, &info, plain_clip, NULL), TUB_OK);
        *fields[f] = 0;
    }
    info.labels = sides[0];
    c.rotate = 30; /* a turn is no mirror */
    assert_int_equal(tub__augment_check(&c, &info, plain_clip, NULL), TUB_OK);
}

static void labels_that_cannot_mix(void **state) {
    (void)state;
    tub_augment_config c = tub_augment_config_default();
    tub_dataset_info info = plain_info;
    c.cutmix = 1;
    info.task = TUB_TASK_MULTI_LABEL;
    refuse(&c, &info, plain_clip, TUB_E_ARGUMENT, "augment.cutmix is for one class");
    c.mixup = 1;
    info.task = TUB_TASK_MULTI_HEAD;
    refuse(&c, &info, plain_clip, TUB_E_ARGUMENT, "augment.mixup is for one class");
    c.mix_chance = 0; /* never */
    assert_int_equal(tub__augment_check(&c, &info, plain_clip, NULL), TUB_OK);
}

static void memory_may_fail(void **state) {
    (void)state;
    tub_augment_config c = tub_augment_config_default();
    c.noise[1] = 0.1;
    for (long fail_at = 1;; fail_at++) {
        failing_alloc counter = {.fail_at = fail_at};
        const tub_allocator a = failing_allocator(&counter);
        tub__augmenter *m = NULL;
        const tub_status status =
            tub__augmenter_create(&a, &c, 1, &plain_info, plain_clip, &m, NULL);
        tub__augmenter_destroy(m);
        assert_int_equal(counter.live, 0);
        if (status == TUB_OK) {
            assert_true(fail_at > 2);
            return;
        }
        assert_int_equal(status, TUB_E_MEMORY);
    }
}

/* ---- mixing ---- */

static void beta_has_its_moments(void **state) {
    (void)state;
    static const double alphas[] = {0.05, 0.2, 0.8, 1, 2.5, 20};
    enum { N = 20000 };
    for (size_t i = 0; i < sizeof alphas / sizeof *alphas; i++) {
        tub__random r = tub__random_start(tub__random_key(1, TUB__RANDOM_AUGMENT), 0, 0, 0);
        double sum = 0, squares = 0;
        for (int k = 0; k < N; k++) {
            const double x = tub__random_beta(&r, alphas[i]);
            assert_true(x >= 0 && x <= 1);
            sum += x / N;
            squares += x * x / N;
        }
        const double variance = 1 / (4 * (2 * alphas[i] + 1));
        assert_true(fabs(sum - 0.5) < 5 * sqrt(variance / N));
        assert_true(fabs(squares - sum * sum - variance) < 0.03 * variance);
    }
}

enum { BATCH = 7, POOL = 12 };

/* A batch in the middle of an order; samples are one buffer, as a file's would be. */
typedef struct pool {
    scene *scene;
    float samples[POOL][4 * 6 * 5];
    float shown[4 * 6 * 5];
    uint32_t order[POOL];
} pool;

/* Sample `number` of the batch that begins at place 4. */
static const void *show(void *user, size_t number) {
    pool *p = user;
    memcpy(p->shown, p->samples[p->order[4 + number]], sizeof p->shown);
    return p->shown;
}

static void check_mixed(const tub_augment_config *c, int *mixed, int *boxes) {
    scene s = open_scene(c, (const int64_t[]){4, 6, 5}, (const int64_t[]){4, 6, 5}, 1, TUB_F32);
    pool *p = calloc(1, sizeof *p);
    float *alone[2] = {malloc(s.out_bytes), malloc(s.out_bytes)};
    tub_augment_config unmixed = *c;
    unmixed.mixup = unmixed.cutmix = 0;
    scene u =
        open_scene(&unmixed, (const int64_t[]){4, 6, 5}, (const int64_t[]){4, 6, 5}, 1, TUB_F32);
    const size_t n = s.out_bytes / sizeof(float);
    for (uint32_t i = 0; i < POOL; i++) {
        p->order[i] = (i * 5 + 3) % POOL;
        for (size_t k = 0; k < n; k++) {
            p->samples[i][k] = (float)unit() + (float)i;
        }
    }
    tub__augment_batch b = {
        .epoch = 3, .start = 4, .whole = BATCH, .index = p->order + 4, .sample = show, .user = p};
    for (size_t i = 0; i < BATCH; i++) {
        tub__augment_mix mix;
        assert_true(tub__augment_in_batch(s.augmenter, &b, i, s.scratch, s.out, &mix));
        const float *out = (const float *)(const void *)s.out;
        size_t partner = 0;
        while (p->order[4 + partner] != mix.partner) {
            partner++;
        }
        assert_true(partner < BATCH);
        for (int k = 0; k < 2; k++) {
            const size_t which = k == 0 ? i : partner;
            tub__augment(u.augmenter, (tub__augment_key){3, (uint32_t)(4 + which)}, u.scratch,
                         p->samples[p->order[4 + which]], alone[k]);
        }
        if (partner == i) {
            assert_true(mix.share == 0);
            assert_memory_equal(out, alone[0], s.out_bytes);
            continue;
        }
        ++*mixed;
        size_t other = 0, between = 0;
        for (size_t k = 0; k < n; k++) {
            const double blend = (1 - (double)mix.share) * (double)alone[0][k] +
                                 (double)mix.share * (double)alone[1][k];
            other += out[k] == alone[1][k];
            between += fabs((double)out[k] - blend) < 1e-5;
            assert_true(out[k] == alone[0][k] || out[k] == alone[1][k] ||
                        fabs((double)out[k] - blend) < 1e-5);
        }
        if (between < n) {
            assert_true(fabs((double)other / (double)n - (double)mix.share) < 1e-6);
            ++*boxes;
        }
    }
    close_scene(&s), close_scene(&u);
    free(alone[0]), free(alone[1]), free(p);
}

static void clips_are_mixed(void **state) {
    (void)state;
    int mixed = 0, boxes = 0;
    tub_augment_config c = tub_augment_config_default();
    c.rotate = 10;
    c.intensity[1] = 1.5;
    c.mixup = 1;
    check_mixed(&c, &mixed, &boxes);
    assert_int_equal(mixed, BATCH);
    assert_int_equal(boxes, 0);
    c.mix_chance = 0.5;
    c.cutmix = 1;
    for (c.volume = 0; c.volume < 2; c.volume++) {
        mixed = boxes = 0;
        check_mixed(&c, &mixed, &boxes);
        assert_true(mixed > 0 && mixed < BATCH && boxes < mixed);
    }
    c.mix_chance = c.cutmix_chance = 1;
    mixed = boxes = 0;
    check_mixed(&c, &mixed, &boxes);
    assert_true(boxes > BATCH / 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_documented),
        cmocka_unit_test(another_order_is_found),
        cmocka_unit_test(powers_are_powers),
        cmocka_unit_test(nothing_switched_on_copies),
        cmocka_unit_test(only_the_key_decides),
        cmocka_unit_test(any_settings_stay_inside),
        cmocka_unit_test(lanes_are_apart),
        cmocka_unit_test(noise_is_normal),
        cmocka_unit_test(wrong_values_are_refused),
        cmocka_unit_test(sides_are_not_flipped),
        cmocka_unit_test(labels_that_cannot_mix),
        cmocka_unit_test(memory_may_fail),
        cmocka_unit_test(beta_has_its_moments),
        cmocka_unit_test(clips_are_mixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
