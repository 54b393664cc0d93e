/* SPDX-License-Identifier: Apache-2.0 */
/* The unit in which samples are summed, for whoever divides a batch. */
#ifndef TUB__BACKEND_GROUP_H
#define TUB__BACKEND_GROUP_H

/* Sums over samples are chained inside groups of this many (docs/numerics.md section 3). */
enum { TUB__GROUP = 4 };
/* Groups are added in a tree of so many levels: there are fewer of them than 2^TUB__TREE_LEVELS. */
enum { TUB__TREE_LEVELS = 17, TUB__GROUPS_LIMIT = (1 << TUB__TREE_LEVELS) - 1 };
/* Samples that a gradient may be summed over in one pass. */
enum { TUB__SAMPLES_LIMIT = TUB__GROUP * TUB__GROUPS_LIMIT };

#endif
