/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms of arrays: two passes, one for the range and the sums, one that counts. */
#include "train/histogram.h"

#include <math.h>
#include <string.h>

enum { BUCKETS = TUB__HISTOGRAM_BUCKETS };

static void sum_up(const float *values, size_t n, tub__histogram *h) {
    *h = (tub__histogram){.least = INFINITY, .most = -INFINITY};
    for (size_t i = 0; i < n; i++) {
        const double v = values[i];
        if (!isfinite(v)) {
            continue;
        }
        h->least = v < h->least ? v : h->least;
        h->most = v > h->most ? v : h->most;
        h->count++;
        h->sum += v;
        h->square_sum += v * v;
    }
}

/* The first guess may be one off where a value lies near an edge: the edges decide. */
static size_t bucket_of(double v, double least, double scale, const double *edges) {
    size_t i = (size_t)((v - least) * scale);
    i = i < BUCKETS ? i : BUCKETS - 1;
    while (i > 0 && v < edges[i]) {
        i--;
    }
    while (i < BUCKETS - 1 && v >= edges[i + 1]) {
        i++;
    }
    return i;
}

static void count(const float *values, size_t n, const tub__histogram *h, const double *edges,
                  double *counts) {
    const double scale = BUCKETS / (h->most - h->least);
    for (size_t i = 0; i < n; i++) {
        const double v = values[i];
        if (isfinite(v)) {
            counts[1 + bucket_of(v, h->least, scale, edges)]++;
        }
    }
}

bool tub__histogram_of(const float *values, size_t n, tub__histogram_room *room,
                       tub__histogram *out) {
    sum_up(values, n, out);
    if (out->count == 0) {
        return false;
    }
    memset(room->counts, 0, sizeof room->counts);
    out->limits = room->limits;
    out->counts = room->counts;
    if (out->least == out->most) {
        out->buckets = 2;
        room->limits[0] = out->least - 0.5;
        room->limits[1] = out->least + 0.5;
        room->counts[1] = out->count;
        return true;
    }
    out->buckets = BUCKETS + 1;
    const double step = (out->most - out->least) / BUCKETS;
    for (int i = 0; i < BUCKETS; i++) {
        room->limits[i] = i * step + out->least;
    }
    room->limits[BUCKETS] = out->most;
    count(values, n, out, room->limits, room->counts);
    return true;
}
