/* SPDX-License-Identifier: Apache-2.0 */
/* Trainings that start from another model (init_from). */
#ifndef TUB__TRAIN_START_H
#define TUB__TRAIN_START_H

#include "model/model.h"
#include "train/checkpoint.h"
#include <stdbool.h>

/* Whether the settings name a model to start from. */
static inline bool tub__starts_from(const tub_train_config *config) {
    return config->init_from[0] != '\0';
}

/* What a new run keeps of its start: init.json, and a checkpoint of step 0, so that nobody needs the
 * other model again. */
typedef struct tub__origin {
    const tub_start_report *report;
    const tub__optimizer *optimizer;
    const tub__progress *progress;
    const tub__identity *identity;
} tub__origin;

/* Makes the path of the other model absolute, as the run's recipe will have it. */
TUB_MUST_USE tub_status tub__start_locate(tub_context *ctx, tub_train_config *config,
                                          tub_error *err);
/* Fills a fresh model, and tells what became of each array. *report is freed by
 * tub_start_report_free. */
TUB_MUST_USE tub_status tub__start_training(const tub_train_config *config, tub_model *model,
                                            tub_start_report **report, tub_error *err);
/* Whether all that could be done, for a plan: nothing of it is kept. */
TUB_MUST_USE tub_status tub__start_try(tub_context *ctx, const tub_train_config *config,
                                       const tub_dataset_info *info, tub_error *err);
/* Writes init.json and the checkpoint into a run folder. */
TUB_MUST_USE tub_status tub__start_write(const tub__origin *origin, const tub_train_config *config,
                                         const char *folder, tub_error *err);

#endif
