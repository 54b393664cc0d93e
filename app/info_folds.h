/* SPDX-License-Identifier: Apache-2.0 */
/* What tubelet info tells of the folder of a cross-validation. */
#ifndef APP_INFO_FOLDS_H
#define APP_INFO_FOLDS_H

#include "cli.h"

/* Prints the folds of a folder that has a folds.json; the exit code. */
int info_folds(const cli_command *self, tub_context *ctx, const char *folder, bool json);

#endif
