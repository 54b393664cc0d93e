/* SPDX-License-Identifier: Apache-2.0 */
/* The table of training settings, for the files that read and write recipes. */
#ifndef TUB__TRAIN_OPTIONS_H
#define TUB__TRAIN_OPTIONS_H

#include <tubelet/train.h>

/* The known key that an unknown one was probably meant to be, or NULL. */
const char *tub__option_nearest(const char *key);
/* Sets every value of the model, as a preset or a start does; settings by key come after it. */
void tub__train_model_from(tub_train_config *config, const tub_model_config *model);
/* Leaves the clip's size and the classes to the data. */
void tub__model_sizes_from_data(tub_model_config *model);

#endif
