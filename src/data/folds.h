/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the samples for cross-validation. */
#ifndef TUB__DATA_FOLDS_H
#define TUB__DATA_FOLDS_H

#include "data/dataset.h"

/* Cuts n samples into parts in which every class has about the same share. labels are those of info's
 * task, [n, label_columns]. groups [n]: samples of equal numbers are never parted; NULL: each goes by
 * itself. part [n]: 0 to folds - 1, none of them empty.
 *
 * Groups come in the order of a Fisher-Yates shuffle (the stream (index, 0, 0xf01d, 0) of
 * TUB__RANDOM_SHUFFLE), those of more samples first. Each goes to the part where the sum over classes
 * of (2 there * own + own * own) / all^2 is least: what it adds to the sum of squares of the shares.
 * Equal ones: that of fewer samples, then the first. So of samples without groups, each part gets the
 * same number of every class, or one more.
 * Errors: TUB_E_RANGE (more parts than groups), TUB_E_MEMORY. */
TUB_MUST_USE tub_status tub__folds_assign(const tub_allocator *a, const tub_dataset_info *info,
                                          size_t n, const int32_t *labels, const int32_t *groups,
                                          size_t folds, uint64_t seed, int32_t *part,
                                          tub_error *err);

#endif
