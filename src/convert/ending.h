/* SPDX-License-Identifier: Apache-2.0 */
/* Names of what is to be written that look like a file's, and would become a folder. */
#ifndef TUB__CONVERT_ENDING_H
#define TUB__CONVERT_ENDING_H

#include "base/context.h"

/* Refuses a name that ends nearly as a model's file does (model.onx), TUB_E_ARGUMENT; a warning for another that looks
 * like a file's. */
TUB_MUST_USE tub_status tub__check_ending(tub_context *ctx, const char *path, tub_error *err);

#endif
