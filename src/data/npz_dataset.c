/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a .npz file with MedMNIST's keys: {train,val,test}_{images,labels}. */
#include "base/error.h"
#include "base/file.h"
#include "data/array.h"
#include "data/dataset.h"
#include "data/medmnist.h"
#include <stdio.h>
#include <string.h>

/* More unpacked bytes than this in one member are taken for a bomb. */
static const uint64_t IMAGES_LIMIT = (uint64_t)64 << 30;
static const uint64_t HEADER_LIMIT = 1 << 20;
enum { CLASS_LIMIT = 65536, COLUMN_LIMIT = 8192, KEY_LENGTH = 16 };

static void key_of(int split, const char *what, char key[KEY_LENGTH]) {
    snprintf(key, KEY_LENGTH, "%s_%s", tub_split_name((tub_split)split), what);
}

/* Names every missing key at once. */
static tub_status check_keys(const tub__npz *z, tub_error *err) {
    char missing[TUB_SPLITS * 2 * KEY_LENGTH + 16] = "";
    size_t used = 0;
    for (int k = 0; k < TUB_SPLITS * 2; k++) {
        char key[KEY_LENGTH];
        key_of(k / 2, k % 2 ? "labels" : "images", key);
        if (!tub__npz_has(z, key)) {
            used += (size_t)snprintf(missing + used, sizeof missing - used, "%s%s",
                                     used ? ", " : "", key);
        }
    }
    if (used == 0) {
        return TUB_OK;
    }
    if (tub__npz_has(z, "model.weights.h5")) {
        return tub__fail(err, TUB_E_FORMAT,
                         "a model of Keras, no data set; make a model folder of it first (tubelet "
                         "convert)");
    }
    return tub__fail(err, TUB_E_NOT_FOUND,
                     "no array %s (a data set needs train_images, train_labels, val_images, "
                     "val_labels, test_images and test_labels)",
                     missing);
}

/* [N,T,H,W] or [N,T,H,W,C] of one split; the first split decides what the others have to be. */
static tub_status check_images(tub_dataset *data, int split, const tub__npy *npy, tub_error *err) {
    tub_dataset_info *info = &data->info;
    char shape[160];
    tub__shape_text(npy, shape, sizeof shape);
    if (npy->rank != 4 && npy->rank != 5) {
        return tub__fail(err, TUB_E_SHAPE, "shape %s, expected [N,T,H,W] or [N,T,H,W,C]", shape);
    }
    if (npy->shape[0] == 0) {
        return tub__fail(err, TUB_E_SHAPE, "shape %s: the split is empty", shape);
    }
    if (npy->elements == 0 || npy->shape[0] > INT32_MAX) {
        return tub__fail(err, TUB_E_SHAPE, "shape %s: %s", shape,
                         npy->elements == 0 ? "a volume has no voxels" : "too many samples");
    }
    int64_t dims[4] = {(int64_t)npy->shape[1], (int64_t)npy->shape[2], (int64_t)npy->shape[3],
                       npy->rank == 5 ? (int64_t)npy->shape[4] : 1};
    tub_dtype dtype = npy->kind == TUB__NPY_FLOAT ? TUB_F32 : TUB_U8;
    if (split == 0) {
        info->frames = dims[0];
        info->height = dims[1];
        info->width = dims[2];
        info->channels = dims[3];
        info->dtype = dtype;
    } else if (dims[0] != info->frames || dims[1] != info->height || dims[2] != info->width ||
               dims[3] != info->channels) {
        return tub__fail(err, TUB_E_SHAPE,
                         "shape %s, but train_images has volumes of [%lld,%lld,%lld,%lld]", shape,
                         (long long)info->frames, (long long)info->height, (long long)info->width,
                         (long long)info->channels);
    } else if (dtype != info->dtype) {
        return tub__fail(err, TUB_E_SHAPE, "type %s, but train_images has %s",
                         tub__npy_type_name(npy), info->dtype == TUB_U8 ? "integers" : "floats");
    }
    info->count[split] = (int64_t)npy->shape[0];
    return TUB_OK;
}

static tub_status read_images(tub_dataset *data, tub__npz *z, int split, tub_error *err) {
    const tub_allocator *a = &data->ctx->allocator;
    char key[KEY_LENGTH];
    key_of(split, "images", key);
    void *bytes = NULL;
    tub__npy npy;
    tub_status status = tub__npz_read(z, key, IMAGES_LIMIT, &bytes, &npy, err);
    if (status != TUB_OK) {
        return status; /* names the member itself */
    }
    tub__array array = {0};
    status = check_images(data, split, &npy, err);
    if (status == TUB_OK) {
        status = tub__array_take(a, &bytes, &npy, false, &array, err);
    }
    tub__free(a, bytes);
    if (status != TUB_OK) {
        data->info.count[split] = 0;
        return tub__prefix(err, status, "%s", key);
    }
    data->block[split] = array.block;
    data->samples[split] = array.elements;
    return TUB_OK;
}

/* [N] or [N,columns] integers; the first split decides how many columns the others have. */
static tub_status check_labels(tub_dataset *data, int split, const tub__npy *npy, tub_error *err) {
    char shape[160];
    tub__shape_text(npy, shape, sizeof shape);
    if (npy->kind == TUB__NPY_FLOAT) {
        return tub__fail(err, TUB_E_SHAPE, "type %s, expected integers", tub__npy_type_name(npy));
    }
    const uint64_t columns = npy->rank == 2 ? npy->shape[1] : 1;
    if (npy->rank < 1 || npy->rank > 2 || columns < 1 || columns > COLUMN_LIMIT) {
        return tub__fail(err, TUB_E_SHAPE,
                         "shape %s, expected [N] or [N,1], or [N,K] of K labels or heads", shape);
    }
    if (split > 0 && columns != (uint64_t)data->info.label_columns) {
        return tub__fail(err, TUB_E_SHAPE, "shape %s, but train_labels has %lld column(s)", shape,
                         (long long)data->info.label_columns);
    }
    data->info.label_columns = (int64_t)columns;
    if (npy->shape[0] != (uint64_t)data->info.count[split]) {
        return tub__fail(err, TUB_E_SHAPE, "%llu labels for %lld samples of %s_images",
                         (unsigned long long)npy->shape[0], (long long)data->info.count[split],
                         tub_split_name((tub_split)split));
    }
    return TUB_OK;
}

static tub_status narrow_labels(const int64_t *wide, int64_t n, int64_t columns, int32_t *out,
                                tub_error *err) {
    for (int64_t i = 0; i < n * columns; i++) {
        if (wide[i] < 0 || wide[i] >= CLASS_LIMIT) {
            return tub__fail(err, TUB_E_RANGE, "label %lld of sample %lld is outside 0 … %d",
                             (long long)wide[i], (long long)(i / columns), CLASS_LIMIT - 1);
        }
        out[i] = (int32_t)wide[i];
    }
    return TUB_OK;
}

static tub_status read_labels(tub_dataset *data, tub__npz *z, int split, tub_error *err) {
    const tub_allocator *a = &data->ctx->allocator;
    char key[KEY_LENGTH];
    key_of(split, "labels", key);
    int64_t n = data->info.count[split];
    size_t numbers = 0;
    void *bytes = NULL, *wide = NULL, *labels = NULL;
    tub__npy npy;
    tub_status status =
        tub__npz_read(z, key, HEADER_LIMIT + (uint64_t)n * 8 * COLUMN_LIMIT, &bytes, &npy, err);
    if (status != TUB_OK) {
        return status;
    }
    status = check_labels(data, split, &npy, err);
    if (status != TUB_OK) {
        goto done;
    }
    numbers = (size_t)npy.elements;
    status = tub__alloc_array(a, numbers, sizeof(int64_t), &wide, err);
    if (status != TUB_OK) {
        goto done;
    }
    status = tub__npy_to_i64(&npy, bytes, wide, err);
    if (status != TUB_OK) {
        goto done;
    }
    status = tub__alloc_array(a, numbers, sizeof(int32_t), &labels, err);
    if (status != TUB_OK) {
        goto done;
    }
    data->labels[split] = labels;
    status = narrow_labels(wide, n, data->info.label_columns, labels, err);
done:
    tub__free(a, wide);
    tub__free(a, bytes);
    return status == TUB_OK ? TUB_OK : tub__prefix(err, status, "%s", key);
}

/* The class names of a published file, and its classes where its training labels lack some. */
static void take_known(tub_dataset *data, const char *path) {
    tub_dataset_info *info = &data->info;
    int known = info->task == TUB_TASK_MULTI_CLASS ? tub__known_by_file(tub__path_name(path)) : -1;
    if (known >= 0) {
        size_t n;
        const tub_known_dataset *table = tub_known_datasets(&n);
        if (info->classes <= table[known].classes) {
            info->classes = table[known].classes;
            info->labels = tub__known_details_of(known)->labels;
        }
    }
}

/* Head sizes that the file tells: training data may lack the last classes. */
static tub_status read_head_classes(tub_dataset *data, tub__npz *z, tub_error *err) {
    static const char key[] = "head_classes";
    int64_t sizes[TUB_HEAD_LIMIT];
    void *bytes = NULL;
    tub__npy npy;
    if (!tub__npz_has(z, key)) {
        return TUB_OK;
    }
    TUB__TRY(tub__npz_read(z, key, HEADER_LIMIT, &bytes, &npy, err));
    tub_status status = TUB_OK;
    if (npy.rank != 1 || npy.elements != (uint64_t)data->info.label_columns ||
        npy.elements > TUB_HEAD_LIMIT) {
        status = tub__fail(err, TUB_E_SHAPE,
                           "%s: %llu numbers for the %lld columns of the labels; at most %d heads "
                           "are supported",
                           key, (unsigned long long)npy.elements,
                           (long long)data->info.label_columns, TUB_HEAD_LIMIT);
    } else {
        status = tub__npy_to_i64(&npy, bytes, sizes, err);
    }
    for (int64_t i = 0; status == TUB_OK && i < data->info.label_columns; i++) {
        status = tub__in_range(key, sizes[i], 2, CLASS_LIMIT, err);
        data->info.head_classes[i] = sizes[i];
    }
    tub__free(&data->ctx->allocator, bytes);
    return status;
}

tub_status tub__dataset_fill_npz(tub_dataset *data, const char *path, tub_error *err) {
    tub__npz *z = NULL;
    tub_status status = tub__npz_open(&data->ctx->allocator, path, &z, err);
    if (status != TUB_OK) {
        return status; /* names the file itself */
    }
    status = check_keys(z, err);
    for (int s = 0; s < TUB_SPLITS && status == TUB_OK; s++) {
        status = read_images(data, z, s, err);
        if (status == TUB_OK) {
            status = read_labels(data, z, s, err);
        }
    }
    if (status == TUB_OK) {
        status = read_head_classes(data, z, err);
    }
    if (status == TUB_OK) {
        status = tub__dataset_find_task(data, err);
    }
    if (status == TUB_OK) {
        take_known(data, path);
        status = tub__dataset_check_labels(data, err);
    }
    if (status == TUB_OK) {
        status = tub__dataset_read_names(data, z, err);
    }
    tub__npz_close(z);
    return status == TUB_OK ? TUB_OK : tub__prefix(err, status, "%s", path);
}
