/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of files: what folders and .csv files have in common. */
#include "data/file_list.h"

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/number.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CLASS_LIMIT = 100000 }; /* as many as a model may have */

bool tub__is_file_list(const char *path) {
    static const char *const endings[] = {".csv", ".txt", ".list"};
    const size_t length = strlen(path);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t n = strlen(endings[i]);
        if (length > n && strcasecmp(path + length - n, endings[i]) == 0) {
            return true;
        }
    }
    return tub__is_folder(path);
}

tub_status tub__file_list_add(tub__file_list *list, tub__file_item **out, tub_error *err) {
    void *items = list->items;
    if (list->count >= INT32_MAX) {
        return tub__fail(err, TUB_E_RANGE, "a data set has at most %d samples", INT32_MAX);
    }
    TUB__TRY(tub__alloc_room(list->allocator, &items, list->count, sizeof(tub__file_item),
                             &list->room, err));
    list->items = items;
    *out = &list->items[list->count++];
    **out = (tub__file_item){.end = -1, .split = -1};
    return TUB_OK;
}

/* The slot of a class in the table, or the one where it belongs. */
static uint32_t *class_slot(const tub__file_list *list, const char *name) {
    const size_t mask = list->class_slots - 1;
    size_t at = (size_t)tub__hash64(name, strlen(name), 0) & mask;
    while (list->class_table[at] != 0 &&
           strcmp(list->classes[list->class_table[at] - 1], name) != 0) {
        at = (at + 1) & mask;
    }
    return &list->class_table[at];
}

static void drop_table(tub__file_list *list) {
    tub__free(list->allocator, list->class_table);
    list->class_table = NULL;
    list->class_slots = 0;
}

/* At least half of the table is free: a power of two of slots. */
static tub_status make_table(tub__file_list *list, tub_error *err) {
    size_t slots = 64;
    void *block;
    while (slots < 4 * list->class_count) {
        slots *= 2;
    }
    TUB__TRY(tub__alloc_array(list->allocator, slots, sizeof(uint32_t), &block, err));
    drop_table(list);
    list->class_table = block;
    list->class_slots = slots;
    for (size_t k = 0; k < list->class_count; k++) {
        *class_slot(list, list->classes[k]) = (uint32_t)k + 1;
    }
    return TUB_OK;
}

tub_status tub__file_list_class(tub__file_list *list, const char *name, int32_t *out,
                                tub_error *err) {
    void *names = list->classes;
    if (2 * (list->class_count + 1) > list->class_slots) {
        TUB__TRY(make_table(list, err));
    }
    uint32_t *slot = class_slot(list, name);
    if (*slot != 0) {
        *out = (int32_t)*slot - 1;
        return TUB_OK;
    }
    if (list->class_count >= CLASS_LIMIT) {
        return tub__fail(err, TUB_E_RANGE, "more than %d classes", CLASS_LIMIT);
    }
    TUB__TRY(tub__alloc_room(list->allocator, &names, list->class_count, sizeof(char *),
                             &list->class_room, err));
    list->classes = names;
    TUB__TRY(tub__alloc_string(list->allocator, name, &list->classes[list->class_count], err));
    *out = (int32_t)list->class_count++;
    *slot = (uint32_t)list->class_count;
    return TUB_OK;
}

typedef struct named {
    char *name;
    int64_t value;
    int32_t number;
} named;

static int by_name(const void *a, const void *b) {
    return strcmp(((const named *)a)->name, ((const named *)b)->name);
}

static int by_value(const void *a, const void *b) {
    const int64_t x = ((const named *)a)->value, y = ((const named *)b)->value;
    return x < y ? -1 : x > y ? 1 : by_name(a, b);
}

tub_status tub__file_list_sort_classes(tub__file_list *list, tub_error *err) {
    void *block, *numbers;
    bool whole = true;
    drop_table(list); /* of numbers that hold no longer */
    TUB__TRY(tub__alloc_array(list->allocator, list->class_count + 1, sizeof(named), &block, err));
    const tub_status status =
        tub__alloc_array(list->allocator, list->class_count + 1, sizeof(int32_t), &numbers, err);
    if (status != TUB_OK) {
        tub__free(list->allocator, block);
        return status;
    }
    named *sorted = block;
    int32_t *number = numbers;
    for (size_t k = 0; k < list->class_count; k++) {
        sorted[k] = (named){.name = list->classes[k], .number = (int32_t)k};
        whole = whole && tub__number_to_int(list->classes[k], &sorted[k].value);
    }
    qsort(sorted, list->class_count, sizeof *sorted, whole ? by_value : by_name);
    for (size_t k = 0; k < list->class_count; k++) {
        list->classes[k] = sorted[k].name;
        number[sorted[k].number] = (int32_t)k;
    }
    for (size_t i = 0; i < list->count; i++) {
        list->items[i].label = number[list->items[i].label];
    }
    tub__free(list->allocator, numbers);
    tub__free(list->allocator, block);
    return TUB_OK;
}

/* Of the splits that data say: "rows 3 and 7". */
static tub_status check_splits(const tub__file_list *list, const char *where, tub_error *err) {
    void *block;
    tub_status status = TUB_OK;
    TUB__TRY(tub__alloc_array(list->allocator, list->groups + 1, sizeof(size_t), &block, err));
    size_t *first = block; /* item of each group, plus one */
    for (size_t i = 0; i < list->count && status == TUB_OK; i++) {
        const tub__file_item *item = &list->items[i];
        size_t *at = &first[item->group_number];
        if (*at == 0) {
            *at = i + 1;
            continue;
        }
        const tub__file_item *other = &list->items[*at - 1];
        if (other->split != item->split &&
            item->line > 0) { /* of links in folders it is a warning */
            status = tub__fail(
                err, TUB_E_FORMAT,
                "%s: lines %zu and %zu are both of %s %.200s, but in the splits %s and %s; a group "
                "never crosses splits",
                where, other->line, item->line, item->group != NULL ? "group" : "the file",
                item->group != NULL ? item->group : item->name,
                tub_split_name((tub_split)other->split), tub_split_name((tub_split)item->split));
        }
    }
    tub__free(list->allocator, block);
    return status;
}

static tub_status read_list(tub_context *ctx, const char *path, uint64_t split_seed,
                            tub__file_list *out, tub_error *err) {
    TUB__TRY(tub__is_folder(path) ? tub__file_list_scan(ctx, path, out, err)
                                  : tub__file_list_rows(ctx, path, out, err));
    TUB__TRY(tub__file_list_sort_classes(out, err));
    TUB__TRY(tub__file_list_number(out, err));
    TUB__TRY(tub__file_list_group(out, path, err));
    TUB__TRY(tub__file_list_check_rows(out, path, err));
    return out->has_splits ? check_splits(out, path, err)
                           : tub__file_list_split(out, split_seed, err);
}

tub_status tub__file_list_read(tub_context *ctx, const char *path, uint64_t split_seed,
                               tub__file_list *out, tub_error *err) {
    *out = (tub__file_list){.allocator = &ctx->allocator};
    const tub_status status = read_list(ctx, path, split_seed, out, err);
    if (status != TUB_OK) {
        tub__file_list_free(out);
    }
    return status;
}

void tub__file_list_free(tub__file_list *list) {
    const tub_allocator *a = list->allocator;
    if (a == NULL) {
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        tub__free(a, list->items[i].path);
        tub__free(a, list->items[i].group);
    }
    for (size_t k = 0; k < list->class_count; k++) {
        tub__free(a, list->classes[k]);
    }
    drop_table(list);
    tub__free(a, list->first_ignored);
    tub__free(a, list->nearly_split);
    tub__free(a, list->passed_over);
    tub__free(a, list->items);
    tub__free(a, list->classes);
    *list = (tub__file_list){0};
}
