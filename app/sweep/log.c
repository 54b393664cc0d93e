/* SPDX-License-Identifier: Apache-2.0 */
/* The metric of a trial, row by row, from the log.csv that its training writes. */
#include <stdio.h>
#include <string.h>

#include "../run_log.h"
#include "sweep.h"

enum { ROW = 2048 };

int64_t sweep_read_log(const sweep *s, int64_t trial, int64_t from, double *values, int64_t room) {
    char path[TUB_PATH_LENGTH], row[ROW];
    FILE *file = sweep_path(s, trial, "/log.csv", path) ? fopen(path, "r") : NULL;
    int64_t count = 0, number = 0;
    if (file == NULL) {
        return 0;
    }
    const int column = fgets(row, sizeof row, file) != NULL ? run_log_field(row, s->column) : -1;
    /* A row without its end is still being written. */
    while (count < room && fgets(row, sizeof row, file) != NULL && strchr(row, '\n') != NULL) {
        if (number++ >= from) {
            values[count++] = run_log_number(row, column);
        }
    }
    fclose(file);
    return count;
}
