/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a data set, with their classes: from folders, or from the rows of a .csv. Nothing is opened:
 * the list, and the splits made of it, follow from names alone. (Of two names it is asked whether they lead to one
 * file.) */
#ifndef TUB__DATA_FILE_LIST_H
#define TUB__DATA_FILE_LIST_H

#include "base/context.h"
#include <stdbool.h>
#include <tubelet/data.h>

/* One sample: a file, a folder of pictures, or a part of one. */
typedef struct tub__file_item {
    char *path;       /* that opens it */
    const char *name; /* within the set: from its folder on; in path */
    char *group;      /* of the column; NULL: none */
    size_t line;      /* of the .csv; 0: from a folder */
    int64_t start;    /* nanoseconds */
    int64_t end;      /* the first nanosecond behind the part; -1: to the end of the file */
    int32_t label;
    int32_t file;         /* from 0; names of one file have one number */
    int32_t group_number; /* from 0; those of one group never cross splits */
    int split;            /* a tub_split; -1: not said */
} tub__file_item;

typedef struct tub__file_list {
    const tub_allocator *allocator;
    tub__file_item *items; /* of a folder sorted by class, then name; of a .csv in its order */
    size_t count, room;
    char **classes; /* sorted by bytes, or by value where all are whole numbers */
    size_t class_count, class_room;
    uint32_t
        *class_table; /* [class_slots]: number of a class and 1, by the hash of its name; 0: none */
    size_t class_slots;
    size_t groups;
    bool has_groups;         /* a group is more than one sample somewhere, or there is a column */
    bool has_splits;         /* the data say them */
    size_t repeated;         /* rows that say a part of a file again, with the same class */
    size_t repeated_line[2]; /* of the first of them: where it stands, twice */
    size_t ignored;          /* files beside class folders, folders beside splits */
    char *first_ignored;     /* its name within the set, or NULL */
    char *nearly_split;      /* the name of a class that a split has but for capitals, or NULL */
    char *passed_over;       /* columns of a .csv that nothing reads, or NULL */
    bool misspelt;           /* one of them has nearly the name of one that is read */
} tub__file_list;

/* Whether a path is what tub__file_list_read reads: a folder, or a name that ends in .csv, .txt or .list. */
bool tub__is_file_list(const char *path);
/* Lists a folder DIR/CLASS/FILE or DIR/{train,val,test}/CLASS/FILE, or a .csv with the columns path and
 * label and perhaps start, end, split and group. Where they say no splits, each sample has one by the
 * seed (tub__file_list_split). One sentence for what is no such thing, TUB_E_FORMAT, and for groups
 * that cross splits, with their lines. */
TUB_MUST_USE tub_status tub__file_list_read(tub_context *ctx, const char *path, uint64_t split_seed,
                                            tub__file_list *out, tub_error *err);
void tub__file_list_free(tub__file_list *list); /* accepts a cleared one */

/* The names in a folder, sorted by bytes, without hidden ones. */
typedef struct tub__names {
    const tub_allocator *allocator;
    char **list;
    size_t count, room;
} tub__names;
/* *out is freed by tub__names_free, on failure too. */
TUB_MUST_USE tub_status tub__names_read(const tub_allocator *a, const char *path, tub__names *out,
                                        tub_error *err);
void tub__names_free(tub__names *n);

/* Parts of the reading. */
TUB_MUST_USE tub_status tub__file_list_scan(tub_context *ctx, const char *folder,
                                            tub__file_list *out, tub_error *err);
TUB_MUST_USE tub_status tub__file_list_rows(tub_context *ctx, const char *path, tub__file_list *out,
                                            tub_error *err);
/* One more item, cleared but for split -1 and end -1. */
TUB_MUST_USE tub_status tub__file_list_add(tub__file_list *list, tub__file_item **out,
                                           tub_error *err);
/* The number of a class by its name, which is added where it is new. */
TUB_MUST_USE tub_status tub__file_list_class(tub__file_list *list, const char *name, int32_t *out,
                                             tub_error *err);
/* Sorts the classes and numbers the items' labels anew. */
TUB_MUST_USE tub_status tub__file_list_sort_classes(tub__file_list *list, tub_error *err);
/* Numbers the files: names that lead to one, by ways or links, have one number. */
TUB_MUST_USE tub_status tub__file_list_number(tub__file_list *list, tub_error *err);
/* Counts rows that say a part of a file twice. TUB_E_FORMAT where they say two classes. */
TUB_MUST_USE tub_status tub__file_list_check_rows(tub__file_list *list, const char *where,
                                                  tub_error *err);
/* Numbers the groups: items of one group text, or of one file. TUB_E_FORMAT where a file stands in two. */
TUB_MUST_USE tub_status tub__file_list_group(tub__file_list *list, const char *where,
                                             tub_error *err);
/* Gives each group one of the splits: of each class 70 % of the samples to train, 15 % to val and 15 % to
 * test, as near as its groups can come. Which, follows from the seed and the names of the groups alone:
 * the groups of a class come in the order of the MD5 of "SEED/NAME", each to the split that lacks most. */
TUB_MUST_USE tub_status tub__file_list_split(tub__file_list *list, uint64_t seed, tub_error *err);

#endif
