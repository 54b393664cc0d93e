/* SPDX-License-Identifier: Apache-2.0 */
/* Looks an open data set over for what is allowed but most often a mistake of an export, and says
 * so once. */
#include "base/error.h"
#include "data/dataset.h"
#include <string.h>

/* All bytes of a sample's elements are equal to the first element's. */
static bool is_constant(const unsigned char *sample, size_t bytes, size_t element) {
    return memcmp(sample, sample + element, bytes - element) == 0;
}

int64_t tub__dataset_constant(const tub_dataset *data, tub_split split, int64_t *first) {
    const size_t bytes = tub__dataset_sample_bytes(&data->info);
    const size_t element = tub__dtype_bytes(data->info.dtype);
    int64_t constant = 0;
    *first = -1;
    for (int64_t i = 0; i < data->info.count[split]; i++) {
        if (is_constant((const unsigned char *)data->samples[split] + (size_t)i * bytes, bytes,
                        element)) {
            *first = *first < 0 ? i : *first;
            constant++;
        }
    }
    return constant;
}

/* Counts the samples that show nothing, and says so: most often an export went wrong. */
static void count_constant(tub_dataset *data) {
    for (int s = 0; s < TUB_SPLITS; s++) {
        int64_t first;
        const int64_t constant = tub__dataset_constant(data, (tub_split)s, &first);
        data->info.constant[s] = constant;
        if (constant > 0) {
            tub__log_line(data->ctx, TUB_LOG_WARNING,
                          "%s: %lld of %lld %s volumes are constant (all voxels equal), the first "
                          "is number %lld",
                          data->name, (long long)constant, (long long)data->info.count[s],
                          tub_split_name((tub_split)s), (long long)first);
        }
    }
}

static void look_at_floats(const tub_dataset *data) {
    size_t n = (size_t)data->info.count[TUB_TRAIN] * tub__dataset_elements(&data->info);
    tub__warn_far_floats(data->ctx, data->name, "train has", data->samples[TUB_TRAIN], n);
}

/* Masks of 0 and 1, and other integers that were not stretched to 0 to 255. */
static void look_at_bytes(const tub_dataset *data) {
    const unsigned char *v = data->samples[TUB_TRAIN];
    size_t n = (size_t)data->info.count[TUB_TRAIN] * tub__dataset_elements(&data->info);
    unsigned char high = 0;
    for (size_t i = 0; i < n && high < TUB__FAR; i++) {
        high = v[i] > high ? v[i] : high;
    }
    if (high > 0 && high < TUB__FAR) {
        tub__log_line(data->ctx, TUB_LOG_WARNING,
                      "%s: the largest voxel of train is %d, and integers are divided by 255, so "
                      "that the model sees almost nothing; stretch them to 0 to 255, or store "
                      "floats",
                      data->name, (int)high);
    }
}

/* A class 0 that never comes: labels counted from 1. */
static void look_at_labels(const tub_dataset *data) {
    for (int s = 0; s < TUB_SPLITS; s++) {
        for (int64_t i = 0; i < data->info.count[s]; i++) {
            if (data->labels[s][i] == 0) {
                return;
            }
        }
    }
    tub__log_line(data->ctx, TUB_LOG_WARNING,
                  "%s: no label is 0, but %lld is one; labels count from 0: subtract 1 where yours "
                  "count from 1, or the model has a class that never comes",
                  data->name, (long long)data->info.classes - 1);
}

/* Exactly one of the labels is there, in every sample. */
static bool is_one_hot(const tub_dataset *data) {
    const int64_t columns = data->info.label_columns;
    for (int s = 0; s < TUB_SPLITS; s++) {
        for (int64_t i = 0; i < data->info.count[s]; i++) {
            int64_t there = 0;
            for (int64_t c = 0; c < columns; c++) {
                there += data->labels[s][i * columns + c];
            }
            if (there != 1) {
                return false;
            }
        }
    }
    return true;
}

static void look_at_columns(const tub_dataset *data) {
    if (is_one_hot(data)) {
        tub__log_line(data->ctx, TUB_LOG_WARNING,
                      "%s: every sample has exactly one of %lld labels: one-hot? For one class a "
                      "sample store its number; they are taken as labels that are there or not",
                      data->name, (long long)data->info.label_columns);
    }
}

/* [C,T,H,W], as PyTorch has it: a clip of few frames with more channels than any picture has. */
static bool looks_channels_first(const tub_dataset_info *info) {
    return info->frames <= 4 && info->channels > 4 && info->height > 4 && info->width > 4;
}

void tub__dataset_survey(tub_dataset *data) {
    count_constant(data);
    data->info.channels_first = looks_channels_first(&data->info);
    if (data->info.count[TUB_TRAIN] == 0) {
        return;
    }
    if (data->info.dtype == TUB_F32) {
        look_at_floats(data);
    } else {
        look_at_bytes(data);
    }
    if (data->info.task == TUB_TASK_MULTI_CLASS) {
        look_at_labels(data);
    } else if (data->info.task == TUB_TASK_MULTI_LABEL) {
        look_at_columns(data);
    }
}
