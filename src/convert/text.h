/* SPDX-License-Identifier: Apache-2.0 */
/* A text that grows by printing to it; the first failure sticks and comes out at the end. */
#ifndef TUB__CONVERT_TEXT_H
#define TUB__CONVERT_TEXT_H

#include "base/alloc.h"

typedef struct tub__text {
    const tub_allocator *allocator;
    char *data;
    size_t size, capacity;
    tub_error error;
} tub__text;

void tub__text_start(tub__text *t, const tub_allocator *a);
void tub__text_add(tub__text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A YAML double-quoted scalar (a JSON string is one): any bytes, on one line. */
void tub__text_add_quoted(tub__text *t, const char *value);
/* A number with three decimals and a point in every locale; "undefined" for NaN. */
void tub__text_add_real(tub__text *t, double value);
/* TUB_OK and the text in t->data, or the first failure. tub__text_free in any case. */
TUB_MUST_USE tub_status tub__text_check(const tub__text *t, tub_error *err);
void tub__text_free(tub__text *t);

#endif
