/* SPDX-License-Identifier: Apache-2.0 */
/* Means over the views of a sample. */
#ifndef TUB__PREDICT_AVERAGE_H
#define TUB__PREDICT_AVERAGE_H

#include "model/model.h"
#include <tubelet/predict.h>

/* Logits [K] of one answer, or of the mean of several. */
typedef struct tub__logits {
    const float *values;
    const double *sums; /* instead of values: over `count` answers */
    double count;       /* 1 of values */
} tub__logits;
/* Probabilities [K] of logits as a model's outputs are read: a softmax, sigmoids, or a softmax a head. In float64,
 * in the order of the classes. */
void tub__probabilities_of_mean(const tub__outputs *o, size_t classes, const tub__logits *logits,
                                float *out);
/* The same of one answer. */
void tub__probabilities_of(const tub_model_config *c, const float *logits, float *out);
/* Means over `views` rows of K, summed in their order in float64. Of one view the rows themselves. Of
 * several: mean_logits is the mean of logits; mean_probabilities what becomes of that or, with
 * TUB_AVERAGE_PROBABILITIES, the mean of probabilities. */
void tub__average_views(const tub_model_config *c, tub_average average, int64_t views,
                        const float *logits, const float *probabilities, float *mean_logits,
                        float *mean_probabilities);

#endif
