/* SPDX-License-Identifier: Apache-2.0 */
/* Training within a time: how many epochs fit into it, by steps timed just now. */
#include "train/budget.h"

#include "base/clock.h"
#include "base/context.h"
#include "base/error.h"
#include "train/progress.h"
#include <inttypes.h>

/* What timing can't know: files, and a machine that has more to do later. */
static const double USABLE = 0.95;

double tub__budget_share(const tub_train_config *config) {
    const bool all = config->folds > 0 && config->fold < 0;
    return config->budget / (double)(all ? config->folds : 1);
}

tub_status tub__budget_settle(tub_context *ctx, double seconds, tub_train_plan *plan,
                              tub_error *err) {
    const double began = tub__seconds();
    tub_train_config *c = &plan->config;
    const int64_t before = c->epochs;
    TUB__TRY(tub_train_pace_of(ctx, plan, &plan->pace, err));
    const double left = (seconds - (tub__seconds() - began)) * USABLE,
                 fit = left / plan->pace.epoch;
    c->epochs = fit < 1.0 ? 1 : fit > 1e6 ? 1000000 : (int64_t)fit;
    if (c->epochs < before) {
        c->warmup_epochs *= (double)c->epochs / (double)before;
    }
    plan->steps = (int64_t)tub__progress_total(c, (uint64_t)plan->epoch_steps);
    plan->pace.total = tub__pace_total(plan, &plan->pace);
    tub__log_line(ctx, TUB_LOG_INFO,
                  "%.4g s are enough for %" PRId64 " epoch%s of %.3g s, as measured just now: the "
                  "schedule is made for these. Another moment or machine has other numbers; the "
                  "run's recipe keeps them",
                  seconds, c->epochs, c->epochs == 1 ? "" : "s", plan->pace.epoch);
    return TUB_OK;
}
