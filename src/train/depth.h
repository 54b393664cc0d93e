/* SPDX-License-Identifier: Apache-2.0 */
/* What depth decides: which arrays stay as they are (freeze), and how fast the others learn
 * (layer_decay). */
#ifndef TUB__TRAIN_DEPTH_H
#define TUB__TRAIN_DEPTH_H

#include "model/params.h"
#include <tubelet/train.h>

/* Whether both settings can be understood, and the model has blocks for them. Errors:
 * TUB_E_ARGUMENT, TUB_E_RANGE. */
TUB_MUST_USE tub_status tub__depth_check(const tub_train_config *config, tub_error *err);
/* What the learning rate of an array is multiplied by: layer_decay once for each group above its
 * own; 0: it is frozen, or no gradient's (a buffer). Of a checked configuration. */
double tub__depth_rate(const tub_train_config *config, const tub__param *p);
#endif
