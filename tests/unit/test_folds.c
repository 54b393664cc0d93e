/* SPDX-License-Identifier: Apache-2.0 */
/* Parts for cross-validation: stratified, groups whole, nothing leaks, nothing is lost; and folds of a
 * data set. */
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/dataset.h"
#include "data/folds.h"
#include "failing_alloc.h"

enum { TRAIN = 23, VAL = 9, TEST = 4, ALL = TRAIN + VAL, VOXELS = 6, CLASSES = 3 };

typedef struct fixture {
    tub_context *ctx;
    tub_dataset data;
    unsigned char samples[ALL + TEST][VOXELS];
    int32_t labels[ALL + TEST];
} fixture;

/* Each sample's voxels are its number: whoever has it can be told. */
static int set_up(void **state) {
    static fixture f;
    static char name[] = "made", source[] = "made";
    assert_int_equal(
        tub_context_create(&(tub_context_config){.size = sizeof(tub_context_config), .threads = 1},
                           &f.ctx, NULL),
        TUB_OK);
    for (int i = 0; i < ALL + TEST; i++) {
        memset(f.samples[i], i + 1, VOXELS);
        f.samples[i][0] = 0; /* not constant */
        f.labels[i] = i % 7 == 0 ? 2 : i % 2;
    }
    f.data = (tub_dataset){.ctx = f.ctx, .name = name, .source = source};
    f.data.info = (tub_dataset_info){.name = name,
                                     .frames = 1,
                                     .height = 2,
                                     .width = 3,
                                     .channels = 1,
                                     .classes = CLASSES,
                                     .task = TUB_TASK_MULTI_CLASS,
                                     .label_columns = 1,
                                     .count = {TRAIN, VAL, TEST}};
    f.data.samples[TUB_TRAIN] = f.samples, f.data.labels[TUB_TRAIN] = f.labels;
    f.data.samples[TUB_VAL] = f.samples + TRAIN, f.data.labels[TUB_VAL] = f.labels + TRAIN;
    f.data.samples[TUB_TEST] = f.samples + ALL, f.data.labels[TUB_TEST] = f.labels + ALL;
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    tub_context_destroy(((fixture *)*state)->ctx);
    return 0;
}

static tub_status assign(const fixture *f, const int32_t *groups, int folds, uint64_t seed,
                         int32_t *part, tub_error *err) {
    return tub__folds_assign(&f->ctx->allocator, &f->data.info, ALL, f->labels, groups,
                             (size_t)folds, seed, part, err);
}

static void classes_are_shared_out(void **state) {
    const fixture *f = *state;
    for (int folds = 2; folds <= 8; folds++) {
        int32_t part[ALL];
        int count[8][CLASSES] = {{0}}, size[8] = {0}, all[CLASSES] = {0};
        assert_int_equal(assign(f, NULL, folds, (uint64_t)folds, part, NULL), TUB_OK);
        for (int i = 0; i < ALL; i++) {
            assert_in_range(part[i], 0, folds - 1);
            count[part[i]][f->labels[i]]++;
            size[part[i]]++;
            all[f->labels[i]]++;
        }
        for (int p = 0; p < folds; p++) {
            for (int c = 0; c < CLASSES; c++) {
                assert_in_range(count[p][c], all[c] / folds, all[c] / folds + 1);
            }
            assert_in_range(size[p], ALL / folds - 1, ALL / folds + 2);
        }
    }
}

static void seed_decides(void **state) {
    const fixture *f = *state;
    int32_t a[ALL], b[ALL], c[ALL];
    assert_int_equal(assign(f, NULL, 4, 0, a, NULL), TUB_OK);
    assert_int_equal(assign(f, NULL, 4, 0, b, NULL), TUB_OK);
    assert_int_equal(assign(f, NULL, 4, 1, c, NULL), TUB_OK);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_not_equal(a, c, sizeof a);
}

/* Groups of 1 to 6 samples, numbered with gaps: none is parted, and sizes stay near each other. */
static void groups_stay_whole(void **state) {
    const fixture *f = *state;
    int32_t groups[ALL], part[ALL], plain[ALL];
    bool parted = false;
    for (int i = 0, g = -5, left = 1; i < ALL; i++) {
        groups[i] = g;
        if (--left == 0) {
            g += 3;
            left = 1 + (i * 5 + 2) % 6;
        }
    }
    for (uint64_t seed = 0; seed < 20; seed++) {
        int size[3] = {0};
        assert_int_equal(assign(f, groups, 3, seed, part, NULL), TUB_OK);
        assert_int_equal(assign(f, NULL, 3, seed, plain, NULL), TUB_OK);
        for (int i = 0; i < ALL; i++) {
            for (int k = 0; k < i; k++) {
                assert_true(groups[i] != groups[k] || part[i] == part[k]);
                parted = parted || (groups[i] == groups[k] && plain[i] != plain[k]);
            }
            size[part[i]]++;
        }
        for (int p = 0; p < 3; p++) {
            assert_in_range(size[p], 5, 16);
        }
    }
    assert_true(parted); /* the check would see it */
}

static void several_labels(void **state) {
    const fixture *f = *state;
    enum { LABELS = 3 };
    int32_t labels[ALL * LABELS], part[ALL];
    int count[4][LABELS] = {{0}}, all[LABELS] = {0};
    tub_dataset_info info = f->data.info;
    info.task = TUB_TASK_MULTI_LABEL;
    info.label_columns = info.classes = LABELS;
    for (int i = 0; i < ALL * LABELS; i++) {
        labels[i] = (i / LABELS * 37 % 11) >> i % LABELS & 1;
    }
    assert_int_equal(
        tub__folds_assign(&f->ctx->allocator, &info, ALL, labels, NULL, 4, 0, part, NULL), TUB_OK);
    for (int i = 0; i < ALL * LABELS; i++) {
        count[part[i / LABELS]][i % LABELS] += labels[i];
        all[i % LABELS] += labels[i];
    }
    for (int p = 0; p < 4; p++) {
        for (int k = 0; k < LABELS; k++) {
            assert_in_range(count[p][k], all[k] / 4 - 1, all[k] / 4 + 2);
        }
    }
    info.task = TUB_TASK_MULTI_HEAD; /* the same as two classes each */
    info.classes = 6;
    info.head_classes[0] = info.head_classes[1] = info.head_classes[2] = 2;
    assert_int_equal(
        tub__folds_assign(&f->ctx->allocator, &info, ALL, labels, NULL, 4, 0, part, NULL), TUB_OK);
}

static void too_many(void **state) {
    const fixture *f = *state;
    int32_t part[ALL], one[ALL] = {0};
    tub_error err = {0};
    assert_int_equal(assign(f, NULL, ALL + 1, 0, part, &err), TUB_E_RANGE);
    assert_string_equal(err.message, "made: 33 folds of 32 samples; each fold needs one at least");
    assert_int_equal(assign(f, one, 2, 0, part, &err), TUB_E_RANGE);
    assert_string_equal(err.message,
                        "made: 2 folds of 1 group; each fold needs one at least; groups "
                        "that share a file or its content are one");
    assert_int_equal(assign(f, NULL, 1, 0, part, &err), TUB_E_RANGE);
}

/* The number that a sample of the fixture has in its voxels. */
static int number(const tub_dataset *d, tub_split split, int64_t i) {
    return ((const unsigned char *)tub_dataset_samples(d, split))[i * VOXELS + 1] - 1;
}

/* For every fold: train and val are disjoint, together they are train and val of the whole, no test
 * sample is among them, labels go with their samples, and all vals together are all. */
static void nothing_leaks(void **state) {
    fixture *f = *state;
    for (int64_t folds = 2; folds <= 5; folds++) {
        int32_t part[ALL];
        int left_out[ALL] = {0};
        assert_int_equal(tub_dataset_folds(&f->data, folds, 3, part, NULL), TUB_OK);
        for (int64_t fold = 0; fold < folds; fold++) {
            tub_dataset *one;
            int seen[ALL] = {0}, last = -1;
            assert_int_equal(tub_dataset_fold(&f->data, folds, fold, 3, &one, NULL), TUB_OK);
            const tub_dataset_info *info = tub_dataset_describe(one);
            for (tub_split s = TUB_TRAIN; s <= TUB_VAL; s++) {
                last = -1;
                for (int64_t i = 0; i < info->count[s]; i++) {
                    const int k = number(one, s, i);
                    assert_in_range(k, 0, ALL - 1);
                    assert_true(k > last); /* in the order of the data */
                    last = k;
                    assert_int_equal(seen[k]++, 0);
                    assert_int_equal(tub_dataset_labels(one, s)[i], f->labels[k]);
                    assert_int_equal(s == TUB_VAL, part[k] == fold);
                    left_out[k] += s == TUB_VAL;
                }
            }
            assert_int_equal(info->count[TUB_TRAIN] + info->count[TUB_VAL], ALL);
            assert_int_equal(info->count[TUB_TEST], TEST);
            assert_int_equal(info->constant[TUB_TRAIN], 0);
            assert_memory_equal(tub_dataset_samples(one, TUB_TEST), f->samples + ALL,
                                TEST * VOXELS);
            tub_dataset_close(one);
        }
        for (int k = 0; k < ALL; k++) {
            assert_int_equal(left_out[k], 1);
        }
    }
}

/* Of what training and validation see, every part counts; of test nothing does. */
static void digest_knows_the_data(void **state) {
    fixture *f = *state;
    char first[33], other[33];
    tub_dataset_digest(&f->data, first);
    f->samples[ALL][0] ^= 1; /* test */
    tub_dataset_digest(&f->data, other);
    assert_string_equal(first, other);
    f->samples[ALL - 1][0] ^= 1;
    tub_dataset_digest(&f->data, other);
    assert_string_not_equal(first, other);
    f->samples[ALL - 1][0] ^= 1;
    f->labels[0] ^= 1;
    tub_dataset_digest(&f->data, other);
    assert_string_not_equal(first, other);
    f->labels[0] ^= 1;
    f->samples[ALL][0] ^= 1;
}

static tub_status fold_once(const tub_allocator *a, void *user, tub_error *err) {
    fixture *f = user;
    const tub_allocator usual = f->ctx->allocator;
    tub_dataset *one = NULL;
    f->ctx->allocator = *a;
    const tub_status status = tub_dataset_fold(&f->data, 3, 1, 0, &one, err);
    if (status == TUB_OK) {
        tub_dataset_close(one);
    }
    f->ctx->allocator = usual;
    return status;
}

static void failing_allocations(void **state) {
    failing_report report = failing_run(fold_once, *state);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations > 15);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(classes_are_shared_out),
                                       cmocka_unit_test(seed_decides),
                                       cmocka_unit_test(groups_stay_whole),
                                       cmocka_unit_test(several_labels),
                                       cmocka_unit_test(too_many),
                                       cmocka_unit_test(nothing_leaks),
                                       cmocka_unit_test(digest_knows_the_data),
                                       cmocka_unit_test(failing_allocations)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
