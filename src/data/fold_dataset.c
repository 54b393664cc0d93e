/* SPDX-License-Identifier: Apache-2.0 */
/* One fold of a data set: its own train and val, cut anew from those of the whole; the test split is
 * never touched. And the digest by which a data set is known again. */
#include "base/error.h"
#include "base/md5.h"
#include "data/dataset.h"
#include "data/file_set.h"
#include "data/folds.h"
#include <inttypes.h>
#include <string.h>

void tub_dataset_digest(const tub_dataset *data, char hex[33]) {
    const tub_dataset_info *info = tub_dataset_describe(data);
    const int64_t shape[] = {info->frames,         info->height,  info->width,
                             info->channels,       info->classes, info->count[TUB_TRAIN],
                             info->count[TUB_VAL], info->dtype,   info->label_columns};
    size_t bytes = tub__dataset_sample_bytes(info);
    tub__md5 md5;
    tub__md5_init(&md5);
    tub__md5_update(&md5, shape, sizeof shape);
    if (data->files != NULL) {
        tub__md5_update(&md5, data->files->digest, sizeof data->files->digest);
        tub__md5_finish(&md5, hex);
        return;
    }
    for (tub_split split = TUB_TRAIN; split <= TUB_VAL; split++) {
        size_t count = (size_t)info->count[split];
        tub__md5_update(&md5, tub_dataset_labels(data, split),
                        count * (size_t)info->label_columns * sizeof(int32_t));
        tub__md5_update(&md5, tub_dataset_samples(data, split), count * bytes);
    }
    tub__md5_finish(&md5, hex);
}

/* Labels of train and val, one after the other. */
static tub_status join_labels(const tub_dataset *data, int32_t **out, tub_error *err) {
    const size_t columns = (size_t)data->info.label_columns,
                 train = (size_t)data->info.count[TUB_TRAIN] * columns,
                 val = (size_t)data->info.count[TUB_VAL] * columns;
    void *block = NULL;
    TUB__TRY(tub__alloc_array(&data->ctx->allocator, train + val, sizeof **out, &block, err));
    *out = block;
    memcpy(*out, data->labels[TUB_TRAIN], train * sizeof **out);
    if (val > 0) {
        memcpy(*out + train, data->labels[TUB_VAL], val * sizeof **out);
    }
    return TUB_OK;
}

/* Of files, what belongs together stays together. */
static tub_status assign(const tub_dataset *data, const int32_t *labels, int64_t folds,
                         uint64_t seed, int32_t *part, tub_error *err) {
    const tub_allocator *a = &data->ctx->allocator;
    const size_t n = (size_t)(data->info.count[TUB_TRAIN] + data->info.count[TUB_VAL]);
    void *groups = NULL;
    bool any = false;
    tub_status status = TUB_OK;
    if (data->files != NULL) {
        TUB__TRY(tub__alloc_array(a, n, sizeof(int32_t), &groups, err));
        status = tub__file_set_groups(data->files, groups, &any, err);
    }
    if (status == TUB_OK) {
        status = tub__folds_assign(a, &data->info, n, labels, any ? groups : NULL, (size_t)folds,
                                   seed, part, err);
    }
    tub__free(a, groups);
    return status;
}

tub_status tub_dataset_folds(const tub_dataset *data, int64_t folds, uint64_t seed, int32_t *part,
                             tub_error *err) {
    const tub_dataset_info *info = &data->info;
    int32_t *labels = NULL;
    if (folds < 2 || info->count[TUB_TRAIN] < 1) {
        return tub__fail(err, TUB_E_RANGE,
                         "%s: %" PRId64 " folds of %" PRId64
                         " training samples; at least 2 of each are needed",
                         info->name, folds, info->count[TUB_TRAIN]);
    }
    TUB__TRY(join_labels(data, &labels, err));
    const tub_status status = assign(data, labels, folds, seed, part, err);
    tub__free(&data->ctx->allocator, labels);
    return status;
}

/* What of the whole a split of the fold gets. */
typedef struct choice {
    const int32_t *part; /* NULL: all of `from` */
    int32_t fold;
    bool left_out; /* the samples of the fold, else all others */
} choice;

static bool takes(const choice *c, int64_t i) {
    return c->part == NULL || (c->part[i] == c->fold) == c->left_out;
}

/* Copies what the choice takes of samples [0, count) of a split (of files their labels), whose numbers begin at `first`. */
static void copy_split(tub_dataset *to, tub_split split, const tub_dataset *from, tub_split source,
                       const choice *c, int64_t first) {
    const size_t bytes = tub__dataset_sample_bytes(&from->info),
                 columns = (size_t)from->info.label_columns;
    for (int64_t i = 0; i < from->info.count[source]; i++) {
        if (takes(c, first + i)) {
            const size_t at = (size_t)to->info.count[split]++;
            if (from->files == NULL) {
                memcpy((char *)to->samples[split] + at * bytes,
                       (const char *)from->samples[source] + (size_t)i * bytes, bytes);
            }
            memcpy(to->labels[split] + at * columns, from->labels[source] + (size_t)i * columns,
                   columns * sizeof(int32_t));
        }
    }
}

static tub_status take_room(tub_dataset *to, tub_split split, size_t count, tub_error *err) {
    const tub_allocator *a = &to->ctx->allocator;
    const size_t columns = (size_t)to->info.label_columns * sizeof(int32_t);
    if (count == 0) {
        return TUB_OK;
    }
    if (to->files == NULL) {
        TUB__TRY(tub__alloc_array(a, count, tub__dataset_sample_bytes(&to->info), &to->block[split],
                                  err));
        to->samples[split] = to->block[split];
    }
    return tub__alloc_array(a, count, columns, (void **)&to->labels[split], err);
}

/* Facts and names, without samples. */
static tub_status copy_facts(const tub_dataset *from, tub_dataset *to, tub_error *err) {
    const tub_allocator *a = &to->ctx->allocator;
    to->info = from->info;
    memset(to->info.count, 0, sizeof to->info.count);
    TUB__TRY(tub__alloc_string(a, from->name, &to->name, err));
    to->info.name = to->name;
    TUB__TRY(tub__alloc_string(a, from->source, &to->source, err));
    if (from->class_names != NULL) {
        TUB__TRY(tub__alloc_array(a, (size_t)from->info.classes, sizeof *to->class_names,
                                  (void **)&to->class_names, err));
        to->info.labels = (const char *const *)to->class_names;
        for (int64_t k = 0; k < from->info.classes; k++) {
            TUB__TRY(tub__alloc_string(a, from->class_names[k], &to->class_names[k], err));
        }
    }
    return TUB_OK;
}

static tub_status fill(const tub_dataset *from, const int32_t *part, int32_t fold, tub_dataset *to,
                       tub_error *err) {
    const int64_t train = from->info.count[TUB_TRAIN], val = from->info.count[TUB_VAL];
    const choice left_out = {part, fold, true}, rest = {part, fold, false}, all = {NULL, 0, false};
    int64_t out = 0;
    for (int64_t i = 0; i < train + val; i++) {
        out += part[i] == fold;
    }
    TUB__TRY(copy_facts(from, to, err));
    if (from->files != NULL) {
        TUB__TRY(tub__file_set_fold(from->files, part, fold, &to->files, err));
    }
    TUB__TRY(take_room(to, TUB_TRAIN, (size_t)(train + val - out), err));
    TUB__TRY(take_room(to, TUB_VAL, (size_t)out, err));
    TUB__TRY(take_room(to, TUB_TEST, (size_t)from->info.count[TUB_TEST], err));
    copy_split(to, TUB_TRAIN, from, TUB_TRAIN, &rest, 0);
    copy_split(to, TUB_TRAIN, from, TUB_VAL, &rest, train);
    copy_split(to, TUB_VAL, from, TUB_TRAIN, &left_out, 0);
    copy_split(to, TUB_VAL, from, TUB_VAL, &left_out, train);
    copy_split(to, TUB_TEST, from, TUB_TEST, &all, 0);
    for (int s = 0; from->files == NULL && s < TUB_SPLITS; s++) {
        int64_t first;
        to->info.constant[s] = tub__dataset_constant(to, (tub_split)s, &first);
    }
    return TUB_OK;
}

tub_status tub_dataset_fold(const tub_dataset *data, int64_t folds, int64_t fold, uint64_t seed,
                            tub_dataset **out, tub_error *err) {
    const tub_allocator *a = &data->ctx->allocator;
    const size_t count = (size_t)(data->info.count[TUB_TRAIN] + data->info.count[TUB_VAL]);
    int32_t *part = NULL;
    tub_dataset *one = NULL;
    if (fold < 0 || fold >= folds) {
        return tub__fail(err, TUB_E_RANGE, "fold %" PRId64 " of %" PRId64 "; they count from 0",
                         fold, folds);
    }
    TUB__TRY(tub__alloc_array(a, count, sizeof *part, (void **)&part, err));
    tub_status status = tub_dataset_folds(data, folds, seed, part, err);
    if (status == TUB_OK) {
        status = tub__alloc_array(a, 1, sizeof *one, (void **)&one, err);
    }
    if (status == TUB_OK) {
        one->ctx = data->ctx;
        status = fill(data, part, (int32_t)fold, one, err);
    }
    tub__free(a, part);
    if (status != TUB_OK) {
        tub_dataset_close(one);
        return status;
    }
    *out = one;
    return TUB_OK;
}
