/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the arrays that a map is made of, written part by part: none of them need be in memory.
 * They get their names together, when the map is made. */
#ifndef TUB__EXPLAIN_RAW_H
#define TUB__EXPLAIN_RAW_H

#include "base/file.h"

enum { TUB__RAW_RANK = 5, TUB__RAW_FILES = 8 };

/* An array of float32 in a .npy file. */
typedef struct tub__raw {
    const char *name;
    tub__writer writer;
    uint64_t begin; /* of the elements */
} tub__raw;

/* The files of one map. */
typedef struct tub__raws {
    const tub_allocator *allocator;
    const char *prefix; /* NULL: none are written, and nothing is done for them */
    tub__raw file[TUB__RAW_FILES];
    int count;
} tub__raws;

/* PREFIX-NAME.npy; one of the same name that was begun before is given up. *out: NULL without a
 * prefix. It is tub__raws_commit's or tub__raws_abort's to close. */
TUB_MUST_USE tub_status tub__raw_open(tub__raws *all, const char *name, int rank,
                                      const uint64_t *shape, tub__raw **out, tub_error *err);
/* Elements from number `first` on. raw NULL: does nothing. */
TUB_MUST_USE tub_status tub__raw_put(tub__raw *raw, uint64_t first, const float *values,
                                     size_t count, tub_error *err);
/* A whole array. */
TUB_MUST_USE tub_status tub__raw_write(tub__raws *all, const char *name, int rank,
                                       const uint64_t *shape, const float *values, tub_error *err);
/* Gives all files their names. Where one can't get its own, the others are removed again. */
TUB_MUST_USE tub_status tub__raws_commit(tub__raws *all, tub_error *err);
/* Accepts what is committed. */
void tub__raws_abort(tub__raws *all);

#endif
