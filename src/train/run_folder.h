/* SPDX-License-Identifier: Apache-2.0 */
/* The run folder: what lies where, making it, cleaning it after a kill.
 *
 *   RUN/config.json, preprocessor_config.json, README.md, model.safetensors  the last weights
 *   RUN/recipe.yaml           every setting
 *   RUN/best/                 a model folder: the best epoch
 *   RUN/checkpoint/state.safetensors   all that is needed to go on; one file, never torn
 *   RUN/log.csv, metrics.json
 *
 * The order of writing at the end of an epoch is log.csv, best/, model.safetensors, checkpoint:
 * whatever a kill leaves behind the checkpoint's step is written again, with the same bytes, by
 * the resumed run. */
#ifndef TUB__TRAIN_RUN_FOLDER_H
#define TUB__TRAIN_RUN_FOLDER_H

#include "model/model.h"
#include "train/progress.h"
#include <tubelet/train.h>

#define TUB__RUN_RECIPE     "recipe.yaml"
#define TUB__RUN_BEST       "best"
#define TUB__RUN_CHECKPOINT "checkpoint"
#define TUB__RUN_STATE      "checkpoint/state.safetensors"
#define TUB__RUN_LOG        "log.csv"
#define TUB__RUN_METRICS    "metrics.json"

/* TUB_E_EXISTS when `run` is there already: without force anything, with force anything that is
 * not a run folder. TUB_E_ARGUMENT with force when `run` is a link or ends in . or .. */
TUB_MUST_USE tub_status tub__run_may_create(const tub_allocator *a, const char *run, bool force,
                                            tub_error *err);
/* Makes the whole folder beside `run` and renames it there: configuration, recipe, empty log and
 * initial weights. TUB_E_EXISTS unless force. *lock gets the lock of the new folder, taken before
 * anybody else can see it. */
TUB_MUST_USE tub_status tub__run_create(const tub_model *model, const tub_train_config *config,
                                        const tub_dataset_info *info, const char *run, bool force,
                                        int *lock, tub_error *err);
/* Removes the temporary files that a kill left in and beside a run folder. */
TUB_MUST_USE tub_status tub__run_clean(const tub_allocator *a, const char *run, tub_error *err);
/* Writes recipe.yaml. */
TUB_MUST_USE tub_status tub__run_write_recipe(const tub_allocator *a, const char *run,
                                              const tub_train_config *config, tub_error *err);
/* Writes the last weights. */
TUB_MUST_USE tub_status tub__run_write_last(const tub_model *model, const char *run,
                                            tub_error *err);
/* Writes the best weights, whole at every instant. */
TUB_MUST_USE tub_status tub__run_write_best(const tub_model *model, const tub_train_config *config,
                                            const tub_dataset_info *info, const tub_scores *val,
                                            const char *run, tub_error *err);
/* Writes metrics.json and the model card's scores. */
TUB_MUST_USE tub_status tub__run_write_metrics(const tub_model *model,
                                               const tub_train_config *config,
                                               const tub_dataset_info *info, const tub__progress *p,
                                               const char *run, tub_error *err);

#endif
