/* SPDX-License-Identifier: Apache-2.0 */
/* log.csv of a run as columns of numbers (docs/training.md lists them). */
#include "run_log.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const column_names[COLUMNS] = {
    [COLUMN_EPOCH] = "epoch",           [COLUMN_STEP] = "step",
    [COLUMN_TRAIN_LOSS] = "train_loss", [COLUMN_TRAIN_TOP1] = "train_top1",
    [COLUMN_VAL_LOSS] = "val_loss",     [COLUMN_VAL_TOP1] = "val_top1",
    [COLUMN_VAL_AUC] = "val_auc",       [COLUMN_LR] = "lr"};

int run_log_field(const char *heading, const char *name) {
    const size_t length = strlen(name);
    for (int field = 0; heading != NULL; field++) {
        if (strcspn(heading, ",\r\n") == length && strncmp(heading, name, length) == 0) {
            return field;
        }
        heading = strchr(heading, ',');
        heading = heading != NULL ? heading + 1 : NULL;
    }
    return -1;
}

double run_log_number(const char *row, int field) {
    for (int i = 0; i < field && row != NULL; i++) {
        row = strchr(row, ',');
        row = row != NULL ? row + 1 : NULL;
    }
    char *end = NULL;
    const double value = row != NULL && field >= 0 ? strtod(row, &end) : NAN;
    return end != row ? value : NAN;
}

static bool more_room(run_log *log, size_t *room) {
    const size_t wanted = *room == 0 ? 64 : 2 * *room;
    for (int c = 0; c < COLUMNS; c++) {
        double *column = realloc(log->column[c], wanted * sizeof *column);
        if (column == NULL) {
            return false;
        }
        log->column[c] = column;
    }
    *room = wanted;
    return true;
}

static bool read_log(FILE *file, run_log *log) {
    char row[4096];
    int field[COLUMNS];
    size_t room = 0;
    if (fgets(row, sizeof row, file) == NULL) {
        return true;
    }
    for (int c = 0; c < COLUMNS; c++) {
        field[c] = run_log_field(row, column_names[c]);
    }
    while (fgets(row, sizeof row, file) != NULL) {
        if (log->rows == room && !more_room(log, &room)) {
            return false;
        }
        for (int c = 0; c < COLUMNS; c++) {
            log->column[c][log->rows] = run_log_number(row, field[c]);
        }
        log->rows += isfinite(log->column[COLUMN_EPOCH][log->rows]); /* else no row of a log */
    }
    return true;
}

bool run_log_read(const char *run, run_log *out) {
    char path[PATH_MAX];
    *out = (run_log){0};
    FILE *file =
        snprintf(path, sizeof path, "%s/log.csv", run) < (int)sizeof path ? fopen(path, "r") : NULL;
    const bool fine = file == NULL || read_log(file, out);
    if (file != NULL) {
        fclose(file);
    }
    return fine;
}

void run_log_free(run_log *log) {
    for (int c = 0; c < COLUMNS; c++) {
        free(log->column[c]);
    }
    *log = (run_log){0};
}

bool run_log_has(const run_log *log, run_column column) {
    for (size_t i = 0; i < log->rows; i++) {
        if (isfinite(log->column[column][i])) {
            return true;
        }
    }
    return false;
}
