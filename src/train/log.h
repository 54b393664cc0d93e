/* SPDX-License-Identifier: Apache-2.0 */
/* log.csv, and log.jsonl with the same numbers: one row per finished epoch, in step with the
 * checkpoint. */
#ifndef TUB__TRAIN_LOG_H
#define TUB__TRAIN_LOG_H

#include "base/alloc.h"
#include "train/progress.h"

typedef enum tub__log_column {
    TUB__LOG_EPOCH = 0,
    TUB__LOG_STEP,
    TUB__LOG_SECONDS, /* whole milliseconds */
    TUB__LOG_TRAIN_LOSS,
    TUB__LOG_TRAIN_TOP1,
    TUB__LOG_TRAIN_TOP5,
    TUB__LOG_VAL_LOSS,
    TUB__LOG_VAL_TOP1,
    TUB__LOG_VAL_TOP5,
    TUB__LOG_VAL_AUC,
    TUB__LOG_LR,
    TUB__LOG_DATA_WAIT, /* whole milliseconds */
    TUB__LOG_COLUMNS
} tub__log_column;

/* The numbers of a row, as they stand in it; NaN: not known. */
typedef struct tub__log_values {
    double of[TUB__LOG_COLUMNS];
} tub__log_values;

/* Those of the epoch that p has just finished (p->epoch still counts the ones before it). */
tub__log_values tub__log_values_of(const tub__progress *p, double lr);

/* Writes log.csv, without rows. */
TUB_MUST_USE tub_status tub__log_start(const tub_allocator *a, const char *run, tub_error *err);
/* Adds a row to both, that of log.csv flushed to disk. Unknown values stay empty, in log.jsonl null. */
TUB_MUST_USE tub_status tub__log_row(const tub_allocator *a, const char *run,
                                     const tub__log_values *values, tub_error *err);
/* Removes the rows behind step `step` and a half-written last one: what a kill left after the
 * last checkpoint. log.jsonl is made anew of the rows that stay. */
TUB_MUST_USE tub_status tub__log_trim(const tub_allocator *a, const char *run, uint64_t step,
                                      tub_error *err);

#endif
