/* SPDX-License-Identifier: Apache-2.0 */
/* Training within a time: how many epochs fit into it, by steps timed just now. */
#include "train/budget.h"

#include "base/clock.h"
#include "base/context.h"
#include "base/error.h"
#include <inttypes.h>

/* What timing can't know: files, and a machine that has more to do later. */
static const double USABLE = 0.95;

tub_status tub__budget_settle(tub_context *ctx, const tub_train_plan *plan, double seconds,
                              tub_train_config *config, tub_error *err) {
    const double began = tub__seconds();
    tub_train_pace pace;
    const int64_t before = config->epochs;
    TUB__TRY(tub_train_pace_of(ctx, plan, &pace, err));
    const double left = (seconds - (tub__seconds() - began)) * USABLE, fit = left / pace.epoch;
    config->epochs = fit < 1.0 ? 1 : fit > 1e6 ? 1000000 : (int64_t)fit;
    if (config->epochs < before) {
        config->warmup_epochs *= (double)config->epochs / (double)before;
    }
    tub__log_line(ctx, TUB_LOG_INFO,
                  "%.4g s are enough for %" PRId64 " epoch%s of %.3g s, as measured just now: the "
                  "schedule is made for these. Another moment or machine has other numbers; the "
                  "run's recipe keeps them",
                  seconds, config->epochs, config->epochs == 1 ? "" : "s", pace.epoch);
    return TUB_OK;
}
