/* SPDX-License-Identifier: Apache-2.0 */
/* Training within a time: how many epochs fit, and the clock that ends a run. */
#ifndef TUB__TRAIN_BUDGET_H
#define TUB__TRAIN_BUDGET_H

#include <stdbool.h>
#include <tubelet/train.h>

/* Times the plan's steps and sets epochs in *config so that the run ends within so many seconds from
 * now; a warm-up in epochs becomes shorter with them. Says so. Errors: those of tub_train_pace_of. */
TUB_MUST_USE tub_status tub__budget_settle(tub_context *ctx, const tub_train_plan *plan,
                                           double seconds, tub_train_config *config,
                                           tub_error *err);
/* tub_train up to a time of tub__seconds(), 0: none: the step that is at work then is the last one,
 * and its number becomes max_steps of the run's recipe. config->budget is not read. */
TUB_MUST_USE tub_status tub__train_until(tub_context *ctx, const tub_train_config *config,
                                         tub_dataset *data, const char *run, bool force,
                                         double deadline, tub_train_result *result, tub_error *err);

#endif
