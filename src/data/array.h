/* SPDX-License-Identifier: Apache-2.0 */
/* An .npy array in memory turned into what models read: uint8 or finite float32, in C order. */
#ifndef TUB__DATA_ARRAY_H
#define TUB__DATA_ARRAY_H

#include "formats/npy.h"
#include <tubelet/data.h>

/* Elements that are owned by `block`. */
typedef struct tub__array {
    void *block;     /* what tub__free gets */
    void *elements;  /* in the block */
    tub_dtype dtype; /* TUB_U8 or TUB_F32 */
} tub__array;

/* Converts the elements of an .npy file in memory: integers to uint8 (0…255 only), floats to
 * float32 (finite only). intensities: integers but for uint8 become float32, too, of any value. Takes *bytes over in any case and leaves it NULL: where the file already
 * holds the wanted elements, they stay where they are; otherwise the file's bytes are freed as soon
 * as they are converted. Errors do not name the file or the array. */
TUB_MUST_USE tub_status tub__array_take(const tub_allocator *a, void **bytes, const tub__npy *npy,
                                        bool intensities, tub__array *out, tub_error *err);

/* Of rank 3 or 4: "[28,28,28]" for sentences. */
void tub__shape_text(const tub__npy *npy, char *out, size_t size);

#endif
