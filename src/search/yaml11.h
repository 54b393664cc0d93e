/* SPDX-License-Identifier: Apache-2.0 */
/* Plain scalars of YAML 1.1 as PyYAML's safe loader resolves them: 1e-3 is text and 1.0e-3 a
 * number, 010 is 8, 1_000 is 1000, 1:30 is 90, and on and yes are true. */
#ifndef TUB__SEARCH_YAML11_H
#define TUB__SEARCH_YAML11_H

#include <stdbool.h>
#include <stdint.h>

typedef enum tub__yaml11_kind {
    TUB__YAML11_TEXT, /* none of the others */
    TUB__YAML11_NULL,
    TUB__YAML11_BOOL,
    TUB__YAML11_INT,
    TUB__YAML11_REAL,
    TUB__YAML11_NO_JSON, /* an infinity or a NaN */
    TUB__YAML11_TOO_BIG, /* beyond int64, or beyond double */
    TUB__YAML11_DATE,
    TUB__YAML11_BROKEN /* a number without figures ("0x_"), or "=" */
} tub__yaml11_kind;

typedef struct tub__yaml11 {
    tub__yaml11_kind kind;
    bool flag;
    int64_t whole;
    double real;
} tub__yaml11;

tub__yaml11 tub__yaml11_scalar(const char *text);

#endif
