/* SPDX-License-Identifier: Apache-2.0 */
/* Samples as strips of pictures: frames side by side. */
#ifndef TUB__TRAIN_STRIP_H
#define TUB__TRAIN_STRIP_H

#include "base/alloc.h"
#include <tubelet/data.h>
#include <tubelet/picture.h>

typedef struct tub__strip {
    unsigned char *pixels; /* [height, width, channels], the caller's */
    size_t height, width;
    int channels; /* 1 or 3 */
} tub__strip;

/* A sample [T,H,W,C] of uint8 or float32. Of other than three channels the first is drawn; floats
 * from the least, black, to the greatest; of more than TUB_STRIP_FRAMES frames so many. Error:
 * TUB_E_MEMORY. */
TUB_MUST_USE tub_status tub__strip_make(const tub_allocator *a, const int64_t shape[4],
                                        tub_dtype dtype, const void *sample, tub__strip *out,
                                        tub_error *err);

#endif
