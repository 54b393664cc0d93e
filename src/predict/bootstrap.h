/* SPDX-License-Identifier: Apache-2.0 */
/* Confidence intervals: the percentile bootstrap over samples. */
#ifndef TUB__PREDICT_BOOTSTRAP_H
#define TUB__PREDICT_BOOTSTRAP_H

#include "base/context.h"
#include <tubelet/predict.h>

enum { TUB__BOOTSTRAP_LIMIT = 8 }; /* metrics at once */

/* The metrics of one draw, in which sample i counts times[i] times. */
typedef void tub__draw_fn(const void *user, const uint32_t *times, double *values);

/* Fills low and high of `count` intervals, whose values are there. Each of `draws` draws takes n
 * samples with replacement from the Philox stream (seed, bootstrap) counted by (index, draw); a draw
 * in which a metric is undefined is left out for that metric only; the limits are the linearly
 * interpolated quantiles at 2.5 % and 97.5 %. draws 0: all limits NaN. draw runs in the pool's
 * workers. The same bits for any thread count. */
TUB_MUST_USE tub_status tub__bootstrap(tub_context *ctx, size_t n, uint64_t seed, int draws,
                                       tub__draw_fn *draw, const void *user, size_t count,
                                       tub_interval *const *intervals, tub_error *err);

#endif
