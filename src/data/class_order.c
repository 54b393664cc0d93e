/* SPDX-License-Identifier: Apache-2.0 */
/* Classes by their names: a data set that has the names of a model in another order gets its numbers. */
#include "base/error.h"
#include "data/dataset.h"
#include "data/file_set.h"
#include <string.h>

/* A new numbering. */
typedef struct order {
    const char *const *names; /* [count], in the new order */
    int64_t count;
    int32_t *number; /* [classes]: the new one of each class */
    char **copies;   /* [count], of names */
} order;

static bool same_order(const tub_dataset_info *info, const order *o) {
    bool same = info->classes == o->count;
    for (int64_t k = 0; same && k < o->count; k++) {
        same = strcmp(info->labels[k], o->names[k]) == 0;
    }
    return same;
}

/* Whether every class is one of the names, and no two are the same one. */
static bool find(const tub_dataset_info *info, const order *o) {
    for (int64_t k = 0; k < info->classes; k++) {
        int64_t at = 0;
        while (at < o->count && strcmp(info->labels[k], o->names[at]) != 0) {
            at++;
        }
        for (int64_t before = 0; before < k; before++) {
            if (o->number[before] == at) {
                return false;
            }
        }
        if (at == o->count) {
            return false;
        }
        o->number[k] = (int32_t)at;
    }
    return true;
}

static void free_copies(const tub_allocator *a, order *o) {
    for (int64_t k = 0; o->copies != NULL && k < o->count; k++) {
        tub__free(a, o->copies[k]);
    }
    tub__free(a, o->copies);
    o->copies = NULL;
}

static tub_status copy_names(const tub_allocator *a, order *o, tub_error *err) {
    void *block;
    TUB__TRY(tub__alloc_array(a, (size_t)o->count, sizeof *o->copies, &block, err));
    o->copies = block;
    for (int64_t k = 0; k < o->count; k++) {
        TUB__TRY(tub__alloc_string(a, o->names[k], &o->copies[k], err));
    }
    return TUB_OK;
}

/* Numbers of classes; of multi_label columns change their places. row [columns] is room. */
static void renumber_labels(tub_dataset *data, const order *o, int32_t *row) {
    const int64_t columns = data->info.label_columns;
    const bool places = data->info.task == TUB_TASK_MULTI_LABEL;
    for (int s = 0; s < TUB_SPLITS; s++) {
        for (int64_t i = 0; i < data->info.count[s]; i++) {
            int32_t *labels = data->labels[s] + i * columns;
            memcpy(row, labels, (size_t)columns * sizeof *row);
            for (int64_t k = 0; k < columns; k++) {
                labels[places ? o->number[k] : k] = places ? row[k] : o->number[row[k]];
            }
        }
    }
}

/* The list of a set of files has the names of its classes. */
static void take_list(tub__file_list *list, order *o) {
    for (size_t i = 0; i < list->count; i++) {
        list->items[i].label = o->number[list->items[i].label];
    }
    for (size_t k = 0; k < list->class_count; k++) {
        tub__free(list->allocator, list->classes[k]);
    }
    tub__free(list->allocator, list->classes);
    list->classes = o->copies;
    list->class_count = list->class_room = (size_t)o->count;
}

static tub_status renumber(tub_dataset *data, order *o, tub_error *err) {
    const tub_allocator *a = &data->ctx->allocator;
    void *row;
    TUB__TRY(copy_names(a, o, err));
    TUB__TRY(tub__alloc_array(a, (size_t)data->info.label_columns, sizeof(int32_t), &row, err));
    renumber_labels(data, o, row);
    tub__free(a, row);
    if (data->files != NULL) {
        take_list(&data->files->list, o);
    } else {
        tub__dataset_free_names(data);
        data->class_names = o->copies;
    }
    data->info.labels = (const char *const *)o->copies;
    data->info.classes = o->count;
    o->copies = NULL;
    tub__log_line(data->ctx, TUB_LOG_INFO, "%s: its classes are numbered as the model's",
                  data->name);
    return TUB_OK;
}

tub_status tub__dataset_follow(tub_dataset *data, const char *const *names, int64_t count,
                               tub_error *err) {
    const tub_allocator *a = &data->ctx->allocator;
    const tub_dataset_info *info = &data->info;
    order o = {.names = names, .count = count};
    void *block;
    const bool as_many = count == info->classes || (data->files != NULL && count > info->classes);
    if (names == NULL || info->labels == NULL || info->task == TUB_TASK_MULTI_HEAD || !as_many ||
        same_order(info, &o)) {
        return TUB_OK;
    }
    TUB__TRY(tub__alloc_array(a, (size_t)info->classes, sizeof *o.number, &block, err));
    o.number = block;
    const tub_status status = find(info, &o) ? renumber(data, &o, err) : TUB_OK;
    free_copies(a, &o);
    tub__free(a, block);
    return status;
}
