/* SPDX-License-Identifier: Apache-2.0 */
/* What each sample's row of probabilities says: predicted class, hits and loss. All metrics are
 * means over these. */
#ifndef TUB__PREDICT_JUDGE_H
#define TUB__PREDICT_JUDGE_H

#include "base/alloc.h"

/* A row of probabilities held against its label. */
typedef struct tub__verdict {
    int32_t predicted; /* the lowest index among the highest scores */
    float confidence;  /* the highest score */
    bool top1, top5;   /* the label is predicted; fewer than five classes score strictly higher than
                          the label */
    bool acc;          /* MedMNIST's: two classes: (last column > 0.5) is the label; more: top1 */
    double loss;  /* -log of the label's probability, clipped to [2^-23, 1 - 2^-23] as scikit-learn
                     does for float32 */
    double brier; /* sum over classes of (probability - truth)^2, halved for two classes */
} tub__verdict;

tub__verdict tub__judge(size_t classes, const float *row, int32_t label);

/* What the rows of several heads say together. */
typedef struct tub__joint_verdict {
    bool top1; /* every label is predicted */
    bool
        top5; /* fewer than five combinations of classes, one of each head, have a higher product of
                  scores than the labels have */
    double loss; /* the mean of the heads' losses */
} tub__joint_verdict;

/* row: the heads side by side; labels [heads]. */
tub__joint_verdict tub__judge_heads(size_t heads, const int64_t *head_classes, const float *row,
                                    const int32_t *labels);

/* How many of the labels are right: above the threshold is there. */
size_t tub__judge_labels(size_t labels, const float *row, const int32_t *truth, float threshold);
/* The mean over the labels of the log loss of their probabilities, clipped as tub__verdict's. */
double tub__labels_loss(size_t labels, const float *row, const int32_t *truth);

/* -log of a probability, clipped to [2^-23, 1 - 2^-23]. */
double tub__log_loss(float probability);

/* TUB_E_ARGUMENT for n or classes < 1 or too many, TUB_E_RANGE for a label outside 0 … classes - 1,
 * which is named. */
TUB_MUST_USE tub_status tub__judge_check(int64_t n, int64_t classes, const float *probabilities,
                                         const int32_t *labels, tub_error *err);
/* The same of [n, labels] that must be 0 or 1. */
TUB_MUST_USE tub_status tub__judge_check_labels(int64_t n, int64_t labels,
                                                const float *probabilities, const int32_t *truth,
                                                tub_error *err);
/* TUB_E_ARGUMENT for an impossible number of bootstrap draws. */
TUB_MUST_USE tub_status tub__judge_check_draws(int draws, tub_error *err);

#endif
