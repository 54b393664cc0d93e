/* SPDX-License-Identifier: Apache-2.0 */
/* In which order an epoch takes the samples of a split: a function of seed and epoch alone. */
#ifndef TUB__DATA_ORDER_H
#define TUB__DATA_ORDER_H

#include "base/alloc.h"
#include <stdbool.h>
#include <stdint.h>

typedef enum tub__order_kind {
    TUB__ORDER_FILE,     /* 0, 1, 2, ... */
    TUB__ORDER_SHUFFLED, /* tub__permutation: each sample once */
    /* As many draws as there are samples, shared out equally among the n classes that have any: what
     * the division leaves goes, one each, to classes epoch * rest, epoch * rest + 1, ... (mod n). A
     * class goes through its own samples in a new order again and again, so that none of them comes
     * twice before all have come once. Then all draws are mixed by tub__permutation.
     * Order number r of class c: Fisher-Yates over the stream (index, 1 + c, r, epoch) of
     * TUB__RANDOM_SHUFFLE. */
    TUB__ORDER_BALANCED
} tub__order_kind;

typedef struct tub__order {
    const tub_allocator *allocator;
    tub__order_kind kind;
    uint64_t seed;
    size_t count;
    size_t classes;     /* that have samples; of TUB__ORDER_BALANCED, as the rest */
    uint32_t *class_of; /* [classes]: their numbers */
    size_t *begin;      /* [classes + 1]: where each one's samples begin in members */
    uint32_t *members;  /* [count], by class, ascending */
    uint32_t *turn;     /* [count]: room for one class's order */
    uint32_t *drawn;    /* [count] */
} tub__order;

/* labels [count], each below `classes`: read by TUB__ORDER_BALANCED only, and not kept. count is at
 * most UINT32_MAX. */
TUB_MUST_USE tub_status tub__order_create(const tub_allocator *a, tub__order_kind kind,
                                          uint64_t seed, const int32_t *labels, size_t count,
                                          size_t classes, tub__order *out, tub_error *err);
void tub__order_destroy(tub__order *o); /* accepts a cleared one */
/* out [count]: indices in the split, as epoch `epoch` (from 0) takes them. */
void tub__order_fill(tub__order *o, uint32_t epoch, uint32_t *out);

#endif
