/* SPDX-License-Identifier: Apache-2.0 */
/* Folds of sets of files: nothing leaks from what is trained on to what is validated, a fold is what a list with that
 * split would be, no clip is decoded for it twice, and it lives as long as it is used. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/dataset.h"
#include "tiny_files.h"
#include "training.h"

/* Of them BROKEN can't be read, and TWIN has the content of the one before, which is of another group. */
enum { FILES = 36, TESTED = 6, BROKEN = 8, TWIN = 17, CLIP = 4 * 16 * 16 };

static int group_of(int i) {
    return i < 8 ? i / 4 : i / 2; /* some are larger than others */
}

static const char *split_of(int i) {
    return i >= FILES - TESTED ? "test" : group_of(i) % 5 == 1 ? "val" : "train";
}

/* The rows of a list go where folds take their samples from: train, val and test, each in the list's order. */
static int set_up(void **state) {
    char path[64];
    const int made = scratch_enter(state);
    FILE *list = fopen("set.csv", "w");
    assert_non_null(list);
    fputs("path,label,split,group\n", list);
    assert_int_equal(tub__folder_create("clips", NULL), TUB_OK);
    for (int i = 0; i < FILES; i++) {
        const int label = i / 2 % 2, content = i == TWIN ? i - 1 : i;
        snprintf(path, sizeof path, "clips/%02d.npy", i);
        tiny_file_write(path, content / 2 % 2, content);
        if (i == BROKEN) {
            assert_int_equal(tub__file_write(&tub__default_allocator, path, "\x93NUMPY", 6, NULL),
                             TUB_OK);
        }
        fprintf(list, "%s,%s,%s,g%d\n", path, label == 0 ? "down" : "up", split_of(i),
                i == TWIN ? 100 : group_of(i));
    }
    fclose(list);
    return made;
}

static tub_context *context(void) {
    tub_context *ctx;
    assert_int_equal(tub_context_create(NULL, &ctx, NULL), TUB_OK);
    return ctx;
}

static tub_dataset *open_set(tub_context *ctx, const char *name) {
    const tub_train_config c = tiny_files_recipe(name);
    const tub_dataset_options options = tub_train_dataset_options(&c);
    tub_dataset *data;
    tub_error err = {0};
    assert_ok(tub_dataset_open(ctx, name, &options, &data, &err), err);
    return data;
}

static tub_dataset *fold_of(const tub_dataset *data, int64_t folds, int64_t fold) {
    tub_dataset *one;
    tub_error err = {0};
    assert_ok(tub_dataset_fold(data, folds, fold, 3, &one, &err), err);
    return one;
}

/* The file of a sample, as the data set tells it. */
static tub_file file_of(const tub_dataset *data, tub_split split, int64_t i, int64_t *number) {
    tub_file file;
    *number = tub_dataset_sample_file(data, split, i);
    assert_int_equal(tub_dataset_file(data, *number, &file, NULL), TUB_OK);
    assert_int_equal(file.split, split);
    assert_int_equal(file.sample, i);
    assert_int_equal(file.label, tub_dataset_labels(data, split)[i]);
    return file;
}

static void check_fold(const tub_dataset *data, const tub_dataset *one, const int32_t *part,
                       int64_t fold, int *left_out) {
    const tub_dataset_info *whole = tub_dataset_describe(data), *info = tub_dataset_describe(one);
    int seen[FILES] = {0}, split_of_group[FILES];
    int64_t number, other;
    memset(split_of_group, -1, sizeof split_of_group);
    for (tub_split s = TUB_TRAIN; s <= TUB_VAL; s++) {
        for (int64_t i = 0; i < info->count[s]; i++) {
            const tub_file file = file_of(one, s, i, &number);
            assert_int_equal(seen[number]++, 0);
            left_out[number] += s == TUB_VAL;
            assert_true(split_of_group[file.group_number] == -1 ||
                        split_of_group[file.group_number] == (int)s);
            split_of_group[file.group_number] = (int)s;
        }
    }
    for (int64_t i = 0; i < whole->count[TUB_TRAIN] + whole->count[TUB_VAL]; i++) {
        const int64_t train = whole->count[TUB_TRAIN];
        tub_file file;
        number = i < train ? tub_dataset_sample_file(data, TUB_TRAIN, i)
                           : tub_dataset_sample_file(data, TUB_VAL, i - train);
        assert_int_equal(tub_dataset_file(one, number, &file, NULL), TUB_OK);
        assert_int_equal(file.split, part[i] == fold ? TUB_VAL : TUB_TRAIN);
        assert_int_equal(seen[number], 1);
    }
    assert_int_equal(seen[BROKEN], 0);
    assert_int_equal(info->left_out, 1);
    assert_int_equal(seen[TWIN], 1);
    tub_file twin, before;
    assert_int_equal(tub_dataset_file(one, TWIN, &twin, NULL), TUB_OK);
    assert_int_equal(tub_dataset_file(one, TWIN - 1, &before, NULL), TUB_OK);
    assert_int_equal(twin.split, before.split);
    assert_int_equal(tub_dataset_duplicate(one, TWIN), -1);
    assert_int_equal(info->count[TUB_TEST], TESTED);
    for (int64_t i = 0; i < TESTED; i++) {
        (void)file_of(one, TUB_TEST, i, &number);
        (void)file_of(data, TUB_TEST, i, &other);
        assert_int_equal(number, other);
    }
}

static void nothing_leaks(void **state) {
    (void)state;
    tub_context *ctx = context();
    tub_dataset *data = open_set(ctx, "set.csv");
    char before[33], after[33], other[33];
    tub_dataset_digest(data, before);
    for (int64_t folds = 2; folds <= 4; folds++) {
        int left_out[FILES] = {0};
        int32_t part[FILES];
        assert_int_equal(tub_dataset_folds(data, folds, 3, part, NULL), TUB_OK);
        for (int64_t fold = 0; fold < folds; fold++) {
            tub_dataset *one = fold_of(data, folds, fold);
            check_fold(data, one, part, fold, left_out);
            tub_dataset_digest(one, other);
            assert_string_not_equal(before, other);
            tub_dataset_close(one);
        }
        for (int i = 0; i < FILES - TESTED; i++) {
            assert_int_equal(left_out[i], i != BROKEN);
        }
    }
    tub_dataset_digest(data, after);
    assert_string_equal(before, after);
    tub_dataset_close(data);
    tub_context_destroy(ctx);
}

/* As many folds as groups at most: twins make two into one. */
static void too_many(void **state) {
    (void)state;
    tub_context *ctx = context();
    tub_dataset *data = open_set(ctx, "set.csv"), *one;
    tub_error err = {0};
    int groups = 0, seen[FILES] = {0};
    for (int i = 0; i < FILES - TESTED; i++) {
        groups += i != BROKEN && seen[group_of(i)]++ == 0;
    }
    assert_int_equal(tub_dataset_fold(data, groups + 1, 0, 3, &one, &err), TUB_E_RANGE);
    assert_non_null(strstr(err.message, "groups; each fold needs one at least"));
    one = fold_of(data, groups, 0);
    tub_dataset_close(one);
    tub_dataset_close(data);
    tub_context_destroy(ctx);
}

/* The fold as a list of its own: its rows in the order of the fold's samples. */
static void write_by_hand(const char *path, const tub_dataset *one) {
    const tub_dataset_info *info = tub_dataset_describe(one);
    FILE *list = fopen(path, "w");
    assert_non_null(list);
    fputs("path,label,split,group\n", list);
    for (int s = 0; s < TUB_SPLITS; s++) {
        for (int64_t i = 0; i < info->count[s]; i++) {
            int64_t number;
            const tub_file file = file_of(one, (tub_split)s, i, &number);
            fprintf(list, "%s,%s,%s,%s\n", file.name, info->labels[file.label],
                    tub_split_name((tub_split)s), file.group);
        }
    }
    fclose(list);
}

static void as_by_hand(void **state) {
    (void)state;
    tub_context *ctx = context();
    tub_dataset *data = open_set(ctx, "set.csv"), *one = fold_of(data, 3, 1);
    char digest[33], wanted[33];
    write_by_hand("hand.csv", one);
    tub_dataset *hand = open_set(ctx, "hand.csv");
    tub_dataset_digest(one, digest);
    tub_dataset_digest(hand, wanted);
    assert_string_equal(digest, wanted);
    tub_dataset_close(hand);
    tub_dataset_close(one);
    tub_dataset_close(data);
    tub_context_destroy(ctx);

    tub_train_config c = tiny_files_recipe("hand.csv");
    must_run(&c, &plainly, "by-hand");
    c = tiny_files_recipe("set.csv");
    c.folds = 3;
    c.fold_seed = 3;
    c.fold = 1;
    must_run(&c, &(how){3, TUB_CPU_AUTO, 1, 0}, "fold-of-three");
    assert_same_run("by-hand", "fold-of-three");
    c.fold = 2; /* control */
    must_run(&c, &plainly, "other-fold");
    assert_other_weights("by-hand", "other-fold");
}

static void read_all(const tub_dataset *one) {
    unsigned char clip[CLIP];
    tub_error err = {0};
    for (int s = 0; s < TUB_SPLITS; s++) {
        for (int64_t i = 0; i < tub_dataset_describe(one)->count[s]; i++) {
            assert_ok(tub_dataset_read(one, (tub_split)s, i, 1, clip, &err), err);
        }
    }
}

/* Whole and folds are closed in any order, and a fold may be cut again. */
static void lives_on(void **state) {
    (void)state;
    tub_context *ctx = context();
    tub_dataset *data = open_set(ctx, "set.csv"), *first = fold_of(data, 3, 0);
    tub_dataset *second = fold_of(data, 3, 1), *nested = fold_of(first, 2, 0);
    assert_true(tub_dataset_describe(nested)->labels == tub_dataset_describe(data)->labels);
    tub_dataset_close(first);
    read_all(data);
    tub_dataset_close(data);
    read_all(nested);
    tub_dataset_close(nested);
    read_all(second);
    tub_dataset_close(second);
    tub_context_destroy(ctx);
}

/* Clips that are decoded, and when the training is to stop. */
typedef struct watcher {
    tub_context *ctx;
    uint64_t decoded;
    int left;
} watcher;

static void watch(void *user, const tub_event *e) {
    watcher *w = user;
    w->decoded += e->kind == TUB_EVENT_CLIPS && e->done == 0 ? e->total : 0;
    if (e->kind == TUB_EVENT_STEP && w->left > 0 && --w->left == 0) {
        tub_train_stop(w->ctx);
    }
}

static tub_context *watched(watcher *w, const char *folder, int stop_after) {
    tub_context_config config = tub_context_config_default();
    config.threads = 2;
    config.on_event = watch;
    config.event_user = w;
    config.data_folder = folder;
    *w = (watcher){.left = stop_after};
    assert_int_equal(tub_context_create(&config, &w->ctx, NULL), TUB_OK);
    return w->ctx;
}

/* Three folds decode each file once for training and once for validation, and an interruption changes nothing. */
static void decoded_once(void **state) {
    (void)state;
    watcher w;
    tub_error err = {0};
    tub_folds_result result;
    tub_train_config c = tiny_files_recipe("set.csv");
    c.folds = 3;
    tub_context *ctx = watched(&w, "fresh", 0);
    assert_ok(tub_train_folds(ctx, &c, NULL, "cv", 0, &result, &err), err);
    assert_int_equal(result.done, 3);
    assert_int_equal(w.decoded, 2 * (FILES - TESTED - 1));
    tub_context_destroy(ctx);

    ctx = watched(&w, "fresh", 7); /* in the second fold */
    assert_ok(tub_train_folds(ctx, &c, NULL, "stopped", 0, &result, &err), err);
    assert_true(result.stopped != 0);
    assert_int_equal(w.decoded, 0);
    assert_ok(tub_train_folds_resume(ctx, "stopped", NULL, &result, &err), err);
    assert_int_equal(result.done, 3);
    tub_context_destroy(ctx);
    for (int i = 0; i < 3; i++) {
        char one[32], other[32];
        snprintf(one, sizeof one, "cv/fold-%d", i);
        snprintf(other, sizeof other, "stopped/fold-%d", i);
        assert_same_run(one, other);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_leaks), cmocka_unit_test(too_many),
                                       cmocka_unit_test(as_by_hand), cmocka_unit_test(lives_on),
                                       cmocka_unit_test(decoded_once)};
    return cmocka_run_group_tests(tests, set_up, scratch_leave);
}
