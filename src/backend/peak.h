/* SPDX-License-Identifier: Apache-2.0 */
/* What a CPU backend's threads can reach in float32, to compare other work with. */
#ifndef TUB__BACKEND_PEAK_H
#define TUB__BACKEND_PEAK_H

#include "backend/backend.h"
#include "base/spread.h"

typedef enum tub__limit {
    TUB__PEAK, /* independent multiply-adds in registers */
    TUB__TILE, /* products whose weights stream from the second cache */
    TUB__LIMITS
} tub__limit;

/* One of them, in runs of some length. */
typedef struct tub__yardstick {
    double (*run)(tub__backend *be, long rounds); /* returns operations: two per multiply-add */
    long rounds;
} tub__yardstick;

/* Whose runs keep the threads busy for at least so many seconds. */
tub__yardstick tub__yardstick_make(tub__backend *be, tub__limit limit, double seconds);
/* Operations per second of one run. */
double tub__yardstick_rate(tub__backend *be, const tub__yardstick *y);
/* The same by `repeats` runs of at least so many seconds; repeats is from 1 to
 * TUB_BENCH_REPEATS. */
tub_spread tub__limit_measure(tub__backend *be, tub__limit limit, double seconds, int repeats);

#endif
