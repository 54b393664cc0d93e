/* SPDX-License-Identifier: Apache-2.0 */
/* Ranked scores: columns sorted once, from which areas under the ROC curve follow by counting. */
#ifndef TUB__PREDICT_RANKING_H
#define TUB__PREDICT_RANKING_H

#include "base/alloc.h"

/* Order of the samples in every column of [n, classes] scores. A bootstrap draw only changes how
 * often a sample counts, never the order, so a draw's AUC is one walk along a column and no
 * sorting. */
typedef struct tub__ranking {
    size_t n, classes;
    uint32_t *order; /* [classes][n] sample indices by increasing score; top bit: the score differs
                        from the one before */
    unsigned char *undefined; /* [classes] non-zero: a score of the column is NaN */
    const tub_allocator *allocator;
} tub__ranking;

/* n < 2^31. Sorts are stable and use only the scores' bits: the same everywhere. */
TUB_MUST_USE tub_status tub__ranking_create(const tub_allocator *a, size_t n, size_t classes,
                                            const float *scores, tub__ranking *out, tub_error *err);
void tub__ranking_destroy(tub__ranking *r);

/* Area under the ROC curve of one column, samples with labels[i] == column against all others; ties
 * count half. weight[i] is how often sample i counts (NULL: once). NaN when a side is empty or a
 * score is NaN. */
double tub__ranking_auc(const tub__ranking *r, size_t column, const int32_t *labels,
                        const uint32_t *weight);
/* MedMNIST's AUC: two classes: the last column; more: the plain mean over the columns (NaN when one
 * is undefined). */
double tub__ranking_medmnist_auc(const tub__ranking *r, const int32_t *labels,
                                 const uint32_t *weight);

#endif
