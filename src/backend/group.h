/* SPDX-License-Identifier: Apache-2.0 */
/* The unit in which samples are summed, for whoever divides a batch. */
#ifndef TUB__BACKEND_GROUP_H
#define TUB__BACKEND_GROUP_H

/* Sums over samples are chained inside groups of this many (docs/numerics.md section 2). */
enum { TUB__GROUP = 4 };
/* Samples that a gradient may be summed over in one pass: the tree of groups is no higher. */
enum { TUB__SAMPLES_LIMIT = 4 * ((1 << 17) - 1) };

#endif
