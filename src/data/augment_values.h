/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of a clip's values, after its voxels are in their places. */
#ifndef TUB__DATA_AUGMENT_VALUES_H
#define TUB__DATA_AUGMENT_VALUES_H

#include "data/augment_plan.h"

/* Noise is one of so many quantiles of the normal distribution, all with the same chance. */
enum { TUB__NOISE_BITS = 12, TUB__NOISE_VALUES = 1 << TUB__NOISE_BITS };

/* Quantiles (i + 1/2) / TUB__NOISE_VALUES, scaled to a standard deviation of 1. */
void tub__noise_table(float table[TUB__NOISE_VALUES]);

/* A clip at work. */
typedef struct tub__value_work {
    const tub__augment_sizes *sizes;
    const float *noise; /* the table; NULL when no step is noise */
    tub__key key;
    tub__augment_key place;
    bool volume;
    float *clip;  /* [T,H,W,C], elements; the steps may trade it for `spare` */
    float *spare; /* as large */
    size_t elements;
} tub__value_work;

void tub__values_apply(const tub__augment_plan *plan, tub__value_work *work);

#endif
