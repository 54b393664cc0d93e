/* SPDX-License-Identifier: Apache-2.0 */
/* The files that make up a model folder. */
#ifndef TUB__HUB_MODEL_FILES_H
#define TUB__HUB_MODEL_FILES_H

#include "base/context.h"

/* Gets a file of the folder; path is valid during the call. */
typedef tub_status tub__hub_visit(void *user, const char *name, const char *path, tub_error *err);
/* Visits config.json, preprocessor_config.json where there is one, and the weights, in one file
 * or with their index. Errors: a folder that is no model, a configuration that does not read,
 * and what visit says. */
TUB_MUST_USE tub_status tub__hub_each_file(tub_context *ctx, const char *folder,
                                           tub__hub_visit *visit, void *user, tub_error *err);

#endif
