/* SPDX-License-Identifier: Apache-2.0 */
/* Floats of the four kinds that weights are published in, from the bytes of a file to float32. */
#ifndef TUB__FORMATS_FLOATS_H
#define TUB__FORMATS_FLOATS_H

#include <stddef.h>

typedef enum tub__float_kind {
    TUB__FLOAT32,
    TUB__FLOAT64, /* rounded to nearest */
    TUB__FLOAT16,
    TUB__BFLOAT16
} tub__float_kind;

/* `count` little-endian numbers; the bytes need no alignment. */
void tub__floats_to_f32(tub__float_kind kind, const unsigned char *bytes, size_t count, float *out);

#endif
