/* SPDX-License-Identifier: Apache-2.0 */
/* Samples as levels to be seen, and which of many frames are shown. */
#ifndef TUB__PICTURE_LEVELS_H
#define TUB__PICTURE_LEVELS_H

#include <stddef.h>

/* Floats from the least, black, to the greatest, white, of those that are finite. */
typedef struct tub__levels {
    double low, span;
} tub__levels;

tub__levels tub__levels_of(const float *values, size_t count);
/* From 0 to 255; 0 of what is no finite number, and where all values are one. */
double tub__level(const tub__levels *levels, double value);

/* Picture i of `count` of `all` frames: the middle one of each of as many equal parts. count <=
 * all. */
static inline size_t tub__frame_shown(size_t i, size_t count, size_t all) {
    return (2 * i + 1) * all / (2 * count);
}

#endif
