/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers read from text, exactly and whatever the program's locale. */
#ifndef TUB__TRAIN_TEXT_H
#define TUB__TRAIN_TEXT_H

#include <stdbool.h>
#include <stdint.h>

/* Digits, perhaps after a sign; any number of them. */
bool tub__text_is_whole(const char *text);
/* A whole decimal integer that fits, with nothing before or after it. */
bool tub__text_to_int(const char *text, int64_t *out);
/* A decimal real number ("0.1", "1e-4"), with nothing before or after it; no infinity, NaN or
 * hexadecimal. */
bool tub__text_to_real(const char *text, double *out);

#endif
