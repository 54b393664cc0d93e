/* SPDX-License-Identifier: Apache-2.0 */
/* Using a trained model: evaluation with metrics and confidence intervals. */
#ifndef TUBELET_PREDICT_H
#define TUBELET_PREDICT_H

#include <tubelet/data.h>
#include <tubelet/model.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A metric with its 95 % percentile bootstrap interval; NaN where it is undefined. */
typedef struct tub_interval {
    double value, low, high;
} tub_interval;

typedef struct tub_class_scores {
    int64_t support;              /* samples of this class */
    double precision, recall, f1; /* 0 where the denominator is 0 */
    double auc;                   /* one versus rest; NaN when a side is empty */
} tub_class_scores;

/* docs/metrics.md says how each is computed. */
typedef struct tub_metrics {
    int64_t samples, classes;
    tub_interval top1, top5, auc, acc, loss; /* acc: MedMNIST's (binary: last column > 0.5) */
    double balanced_accuracy, macro_f1, calibration_error, brier;
    int64_t *confusion;          /* [classes][classes], row true, column predicted */
    tub_class_scores *per_class; /* [classes] */
} tub_metrics;

/* Metrics of probabilities [n,K] against labels [n]. *out is freed by tub_metrics_free. seed: of
 * the bootstrap; draws: 1000 is usual, 0 none. Errors: TUB_E_RANGE (a label outside 0 … K-1),
 * TUB_E_ARGUMENT (n or K < 1), TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_metrics_compute(tub_context *ctx, int64_t n, int64_t classes,
                                                    const float *probabilities,
                                                    const int32_t *labels, uint64_t seed, int draws,
                                                    tub_metrics **out, tub_error *err);
TUB_API void tub_metrics_free(tub_context *ctx, tub_metrics *metrics);
/* One label of multi_label, predicted where its probability is above 0.5. */
typedef struct tub_label_scores {
    int64_t support;              /* samples that have it */
    double precision, recall, f1; /* 0 where the denominator is 0 */
    double auc;                   /* NaN when all samples have it, or none */
    double average_precision;     /* as scikit-learn's: 0 when none has it */
} tub_label_scores;

/* Metrics of independent labels (docs/metrics.md). */
typedef struct tub_label_metrics {
    int64_t samples, labels;
    tub_interval auc, acc;                      /* MedMNIST's */
    tub_interval precision, micro_f1, macro_f1; /* precision: the mean of average_precision (mAP) */
    tub_interval loss;
    double exact_match; /* share of samples with all labels right */
    tub_label_scores *per_label;
} tub_label_metrics;

/* Metrics of probabilities [n,K] against labels [n,K] of 0 and 1. *out is freed by
 * tub_label_metrics_free; the rest as tub_metrics_compute. */
TUB_API TUB_MUST_USE tub_status tub_label_metrics_compute(
    tub_context *ctx, int64_t n, int64_t labels, const float *probabilities, const int32_t *truth,
    uint64_t seed, int draws, tub_label_metrics **out, tub_error *err);
TUB_API void tub_label_metrics_free(tub_context *ctx, tub_label_metrics *metrics);

/* Metrics of several heads: each one's own, and those of all together. */
typedef struct tub_head_metrics {
    int64_t samples, heads;
    /* top1: every head is right. top5: fewer than five combinations of classes, one of each head,
     * have a higher product of probabilities than the right one. loss: the mean of the heads'. */
    tub_interval top1, top5, loss;
    tub_metrics *head[TUB_HEAD_LIMIT];
} tub_head_metrics;

/* Metrics of probabilities [n,K], the heads side by side, against labels [n,heads]. head_classes adds up
 * to K. *out is freed by tub_head_metrics_free; the rest as tub_metrics_compute. */
TUB_API TUB_MUST_USE tub_status tub_head_metrics_compute(tub_context *ctx, int64_t n, int64_t heads,
                                                         const int64_t *head_classes,
                                                         const float *probabilities,
                                                         const int32_t *labels, uint64_t seed,
                                                         int draws, tub_head_metrics **out,
                                                         tub_error *err);
TUB_API void tub_head_metrics_free(tub_context *ctx, tub_head_metrics *metrics);

/* The cheap ones only (loss, top-1, top-5, AUC), as after each epoch. */
TUB_API TUB_MUST_USE tub_status tub_scores_compute(tub_context *ctx, int64_t n, int64_t classes,
                                                   const float *probabilities,
                                                   const int32_t *labels, tub_scores *out,
                                                   tub_error *err);

/* The same of any task: what the numbers mean and how many labels a sample has is the model's. Of
 * multi_label top1 is the share of labels that are right and top5 NaN; of multi_head both are those of
 * all heads together, and auc is the mean of the heads'. */
TUB_API TUB_MUST_USE tub_status tub_task_scores_compute(tub_context *ctx,
                                                        const tub_model_config *model, int64_t n,
                                                        const float *probabilities,
                                                        const int32_t *labels, tub_scores *out,
                                                        tub_error *err);

/* Options for opening a set of files as the model's folder takes files: clips of the model's size, sampled,
 * resized and cropped as it says. The model must outlive the opening. */
TUB_API tub_dataset_options tub_model_dataset_options(const tub_model *model);

/* Runs the model over a split. logits and probabilities: caller's buffers [count,K], either may be
 * NULL. Sends TUB_EVENT_EVALUATE events. batch_size changes no bit. Errors: TUB_E_SHAPE when data
 * and model do not fit, naming both; TUB_E_NOT_FOUND (empty split). */
TUB_API TUB_MUST_USE tub_status tub_predict_split(tub_model *model, const tub_dataset *data,
                                                  tub_split split, int64_t batch_size,
                                                  float *logits, float *probabilities,
                                                  tub_error *err);

/* The same of `count` samples from number `first` on; no events. TUB_E_ARGUMENT where there are no such. */
TUB_API TUB_MUST_USE tub_status tub_predict_samples(tub_model *model, const tub_dataset *data,
                                                    tub_split split, int64_t first, int64_t count,
                                                    int64_t batch_size, float *logits,
                                                    float *probabilities, tub_error *err);

/* Writes MedMNIST's result file "{flag}_{split}_[AUC]0.948_[ACC]0.648@{run}.csv" (flag: data set
 * name) into folder and the path written into path. Lines "index,score,score,…". */
TUB_API TUB_MUST_USE tub_status tub_medmnist_result(tub_context *ctx, const char *folder,
                                                    const char *flag, const char *split,
                                                    const char *run, int64_t n, int64_t classes,
                                                    const float *probabilities, double auc,
                                                    double acc, char *path, size_t path_size,
                                                    tub_error *err);

#ifdef __cplusplus
}
#endif
#endif
