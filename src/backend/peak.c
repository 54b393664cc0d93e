/* SPDX-License-Identifier: Apache-2.0 */
/* The limits: runs long enough that neither the hand-out of a region nor a timer tick counts. */
#include "backend/peak.h"

#include "backend/cpu.h"
#include "base/clock.h"
#include <assert.h>

tub__yardstick tub__yardstick_make(tub__backend *be, tub__limit limit, double seconds) {
    /* The search also brings the processor to its working clock. */
    enum { FIRST = 10 };
    tub__yardstick y = {limit == TUB__PEAK ? tub__cpu_peak_run : tub__cpu_tile_run, FIRST};
    for (double took = 0.0; took < seconds; y.rounds *= 2) {
        const double start = tub__seconds();
        (void)y.run(be, y.rounds);
        took = tub__seconds() - start;
    }
    return y;
}

double tub__yardstick_rate(tub__backend *be, const tub__yardstick *y) {
    const double start = tub__seconds();
    const double operations = y->run(be, y->rounds);
    return operations / (tub__seconds() - start);
}

tub_spread tub__limit_measure(tub__backend *be, tub__limit limit, double seconds, int repeats) {
    double rate[TUB_BENCH_REPEATS];
    assert(repeats >= 1 && repeats <= TUB_BENCH_REPEATS);
    const tub__yardstick y = tub__yardstick_make(be, limit, seconds);
    for (int i = 0; i < repeats; i++) {
        rate[i] = tub__yardstick_rate(be, &y);
    }
    return tub__spread_of(rate, (size_t)repeats);
}
