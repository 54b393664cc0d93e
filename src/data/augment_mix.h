/* SPDX-License-Identifier: Apache-2.0 */
/* Mixup and cutmix: which other clip of the batch comes in, and how much of it. */
#ifndef TUB__DATA_AUGMENT_MIX_H
#define TUB__DATA_AUGMENT_MIX_H

#include "data/augment_plan.h"

typedef enum tub__mix_kind { TUB__MIX_NONE, TUB__MIX_ALL, TUB__MIX_BOX } tub__mix_kind;

typedef struct tub__mix_plan {
    tub__mix_kind kind;
    size_t partner; /* number of the other sample in the whole batch */
    float share;    /* of the other one, in values and label */
    tub__box box;   /* of TUB__MIX_BOX: what comes from the other one */
} tub__mix_plan;

/* For sample `number` of a batch of `whole`: its draws depend on the whole batch's size, not on how it is
 * divided. */
void tub__mix_draw(const tub_augment_config *config, const tub__augment_sizes *sizes, tub__key key,
                   tub__augment_key place, size_t number, size_t whole, tub__mix_plan *out);

/* Mixes `other` into `clip`, both [T,H,W,C]. */
void tub__mix_apply(const tub__mix_plan *plan, const tub__augment_sizes *sizes, float *clip,
                    const float *other);

/* One number of Beta(alpha, alpha). */
double tub__random_beta(tub__random *r, double alpha);

#endif
