/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of a model's answers, whatever its task. */
#ifndef APP_EVAL_RESULT_H
#define APP_EVAL_RESULT_H

#include <stdbool.h>
#include <tubelet/tubelet.h>

/* The one of the task; the others are NULL. */
typedef struct eval_result {
    tub_metrics *metrics;
    tub_label_metrics *labels;
    tub_head_metrics *heads;
} eval_result;

/* Whether the five likeliest of so many classes say anything; of heads: of any of them. What people read leaves top-5
 * out where not. */
bool eval_result_top5(int64_t classes);
bool eval_result_heads_top5(const tub_head_metrics *m);

/* Of probabilities [n,K] and labels [n,label_columns]. Errors: those of the functions for the tasks
 * (tubelet/predict.h). eval_result_free in any case. */
TUB_MUST_USE tub_status eval_result_compute(tub_context *ctx, const tub_model_config *c, int64_t n,
                                            const float *probabilities, const int32_t *labels,
                                            int draws, eval_result *out, tub_error *err);
void eval_result_free(tub_context *ctx, eval_result *r);
/* Names of the classes: the model's, or those of data with as many; NULL: none. */
const char *const *eval_result_labels(const tub_model *model, const tub_dataset_info *info);

#endif
