/* SPDX-License-Identifier: Apache-2.0 */
/* The learning rate of every step. */
#ifndef TUB__TRAIN_SCHEDULE_H
#define TUB__TRAIN_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>
#include <tubelet/train.h>

typedef enum tub__factor {
    TUB__FACTOR_CONSTANT,
    TUB__FACTOR_WARMUP,
    TUB__FACTOR_COSINE,
    TUB__FACTORS
} tub__factor;

/* A compound schedule's factors in the order in which they are multiplied. */
typedef struct tub__factors {
    tub__factor list[TUB__FACTORS];
    int count;
} tub__factors;

typedef struct tub__rates {
    tub_schedule kind;
    double target, start,
        share; /* highest rate, first rate of the warm-up, last rate as a share of the highest */
    uint64_t warmup,
        decay;            /* steps; decay >= 1: of the cosine, or of one cycle of a compound one */
    tub__factors factors; /* compound only */
} tub__rates;

/* "constant * linear_warmup * cosine_decay": each at most once, and constant, which is lr. Error:
 * TUB_E_ARGUMENT. */
TUB_MUST_USE tub_status tub__factors_parse(const char *text, tub__factors *out, tub_error *err);

/* Whether the rates depend on how long the run is. */
bool tub__rates_know_the_end(const tub_train_config *config);
/* For a run of `steps` steps in all (or as many as schedule_steps says), `per_epoch` an epoch; the configuration is checked. */
tub__rates tub__rates_make(const tub_train_config *config, uint64_t steps, uint64_t per_epoch);

/* The rate of a step, counted from 0, as Keras' CosineDecay with warm-up computes it (in
 * double):
 *   s < warmup: start + (target - start) * s / warmup
 *   else        target * ((1 - share) * 0.5 * (1 + cos(pi * (s - warmup) / decay)) + share)
 *   with s at most warmup + decay.
 * The constant schedule has the warm-up too, and stays at target after it. The compound one is
 * scenic's lr_schedules.compound_lr_scheduler: the product of
 *   constant       target
 *   linear_warmup  min(1, a + s * (1 - a) / warmup), a = start / target; 1 without a warm-up
 *   cosine_decay   (1 - share) * max(0, 0.5 * (1 + cos(pi * p))) + share, p = the fraction of
 *                  max(0, s - warmup) / decay: it starts again when a cycle is over. */
double tub__rate(const tub__rates *rates, uint64_t step);
/* That of the last of so many steps done; of the first where none is. */
double tub__rate_last(const tub__rates *rates, uint64_t done);

#endif
