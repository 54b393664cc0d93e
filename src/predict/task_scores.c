/* SPDX-License-Identifier: Apache-2.0 */
/* The cheap metrics of any task. */
#include "predict/task_scores.h"

#include "base/fpenv.h"
#include "model/model.h"

static tub_status scores_of(tub_context *ctx, const tub_model_config *model, int64_t n,
                            const float *probabilities, const int32_t *labels, tub_scores *out,
                            tub_error *err) {
    const tub__outputs outputs = tub__model_outputs(model);
    switch (outputs.task) {
    case TUB_TASK_MULTI_LABEL:
        return tub__label_scores(ctx, n, model->classes, probabilities, labels, out, err);
    case TUB_TASK_MULTI_HEAD:
        return tub__head_scores(ctx, n, (int64_t)outputs.heads, model->head_classes, probabilities,
                                labels, out, err);
    default:
        return tub_scores_compute(ctx, n, model->classes, probabilities, labels, out, err);
    }
}

tub_status tub_task_scores_compute(tub_context *ctx, const tub_model_config *model, int64_t n,
                                   const float *probabilities, const int32_t *labels,
                                   tub_scores *out, tub_error *err) {
    tub__fpenv saved = tub__fpenv_enter();
    tub_status status = scores_of(ctx, model, n, probabilities, labels, out, err);
    tub__fpenv_leave(saved);
    return status;
}
