/* SPDX-License-Identifier: Apache-2.0 */
/* Intensities of any range, such as the Hounsfield units of CT, to levels: what lies in a window is spread over
 * 0 to 255, what lies outside becomes the nearer of the two. */
#ifndef TUB__PICTURE_INTENSITY_H
#define TUB__PICTURE_INTENSITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tub__intensity_window {
    double low, high; /* equal: there is none, intensities stay as they are */
} tub__intensity_window;

bool tub__intensity_is_windowed(const tub__intensity_window *w);
/* floor((x - low) / (high - low) * 255 + 1/2) in double, between 0 and 255: the same on every machine. x has no NaN. */
void tub__intensity_to_levels(const tub__intensity_window *w, const float *x, size_t n,
                              unsigned char *out);

#endif
