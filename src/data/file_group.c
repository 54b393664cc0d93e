/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of samples that belong together, and the split that keeps them together. */
#include "base/error.h"
#include "base/md5.h"
#include "data/file_list.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A sample by what its group follows from. */
typedef struct entry {
    int32_t file;
    const char *group; /* NULL: none */
    size_t item;
} entry;

static int by_item(const entry *x, const entry *y) {
    return x->item < y->item ? -1 : x->item > y->item;
}

static int by_file(const void *a, const void *b) {
    const entry *x = a, *y = b;
    return x->file != y->file ? (x->file > y->file) - (x->file < y->file) : by_item(x, y);
}

static int by_group(const void *a, const void *b) {
    const entry *x = a, *y = b;
    const int order = strcmp(x->group, y->group);
    return order != 0 ? order : by_item(x, y);
}

static bool same_text(const char *a, const char *b) {
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Parts of one file must agree; each of those without a group gets the number of its file. */
static tub_status number_files(tub__file_list *list, const entry *e, const char *where,
                               tub_error *err) {
    for (size_t i = 0; i < list->count; i++) {
        tub__file_item *item = &list->items[e[i].item];
        const bool again = i > 0 && e[i].file == e[i - 1].file;
        const tub__file_item *before = again ? &list->items[e[i - 1].item] : NULL;
        if (again && !same_text(e[i].group, e[i - 1].group)) {
            return tub__fail(err, TUB_E_FORMAT,
                             "%s: lines %zu and %zu are parts of one file, %.200s, but of the "
                             "groups '%.80s' and '%.80s'; a file has one group",
                             where, before->line, item->line, item->name,
                             before->group != NULL ? before->group : "",
                             item->group != NULL ? item->group : "");
        }
        list->has_groups = list->has_groups || again || item->group != NULL;
        item->group_number = again ? before->group_number : (int32_t)list->groups;
        list->groups += !again;
    }
    return TUB_OK;
}

/* Files of one group get the number of its first one. */
static void join_groups(tub__file_list *list, const entry *e, size_t count) {
    for (size_t i = 1; i < count; i++) {
        if (strcmp(e[i].group, e[i - 1].group) == 0) {
            list->items[e[i].item].group_number = list->items[e[i - 1].item].group_number;
        }
    }
}

/* From 0 without gaps, in the order of the list. */
static tub_status renumber(tub__file_list *list, tub_error *err) {
    void *block;
    TUB__TRY(tub__alloc_array(list->allocator, list->groups + 1, sizeof(int32_t), &block, err));
    int32_t *number = block, next = 0;
    for (size_t i = 0; i < list->count; i++) {
        int32_t *at = &number[list->items[i].group_number];
        if (*at == 0) {
            *at = ++next;
        }
        list->items[i].group_number = *at - 1;
    }
    list->groups = (size_t)next;
    tub__free(list->allocator, block);
    return TUB_OK;
}

tub_status tub__file_list_group(tub__file_list *list, const char *where, tub_error *err) {
    void *block;
    size_t grouped = 0;
    TUB__TRY(tub__alloc_array(list->allocator, list->count + 1, sizeof(entry), &block, err));
    entry *e = block;
    for (size_t i = 0; i < list->count; i++) {
        e[i] = (entry){list->items[i].file, list->items[i].group, i};
    }
    qsort(e, list->count, sizeof *e, by_file);
    tub_status status = number_files(list, e, where, err);
    for (size_t i = 0; i < list->count; i++) {
        if (e[i].group != NULL) {
            e[grouped++] = e[i];
        }
    }
    qsort(e, grouped, sizeof *e, by_group);
    if (status == TUB_OK) {
        join_groups(list, e, grouped);
        status = renumber(list, err);
    }
    tub__free(list->allocator, block);
    return status;
}

/* A group when it is dealt out. */
typedef struct dealt {
    char key[33];
    int32_t number, label;
    size_t samples;
} dealt;

static int by_label_and_key(const void *a, const void *b) {
    const dealt *x = a, *y = b;
    if (x->label != y->label) {
        return x->label < y->label ? -1 : 1;
    }
    const int order = strcmp(x->key, y->key);
    return order != 0 ? order : x->number < y->number ? -1 : x->number > y->number;
}

static void make_key(uint64_t seed, const char *name, char key[33]) {
    char text[32];
    tub__md5 md5;
    tub__md5_init(&md5);
    tub__md5_update(&md5, text, (size_t)snprintf(text, sizeof text, "%" PRIu64 "/", seed));
    tub__md5_update(&md5, name, strlen(name));
    tub__md5_finish(&md5, key);
}

/* A sample by its group and its class. */
typedef struct member {
    int32_t group, label;
} member;

static int by_group_and_label(const void *a, const void *b) {
    const member *x = a, *y = b;
    return x->group != y->group ? (x->group > y->group) - (x->group < y->group)
                                : (x->label > y->label) - (x->label < y->label);
}

/* What the groups are called, how large they are, and their class: the one that most samples have,
 * the first of several. m: [items], scratch. */
static void fill_dealt(const tub__file_list *list, uint64_t seed, member *m, dealt *groups) {
    for (size_t i = 0; i < list->count; i++) {
        const tub__file_item *item = &list->items[i];
        dealt *g = &groups[item->group_number];
        if (g->samples++ == 0) {
            make_key(seed, item->group != NULL ? item->group : item->name, g->key);
            g->number = item->group_number;
        }
        m[i] = (member){item->group_number, item->label};
    }
    qsort(m, list->count, sizeof *m, by_group_and_label);
    for (size_t begin = 0, end = 0, most = 0; begin < list->count; begin = end) {
        most = begin > 0 && m[begin].group == m[begin - 1].group ? most : 0;
        while (end < list->count && by_group_and_label(&m[end], &m[begin]) == 0) {
            end++;
        }
        if (end - begin > most) {
            most = end - begin;
            groups[m[begin].group].label = m[begin].label;
        }
    }
}

/* Deals the groups of one class, e[0 … count - 1]; split: of each group. */
static void deal_class(const dealt *e, size_t count, int *split) {
    static const int64_t share[TUB_SPLITS] = {70, 15, 15}; /* of a hundred */
    int64_t total = 0, lacking[TUB_SPLITS];
    for (size_t i = 0; i < count; i++) {
        total += (int64_t)e[i].samples;
    }
    for (int s = 0; s < TUB_SPLITS; s++) {
        lacking[s] = share[s] * total;
    }
    for (size_t i = 0; i < count; i++) {
        int most = TUB_TRAIN;
        for (int s = TUB_VAL; s < TUB_SPLITS; s++) {
            most = lacking[s] > lacking[most] ? s : most;
        }
        split[e[i].number] = most;
        lacking[most] -= 100 * (int64_t)e[i].samples;
    }
}

static tub_status deal(tub__file_list *list, uint64_t seed, member *members, dealt *groups,
                       tub_error *err) {
    void *block;
    TUB__TRY(tub__alloc_array(list->allocator, list->groups + 1, sizeof(int), &block, err));
    int *split = block;
    fill_dealt(list, seed, members, groups);
    qsort(groups, list->groups, sizeof *groups, by_label_and_key);
    for (size_t begin = 0, end = 0; begin < list->groups; begin = end) {
        while (end < list->groups && groups[end].label == groups[begin].label) {
            end++;
        }
        deal_class(groups + begin, end - begin, split);
    }
    for (size_t i = 0; i < list->count; i++) {
        list->items[i].split = split[list->items[i].group_number];
    }
    tub__free(list->allocator, block);
    return TUB_OK;
}

tub_status tub__file_list_split(tub__file_list *list, uint64_t seed, tub_error *err) {
    const tub_allocator *a = list->allocator;
    void *members, *groups = NULL;
    TUB__TRY(tub__alloc_array(a, list->count + 1, sizeof(member), &members, err));
    tub_status status = tub__alloc_array(a, list->groups + 1, sizeof(dealt), &groups, err);
    if (status == TUB_OK) {
        status = deal(list, seed, members, groups, err);
    }
    tub__free(a, groups);
    tub__free(a, members);
    return status;
}
