/* SPDX-License-Identifier: Apache-2.0 */
/* Training within a time: how many epochs fit, and the clock that ends a run. */
#ifndef TUB__TRAIN_BUDGET_H
#define TUB__TRAIN_BUDGET_H

#include <stdbool.h>
#include <tubelet/train.h>

/* Times the plan's steps and sets its epochs so that a run ends within so many seconds from now, and what
 * follows from them; a warm-up in epochs becomes shorter with them. Says so. Errors: those of
 * tub_train_pace_of. */
TUB_MUST_USE tub_status tub__budget_settle(tub_context *ctx, double seconds, tub_train_plan *plan,
                                           tub_error *err);
/* Seconds that each run has of the budget: all folds share it. */
double tub__budget_share(const tub_train_config *config);
/* The plan's whole time by that of its step and its epoch. */
double tub__pace_total(const tub_train_plan *plan, const tub_train_pace *pace);
/* tub_train up to a time of tub__seconds(), 0: none: the step that is at work then is the last one,
 * and its number becomes max_steps of the run's recipe. config->budget is not read. */
TUB_MUST_USE tub_status tub__train_until(tub_context *ctx, const tub_train_config *config,
                                         tub_dataset *data, const char *run, bool force,
                                         double deadline, tub_train_result *result, tub_error *err);
/* tub_train_resume of a run that has so many seconds in all, those included that it has trained already; 0: no
 * limit. When they are over, the next step is the last one. */
TUB_MUST_USE tub_status tub__resume_within(tub_context *ctx, const char *run, tub_dataset *data,
                                           int64_t epochs, int64_t max_steps, double seconds,
                                           tub_train_result *result, tub_error *err);

#endif
