/* SPDX-License-Identifier: Apache-2.0 */
/* Using a trained model: classifying files, evaluation with metrics and confidence intervals. */
#ifndef TUBELET_PREDICT_H
#define TUBELET_PREDICT_H

#include <tubelet/data.h>
#include <tubelet/model.h>
#include <tubelet/sampling.h>

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

/* Two models on the same samples (docs/metrics.md): metrics of the second minus those of the first. */
typedef struct tub_difference {
    int64_t samples;
    tub_interval top1, top5, auc, acc,
        loss; /* intervals: bootstrap over samples, both models on each draw */
    int64_t only_first, only_second; /* samples that only one of them has right */
    double
        p_value; /* McNemar's exact test, two-sided: how probable at least so uneven counts are when
                       both are equally good */
} tub_difference;
/* Of probabilities [n,K] each against labels [n]. seed, draws: as tub_metrics_compute. Errors: TUB_E_RANGE
 * (a label), TUB_E_ARGUMENT (n or K < 1, draws), TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_metrics_difference(tub_context *ctx, int64_t n, int64_t classes,
                                                       const float *first, const float *second,
                                                       const int32_t *labels, uint64_t seed,
                                                       int draws, tub_difference *out,
                                                       tub_error *err);

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

/* ---- Means of several answers: of views of a clip, and of several models (docs/metrics.md) ---- */

/* Views of a clip that are classified beside it. */
typedef enum tub_views {
    TUB_VIEWS_NONE = 0,
    TUB_VIEWS_FLIP,  /* mirrored from left to right */
    TUB_VIEWS_SHIFT, /* shifted by half a voxel along each axis that is longer than 1, both ways */
    TUB_VIEWS_ALL,   /* each of the shifted ones, mirrored or not */
    TUB_VIEWS_KINDS
} tub_views;
/* "none", "flip", "shift" or "all"; "unknown" of no kind. */
TUB_API const char *tub_views_name(tub_views views);
TUB_API TUB_MUST_USE tub_status tub_views_parse(const char *text, tub_views *out, tub_error *err);
/* Whether classes of these names (NULL: not known) may be mirrored into each other: a word of one, in
 * any case, is left, right, leftward(s), rightward(s), clockwise, anticlockwise or counterclockwise.
 * TUB_E_ARGUMENT when views would mirror them, naming the first. */
TUB_API TUB_MUST_USE tub_status tub_views_check(tub_views views, const char *const *labels,
                                                int64_t classes, tub_error *err);

/* What is averaged: probabilities, or logits, whose mean then becomes probabilities. */
typedef enum tub_average { TUB_AVERAGE_PROBABILITIES = 0, TUB_AVERAGE_LOGITS } tub_average;
/* "probabilities" or "logits"; "unknown" of no kind. */
TUB_API const char *tub_average_name(tub_average average);
TUB_API TUB_MUST_USE tub_status tub_average_parse(const char *text, tub_average *out,
                                                  tub_error *err);

/* Sums of answers of n samples, in double, in the order in which they are added. */
typedef struct tub_answers tub_answers;
/* For models of these outputs. *out is the caller's. Errors: TUB_E_ARGUMENT (n < 1), TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_answers_create(tub_context *ctx, const tub_model_config *model,
                                                   int64_t n, tub_average average,
                                                   tub_answers **out, tub_error *err);
TUB_API void tub_answers_free(tub_answers *answers); /* accepts NULL */
/* Forgets what was added; the next answers are of n samples, at most as many as it was made for. */
TUB_API void tub_answers_reset(tub_answers *answers, int64_t n);
/* Adds one model's answers, [n,K] each. */
TUB_API void tub_answers_add(tub_answers *answers, const float *logits, const float *probabilities);
/* Their means, [n,K] each; either may be NULL. Of a single answer it itself, bit by bit. At least one
 * was added. */
TUB_API void tub_answers_mean(const tub_answers *answers, float *logits, float *probabilities);

/* Whether a model can stand beside another in a mean: the same task and classes, and the same names
 * where both have some. Error: TUB_E_SHAPE, whose sentence has both. */
TUB_API TUB_MUST_USE tub_status tub_models_agree(const tub_model *first, const tub_model *other,
                                                 tub_error *err);

/* tub_model_forward, averaged over views; with TUB_VIEWS_NONE the same. Errors also: TUB_E_ARGUMENT
 * (classes that are sides). */
TUB_API TUB_MUST_USE tub_status tub_model_forward_views(tub_model *model, int64_t batch,
                                                        tub_dtype dtype, const void *x,
                                                        tub_views views, tub_average average,
                                                        float *logits, float *probabilities,
                                                        tub_error *err);

/* Options for opening a data set for a model: a set of files as the model's folder takes files, in clips of the
 * model's size, sampled, resized and cropped as it says; classes in the order that the model has, where the data
 * have the same names in another one. The model must outlive the opening. */
TUB_API tub_dataset_options tub_model_dataset_options(const tub_model *model);

/* Whether the class names of both agree, where both have names and the data have no more classes than the
 * model. Error: TUB_E_SHAPE, whose sentence has the first two that differ. */
TUB_API TUB_MUST_USE tub_status tub_predict_check_classes(const tub_model *model,
                                                          const tub_dataset *data, tub_error *err);

/* Runs the model over a split. logits and probabilities: caller's buffers [count,K], either may be
 * NULL. Sends TUB_EVENT_EVALUATE events. batch_size changes no bit. Errors: TUB_E_SHAPE when data
 * and model do not fit, or their classes have other names, naming both; TUB_E_NOT_FOUND (empty split). */
TUB_API TUB_MUST_USE tub_status tub_predict_split(tub_model *model, const tub_dataset *data,
                                                  tub_split split, int64_t batch_size,
                                                  float *logits, float *probabilities,
                                                  tub_error *err);

/* The same, averaged over views. Errors also: TUB_E_ARGUMENT (views would mirror classes that are
 * sides). */
TUB_API TUB_MUST_USE tub_status tub_predict_views(tub_model *model, const tub_dataset *data,
                                                  tub_split split, int64_t batch_size,
                                                  tub_views views, tub_average average,
                                                  float *logits, float *probabilities,
                                                  tub_error *err);

/* The same of `count` samples from number `first` on; no events. TUB_E_ARGUMENT where there are no such. */
TUB_API TUB_MUST_USE tub_status tub_predict_samples(tub_model *model, const tub_dataset *data,
                                                    tub_split split, int64_t first, int64_t count,
                                                    int64_t batch_size, tub_views views,
                                                    tub_average average, float *logits,
                                                    float *probabilities, tub_error *err);

/* ---- Videos, animations, folders of pictures, volumes (docs/predicting.md) ---- */

/* Frames of one file by their numbers, as those of a data set's sample (tubelet/files.h). */
typedef struct tub_file_part {
    int64_t first, frames; /* frames 0: the whole file */
} tub_file_part;

typedef struct tub_file_options {
    size_t size; /* sizeof(tub_file_options) */
    /* Which frames a clip has. TUB_SAMPLING_DEFAULT: as the model's folder says, uniform where it says
     * nothing; stride is the folder's too then. */
    tub_sampling sampling;
    int64_t stride;          /* of stride and linspace; 0: 1 of stride, none of linspace */
    int64_t views;           /* clips of a file, over time: 1 to 1024 */
    int crops;               /* of each: 1, or 3 along the longer axis */
    tub_average average;     /* over them */
    tub_views tta;           /* each of these clips is seen so as well */
    tub_average tta_average; /* over what tta says, before the other */
    int64_t from, to;        /* nanoseconds: the part of each file; to < 0: up to its end */
    const tub_file_part
        *parts; /* NULL, or one for each file of tub_predict_files, instead of from and to */
} tub_file_options;
/* One view, one crop, logits averaged over them; no tta, of which probabilities would be averaged; all of the file. */
TUB_API tub_file_options tub_file_options_default(void);

/* Whether the model's folder says how frames of files are taken (it was trained on a data set of files).
 * Then a volume in an array is a file like any other: its frames are sampled, resized and cropped. */
TUB_API int tub_model_takes_files(const tub_model *model);

typedef struct tub_file_result {
    const char *path;
    size_t index;        /* of the file in the list */
    tub_status status;   /* not TUB_OK: the file could not be classified, and message says why */
    const char *message; /* one sentence that begins with the path; or NULL. Of a file that was
                            classified: what could not be decoded of it */
    const float *logits, *probabilities; /* [K]: means over the views */
    int64_t frames;                      /* of the file, or of its part */
    double seconds; /* length of the file; NaN where its frames have no times */
    double
        milliseconds; /* that computing took, reading not included; a share of what was computed together */
} tub_file_result;
/* Called once for each file, in the order of the list, on the caller's thread; what it gets is valid
 * during the call. Returns 0 to go on. */
typedef int tub_file_fn(void *user, const tub_file_result *result);

/* Classifies files: videos, animations, single pictures, folders of pictures, arrays and volumes. Each is
 * decoded, sampled, resized and cropped as the model's folder says, once, and its views' outputs are
 * averaged in their order. Bad files are told to fn and the work goes on. Several files are decoded at a
 * time, by the context's threads. Memory: only frames that are wanted are kept. Errors: those of options
 * (TUB_E_RANGE, TUB_E_ARGUMENT: tta would mirror classes that are sides, too), TUB_E_MEMORY; TUB_OK where fn
 * stopped. */
TUB_API TUB_MUST_USE tub_status tub_predict_files(tub_model *model, size_t count,
                                                  const char *const *paths,
                                                  const tub_file_options *options, tub_file_fn *fn,
                                                  void *user, tub_error *err);

/* A row of a timeline: the frames that begin in [begin, end). */
typedef struct tub_window {
    int64_t index;      /* from 0: the window begins at index times hop */
    int64_t begin, end; /* nanoseconds from the first frame; end is cut at the file's end */
    int64_t frames;     /* that begin in it; a window without has the one that is shown: 1 */
    const float *logits, *probabilities; /* [K] */
} tub_window;
typedef int tub_window_fn(void *user, const tub_window *window);

/* Classifies windows of a long file, `window` nanoseconds long, one each `hop` nanoseconds from the first
 * frame on. Frames belong to a window by exact comparison of their times with its borders, the end not
 * included. The last window is the first that reaches the file's end; it is cut there. Each frame is decoded
 * once, of a file with packets that can't be decoded once more, and memory does not grow with the file: a clip for each window that overlaps another, and 8 bytes
 * for a frame's time. fn: in order, on the caller's thread; it returns 0 to go on. *damage (may be NULL): a
 * sentence of what could not be decoded, or empty; room for 512 bytes. options: as above, without from and
 * to. Errors: TUB_E_RANGE (window or hop below 1 ns, or so many windows over each other that their clips
 * need more than 256 MiB; a file whose frames have no times), and those of the file. */
TUB_API TUB_MUST_USE tub_status tub_timeline(tub_model *model, const char *path, int64_t window,
                                             int64_t hop, const tub_file_options *options,
                                             tub_window_fn *fn, void *user, char *damage,
                                             tub_error *err);

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
