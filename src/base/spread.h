/* SPDX-License-Identifier: Apache-2.0 */
/* What repeated measurements gave: the median, and how far they lie apart. */
#ifndef TUB__BASE_SPREAD_H
#define TUB__BASE_SPREAD_H

#include <stddef.h>
#include <tubelet/bench.h>

/* Of count >= 1 values, which are sorted on the way. */
tub_spread tub__spread_of(double *values, size_t count);

#endif
