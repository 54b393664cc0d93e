/* SPDX-License-Identifier: Apache-2.0 */
/* Parts for cross-validation: stratified, with groups kept together. */
#include "data/folds.h"

#include "base/error.h"
#include "base/philox.h"
#include <stdlib.h>
#include <string.h>

enum { STREAM = 0xf01d };

typedef struct group {
    size_t begin, size; /* of its samples in `members` */
    uint32_t place;     /* in the shuffled order */
} group;

typedef struct folds {
    const tub_allocator *allocator;
    const tub_dataset_info *info;
    const int32_t *labels, *numbers; /* numbers: of the groups, or NULL */
    size_t n, count, classes, parts;
    group *groups;     /* [count] */
    uint32_t *members; /* [n] samples by group, ascending in each */
    double *all;       /* [classes]: samples that have each */
    double *there;     /* [parts, classes] */
    double *own;       /* [classes], of the group at hand */
    size_t *size;      /* [parts] */
} folds;

/* Class number k of a sample, among those of all heads; -1 behind the last. */
static int64_t class_of(const folds *f, size_t sample, int64_t *column) {
    const tub_dataset_info *info = f->info;
    const int32_t *row = f->labels + sample * (size_t)info->label_columns;
    int64_t begin = 0;
    if (info->task == TUB_TASK_MULTI_LABEL) {
        while (*column < info->label_columns && row[*column] == 0) {
            (*column)++;
        }
        return *column < info->label_columns ? (*column)++ : -1;
    }
    for (int64_t h = 0; h < *column && h < TUB_HEAD_LIMIT; h++) {
        begin += info->head_classes[h];
    }
    return *column < info->label_columns ? begin + row[(*column)++] : -1;
}

static void count_sample(const folds *f, size_t sample, double *counts) {
    int64_t column = 0;
    for (int64_t k = class_of(f, sample, &column); k >= 0; k = class_of(f, sample, &column)) {
        counts[k] += 1.0;
    }
}

/* A sample with the number of its group. */
typedef struct numbered {
    int32_t number;
    uint32_t sample;
} numbered;

static int by_number(const void *a, const void *b) {
    const numbered *l = a, *r = b;
    return l->number != r->number ? (l->number < r->number ? -1 : 1)
                                  : (l->sample < r->sample ? -1 : l->sample > r->sample);
}

static int by_size(const void *a, const void *b) {
    const group *l = a, *r = b;
    return l->size != r->size ? (l->size > r->size ? -1 : 1)
                              : (l->place < r->place ? -1 : l->place > r->place);
}

static tub_status make_groups(folds *f, tub_error *err) {
    numbered *list = NULL;
    TUB__TRY(tub__alloc_array(f->allocator, f->n, sizeof *list, (void **)&list, err));
    for (size_t i = 0; i < f->n; i++) {
        list[i] = (numbered){f->numbers != NULL ? f->numbers[i] : (int32_t)i, (uint32_t)i};
    }
    qsort(list, f->n, sizeof *list, by_number);
    for (size_t i = 0; i < f->n; i++) {
        if (i == 0 || list[i].number != list[i - 1].number) {
            f->groups[f->count++].begin = i;
        }
        f->groups[f->count - 1].size++;
        f->members[i] = list[i].sample;
    }
    tub__free(f->allocator, list);
    return TUB_OK;
}

static tub_status shuffle_groups(folds *f, uint64_t seed, tub_error *err) {
    tub__random r = tub__random_start(tub__random_key(seed, TUB__RANDOM_SHUFFLE), 0, STREAM, 0);
    uint32_t *order = NULL;
    TUB__TRY(tub__alloc_array(f->allocator, f->count, sizeof *order, (void **)&order, err));
    for (size_t i = 0; i < f->count; i++) {
        order[i] = (uint32_t)i;
    }
    for (size_t i = f->count; i > 1; i--) {
        const uint32_t j = tub__random_below(&r, (uint32_t)i), last = order[i - 1];
        order[i - 1] = order[j];
        order[j] = last;
    }
    for (size_t i = 0; i < f->count; i++) {
        f->groups[order[i]].place = (uint32_t)i;
    }
    tub__free(f->allocator, order);
    qsort(f->groups, f->count, sizeof *f->groups, by_size);
    return TUB_OK;
}

static double cost_of(const folds *f, size_t part) {
    const double *there = f->there + part * f->classes;
    double sum = 0.0;
    for (size_t k = 0; k < f->classes; k++) {
        if (f->own[k] > 0.0) {
            sum += (2.0 * there[k] * f->own[k] + f->own[k] * f->own[k]) / (f->all[k] * f->all[k]);
        }
    }
    return sum;
}

static void place_group(folds *f, const group *g, int32_t *part) {
    size_t best = 0;
    double least = 0.0;
    memset(f->own, 0, f->classes * sizeof *f->own);
    for (size_t i = 0; i < g->size; i++) {
        count_sample(f, f->members[g->begin + i], f->own);
    }
    for (size_t p = 0; p < f->parts; p++) {
        const double cost = cost_of(f, p);
        if (p == 0 || cost < least || (cost == least && f->size[p] < f->size[best])) {
            best = p;
            least = cost;
        }
    }
    for (size_t k = 0; k < f->classes; k++) {
        f->there[best * f->classes + k] += f->own[k];
    }
    f->size[best] += g->size;
    for (size_t i = 0; i < g->size; i++) {
        part[f->members[g->begin + i]] = (int32_t)best;
    }
}

static tub_status make_room(folds *f, tub_error *err) {
    const tub_allocator *a = f->allocator;
    TUB__TRY(tub__alloc_array(a, f->n, sizeof *f->groups, (void **)&f->groups, err));
    TUB__TRY(tub__alloc_array(a, f->n, sizeof *f->members, (void **)&f->members, err));
    TUB__TRY(tub__alloc_array(a, f->classes, sizeof *f->all, (void **)&f->all, err));
    TUB__TRY(tub__alloc_array(a, f->classes, sizeof *f->own, (void **)&f->own, err));
    TUB__TRY(tub__alloc_array(a, f->parts * f->classes, sizeof *f->there, (void **)&f->there, err));
    return tub__alloc_array(a, f->parts, sizeof *f->size, (void **)&f->size, err);
}

static tub_status assign(folds *f, uint64_t seed, int32_t *part, tub_error *err) {
    TUB__TRY(make_room(f, err));
    TUB__TRY(make_groups(f, err));
    if (f->parts > f->count) {
        const bool one = f->count == 1;
        return tub__fail(
            err, TUB_E_RANGE, "%s: %zu folds of %zu %s%s; each fold needs one at least%s",
            f->info->name, f->parts, f->count, f->numbers != NULL ? "group" : "sample",
            one ? "" : "s",
            f->numbers != NULL ? "; groups that share a file or its content are one" : "");
    }
    TUB__TRY(shuffle_groups(f, seed, err));
    for (size_t i = 0; i < f->n; i++) {
        count_sample(f, i, f->all);
    }
    for (size_t g = 0; g < f->count; g++) {
        place_group(f, &f->groups[g], part);
    }
    return TUB_OK;
}

tub_status tub__folds_assign(const tub_allocator *a, const tub_dataset_info *info, size_t n,
                             const int32_t *labels, const int32_t *groups, size_t parts,
                             uint64_t seed, int32_t *part, tub_error *err) {
    folds f = {.allocator = a,
               .info = info,
               .labels = labels,
               .numbers = groups,
               .n = n,
               .classes = (size_t)info->classes,
               .parts = parts};
    if (parts < 2 || n > INT32_MAX) {
        return tub__fail(err, TUB_E_RANGE, "%s: %zu folds of %zu samples; at least 2 are needed",
                         info->name, parts, n);
    }
    const tub_status status = assign(&f, seed, part, err);
    tub__free(a, f.groups);
    tub__free(a, f.members);
    tub__free(a, f.all);
    tub__free(a, f.own);
    tub__free(a, f.there);
    tub__free(a, f.size);
    return status;
}
