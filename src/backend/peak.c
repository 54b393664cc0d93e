/* SPDX-License-Identifier: Apache-2.0 */
/* The multiply-add peak: runs long enough that neither the hand-out of a region nor a timer tick
 * counts. */
#include "backend/peak.h"

#include "backend/cpu.h"
#include "base/clock.h"
#include <assert.h>

long tub__peak_iterations(tub__backend *be, double seconds) {
    /* The search also brings the processor to its working clock. */
    long iterations = 1000;
    for (double took = 0.0; took < seconds; iterations *= 2) {
        const double start = tub__seconds();
        (void)tub__cpu_peak_run(be, iterations);
        took = tub__seconds() - start;
    }
    return iterations;
}

double tub__peak_run(tub__backend *be, long iterations) {
    const double start = tub__seconds();
    const double operations = tub__cpu_peak_run(be, iterations);
    return operations / (tub__seconds() - start);
}

tub_spread tub__peak_measure(tub__backend *be, double run_seconds, int repeats) {
    double rate[TUB_BENCH_REPEATS];
    assert(repeats >= 1 && repeats <= TUB_BENCH_REPEATS);
    const long iterations = tub__peak_iterations(be, run_seconds);
    for (int i = 0; i < repeats; i++) {
        rate[i] = tub__peak_run(be, iterations);
    }
    return tub__spread_of(rate, (size_t)repeats);
}
