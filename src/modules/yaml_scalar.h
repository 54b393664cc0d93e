/* SPDX-License-Identifier: Apache-2.0 */
/* Plain scalars of YAML 1.2's core schema (specification 1.2.2, section 10.3.2) and their JSON
 * spelling. */
#ifndef TUB__MODULES_YAML_SCALAR_H
#define TUB__MODULES_YAML_SCALAR_H

#include <stddef.h>

typedef enum tub__yaml_kind {
    TUB__YAML_TEXT, /* none of the others */
    TUB__YAML_WORD, /* null, true or false */
    TUB__YAML_NUMBER,
    TUB__YAML_NO_JSON, /* an infinity or a NaN */
    TUB__YAML_TOO_BIG  /* a whole number beyond int64, or a number beyond double */
} tub__yaml_kind;

/* Decides what the `size` bytes of a plain scalar are; for words and numbers the JSON spelling
 * (terminated) goes to out, which has room for size + 24 bytes. */
tub__yaml_kind tub__yaml_scalar(const char *text, size_t size, char *out);

#endif
