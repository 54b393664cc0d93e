/* SPDX-License-Identifier: Apache-2.0 */
/* The cheap metrics of the tasks that have more than one label a sample; tub_task_scores_compute in
 * tubelet/predict.h says what each is. Callers have entered the floating-point guard. */
#ifndef TUB__PREDICT_TASK_SCORES_H
#define TUB__PREDICT_TASK_SCORES_H

#include <tubelet/predict.h>

TUB_MUST_USE tub_status tub__label_scores(tub_context *ctx, int64_t n, int64_t labels,
                                          const float *probabilities, const int32_t *truth,
                                          tub_scores *out, tub_error *err);
TUB_MUST_USE tub_status tub__head_scores(tub_context *ctx, int64_t n, int64_t heads,
                                         const int64_t *head_classes, const float *probabilities,
                                         const int32_t *labels, tub_scores *out, tub_error *err);

#endif
