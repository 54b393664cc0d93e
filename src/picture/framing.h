/* SPDX-License-Identifier: Apache-2.0 */
/* The picture part of preprocessing, one frame after another: resized, and one or three parts cut out of
 * it. Levels stay what they are. */
#ifndef TUB__PICTURE_FRAMING_H
#define TUB__PICTURE_FRAMING_H

#include "picture/preprocess.h"

/* Where a crop lies. Three of them follow scenic's three_spatial_crops: at both ends and in the middle of
 * the longer axis (the width of a square), and in the middle of the other, where an odd rest makes the
 * offset larger. The only one follows transformers: an odd rest makes it smaller. A crop that is larger
 * than the picture has it in its middle, and zeros around it. */
typedef enum tub__crop {
    TUB__CROP_ONLY,
    TUB__CROP_FIRST, /* left or top */
    TUB__CROP_MIDDLE,
    TUB__CROP_LAST /* right or bottom */
} tub__crop;

typedef struct tub__framer tub__framer;

/* For pictures of one size [height, width] and pixels of so many bytes. Resizing takes a byte for a
 * channel: with `wide`, pixels are not bytes and p may not change the size. Errors: TUB_E_RANGE (sizes
 * from 1 to 65536), TUB_E_SHAPE (wide), TUB_E_MEMORY. */
TUB_MUST_USE tub_status tub__framer_create(const tub_allocator *a, const tub__preprocessing *p,
                                           const size_t from[2], size_t pixel, bool wide,
                                           tub__framer **out, tub_error *err);
void tub__framer_destroy(tub__framer *f); /* accepts NULL */
/* Height and width of what is cut out. */
const size_t *tub__framer_size(const tub__framer *f);
/* Resizes a picture, which must stay until it has been cut. */
void tub__framer_take(tub__framer *f, const void *picture);
/* Cuts out of the picture that was taken: out [height, width, pixel]. */
void tub__framer_cut(const tub__framer *f, tub__crop crop, void *out);

/* Left and top corner of a crop: rows and columns of the resized picture, for tests. */
void tub__crop_corner(const size_t size[2], const size_t crop[2], tub__crop which, size_t out[2]);

#endif
