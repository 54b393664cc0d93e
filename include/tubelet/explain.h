/* SPDX-License-Identifier: Apache-2.0 */
/* Explanations: which places and times of a clip a model's answer rests on (docs/explain.md). */
#ifndef TUBELET_EXPLAIN_H
#define TUBELET_EXPLAIN_H

#include <tubelet/clip.h>
#include <tubelet/model.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tub_explain_method {
    TUB_EXPLAIN_GRADIENT_ROLLOUT =
        0,                 /* attention times its gradient, over all layers (Chefer et al.
                                         2021) */
    TUB_EXPLAIN_ROLLOUT,   /* attention over all layers (Abnar and Zuidema 2020) */
    TUB_EXPLAIN_ATTENTION, /* of one layer: of one head, or the mean of its heads */
    TUB_EXPLAIN_OCCLUSION, /* what the answer loses where a box is covered */
    TUB_EXPLAIN_INTEGRATED_GRADIENTS, /* Sundararajan et al. 2017 */
    TUB_EXPLAIN_METHODS
} tub_explain_method;
/* "gradient-rollout", "rollout", "attention", "occlusion" or "integrated-gradients"; "unknown" of
 * none. */
TUB_API const char *tub_explain_method_name(tub_explain_method method);
/* Error: TUB_E_ARGUMENT, with the names. */
TUB_API TUB_MUST_USE tub_status tub_explain_method_parse(const char *text, tub_explain_method *out,
                                                         tub_error *err);

/* Of variants whose attentions are over space or over time: those that count. The others are then
 * as if every token saw only itself. */
typedef enum tub_axes { TUB_AXES_BOTH = 0, TUB_AXES_SPACE, TUB_AXES_TIME, TUB_AXES_KINDS } tub_axes;
/* "both", "space" or "time"; "unknown" of none. */
TUB_API const char *tub_axes_name(tub_axes axes);
TUB_API TUB_MUST_USE tub_status tub_axes_parse(const char *text, tub_axes *out, tub_error *err);

/* What stands for "nothing to be seen": what covers a box, where a path to the clip begins. */
typedef enum tub_baseline {
    TUB_BASELINE_DEFAULT = 0, /* the mean where boxes are covered, black where a path begins */
    TUB_BASELINE_BLACK,       /* what the model gets of levels that are all zero */
    TUB_BASELINE_ZERO, /* zero in what the model gets: of normalised samples their mean colour */
    TUB_BASELINE_MEAN, /* the clip's mean, channel by channel */
    TUB_BASELINES
} tub_baseline;
/* "black", "zero" or "mean"; "default"; "unknown" of none. The default has no name to parse. */
TUB_API const char *tub_baseline_name(tub_baseline baseline);
TUB_API TUB_MUST_USE tub_status tub_baseline_parse(const char *text, tub_baseline *out,
                                                   tub_error *err);

/* How values of tubelets become values of voxels. */
typedef enum tub_upsampling {
    TUB_UPSAMPLING_NEAREST =
        0, /* a voxel has the mean of the tubelets that it is in; 0 where there is
                                   none */
    TUB_UPSAMPLING_TRILINEAR, /* between the tubelets' centres; beyond the outermost, theirs */
    TUB_UPSAMPLINGS
} tub_upsampling;
/* "nearest" or "trilinear"; "unknown" of none. */
TUB_API const char *tub_upsampling_name(tub_upsampling upsampling);
TUB_API TUB_MUST_USE tub_status tub_upsampling_parse(const char *text, tub_upsampling *out,
                                                     tub_error *err);

enum { TUB_EXPLAIN_STEPS = 65536 }; /* at most */

typedef struct tub_explain_options {
    size_t size; /* sizeof(tub_explain_options) */
    tub_explain_method method;
    int64_t target; /* the class, as a column of the logits; -1: the most probable one */
    tub_axes axes;
    /* Of attention: from 0, in the factorised encoder over both transformers; -1: the last, in the
     * factorised encoder the last of both. */
    int64_t layer;
    int64_t head; /* of attention: from 0; -1: the mean */
    /* Of occlusion: its size (t, h, w), and how far it moves. 0: a tubelet's size, or of networks
     * without tubelets an eighth of the clip; as its own size. */
    int64_t box[3], step[3];
    int probability; /* of occlusion, non-zero: what the probability loses, not the logit */
    /* Of integrated gradients: points on the path; 0: 64, or twice as many until the map's sum is
     * within 1 % of what the logit grows by, at most 4096. */
    int64_t steps;
    tub_baseline baseline;
    tub_upsampling upsampling;
    /* Clips at once, of occlusion and integrated gradients; 0: few enough that memory stays small.
     * It changes no bit, and attention takes one clip. */
    int64_t batch;
    /* NULL, or how names of files begin that the arrays are written to which the map is made of:
     * PREFIX-NAME.npy (tub_explain_raw_name). They replace what has those names, and appear when
     * the map is made: all of them, or none. */
    const char *raw;
} tub_explain_options;
/* Gradient rollout of the most probable class, over both axes, nearest. */
TUB_API tub_explain_options tub_explain_options_default(void);

typedef struct tub_explanation {
    tub_context *owner;
    tub_explain_method method;
    tub_baseline baseline; /* that was taken; TUB_BASELINE_DEFAULT of methods without */
    int64_t target;
    double logit, probability; /* of the target, for the clip */
    int64_t frames, height, width;
    /* [T,H,W]: more where more of the answer comes from; docs/explain.md says how much of what.
     * Below zero, of occlusion and integrated gradients: speaks against the target. */
    float *map;
    int64_t grid[3];         /* tubelets, or boxes, along t, h, w; 0 of integrated gradients */
    int64_t box[3], step[3]; /* of occlusion: the boxes' size, and how far they are apart; else 0 */
    float *cells;            /* [grid]: their values; NULL of integrated gradients */
    /* Of integrated gradients: how many points; the logit where the path begins; the sum of the
     * whole map, which would be logit - baseline_logit were there no end of points; whether it is
     * within 1 % of that. Else 0. */
    int64_t steps;
    double baseline_logit, sum;
    int adds_up;
} tub_explanation;

/* Whether a model can be explained so, and every option is in its range. Errors: TUB_E_ARGUMENT,
 * TUB_E_RANGE, TUB_E_UNSUPPORTED (a model without attention; one without gradients, in bf16 or
 * int8). */
TUB_API TUB_MUST_USE tub_status tub_explain_check(const tub_model *model,
                                                  const tub_explain_options *options,
                                                  tub_error *err);

/* Names of the arrays that options.raw has written, without the prefix and ".npy", numbered from 0:
 * "cells", say. NULL: there are no more, or tub_explain_check refuses the options. Valid for ever.
 * options: NULL for the default. */
TUB_API const char *tub_explain_raw_name(const tub_model *model, const tub_explain_options *options,
                                         int number);

/* Explains the answer for one clip. x: [T,H,W,C] as the model takes it, uint8 or float32, all
 * values finite. options: NULL for the default. *out is the caller's (tub_explanation_free), before
 * the context goes. Sends TUB_EVENT_EVALUATE events: clips that went through the model, of
 * attention layers. The same bits for all threads and instruction sets. Memory: docs/explain.md;
 * attention is made layer by layer, some heads at a time. Not thread-safe for one context. Errors:
 * those of tub_explain_check, TUB_E_NUMERIC (a value of the clip, the answer or the map is no
 * finite number), TUB_E_CANCELLED (by tub_train_stop), TUB_E_NOT_FOUND, TUB_E_EXISTS and TUB_E_IO
 * (raw files), TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_explain(tub_model *model, const tub_explain_options *options,
                                            tub_dtype dtype, const void *x, tub_explanation *out,
                                            tub_error *err);
TUB_API void tub_explanation_free(tub_explanation *e); /* accepts one that is all zero */

/* Writes the map as .npy, float32 [T,H,W], whole or not at all. Errors: TUB_E_IO, TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_explanation_write(const tub_explanation *e, const char *path,
                                                      tub_error *err);

/* A map drawn over the clip that it explains. */
typedef struct tub_overlay_options {
    size_t size;  /* sizeof(tub_overlay_options) */
    int axis;     /* pictures are slices across it: 0 frames over time, 1 planes over height, 2 over
                        width */
    int64_t most; /* slices, at equal distances; 0: all */
    int bare;     /* non-zero: above each picture the clip itself */
    double strength; /* 0 … 1: how much of the colour stands for the map's largest value */
    int64_t scale;   /* pixels along a side of a voxel: 1 to 64 */
} tub_overlay_options;
/* All frames, 0.75, a pixel for each voxel. */
TUB_API tub_overlay_options tub_overlay_options_default(void);
/* Draws clip in gray levels and over it what of the map is above zero, by matplotlib's viridis,
 * whose brightness grows with the value whatever colours one sees. clip: [T,H,W,C] of the map's
 * size, uint8, or float32 from its least value to its greatest (what is no finite number is black);
 * of three channels the colours, else the first one. out: uint8 [slices, rows, columns, 3], the
 * caller's (tub_clip_free), for tub_clip_write. Errors: TUB_E_ARGUMENT (options.size), TUB_E_SHAPE,
 * TUB_E_RANGE, TUB_E_NUMERIC (a value of the map is no finite number), TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_explanation_draw(const tub_explanation *e, const tub_clip *clip,
                                                     const tub_overlay_options *options,
                                                     tub_clip *out, tub_error *err);

/* How the target's probability falls when the cells of the clip are covered in the order of the
 * map, the largest first, and how it rises when they appear on the baseline in that order (after
 * Petsiuk et al. 2018, whose insertion begins with the blurred clip, not with a constant one). */
typedef struct tub_explain_curves {
    tub_context *owner;
    tub_baseline baseline;        /* that was taken */
    int64_t points;               /* steps + 1: from none of the cells to all of them */
    double *deletion, *insertion; /* [points] */
    double deletion_auc,
        insertion_auc; /* areas under them, by the trapezoidal rule; the cells' share goes
                                           from 0 to 1 */
} tub_explain_curves;
/* Cells are tubelets, or of networks without tubelets an eighth of the clip along each axis,
 * whatever the method. steps: at most as many as there are cells, and TUB_EXPLAIN_STEPS; 0: 32, or
 * as many as there are cells. baseline: the default is the mean, whatever the method. dtype, x: as
 * for tub_explain. *out is freed by tub_explain_curves_free. Errors: TUB_E_SHAPE (the map is of
 * another size than the model's clips), TUB_E_RANGE (steps, baseline; the map's class is none of
 * the model's), TUB_E_ARGUMENT (dtype), TUB_E_NUMERIC (a value of the clip is no finite number),
 * TUB_E_CANCELLED (by tub_train_stop), TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_explanation_evaluate(tub_model *model, const tub_explanation *e,
                                                         tub_dtype dtype, const void *x,
                                                         int64_t steps, tub_baseline baseline,
                                                         tub_explain_curves *out, tub_error *err);
TUB_API void tub_explain_curves_free(tub_explain_curves *curves); /* accepts one that is all zero */

#ifdef __cplusplus
}
#endif
#endif
