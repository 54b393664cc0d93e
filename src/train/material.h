/* SPDX-License-Identifier: Apache-2.0 */
/* What a training works on: its data, and the settings made to fit them. */
#ifndef TUB__TRAIN_MATERIAL_H
#define TUB__TRAIN_MATERIAL_H

#include "data/dataset.h"
#include <stdbool.h>
#include <tubelet/train.h>

typedef struct tub__material {
    const tub_dataset_info *info;
    tub_dataset *data;      /* NULL: a known set that was not to be downloaded */
    tub_dataset *owned;     /* opened here; NULL: the caller's */
    tub_dataset_info known; /* stands for the data where they are not there */
} tub__material;

/* Opens the data that the settings name, or takes the caller's; the settings get the sizes that
 * they leave open, and a name of the data that works from any folder. Says what is worth a word.
 * offline: nothing is downloaded, and a known set's sizes are the published ones. What was opened
 * before a failure tub__material_close closes. */
TUB_MUST_USE tub_status tub__material_open(tub_context *ctx, tub_train_config *config,
                                           tub_dataset *given, bool offline, tub__material *out,
                                           tub_error *err);
void tub__material_close(tub__material *m); /* accepts a cleared one */

#endif
