/* SPDX-License-Identifier: Apache-2.0 */
/* How fast a CPU backend's threads multiply and add in float32, without memory traffic. */
#ifndef TUB__BACKEND_PEAK_H
#define TUB__BACKEND_PEAK_H

#include "backend/backend.h"
#include "base/spread.h"

/* How many iterations keep the threads busy for at least so many seconds. */
long tub__peak_iterations(tub__backend *be, double seconds);
/* Operations per second, two per multiply-add, of one run. */
double tub__peak_run(tub__backend *be, long iterations);
/* The same by `repeats` runs of at least so many seconds;
 * repeats is from 1 to TUB_BENCH_REPEATS. */
tub_spread tub__peak_measure(tub__backend *be, double run_seconds, int repeats);

#endif
