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

/* What is positive for a column: the samples of that class; or, where samples have `columns` > 1
 * labels, those whose label of the column is 1. */
typedef struct tub__truth {
    const int32_t *labels; /* [n, columns] */
    size_t columns;
} tub__truth;

static inline bool tub__truth_of(const tub__truth *t, size_t sample, size_t column) {
    return t->columns > 1 ? t->labels[sample * t->columns + column] != 0
                          : t->labels[sample] == (int32_t)column;
}

/* Area under the ROC curve of one column, positive samples against all others; ties count half.
 * weight[i] is how often sample i counts (NULL: once). NaN when a side is empty or a score is NaN. */
double tub__ranking_auc(const tub__ranking *r, size_t column, const tub__truth *truth,
                        const uint32_t *weight);
/* Average precision of one column, as scikit-learn's: the sum over thresholds, falling, of the recall
 * that each adds times the precision there; 0 without a positive sample, NaN with a NaN score. */
double tub__ranking_precision(const tub__ranking *r, size_t column, const tub__truth *truth,
                              const uint32_t *weight);
/* MedMNIST's AUC: two classes: the last column; more, or labels: the plain mean over the columns (NaN when one
 * is undefined). */
double tub__ranking_medmnist_auc(const tub__ranking *r, const tub__truth *truth,
                                 const uint32_t *weight);
/* The plain mean of the columns' average precisions. */
double tub__ranking_mean_precision(const tub__ranking *r, const tub__truth *truth,
                                   const uint32_t *weight);

#endif
