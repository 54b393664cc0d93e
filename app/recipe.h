/* SPDX-License-Identifier: Apache-2.0 */
/* Prints a training configuration as the recipe that gives it. */
#ifndef APP_RECIPE_H
#define APP_RECIPE_H

#include "output.h"
#include <stdbool.h>
#include <stdio.h>
#include <tubelet/tubelet.h>

/* Every setting with its value as YAML that --recipe reads back. False: err says why. */
bool recipe_write(FILE *out, const tub_train_config *config, tub_error *err);
/* The same to stdout: YAML that --recipe reads back, or one JSON object, which gets the
 * plan, too, and releases it (NULL: there is none). False: no memory. */
bool recipe_print(const tub_train_config *config, bool json, json_t *plan);

#endif
