/* SPDX-License-Identifier: Apache-2.0 */
/* From frames of uint8 to what a model takes, as transformers' VivitImageProcessor (the class over
 * Pillow) does it: resized, cropped or padded with zeros, rescaled, moved, normalised. */
#ifndef TUB__PICTURE_PREPROCESS_H
#define TUB__PICTURE_PREPROCESS_H

#include "picture/resize.h"

enum { TUB__PREPROCESS_CHANNELS = 16 };

typedef struct tub__preprocessing {
    bool resize, crop, rescale, normalize;
    int64_t shortest_edge;           /* of the resized picture; 0: height and width below */
    int64_t height, width;           /* of the resized picture */
    int64_t crop_height, crop_width; /* a crop larger than the picture pads it with zeros */
    tub__filter filter;
    tub__pass_order order;
    double factor; /* rescale: x * factor */
    bool
        multiply; /* rescale in float32: x * float32(factor), as tubelet's input_scale `multiply` */
    bool offset;  /* then minus 1 */
    int channels; /* of mean and deviation; 1: the same for all channels */
    float mean[TUB__PREPROCESS_CHANNELS], deviation[TUB__PREPROCESS_CHANNELS];
} tub__preprocessing;

/* Height and width of what comes out for pictures of a size. TUB_E_RANGE where one is not from 1 to
 * 65536. */
TUB_MUST_USE tub_status tub__preprocessed_size(const tub__preprocessing *p, const size_t from[2],
                                               size_t out[2], tub_error *err);
/* The least and the greatest value that a channel can get, of all channels. */
void tub__preprocessed_range(const tub__preprocessing *p, float *low, float *high);
/* Whether every level becomes a finite number. */
bool tub__preprocessed_finite(const tub__preprocessing *p);
/* frames [T, H, W, C] of uint8 to out [T, H', W', C] of float32, H' and W' as above. Errors:
 * TUB_E_SHAPE (channels that mean and deviation don't fit), TUB_E_RANGE, TUB_E_MEMORY. */
TUB_MUST_USE tub_status tub__preprocess(const tub_allocator *a, const tub__preprocessing *p,
                                        size_t frames, const size_t from[2], size_t channels,
                                        const unsigned char *in, float *out, tub_error *err);

#endif
