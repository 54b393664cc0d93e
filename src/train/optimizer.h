/* SPDX-License-Identifier: Apache-2.0 */
/* One optimiser step over a model's slabs: clipping, decay, Adam, AdamW or SGD, and the average of
 * the weights. */
#ifndef TUB__TRAIN_OPTIMIZER_H
#define TUB__TRAIN_OPTIMIZER_H

#include "model/model.h"
#include "train/average.h"
#include <tubelet/train.h>

typedef struct tub__optimizer {
    tub_model *model;
    void *m, *v;            /* moments, slabs laid out as the parameters; v NULL for SGD */
    tub__average average;   /* of the weights */
    tub__segment *segments; /* runs of equal decay and rate; without those that are frozen */
    size_t segment_count;
    const tub__param **trained; /* the arrays that are not frozen, in table order */
    size_t trained_count;
    double *squares;     /* room for the norm: one for each array */
    tub__weight *arrays; /* and the gradient's arrays */
    const char *name;    /* as the recipe has it: "adam" */
    tub__update_kind kind;
    double beta1, beta2, epsilon, momentum, clip_norm;
} tub__optimizer;

/* Moments start at zero. The model must outlive *out; its slab of parameters is what steps
 * change. */
TUB_MUST_USE tub_status tub__optimizer_create(tub_model *model, const tub_train_config *config,
                                              tub__optimizer *out, tub_error *err);
void tub__optimizer_destroy(tub__optimizer *o); /* accepts a cleared one */

/* The global norm of a gradient slab: per array in row-major order, the arrays added in table
 * order, in double. What is frozen has no share in it. */
double tub__gradient_norm(const tub__optimizer *o, void *gradient);

/* Step number `step` (from 1) at learning rate lr; norm is tub__gradient_norm of the gradient.
 * Scalars are computed in double. */
void tub__optimizer_step(tub__optimizer *o, void *gradient, double norm, uint64_t step, double lr);

#endif
