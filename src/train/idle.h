/* SPDX-License-Identifier: Apache-2.0 */
/* Settings that do nothing beside the others, or to the data. */
#ifndef TUB__TRAIN_IDLE_H
#define TUB__TRAIN_IDLE_H

#include "base/context.h"
#include "train/material.h"

/* A warning for each setting that somebody has changed and that has no effect. */
void tub__tell_idle_settings(tub_context *ctx, const tub_train_config *config,
                             const tub__material *material);

#endif
