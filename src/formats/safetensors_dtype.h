/* SPDX-License-Identifier: Apache-2.0 */
/* The element types of safetensors and the size of an array: shared by its reader and its writer.
 */
#ifndef TUB__FORMATS_SAFETENSORS_DTYPE_H
#define TUB__FORMATS_SAFETENSORS_DTYPE_H

#include "formats/safetensors.h"
#include <stdbool.h>

typedef struct tub__st_kind {
    const char *name;
    tub__st_dtype dtype;
    int bits; /* per element */
} tub__st_kind;

const tub__st_kind *tub__st_kind_named(const char *name); /* NULL: not a type of the format */
const tub__st_kind *tub__st_kind_of(tub__st_dtype dtype); /* NULL for TUB__ST_OTHER */

/* Fills elements and size from rank and shape; false when they overflow or are no whole number of
 * bytes. */
bool tub__st_size(const tub__st_kind *kind, tub__st_array *array);

#endif
