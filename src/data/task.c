/* SPDX-License-Identifier: Apache-2.0 */
/* What the labels of a data set are of: one class, labels that are there or not, or one class of each
 * of several heads. */
#include "base/error.h"
#include "data/dataset.h"

/* The largest label of a column in a split, and the first sample that has it. */
static int32_t largest(const tub_dataset *data, int split, int64_t column, int64_t *where) {
    const int64_t columns = data->info.label_columns;
    int32_t most = -1;
    for (int64_t i = 0; i < data->info.count[split]; i++) {
        const int32_t label = data->labels[split][i * columns + column];
        if (label > most) {
            most = label;
            *where = i;
        }
    }
    return most;
}

/* The largest label of all, in any split. */
static int32_t largest_of_all(const tub_dataset *data) {
    int32_t most = 0;
    int64_t where;
    for (int s = 0; s < TUB_SPLITS; s++) {
        for (int64_t c = 0; c < data->info.label_columns; c++) {
            const int32_t label = largest(data, s, c, &where);
            most = label > most ? label : most;
        }
    }
    return most;
}

static tub_status find_heads(tub_dataset *data, int32_t most, tub_error *err) {
    tub_dataset_info *info = &data->info;
    int64_t where;
    if (info->label_columns > TUB_HEAD_LIMIT) {
        return tub__fail(err, TUB_E_SHAPE,
                         "the labels have %lld columns and values up to %d; labels that are there "
                         "or not are 0 and 1, and heads with classes of their own are at most %d",
                         (long long)info->label_columns, (int)most, TUB_HEAD_LIMIT);
    }
    info->task = TUB_TASK_MULTI_HEAD;
    info->classes = 0;
    for (int64_t h = 0; h < info->label_columns; h++) {
        int64_t seen = largest(data, TUB_TRAIN, h, &where) + 1;
        if (info->head_classes[h] == 0) {
            info->head_classes[h] = seen < 2 ? 2 : seen;
        }
        info->classes += info->head_classes[h];
    }
    return TUB_OK;
}

tub_status tub__dataset_find_task(tub_dataset *data, tub_error *err) {
    tub_dataset_info *info = &data->info;
    const int32_t most = largest_of_all(data);
    int64_t where;
    if (info->head_classes[0] != 0 || (info->label_columns > 1 && most > 1)) {
        return find_heads(data, most, err);
    }
    const bool columns = info->label_columns > 1;
    info->task = columns ? TUB_TASK_MULTI_LABEL : TUB_TASK_MULTI_CLASS;
    info->classes = columns ? info->label_columns : largest(data, TUB_TRAIN, 0, &where) + 1;
    return TUB_OK;
}

tub_status tub__dataset_check_labels(const tub_dataset *data, tub_error *err) {
    const tub_dataset_info *info = &data->info;
    int64_t where = 0;
    for (int s = 0; s < TUB_SPLITS && info->task != TUB_TASK_MULTI_LABEL; s++) {
        for (int64_t c = 0; c < info->label_columns; c++) {
            const bool heads = info->task == TUB_TASK_MULTI_HEAD;
            const int64_t classes = heads ? info->head_classes[c] : info->classes;
            const int32_t label = largest(data, s, c, &where);
            if (label >= classes) {
                return tub__fail(
                    err, TUB_E_RANGE,
                    "%s_labels: label %d of sample %lld is out of range: %s has 0 … %lld",
                    tub_split_name((tub_split)s), (int)label, (long long)where,
                    heads ? "its head" : "train_labels", (long long)classes - 1);
            }
        }
    }
    return TUB_OK;
}
