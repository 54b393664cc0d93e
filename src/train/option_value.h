/* SPDX-License-Identifier: Apache-2.0 */
/* Values of training settings as text. */
#ifndef TUB__TRAIN_OPTION_VALUE_H
#define TUB__TRAIN_OPTION_VALUE_H

#include "train/options.h"

/* Reads `text` as a value of the setting, of `size` bytes and the C type of its kind, at `at`; the preset's name is a text
 * like any other. Errors: TUB_E_ARGUMENT, TUB_E_RANGE, and `at` stays as it is. */
TUB_MUST_USE tub_status tub__option_read(const tub_option *o, const char *text, void *at,
                                         size_t size, tub_error *err);
/* The value at `at` as the text that reads as it, ended by 0. Errors: TUB_E_ARGUMENT where `out` of `size` bytes is too
 * small, TUB_E_RANGE where it is none of the setting's choices. */
TUB_MUST_USE tub_status tub__option_write(const tub_option *o, const void *at, char *out,
                                          size_t size, tub_error *err);

#endif
