/* SPDX-License-Identifier: Apache-2.0 */
/* The median, the least and the most of repeated measurements. */
#include "base/spread.h"

#include <stdlib.h>

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

tub_spread tub__spread_of(double *values, size_t count) {
    const size_t half = count / 2;
    qsort(values, count, sizeof *values, by_value);
    return (tub_spread){.median =
                            count % 2 != 0 ? values[half] : 0.5 * (values[half - 1] + values[half]),
                        .least = values[0],
                        .most = values[count - 1]};
}
