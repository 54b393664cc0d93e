/* SPDX-License-Identifier: Apache-2.0 */
/* The exponential moving average of the weights (ema). */
#ifndef TUB__TRAIN_AVERAGE_H
#define TUB__TRAIN_AVERAGE_H

#include "model/model.h"
#include <tubelet/train.h>

typedef struct tub__average {
    tub_model *model;
    void *slab; /* laid out as the parameters; NULL: no average is kept */
    double decay;
    bool warmup;
} tub__average;

/* Nothing where ema is 0. The model must outlive *out. */
TUB_MUST_USE tub_status tub__average_create(tub_model *model, const tub_train_config *config,
                                            tub__average *out, tub_error *err);
void tub__average_destroy(tub__average *a); /* accepts a cleared one */

/* The decay of step `step`, from 1: min(decay, (1 + step) / (10 + step)) with warm-up, as TensorFlow's
 * ExponentialMovingAverage with num_updates. The first step's is 0: the average begins as the weights
 * after it, as in Keras and in PyTorch's AveragedModel. */
double tub__average_decay(const tub__average *a, uint64_t step);
/* Takes the weights after step `step` in: average += (weights - average) * (1 - decay). */
void tub__average_step(tub__average *a, uint64_t step);

/* Puts the average into the model, and the weights into `room`, a slab; and back. Nothing where none
 * is kept. Before the first step the average is
 * the weights. */
void tub__average_show(tub__average *a, void *room);
void tub__average_hide(tub__average *a, const void *room);

#endif
