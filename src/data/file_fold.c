/* SPDX-License-Identifier: Apache-2.0 */
/* Folds of a set of files: other samples of the same list. Nothing is read again, and what is kept on the disk is
 * for all of them. */
#include "base/error.h"
#include "data/file_set.h"
#include <stdlib.h>
#include <string.h>

/* ---- groups ---- */

typedef struct known {
    const char *content;
    int32_t group;
} known;

static int by_content(const void *a, const void *b) {
    const known *x = a, *y = b;
    const int order = strcmp(x->content, y->content);
    return order != 0 ? order : (x->group > y->group) - (x->group < y->group);
}

/* The first group of those that have been joined; paths are halved on the way. */
static int32_t root(int32_t *above, int32_t group) {
    while (above[group] != group) {
        above[group] = above[above[group]];
        group = above[group];
    }
    return group;
}

static void join(int32_t *above, int32_t one, int32_t other) {
    one = root(above, one);
    other = root(above, other);
    above[one > other ? one : other] = one > other ? other : one;
}

/* The samples of train, then of val. */
static uint32_t item_of(const tub__file_set *set, size_t i) {
    const size_t train = (size_t)set->count[TUB_TRAIN];
    return i < train ? set->sample[TUB_TRAIN][i] : set->sample[TUB_VAL][i - train];
}

static void join_contents(const tub__file_set *set, size_t n, known *list, int32_t *above) {
    for (size_t i = 0; i < n; i++) {
        const uint32_t item = item_of(set, i);
        list[i] = (known){set->entries[item].content, set->list.items[item].group_number};
    }
    qsort(list, n, sizeof *list, by_content);
    for (size_t i = 1; i < n; i++) {
        if (strcmp(list[i].content, list[i - 1].content) == 0) {
            join(above, list[i].group, list[i - 1].group);
        }
    }
}

tub_status tub__file_set_groups(const tub__file_set *set, int32_t *group, bool *any,
                                tub_error *err) {
    const tub_allocator *a = &set->ctx->allocator;
    const size_t n = (size_t)(set->count[TUB_TRAIN] + set->count[TUB_VAL]),
                 groups = set->list.groups;
    void *list = NULL, *above = NULL, *seen = NULL;
    tub_status status = tub__alloc_array(a, n + 1, sizeof(known), &list, err);
    if (status == TUB_OK) {
        status = tub__alloc_array(a, groups + 1, sizeof(int32_t), &above, err);
    }
    if (status == TUB_OK) {
        status = tub__alloc_array(a, groups + 1, sizeof(bool), &seen, err);
    }
    if (status == TUB_OK) {
        for (size_t g = 0; g < groups; g++) {
            ((int32_t *)above)[g] = (int32_t)g;
        }
        join_contents(set, n, list, above);
        *any = false;
        for (size_t i = 0; i < n; i++) {
            group[i] = root(above, set->list.items[item_of(set, i)].group_number);
            *any = *any || ((bool *)seen)[group[i]];
            ((bool *)seen)[group[i]] = true;
        }
    }
    tub__free(a, seen);
    tub__free(a, above);
    tub__free(a, list);
    return status;
}

/* ---- folds ---- */

static tub_status make_room(tub__file_set *set, tub_error *err) {
    const tub_allocator *a = &set->ctx->allocator;
    void *block;
    TUB__TRY(tub__alloc_array(a, set->list.count + 1, sizeof(tub__file_place), &block, err));
    set->places = block;
    for (int s = 0; s < TUB_SPLITS; s++) {
        TUB__TRY(tub__alloc_array(a, (size_t)set->count[s] + 1, sizeof(uint32_t), &block, err));
        set->sample[s] = block;
        TUB__TRY(tub__alloc_array(a, (size_t)set->count[s] + 1, sizeof(int32_t), &block, err));
        set->group[s] = block;
    }
    return TUB_OK;
}

static void put(tub__file_set *set, tub_split split, int64_t *at, uint32_t item) {
    set->sample[split][*at] = item;
    set->group[split][*at] = set->list.items[item].group_number;
    set->places[item].split = split;
    set->places[item].sample = (*at)++;
}

static tub_status fill(const tub__file_set *from, const int32_t *part, int32_t fold,
                       tub__file_set *to, tub_error *err) {
    const size_t n = (size_t)(from->count[TUB_TRAIN] + from->count[TUB_VAL]);
    int64_t at[TUB_SPLITS] = {0};
    TUB__TRY(make_room(to, err));
    memcpy(to->places, from->places, from->list.count * sizeof *to->places);
    for (size_t i = 0; i < n; i++) {
        const tub_split split = part[i] == fold ? TUB_VAL : TUB_TRAIN;
        put(to, split, &at[split], item_of(from, i));
    }
    for (int64_t i = 0; i < from->count[TUB_TEST]; i++) {
        put(to, TUB_TEST, &at[TUB_TEST], from->sample[TUB_TEST][i]);
    }
    TUB__TRY(tub__file_set_duplicates(to, err));
    tub__file_set_digest(to, to->digest);
    return TUB_OK;
}

tub_status tub__file_set_fold(const tub__file_set *set, const int32_t *part, int32_t fold,
                              tub__file_set **out, tub_error *err) {
    const int64_t n = set->count[TUB_TRAIN] + set->count[TUB_VAL];
    void *block;
    TUB__TRY(tub__alloc_array(&set->ctx->allocator, 1, sizeof(tub__file_set), &block, err));
    tub__file_set *one = block;
    *one = *set;
    one->users = 0;
    one->places = NULL;
    one->count[TUB_VAL] = 0;
    for (int s = 0; s < TUB_SPLITS; s++) {
        one->sample[s] = NULL;
        one->group[s] = NULL;
    }
    for (int64_t i = 0; i < n; i++) {
        one->count[TUB_VAL] += part[i] == fold;
    }
    one->count[TUB_TRAIN] = n - one->count[TUB_VAL];
    one->whole->users++;
    const tub_status status = fill(set, part, fold, one, err);
    if (status != TUB_OK) {
        tub__file_set_close(one);
        return status;
    }
    *out = one;
    return TUB_OK;
}
