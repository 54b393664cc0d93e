/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of a run as TensorBoard's hyperparameters. */
#ifndef TUB__TRAIN_HPARAMS_H
#define TUB__TRAIN_HPARAMS_H

#include "base/alloc.h"
#include "base/events_module.h"
#include <tubelet/train.h>

typedef struct tub__hparams {
    const tub_allocator *allocator;
    tub__hparam *list;
    size_t count;
    char *texts; /* what list points into */
} tub__hparams;

/* All settings that can change a result, in the order of the recipe: TensorBoard itself finds those in
 * which runs differ, if every run says all of them. */
TUB_MUST_USE tub_status tub__hparams_create(const tub_allocator *a, const tub_train_config *config,
                                            tub__hparams *out, tub_error *err);
void tub__hparams_destroy(tub__hparams *h); /* accepts a cleared one */

#endif
