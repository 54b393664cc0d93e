/* SPDX-License-Identifier: Apache-2.0 */
/* The run folder: what lies where, making it, cleaning it after a kill.
 *
 *   RUN/config.json, preprocessor_config.json, README.md, model.safetensors  the last weights
 *   RUN/recipe.yaml           every setting
 *   RUN/best/                 a model folder and metrics.json: the best epoch
 *   RUN/best.next/            the same of a better one, until a checkpoint counts it
 *   RUN/checkpoint/state.safetensors   all that is needed to go on; one file, never torn
 *   RUN/log.csv, log.jsonl, metrics.json
 *   RUN/events.out.tfevents.*  for TensorBoard, one of each session
 *   RUN/init.json             of a run that started from another model: what became of each array
 *
 * The order of writing at the end of an epoch is log.csv, log.jsonl, events, best.next/, model.safetensors,
 * checkpoint, best/: whatever a kill leaves beyond the checkpoint's step is written again by the
 * resumed run, or taken back where that goes another way. */
#ifndef TUB__TRAIN_RUN_FOLDER_H
#define TUB__TRAIN_RUN_FOLDER_H

#include "convert/moments.h"
#include "train/progress.h"
#include "train/start.h"
#include <tubelet/train.h>

#define TUB__RUN_RECIPE       "recipe.yaml"
#define TUB__RUN_BEST         "best"
#define TUB__RUN_NEXT         "best.next"
#define TUB__RUN_CHECKPOINT   "checkpoint"
#define TUB__RUN_STATE        TUB__MOMENTS_CHECKPOINT
#define TUB__RUN_BEST_WEIGHTS "best/model.safetensors"
#define TUB__RUN_LOG          "log.csv"
#define TUB__RUN_LINES        "log.jsonl"
#define TUB__RUN_METRICS      "metrics.json"
#define TUB__RUN_START        "init.json"

/* TUB_E_EXISTS when `run` is there already: without force anything, with force anything that is
 * not a run folder, or has something in it that neither training nor evaluation made. So it is when
 * `run` would lie inside another run. TUB_E_ARGUMENT with force when `run` is a link or ends in . or .. */
TUB_MUST_USE tub_status tub__run_may_create(const tub_allocator *a, const char *run, bool force,
                                            tub_error *err);
/* Makes the whole folder beside `run` and renames it there: configuration, recipe, empty log and
 * initial weights, and what it keeps of its origin (NULL: none). TUB_E_EXISTS unless force. *lock gets the lock of the new folder, taken before
 * anybody else can see it. */
TUB_MUST_USE tub_status tub__run_create(const tub_model *model, const tub_train_config *config,
                                        const tub_dataset_info *info, const tub__origin *origin,
                                        const char *run, bool force, int *lock, tub_error *err);
/* Removes the temporary files that a kill left in and beside a run folder. */
TUB_MUST_USE tub_status tub__run_clean(const tub_allocator *a, const char *run, tub_error *err);
/* Writes recipe.yaml. */
TUB_MUST_USE tub_status tub__run_write_recipe(const tub_allocator *a, const char *run,
                                              const tub_train_config *config, tub_error *err);
/* Whether the run folder has an entry of this name. */
TUB_MUST_USE tub_status tub__run_has(const tub_allocator *a, const char *run, const char *name,
                                     bool *has, tub_error *err);
/* Writes the last weights. */
TUB_MUST_USE tub_status tub__run_write_last(const tub_model *model, const char *run,
                                            tub_error *err);
/* Writes the best weights, those of now, to best.next/. */
TUB_MUST_USE tub_status tub__run_write_best(const tub_model *model, const tub_train_config *config,
                                            const tub_dataset_info *info, const tub__progress *p,
                                            const char *run, tub_error *err);
/* After a checkpoint was written or read whose best epoch is `epoch`: what waits in best.next/
 * becomes best/ if it is of that epoch, else it goes. best/ is whole at every instant. */
TUB_MUST_USE tub_status tub__run_settle_best(const tub_allocator *a, const char *run,
                                             uint64_t epoch, tub_error *err);
/* Whether best/ has its weights, or best.next/ those of this epoch, the best one. */
TUB_MUST_USE tub_status tub__run_has_best(const tub_allocator *a, const char *run, uint64_t epoch,
                                          bool *has, tub_error *err);
/* What metrics.json says: all is done, or it was stopped before. TUB_E_NOT_FOUND without the file. */
TUB_MUST_USE tub_status tub__run_read_finished(const tub_allocator *a, const char *run,
                                               bool *finished, tub_error *err);
/* Removes metrics.json, and the scores from the model card: the end is not the end any more. */
TUB_MUST_USE tub_status tub__run_forget_end(const tub_model *model, const tub_train_config *config,
                                            const tub_dataset_info *info, const char *run,
                                            tub_error *err);
/* Writes metrics.json and the model card with the last validation's scores; where the run was
 * stopped inside an epoch, the card says that the weights are later ones. */
TUB_MUST_USE tub_status tub__run_write_metrics(const tub_model *model,
                                               const tub_train_config *config,
                                               const tub_dataset_info *info, const tub__progress *p,
                                               const char *run, tub_error *err);

#endif
