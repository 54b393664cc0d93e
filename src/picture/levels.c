/* SPDX-License-Identifier: Apache-2.0 */
/* Samples as levels to be seen. */
#include "picture/levels.h"

#include <math.h>

tub__levels tub__levels_of(const float *values, size_t count) {
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        const double v = (double)values[i];
        if (isfinite(v)) {
            low = v < low ? v : low;
            high = v > high ? v : high;
        }
    }
    return high > low ? (tub__levels){low, high - low} : (tub__levels){0};
}

double tub__level(const tub__levels *levels, double value) {
    const double share = levels->span > 0 ? (value - levels->low) / levels->span : 0;
    return share >= 0 && share <= 1 ? share * 255 : 0;
}
