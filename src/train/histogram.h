/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms of arrays, for event files. */
#ifndef TUB__TRAIN_HISTOGRAM_H
#define TUB__TRAIN_HISTOGRAM_H

#include "base/events_module.h"

enum { TUB__HISTOGRAM_BUCKETS = 30 }; /* as tf.summary.histogram */

/* What *out of tub__histogram_of points into. */
typedef struct tub__histogram_room {
    double limits[TUB__HISTOGRAM_BUCKETS + 1], counts[TUB__HISTOGRAM_BUCKETS + 1];
} tub__histogram_room;

/* Buckets of one width from the least to the most of n values, as numpy.histogram counts float64; of equal
 * values one bucket of width 1 around them. Sums are added in their order. What is not finite is left
 * out. False: nothing is left. */
bool tub__histogram_of(const float *values, size_t n, tub__histogram_room *room,
                       tub__histogram *out);

#endif
