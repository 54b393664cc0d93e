/* SPDX-License-Identifier: Apache-2.0 */
/* The multiply-add peak: runs long enough that neither the hand-out of a region nor a timer tick
 * counts. */
#include "backend/peak.h"

#include "backend/cpu.h"
#include "base/clock.h"
#include <assert.h>

tub_spread tub__peak_measure(tub__backend *be, double run_seconds, int repeats) {
    double rate[TUB_BENCH_REPEATS];
    assert(repeats >= 1 && repeats <= TUB_BENCH_REPEATS);
    /* The search for a long enough run also brings the processor to its working clock. */
    long iterations = 1000;
    for (double seconds = 0.0; seconds < run_seconds; iterations *= 2) {
        const double start = tub__seconds();
        (void)tub__cpu_peak_run(be, iterations);
        seconds = tub__seconds() - start;
    }
    for (int i = 0; i < repeats; i++) {
        const double start = tub__seconds();
        const double operations = tub__cpu_peak_run(be, iterations);
        rate[i] = operations / (tub__seconds() - start);
    }
    return tub__spread_of(rate, (size_t)repeats);
}
