/* SPDX-License-Identifier: Apache-2.0 */
/* What a training writes into event files of TensorBoard. They are a view of the run: what goes wrong with
 * them is told once, and the training goes on. */
#ifndef TUB__TRAIN_EVENTS_H
#define TUB__TRAIN_EVENTS_H

#include "data/loader.h"
#include "formats/tfevents.h"
#include "model/model.h"
#include "train/log.h"

typedef struct tub__train_events {
    tub_context *ctx; /* NULL: nothing is written */
    const tub_train_config *config;
    const tub_dataset_info *info;
    tub__tfevents file;
    tub_error trouble; /* status TUB_OK: none so far */
    bool told;
} tub__train_events;

/* Whether event files that are asked for can be written at all. Error: TUB_E_MODULE. */
TUB_MUST_USE tub_status tub__train_events_check(tub_context *ctx, const tub_train_config *config,
                                                tub_error *err);

/* Begins a file of a run that goes on from p, where the settings want one and there is something left to
 * do: recipe, command line, hyperparameters. Of a run that has done steps before, TensorBoard forgets
 * what was written behind p. */
void tub__train_events_open(tub_context *ctx, const tub_train_config *config,
                            const tub_dataset_info *info, const char *run, const tub__progress *p,
                            tub__train_events *out);
void tub__train_events_close(tub__train_events *e); /* accepts a cleared one */

/* The samples of the run's first batch, as they are trained on. */
void tub__train_events_batch(tub__train_events *e, const tub__batch *batch);
/* The gradient of an epoch's last step, a slab, in those epochs that have histograms; with the number of
 * that step and of the epoch, from 1. */
void tub__train_events_gradient(tub__train_events *e, const tub_model *model, void *gradient,
                                uint64_t step, uint64_t epoch);
/* The numbers of a finished epoch, and the weights of now. */
void tub__train_events_epoch(tub__train_events *e, const tub__log_values *row,
                             const tub_model *model);
/* How the run ended, after step `step`. */
void tub__train_events_end(tub__train_events *e, uint64_t step, tub__session_status status);
/* Says what went wrong, if nobody has heard of it yet: after a checkpoint, so that a full disk, of which
 * that would tell, is told once. */
void tub__train_events_tell(tub__train_events *e);

#endif
