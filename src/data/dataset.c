/* SPDX-License-Identifier: Apache-2.0 */
/* Data sets: finds out what a name means, opens it, and answers questions about it. */
#include "data/dataset.h"

#include "base/error.h"
#include "base/file.h"
#include "data/built_in.h"
#include "data/fetch.h"
#include "data/file_set.h"
#include "data/medmnist.h"
#include "formats/npy.h"
#include <errno.h>
#include <string.h>
#include <strings.h>

/* Ours first, then what other programs say. */
static const char *const split_names[TUB_SPLITS][TUB__SPLIT_NAMES] = {
    {"train"}, {"val", "valid", "validation"}, {"test"}};

const char *tub_task_name(tub_task task) {
    static const char *const names[TUB_TASKS] = {
        [TUB_TASK_DATA] = "data",
        [TUB_TASK_MULTI_CLASS] = "multi_class",
        [TUB_TASK_MULTI_LABEL] = "multi_label",
        [TUB_TASK_MULTI_HEAD] = "multi_head",
    };
    return (int)task >= 0 && task < TUB_TASKS ? names[task] : "unknown";
}

const char *tub_split_name(tub_split split) {
    return split_names[split][0];
}

const char *tub__split_name(tub_split split, int i) {
    return i < TUB__SPLIT_NAMES ? split_names[split][i] : NULL;
}

tub_status tub_split_parse(const char *text, tub_split *out, tub_error *err) {
    for (int i = 0; i < TUB_SPLITS * TUB__SPLIT_NAMES; i++) {
        const tub_split split = (tub_split)(i / TUB__SPLIT_NAMES);
        const char *name = tub__split_name(split, i % TUB__SPLIT_NAMES);
        if (name != NULL && strcmp(text, name) == 0) {
            *out = split;
            return TUB_OK;
        }
    }
    return tub__fail(err, TUB_E_ARGUMENT, "%s is no split: choose train, val or test", text);
}

tub_dataset_options tub_dataset_options_default(void) {
    return (tub_dataset_options){.size = sizeof(tub_dataset_options), .cache_limit = 20000000000};
}

/* The struct as it was before sets of files. */
typedef struct first_options {
    size_t size;
    const char *data_url;
    int offline;
} first_options;
enum { FIRST_OPTIONS = sizeof(first_options) };

tub_status tub__dataset_options_read(const tub_dataset_options *given, tub_dataset_options *out,
                                     tub_error *err) {
    *out = tub_dataset_options_default();
    if (given && given->size != sizeof *given && given->size != FIRST_OPTIONS) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "tub_dataset_options: size is %zu, this library knows %zu bytes; start "
                         "from tub_dataset_options_default()",
                         given->size, sizeof *given);
    }
    if (given) {
        memcpy(out, given, given->size);
        out->size = sizeof *out;
    }
    return TUB_OK;
}

size_t tub__dataset_elements(const tub_dataset_info *info) {
    return (size_t)info->frames * (size_t)info->height * (size_t)info->width *
           (size_t)info->channels;
}

int64_t tub__dataset_head(const tub_dataset_info *info, int i) {
    return i >= info->label_columns             ? 0
           : info->task == TUB_TASK_MULTI_LABEL ? 2
                                                : info->head_classes[i];
}

size_t tub__dataset_sample_bytes(const tub_dataset_info *info) {
    return tub__dataset_elements(info) * tub__dtype_bytes(info->dtype);
}

/* Whether a file has the sizes of the published set of its name. */
static bool has_published_sizes(const tub_dataset_info *info, const tub_dataset_info *published) {
    bool same = info->frames == published->frames && info->height == published->height &&
                info->width == published->width && info->channels == published->channels &&
                info->dtype == published->dtype;
    for (int s = 0; s < TUB_SPLITS; s++) {
        same = same && info->count[s] == published->count[s];
    }
    return same;
}

/* A licence belongs to published bytes, not to a name that any file may have. Hashing a large file
 * takes a second, so it comes after what costs nothing. */
static void settle_licence(tub_dataset *data, const char *path) {
    size_t n;
    tub_dataset_info published;
    int known = tub__known_by_file(tub__path_name(path));
    if (known >= 0 && tub__known_info(tub_known_datasets(&n)[known].name, &published) &&
        has_published_sizes(&data->info, &published) &&
        tub__is_published(tub__known_details_of(known), path)) {
        data->info.licence = published.licence;
    }
}

/* A set that has a name of its own. */
static tub_status fill_known(tub_dataset *data, const char *name,
                             const tub_dataset_options *options, tub_error *err) {
    char path[4096];
    tub_dataset_info published;
    TUB__TRY(tub__alloc_string(&data->ctx->allocator, name, &data->source, err));
    if (!tub__known_info(name, &published)) {
        return tub__dataset_fill_built_in(data, tub__built_in_by_name(name), err);
    }
    TUB__TRY(tub_fetch(data->ctx, name, options, path, sizeof path, err));
    data->info.licence = published.licence; /* tub_fetch has compared the checksum */
    return tub__dataset_fill_npz(data, path, err);
}

/* A single array is often taken for a data set; and what can't be opened is told in the system's
 * words. */
static tub_status check_kind(const char *path, tub_error *err) {
    tub__map map;
    TUB__TRY(tub__map_open(path, &map, err));
    const bool array = tub__is_npy(map.data, map.size);
    const bool foreign = map.size >= 2 && memcmp(map.data, "PK", 2) != 0;
    tub__map_close(&map);
    if (array) {
        return tub__fail(err, TUB_E_FORMAT,
                         "%s: holds one array; a data set is a .npz file with train_images, "
                         "train_labels, val_images, val_labels, test_images and test_labels",
                         path);
    }
    const char *dot = strrchr(path, '.');
    if (foreign && dot != NULL && strcasecmp(dot, ".tsv") == 0) {
        return tub__fail(
            err, TUB_E_FORMAT,
            "%s: a table with tabs; save it with commas, as .csv with the columns path "
            "and label (docs/data.md)",
            path);
    }
    return foreign
               ? tub__fail(err, TUB_E_FORMAT,
                           "%s: not a .npz file; a set of files is a folder DIR/CLASS/FILE, or a "
                           ".csv with the columns path and label (docs/data.md)",
                           path)
               : TUB_OK;
}

/* Fills `data` from what `name` means. */
static tub_status fill(tub_dataset *data, const char *name, const tub_dataset_options *options,
                       tub_error *err) {
    if (tub__built_in_by_name(name) != NULL || tub__known_by_name(name) >= 0) {
        return fill_known(data, name, options, err);
    }
    if (!tub__file_exists(name)) {
        if (errno != ENOENT) {
            return tub__fail_errno(err, errno, "%s", name);
        }
        if (strchr(name, '/') != NULL) {
            return tub__fail(err, TUB_E_NOT_FOUND, "%s: no such file", name);
        }
        return tub__known_fail(name, "no such file, and no known data set", true, err);
    }
    if (tub__is_file_list(name)) {
        TUB__TRY(tub__path_absolute(&data->ctx->allocator, name, &data->source, err));
        return tub__dataset_fill_files(data, data->source, options, err);
    }
    TUB__TRY(check_kind(name, err));
    TUB__TRY(tub__path_absolute(&data->ctx->allocator, name, &data->source, err));
    TUB__TRY(tub__dataset_fill_npz(data, name, err));
    settle_licence(data, name);
    return TUB_OK;
}

/* The last part of a path, whose folder may have a slash behind it. */
static tub_status take_name(tub_dataset *data, const char *name, tub_error *err) {
    TUB__TRY(tub__alloc_string(&data->ctx->allocator, name, &data->name, err));
    for (size_t n = strlen(name); n > 1 && data->name[n - 1] == '/'; n--) {
        data->name[n - 1] = '\0';
    }
    const char *last = tub__path_name(data->name);
    memmove(data->name, last, strlen(last) + 1);
    return TUB_OK;
}

tub_status tub_dataset_open(tub_context *ctx, const char *name, const tub_dataset_options *options,
                            tub_dataset **out, tub_error *err) {
    void *block;
    tub_dataset_options read;
    TUB__TRY(tub__dataset_options_read(options, &read, err));
    TUB__TRY(tub__alloc_array(&ctx->allocator, 1, sizeof(tub_dataset), &block, err));
    tub_dataset *data = block;
    data->ctx = ctx;
    tub_status status = take_name(data, name, err);
    if (status == TUB_OK) {
        data->info.name = data->name;
        status = fill(data, name, &read, err);
    }
    if (status == TUB_OK) {
        status = tub__dataset_follow(data, read.class_names, read.class_count, err);
    }
    if (status != TUB_OK) {
        tub_dataset_close(data);
        return status;
    }
    if (data->files == NULL) {
        tub__dataset_survey(data);
    }
    *out = data;
    return TUB_OK;
}

void tub_dataset_close(tub_dataset *data) {
    if (!data) {
        return;
    }
    const tub_allocator *a = &data->ctx->allocator;
    for (int s = 0; s < TUB_SPLITS; s++) {
        tub__free(a, data->block[s]);
        tub__free(a, data->labels[s]);
    }
    tub__dataset_free_names(data);
    tub__file_set_close(data->files);
    tub__free(a, data->source);
    tub__free(a, data->name);
    tub__free(a, data);
}

const tub_dataset_info *tub_dataset_describe(const tub_dataset *data) {
    return &data->info;
}

const void *tub_dataset_samples(const tub_dataset *data, tub_split split) {
    return data->info.count[split] > 0 ? data->samples[split] : NULL;
}

const int32_t *tub_dataset_labels(const tub_dataset *data, tub_split split) {
    return data->info.count[split] > 0 ? data->labels[split] : NULL;
}
