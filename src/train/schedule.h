/* SPDX-License-Identifier: Apache-2.0 */
/* The learning rate of every step. */
#ifndef TUB__TRAIN_SCHEDULE_H
#define TUB__TRAIN_SCHEDULE_H

#include <stdint.h>
#include <tubelet/train.h>

typedef struct tub__rates {
    tub_schedule kind;
    double target, start,
        share; /* highest rate, first rate of the warm-up, last rate as a share of the highest */
    uint64_t warmup, decay; /* steps; decay >= 1 */
} tub__rates;

/* For a run of `steps` steps in all, `per_epoch` an epoch. */
tub__rates tub__rates_make(const tub_train_config *config, uint64_t steps, uint64_t per_epoch);

/* The rate of a step, counted from 0, as Keras' CosineDecay with warm-up computes it (in
 * double):
 *   s < warmup: start + (target - start) * s / warmup
 *   else        target * ((1 - share) * 0.5 * (1 + cos(pi * (s - warmup) / decay)) + share)
 *   with s at most warmup + decay.
 * The constant schedule has the warm-up too, and stays at target after it. */
double tub__rate(const tub__rates *rates, uint64_t step);
/* That of the last of so many steps done; of the first where none is. */
double tub__rate_last(const tub__rates *rates, uint64_t done);

#endif
