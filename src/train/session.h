/* SPDX-License-Identifier: Apache-2.0 */
/* One call of training: settings, data, ranks and the lock of the run folder, new or resumed. */
#ifndef TUB__TRAIN_SESSION_H
#define TUB__TRAIN_SESSION_H

#include "train/events.h"
#include "train/material.h"
#include "train/ranks.h"

typedef struct tub__session {
    tub_context *ctx;
    tub_train_config config;
    bool fresh;              /* a new run: it may start from another model */
    tub_start_report *start; /* of that; or NULL */
    tub__material material;
    tub__run run;
    tub__ranks ranks;
    tub__train_events events;
    double began;
    int lock; /* of the run folder; -1: none */
} tub__session;

/* Takes the lock of the run folder, if there is one. */
TUB_MUST_USE tub_status tub__session_lock(tub__session *s, const char *run, tub_error *err);
/* Data, settings and the ranks' memory; nothing is written yet. s->config is filled. */
TUB_MUST_USE tub_status tub__session_open(tub__session *s, tub_context *ctx, tub_dataset *data,
                                          const char *run, tub_error *err);
/* Loads the checkpoint into every rank; where there is none, nothing changes. */
TUB_MUST_USE tub_status tub__session_load(tub__session *s, tub_error *err);
/* Trains on, then the files that only make sense at the end. */
TUB_MUST_USE tub_status tub__session_run(tub__session *s, tub_train_result *result, tub_error *err);
/* After a failure of the disk, a full one say, the sentence tells that the run is not lost, where
 * there is room for it. Returns status. */
tub_status tub__session_tell_resume(tub_status status, tub_error *err);
void tub__session_close(tub__session *s);

#endif
