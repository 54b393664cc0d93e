/* SPDX-License-Identifier: Apache-2.0 */
/* Intensities to levels. */
#include "picture/intensity.h"

bool tub__intensity_is_windowed(const tub__intensity_window *w) {
    return w->low < w->high;
}

void tub__intensity_to_levels(const tub__intensity_window *w, const float *x, size_t n,
                              unsigned char *out) {
    const double low = w->low, width = w->high - w->low;
    for (size_t i = 0; i < n; i++) {
        const double level = ((double)x[i] - low) / width * 255.0 + 0.5;
        out[i] = level < 0 ? 0 : level < 255 ? (unsigned char)level : 255;
    }
}
