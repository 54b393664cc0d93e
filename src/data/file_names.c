/* SPDX-License-Identifier: Apache-2.0 */
/* Which names of a list are one file: "a.mp4", "./x/../a.mp4", the same from the root on, and links to it. */
#include "base/error.h"
#include "data/file_list.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The one name of a file. Of what is none, a member of an archive or what is not there, that of its folder and
 * the rest as it is written. */
static void find_true_name(const char *path, char out[PATH_MAX]) {
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (realpath(path, out) != NULL) {
        return;
    }
    const int length = slash == NULL ? 1 : slash == path ? 1 : (int)(slash - path);
    snprintf(folder, sizeof folder, "%.*s", length, slash == NULL ? "." : path);
    if (realpath(folder, out) == NULL) {
        snprintf(out, PATH_MAX, "%s", path);
        return;
    }
    const size_t used = strlen(out);
    snprintf(out + used, PATH_MAX - used, "/%s", slash == NULL ? path : slash + 1);
}

typedef struct named {
    char *name;
    size_t item;
} named;

static int by_name(const void *a, const void *b) {
    const named *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    return order != 0 ? order : (x->item > y->item) - (x->item < y->item);
}

static tub_status name_all(const tub__file_list *list, named *names, tub_error *err) {
    char name[PATH_MAX];
    for (size_t i = 0; i < list->count; i++) {
        find_true_name(list->items[i].path, name);
        names[i].item = i;
        TUB__TRY(tub__alloc_string(list->allocator, name, &names[i].name, err));
    }
    return TUB_OK;
}

/* From 0 in the order of the list: each item has the first of its file for a moment, then its number. */
static void number_all(tub__file_list *list, const named *names) {
    int32_t next = 0;
    for (size_t i = 0, first = 0; i < list->count; i++) {
        first = i > 0 && strcmp(names[i].name, names[i - 1].name) == 0 ? first : names[i].item;
        list->items[names[i].item].file = (int32_t)first;
    }
    for (size_t i = 0; i < list->count; i++) {
        tub__file_item *item = &list->items[i];
        item->file = item->file == (int32_t)i ? next++ : list->items[item->file].file;
    }
}

tub_status tub__file_list_number(tub__file_list *list, tub_error *err) {
    void *block;
    TUB__TRY(tub__alloc_array(list->allocator, list->count + 1, sizeof(named), &block, err));
    named *names = block;
    const tub_status status = name_all(list, names, err);
    if (status == TUB_OK) {
        qsort(names, list->count, sizeof *names, by_name);
        number_all(list, names);
    }
    for (size_t i = 0; i < list->count; i++) {
        tub__free(list->allocator, names[i].name);
    }
    tub__free(list->allocator, block);
    return status;
}

/* ---- Rows that say the same part of a file ---- */

static int by_part(const void *a, const void *b) {
    const tub__file_item *x = *(const tub__file_item *const *)a,
                         *y = *(const tub__file_item *const *)b;
    return x->file != y->file     ? (x->file > y->file) - (x->file < y->file)
           : x->start != y->start ? (x->start > y->start) - (x->start < y->start)
           : x->end != y->end     ? (x->end > y->end) - (x->end < y->end)
                                  : (x > y) - (x < y);
}

static bool is_same_part(const tub__file_item *x, const tub__file_item *y) {
    return x->file == y->file && x->start == y->start && x->end == y->end;
}

tub_status tub__file_list_check_rows(tub__file_list *list, const char *where, tub_error *err) {
    void *block;
    tub_status status = TUB_OK;
    TUB__TRY(
        tub__alloc_array(list->allocator, list->count + 1, sizeof(tub__file_item *), &block, err));
    const tub__file_item **sorted = block;
    for (size_t i = 0; i < list->count; i++) {
        sorted[i] = &list->items[i];
    }
    qsort(sorted, list->count, sizeof *sorted, by_part);
    for (size_t i = 1; i < list->count && status == TUB_OK; i++) {
        const tub__file_item *x = sorted[i - 1], *y = sorted[i];
        if (y->line == 0 || !is_same_part(x, y)) {
            continue;
        }
        if (x->label != y->label) {
            status = tub__fail(err, TUB_E_FORMAT,
                               "%s: lines %zu and %zu are the same part of %.200s, but of the "
                               "classes '%.80s' and '%.80s'; a sample has one class",
                               where, x->line, y->line, y->name, list->classes[x->label],
                               list->classes[y->label]);
        }
        if (list->repeated++ == 0) {
            list->repeated_line[0] = x->line;
            list->repeated_line[1] = y->line;
        }
    }
    tub__free(list->allocator, block);
    return status;
}
