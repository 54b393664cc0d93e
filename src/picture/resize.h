/* SPDX-License-Identifier: Apache-2.0 */
/* Resizing pictures of uint8 to the last level as Pillow does (Image.resize; src/libImaging/Resample.c):
 * antialiased, one pass along each axis, each rounded to uint8. */
#ifndef TUB__PICTURE_RESIZE_H
#define TUB__PICTURE_RESIZE_H

#include "base/alloc.h"

/* Pillow's numbers, as in "resample" of preprocessor_config.json. */
typedef enum tub__filter {
    TUB__NEAREST = 0,
    TUB__LANCZOS = 1,
    TUB__BILINEAR = 2,
    TUB__BICUBIC = 3,
    TUB__BOX = 4,
    TUB__HAMMING = 5
} tub__filter;

/* Which pass is first. Pillow 13 begins with the height where that shrinks by more than twice what the
 * width does; every older one with the width. They differ by a level or so. */
typedef enum tub__pass_order { TUB__PILLOW_13, TUB__WIDTH_FIRST } tub__pass_order;

/* What one resizing of many pictures shares. */
typedef struct tub__resizer tub__resizer;

/* From [height, width, channels] to [to_height, to_width, channels]; sizes from 1 to 65536. */
TUB_MUST_USE tub_status tub__resizer_create(const tub_allocator *a, tub__filter filter,
                                            tub__pass_order order, size_t channels,
                                            const size_t from[2], const size_t to[2],
                                            tub__resizer **out, tub_error *err);
void tub__resizer_destroy(tub__resizer *r); /* accepts NULL */
/* One picture. Not for two threads at once: the picture between the passes is the resizer's. */
void tub__resizer_run(tub__resizer *r, const unsigned char *in, unsigned char *out);

#endif
