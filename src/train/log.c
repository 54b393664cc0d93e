/* SPDX-License-Identifier: Apache-2.0 */
/* log.csv and log.jsonl: header, rows, and cutting them back to the last checkpoint. */
#include "train/log.h"

#include "base/error.h"
#include "base/file.h"
#include "base/number.h"
#include "formats/json.h"
#include "train/run_folder.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LOG_LIMIT = 1 << 28, CELL = 33, ROW = 128 + TUB__LOG_COLUMNS * 2 * CELL };

static const char *const names[TUB__LOG_COLUMNS] = {
    "epoch",    "step",     "seconds",  "train_loss", "train_top1", "train_top5",
    "val_loss", "val_top1", "val_top5", "val_auc",    "lr",         "data_wait"};

/* Cut to milliseconds, to the double that is nearest to those. */
static double milliseconds(double seconds) {
    return (double)(uint64_t)(seconds * 1e3) / 1e3;
}

tub__log_values tub__log_values_of(const tub__progress *p, double lr) {
    return (tub__log_values){{
        [TUB__LOG_EPOCH] = (double)(p->epoch + 1),
        [TUB__LOG_STEP] = (double)p->step,
        [TUB__LOG_SECONDS] = milliseconds(p->seconds),
        [TUB__LOG_TRAIN_LOSS] = p->train.loss,
        [TUB__LOG_TRAIN_TOP1] = p->train.top1,
        [TUB__LOG_TRAIN_TOP5] = p->train.top5,
        [TUB__LOG_VAL_LOSS] = p->val.loss,
        [TUB__LOG_VAL_TOP1] = p->val.top1,
        [TUB__LOG_VAL_TOP5] = p->val.top5,
        [TUB__LOG_VAL_AUC] = p->val.auc,
        [TUB__LOG_LR] = lr,
        [TUB__LOG_DATA_WAIT] = milliseconds(p->data_wait),
    }};
}

/* The text of a number; "" where it is not known. */
static void put_cell(char cell[CELL], int column, double value) {
    const bool counts = column == TUB__LOG_EPOCH || column == TUB__LOG_STEP,
               times = column == TUB__LOG_SECONDS || column == TUB__LOG_DATA_WAIT;
    cell[0] = '\0';
    if (isnan(value) || ((counts || times) && !(value >= 0 && value < 1e15))) {
        return;
    }
    if (counts) {
        snprintf(cell, CELL, "%" PRIu64, (uint64_t)value);
    } else if (times) { /* with three digits and a point, whatever the program's locale has */
        const uint64_t thousandths = (uint64_t)(value * 1e3 + 0.5);
        snprintf(cell, CELL, "%" PRIu64 ".%03u", thousandths / 1000,
                 (unsigned)(thousandths % 1000));
    } else {
        tub__shortest_real(value, cell);
    }
}

/* A row of log.csv, or a line of log.jsonl. Returns its length. */
static size_t put_row(char row[ROW], const tub__log_values *values, bool json) {
    int used = 0;
    for (int i = 0; i < TUB__LOG_COLUMNS; i++) {
        char cell[CELL];
        put_cell(cell, i, values->of[i]);
        used += json ? snprintf(row + used, ROW - (size_t)used, "%s\"%s\": %s", i > 0 ? ", " : "{",
                                names[i], cell[0] != '\0' ? cell : "null")
                     : snprintf(row + used, ROW - (size_t)used, "%s%s", i > 0 ? "," : "", cell);
    }
    used += snprintf(row + used, ROW - (size_t)used, json ? "}\n" : "\n");
    return (size_t)used;
}

static size_t put_header(char row[ROW]) {
    int used = 0;
    for (int i = 0; i < TUB__LOG_COLUMNS; i++) {
        used += snprintf(row + used, ROW - (size_t)used, "%s%s", i > 0 ? "," : "", names[i]);
    }
    used += snprintf(row + used, ROW - (size_t)used, "\n");
    return (size_t)used;
}

tub_status tub__log_start(const tub_allocator *a, const char *run, tub_error *err) {
    char header[ROW];
    char *path = NULL;
    TUB__TRY(tub__path_join(a, run, TUB__RUN_LOG, &path, err));
    const tub_status status = tub__file_write(a, path, header, put_header(header), err);
    tub__free(a, path);
    return status;
}

tub_status tub__log_row(const tub_allocator *a, const char *run, const tub__log_values *values,
                        tub_error *err) {
    char row[ROW], *path = NULL;
    TUB__TRY(tub__path_join(a, run, TUB__RUN_LOG, &path, err));
    tub_status status = tub__file_append(path, row, put_row(row, values, false), err);
    tub__free(a, path);
    TUB__TRY(status);
    TUB__TRY(tub__path_join(a, run, TUB__RUN_LINES, &path, err));
    status = tub__file_append_soon(path, row, put_row(row, values, true),
                                   err); /* tub__log_trim mends it */
    tub__free(a, path);
    return status;
}

/* Bytes of the header and of the whole rows up to a step, and how many those are. */
static size_t kept(const char *text, uint64_t step, size_t *rows) {
    size_t keep = 0;
    *rows = 0;
    for (const char *line = text, *end = NULL; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        uint64_t epoch = 0, at = 0;
        if (line != text &&
            (sscanf(line, "%" SCNu64 ",%" SCNu64 ",", &epoch, &at) != 2 || at > step)) {
            break;
        }
        *rows += line != text;
        keep = (size_t)(end + 1 - text);
    }
    return keep;
}

/* What somebody else has written into a cell is not known. */
static tub__log_values read_row(const char *row) {
    tub__log_values values;
    for (int i = 0; i < TUB__LOG_COLUMNS; i++) {
        const size_t length = strcspn(row, ",\n");
        char cell[CELL] = "";
        snprintf(cell, sizeof cell, "%.*s", length < sizeof cell ? (int)length : 0, row);
        if (!tub__number_to_real(cell, &values.of[i])) {
            values.of[i] = NAN;
        }
        row += length + (row[length] == ',');
    }
    return values;
}

/* log.jsonl of the rows of log.csv. */
static tub_status write_lines(const tub_allocator *a, const char *run, const char *text,
                              size_t rows, tub_error *err) {
    char *path = NULL, line[ROW];
    tub__writer w;
    TUB__TRY(tub__path_join(a, run, TUB__RUN_LINES, &path, err));
    tub_status status = tub__writer_open(a, path, &w, err);
    tub__free(a, path);
    TUB__TRY(status);
    for (size_t i = 0; i < rows && status == TUB_OK; i++) {
        text = strchr(text, '\n') + 1;
        const tub__log_values values = read_row(text);
        status = tub__writer_write(&w, line, put_row(line, &values, true), err);
    }
    if (status != TUB_OK) {
        tub__writer_abort(&w);
        return status;
    }
    return tub__writer_commit(&w, err);
}

static tub_status trim(const tub_allocator *a, const char *run, const char *path, uint64_t step,
                       tub_error *err) {
    char *text = NULL;
    size_t size = 0, rows = 0;
    TUB__TRY(tub__file_read(a, path, LOG_LIMIT, &text, &size, err));
    const size_t keep = kept(text, step, &rows);
    tub_status status = keep < size ? tub__file_write(a, path, text, keep, err) : TUB_OK;
    if (status == TUB_OK) {
        status = write_lines(a, run, text, rows, err);
    }
    tub__free(a, text);
    return status;
}

tub_status tub__log_trim(const tub_allocator *a, const char *run, uint64_t step, tub_error *err) {
    char *path = NULL;
    TUB__TRY(tub__path_join(a, run, TUB__RUN_LOG, &path, err));
    tub_status status = tub__file_exists(path) ? TUB_OK : tub__log_start(a, run, err);
    if (status == TUB_OK) {
        status = trim(a, run, path, step, err);
    }
    tub__free(a, path);
    return status;
}
