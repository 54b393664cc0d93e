/* SPDX-License-Identifier: Apache-2.0 */
/* Confidence intervals: the percentile bootstrap over samples. */
#ifndef TUB__PREDICT_BOOTSTRAP_H
#define TUB__PREDICT_BOOTSTRAP_H

#include "base/context.h"
#include "predict/judge.h"
#include "predict/ranking.h"
#include <tubelet/predict.h>

/* Fills low and high of top1, top5, auc, acc and loss. Each of `draws` draws takes n samples with
 * replacement from the Philox stream (seed, bootstrap) counted by (index, draw); a draw whose AUC
 * is undefined is left out for the AUC only; the limits are the linearly interpolated quantiles
 * at 2.5 % and 97.5 %. draws 0: all limits NaN. The same bits for any thread count. */
TUB_MUST_USE tub_status tub__bootstrap(tub_context *ctx, const tub__ranking *ranking,
                                       const tub__verdict *verdicts, const int32_t *labels,
                                       uint64_t seed, int draws, tub_metrics *out, tub_error *err);

#endif
