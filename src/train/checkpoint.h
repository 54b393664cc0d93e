/* SPDX-License-Identifier: Apache-2.0 */
/* The checkpoint: one safetensors file with weights, moments and progress, replaced atomically. */
#ifndef TUB__TRAIN_CHECKPOINT_H
#define TUB__TRAIN_CHECKPOINT_H

#include "train/optimizer.h"
#include "train/progress.h"

/* What a checkpoint must agree with before it is used. */
typedef struct tub__identity {
    char recipe[33]; /* tub__recipe_digest */
    char data[33];   /* tub_dataset_digest */
} tub__identity;

/* rate: the learning rate of the last step. */
TUB_MUST_USE tub_status tub__checkpoint_write(const char *run, const tub__optimizer *o,
                                              const tub__progress *p, double rate,
                                              const tub__identity *identity, tub_error *err);
/* Fills weights, moments and progress. *found is false, and nothing is changed, when the run has
 * no checkpoint yet. Errors: TUB_E_FORMAT, TUB_E_SHAPE (a damaged file), TUB_E_ARGUMENT (another
 * recipe or other data). */
TUB_MUST_USE tub_status tub__checkpoint_read(const char *run, tub__optimizer *o, tub__progress *p,
                                             const tub__identity *identity, bool *found,
                                             tub_error *err);

#endif
