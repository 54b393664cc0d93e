/* SPDX-License-Identifier: Apache-2.0 */
/* log.csv of a run as columns of numbers. */
#ifndef APP_RUN_LOG_H
#define APP_RUN_LOG_H

#include <stdbool.h>
#include <stddef.h>

/* The columns of log.csv that are drawn. */
typedef enum run_column {
    COLUMN_EPOCH,
    COLUMN_STEP,
    COLUMN_TRAIN_LOSS,
    COLUMN_TRAIN_TOP1,
    COLUMN_VAL_LOSS,
    COLUMN_VAL_TOP1,
    COLUMN_VAL_AUC,
    COLUMN_LR,
    COLUMNS
} run_column;

typedef struct run_log {
    size_t rows;
    double *column[COLUMNS]; /* [rows], NaN where the log has nothing */
} run_log;

/* A log that is missing, or none, has no rows. False: no memory; run_log_free in any case. */
bool run_log_read(const char *run, run_log *out);
void run_log_free(run_log *log);
/* Whether a column has numbers. */
bool run_log_has(const run_log *log, run_column column);

/* Row by row. Which field of the heading has this name, from 0; -1: none. */
int run_log_field(const char *heading, const char *name);
/* The number in a field of a row; NaN: it is empty, or there is none (field -1). */
double run_log_number(const char *row, int field);

#endif
