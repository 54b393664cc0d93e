/* SPDX-License-Identifier: Apache-2.0 */
/* One clip to be explained, and what all methods need. */
#ifndef TUB__EXPLAIN_QUESTION_H
#define TUB__EXPLAIN_QUESTION_H

#include "explain/cells.h"
#include "explain/raw.h"
#include "model/model.h"
#include <tubelet/explain.h>

typedef struct tub__question {
    tub_model *model;
    tub_explain_options options; /* checked, and what they left open filled in */
    const float *x;              /* [T,H,W,C] as the model takes it */
    size_t voxels;               /* T H W C */
    tub__raws *raws;             /* where arrays go */
    tub_explanation *out;        /* map and target are there, to be filled */
} tub__question;

/* settings.c. Whether a method looks at attention, and whether at gradients. */
bool tub__explain_attends(tub_explain_method method);
bool tub__explain_differentiates(tub_explain_method method);
/* tub_explain_check; the box, its step, the baseline and the number of points as they will be. */
TUB_MUST_USE tub_status tub__explain_settle(const tub_model *model,
                                            const tub_explain_options *options,
                                            tub_explain_options *out, tub_error *err);

/* input.c. The clip as float32, the caller's (tub__free). */
TUB_MUST_USE tub_status tub__explain_floats(const tub_model *model, tub_dtype dtype, const void *x,
                                            float **out, tub_error *err);
/* A baseline for x of a kind that is not the default, [T,H,W,C], the caller's. */
TUB_MUST_USE tub_status tub__explain_baseline(const tub_model *model, tub_baseline kind,
                                              const float *x, float **out, tub_error *err);
/* One cell of `to` as it is in `from`. */
void tub__explain_put_cell(const tub__cells *cells, size_t channels, size_t index,
                           const float *from, float *to);

/* batch.c. Tells how far the work is: clips that went through the model. */
void tub__explain_tell(const tub_model *model, size_t done, size_t total);
/* TUB_E_CANCELLED after tub_train_stop. */
TUB_MUST_USE tub_status tub__explain_go_on(const tub_model *model, tub_error *err);
/* Lets config (whose batch is the most that there are) stay within the memory that a pass may take:
 * blocks are computed again, then fewer samples. given: options.batch. */
TUB_MUST_USE tub_status tub__explain_fit(const tub_model *model, int64_t given,
                                         tub__pass_config *config, tub_error *err);

/* One file for each method or family of methods: fill the map, and cells where there are some. */
TUB_MUST_USE tub_status tub__explain_by_attention(tub__question *q, tub_error *err);
TUB_MUST_USE tub_status tub__explain_by_occlusion(tub__question *q, tub_error *err);
TUB_MUST_USE tub_status tub__explain_by_path(tub__question *q, tub_error *err);

#endif
