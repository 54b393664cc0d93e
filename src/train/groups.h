/* SPDX-License-Identifier: Apache-2.0 */
/* How a batch is divided: groups of 4 samples are the leaves of one balanced binary tree, and
 * every part owns a whole subtree.
 *
 *   batch of 26: groups   0    1    2    3    4    5    6(2)  -   7 groups, 8 leaves, one absent
 *                          \  /      \  /      \  /      \  /
 *                 rank 0: --+---------+--  rank 1: --+-----+--
 *
 * The tree is that of the whole batch size, also for an epoch's shorter last batch: an absent
 * leaf adds nothing, so the order of the sums is the same as in the smaller tree
 * (docs/numerics.md section 3). */
#ifndef TUB__TRAIN_GROUPS_H
#define TUB__TRAIN_GROUPS_H

#include "backend/group.h"
#include <stddef.h>

/* Leaves of the tree over a batch: the least power of two that is at least the number of groups. */
static inline size_t tub__tree_leaves(size_t batch) {
    size_t groups = (batch + TUB__GROUP - 1) / TUB__GROUP, leaves = 1;
    while (leaves < groups) {
        leaves *= 2;
    }
    return leaves;
}

/* Samples [*begin, *end) of the batch that part `part` of `parts` owns; empty when begin == end. */
static inline void tub__tree_part(size_t batch, size_t leaves, size_t part, size_t parts,
                                  size_t *begin, size_t *end) {
    size_t first = leaves / parts * part * TUB__GROUP,
           last = leaves / parts * (part + 1) * TUB__GROUP;
    *begin = first < batch ? first : batch;
    *end = last < batch ? last : batch;
}

#endif
