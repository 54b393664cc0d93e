/* SPDX-License-Identifier: Apache-2.0 */
/* Ranks: who shares a training step. One process alone, or several simulated by threads; MPI
 * later. */
#ifndef TUB__DIST_DIST_H
#define TUB__DIST_DIST_H

#include "base/alloc.h"
#include <stdbool.h>
#include <stddef.h>

typedef struct tub__dist tub__dist;

/* Operations of one rank. All ranks call the same ones in the same order. */
struct tub__dist {
    int rank, size;
    /* Gathers every rank's pointer-sized view for a balanced binary tree: buffers of `elements`
     * reals are summed pairwise (rank 0 + 1, 2 + 3, then those …), left operand first; a rank
     * whose `present` is false contributes nothing (not zero). The sum replaces every rank's
     * buffer. add does to = to + from over elements. */
    void (*tree_sum)(tub__dist *d, void *buffer, size_t elements, size_t element_size, bool present,
                     void (*add)(void *user, void *to, const void *from, size_t elements),
                     void *user);
    void (*barrier)(tub__dist *d);
    void (*broadcast)(tub__dist *d, void *bytes, size_t size); /* from rank 0 */
    void *implementation;
};

/* The only rank of one process. */
tub__dist tub__dist_alone(void);

/* `size` ranks as threads of this process, for tests and `--ranks`. members[0…size-1] are
 * filled; each is used by its own thread. */
typedef struct tub__dist_group tub__dist_group;
TUB_MUST_USE tub_status tub__dist_group_create(const tub_allocator *a, int size, tub__dist *members,
                                               tub__dist_group **out, tub_error *err);
void tub__dist_group_destroy(tub__dist_group *group); /* accepts NULL */

#endif
