/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers to and from text, exactly and whatever the program's locale. */
#ifndef TUB__BASE_NUMBER_H
#define TUB__BASE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

enum { TUB__NUMBER_ROOM = 32 };

/* Digits, perhaps after a sign; any number of them. */
bool tub__number_is_whole(const char *text);
/* A whole decimal integer that fits, with nothing before or after it. */
bool tub__number_to_int(const char *text, int64_t *out);
/* A decimal real number ("0.1", "1e-4"), with nothing before or after it; no infinity, NaN or
 * hexadecimal. */
bool tub__number_to_real(const char *text, double *out);
/* A number of bytes: "500000", "20G", "1.5T", "64MiB"; K, M, G and T are powers of 1000, with i of 1024, and a
 * B may stand behind them. Fractions of a byte are left out. False also from 2^63 on. */
bool tub__number_to_bytes(const char *text, int64_t *out);
/* The same number of bytes, zero or more, in the largest of K, M, G and T that gives a whole one. */
void tub__number_print_bytes(char out[TUB__NUMBER_ROOM], int64_t bytes);
/* A finite real number that tub__number_to_real reads back bit for bit. */
void tub__number_print(char out[TUB__NUMBER_ROOM], double value);

#endif
