/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet train --folds: a cross-validation, new or resumed. */
#ifndef APP_TRAIN_FOLDS_H
#define APP_TRAIN_FOLDS_H

#include "cli.h"

/* Whether a folder holds the folds of a cross-validation. */
bool train_folds_is(const char *folder);
/* All folds, or the one that the settings say. */
int train_folds_begin(const cli_command *self, tub_context *ctx, const tub_train_config *config,
                      const char *out, bool force, const cli_common *common);
/* Goes on. data: NULL, or where the data are now. */
int train_folds_resume(const cli_command *self, tub_context *ctx, const char *out, const char *data,
                       const cli_common *common);

#endif
