/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a model can start from another one, and what it would compute otherwise than that. */
#ifndef TUB__CONVERT_START_CHECK_H
#define TUB__CONVERT_START_CHECK_H

#include "convert/start_source.h"

/* TUB_E_SHAPE, or TUB_E_ARGUMENT with an option that can't do it, and a sentence without the path. */
TUB_MUST_USE tub_status tub__start_check(const tub__source *source, const tub_model *model,
                                         const tub_start_options *options, tub_error *err);
/* Warns of settings that change what the same weights compute. */
void tub__start_tell_differences(const tub__source *source, const tub_model *model,
                                 const char *path);

#endif
