/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of a model's answers. */
#include "eval_result.h"

tub_status eval_result_compute(tub_context *ctx, const tub_model_config *c, int64_t n,
                               const float *probabilities, const int32_t *labels, int draws,
                               eval_result *out, tub_error *err) {
    int64_t heads = 0;
    while (heads < TUB_HEAD_LIMIT && c->head_classes[heads] != 0) {
        heads++;
    }
    switch (c->task) {
    case TUB_TASK_MULTI_LABEL:
        return tub_label_metrics_compute(ctx, n, c->classes, probabilities, labels, 1, draws,
                                         &out->labels, err);
    case TUB_TASK_MULTI_HEAD:
        return tub_head_metrics_compute(ctx, n, heads, c->head_classes, probabilities, labels, 1,
                                        draws, &out->heads, err);
    default:
        return tub_metrics_compute(ctx, n, c->classes, probabilities, labels, 1, draws,
                                   &out->metrics, err);
    }
}

void eval_result_free(tub_context *ctx, eval_result *r) {
    tub_metrics_free(ctx, r->metrics);
    tub_label_metrics_free(ctx, r->labels);
    tub_head_metrics_free(ctx, r->heads);
}

const char *const *eval_result_labels(const tub_model *model, const tub_dataset_info *info) {
    const char *const *labels = tub_model_labels(model);
    return labels != NULL                                        ? labels
           : tub_model_describe(model)->classes == info->classes ? info->labels
                                                                 : NULL;
}

bool eval_result_top5(int64_t classes) {
    return classes > 5;
}

bool eval_result_heads_top5(const tub_head_metrics *m) {
    bool any = false;
    for (int64_t h = 0; h < m->heads; h++) {
        any = any || eval_result_top5(m->head[h]->classes);
    }
    return any;
}
