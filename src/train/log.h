/* SPDX-License-Identifier: Apache-2.0 */
/* log.csv: one row per finished epoch, in step with the checkpoint. */
#ifndef TUB__TRAIN_LOG_H
#define TUB__TRAIN_LOG_H

#include "base/alloc.h"
#include "train/progress.h"

/* Writes the file with its header only. */
TUB_MUST_USE tub_status tub__log_start(const tub_allocator *a, const char *run, tub_error *err);
/* Adds the row of the epoch that p has just finished (p->epoch still counts the ones before it)
 * and flushes it to disk. Unknown values stay empty. */
TUB_MUST_USE tub_status tub__log_row(const tub_allocator *a, const char *run,
                                     const tub__progress *p, double lr, tub_error *err);
/* Removes the rows behind step `step` and a half-written last one: what a kill left after the
 * last checkpoint. */
TUB_MUST_USE tub_status tub__log_trim(const tub_allocator *a, const char *run, uint64_t step,
                                      tub_error *err);

#endif
