/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of each array of a model that starts from another one; and doing it. */
#ifndef TUB__CONVERT_START_PLAN_H
#define TUB__CONVERT_START_PLAN_H

#include "convert/position_grid.h"
#include "convert/start_source.h"

typedef enum tub__start_action {
    TUB__START_FRESH, /* stays as it is */
    TUB__START_ZERO,
    TUB__START_COPY,
    TUB__START_INFLATE, /* the kernel of the embedding */
    TUB__START_RESIZE   /* a table of positions */
} tub__start_action;

typedef struct tub__start_step {
    const tub__param *here, *there; /* there: NULL where nothing is taken */
    tub__start_action action;
} tub__start_step;

typedef struct tub__start_plan {
    const tub__source *source;
    tub_model *model;
    tub_start_options options;
    double *weights;        /* of a tubelet's frames */
    tub__start_step *steps; /* in the order of the parameter table */
    size_t count;
} tub__start_plan;

/* Plans every array. Errors: TUB_E_SHAPE where sizes can't be made to fit. */
TUB_MUST_USE tub_status tub__start_plan_make(const tub__source *source, tub_model *model,
                                             const tub_start_options *options, tub__start_plan *out,
                                             tub_error *err);
void tub__start_plan_free(tub__start_plan *plan);
/* One array in words: "resized 14x14 to 10x10, repeated 16 times". */
void tub__start_describe(const tub__start_plan *plan, const tub__start_step *step, char *out,
                         size_t size);
/* Whether the kernel's tubelets get more frames than there. */
static inline bool tub__start_is_longer(const tub__start_step *s) {
    return s->here->shape[2] != s->there->shape[2]; /* [D, C, t, h, w] */
}
/* What a table of positions is over: all tokens; in the factorised encoder those of a time index, or
 * time. */
tub__grid tub__start_grid(const tub_model *model, tub__role role);
/* Whether a table of positions begins with the class token's row. */
static inline bool tub__start_has_token(const tub_model *model) {
    return model->config.pooling == TUB_POOL_CLASS_TOKEN;
}
/* Writes all arrays but the fresh ones. After a failure some are written. */
TUB_MUST_USE tub_status tub__start_fill(const tub__start_plan *plan, tub_error *err);

#endif
