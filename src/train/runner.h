/* SPDX-License-Identifier: Apache-2.0 */
/* A model with all that a training step or a forward pass needs, on generated samples. */
#ifndef TUB__TRAIN_RUNNER_H
#define TUB__TRAIN_RUNNER_H

#include "train/optimizer.h"

/* When the parts of a step began and ended. */
typedef struct tub__step_times {
    double begin, forward, backward, update; /* tub__seconds() */
} tub__step_times;

typedef struct tub__runner {
    tub_model *model;
    tub__pass *pass;
    tub__optimizer optimizer; /* of a step */
    size_t batch;
    unsigned char *samples; /* [batch,T,H,W,C] */
    int32_t *labels;        /* [batch]; of a step */
    float *logits;          /* [batch,K]; of a forward pass */
    uint64_t step;          /* of the optimiser, from 1 */
    double dropout;
    tub__step_times times; /* of the last step */
} tub__runner;

/* Makes all of it on the model's backend of now. recipe: of a training pass; its optimiser, and its
 * precision, for which the model is prepared. Errors: TUB_E_ARGUMENT (precision), TUB_E_UNSUPPORTED,
 * TUB_E_MEMORY. */
TUB_MUST_USE tub_status tub__runner_create(tub_model *model, const tub__pass_config *pass,
                                           const tub_train_config *recipe, tub__runner *out,
                                           tub_error *err);
void tub__runner_destroy(tub__runner *r); /* accepts a cleared one */

/* One training step, one forward pass. user is a tub__runner. */
void tub__runner_step(void *user);
void tub__runner_predict(void *user);

#endif
