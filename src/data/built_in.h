/* SPDX-License-Identifier: Apache-2.0 */
/* The sets that are drawn from random numbers instead of read: what one is made of, and which there
 * are. docs/data.md describes them. */
#ifndef TUB__DATA_BUILT_IN_H
#define TUB__DATA_BUILT_IN_H

#include "base/alloc.h"
#include <tubelet/data.h>

/* One set, for ever the same: samples of uint8, one channel. */
typedef struct tub__built_in {
    const char *name;
    uint64_t seed; /* of the order of its classes; not the training seed */
    int64_t frames, height, width;
    int64_t classes;
    const char *const *labels; /* [classes] */
    int64_t count[TUB_SPLITS];
    size_t scratch; /* bytes that draw works in; 0: it gets NULL */
    /* Draws sample number `sample` of a split as one of class `label`: out is [T,H,W]. It follows
     * from these three alone, not from what scratch held before. */
    void (*draw)(void *scratch, tub_split split, uint32_t sample, int label, unsigned char *out);
} tub__built_in;

/* NULL: no built-in set has this name. */
const tub__built_in *tub__built_in_by_name(const char *name);

/* The class of each sample of a split, [count]: as equal in number as can be, in a fixed shuffled
 * order. */
TUB_MUST_USE tub_status tub__built_in_classes(const tub__built_in *set, const tub_allocator *a,
                                              tub_split split, int32_t *out, tub_error *err);

#endif
