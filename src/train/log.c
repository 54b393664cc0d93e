/* SPDX-License-Identifier: Apache-2.0 */
/* log.csv: header, rows, and cutting it back to the last checkpoint. */
#include "train/log.h"

#include "base/error.h"
#include "base/file.h"
#include "formats/json.h"
#include "train/run_folder.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LOG_LIMIT = 1 << 28, CELL = 33 };

static const char header[] =
    "epoch,step,seconds,train_loss,train_top1,train_top5,val_loss,val_top1,val_top5,val_auc,lr,"
    "data_wait\n";

static tub_status log_path(const tub_allocator *a, const char *run, char **path, tub_error *err) {
    return tub__path_join(a, run, TUB__RUN_LOG, path, err);
}

tub_status tub__log_start(const tub_allocator *a, const char *run, tub_error *err) {
    char *path = NULL;
    TUB__TRY(log_path(a, run, &path, err));
    tub_status status = tub__file_write(a, path, header, sizeof header - 1, err);
    tub__free(a, path);
    return status;
}

/* With three digits and a point, whatever the program's locale has. */
static int put_seconds(char *out, size_t size, double seconds) {
    const uint64_t whole = (uint64_t)seconds;
    return snprintf(out, size, "%" PRIu64 ".%03u", whole,
                    (unsigned)((seconds - (double)whole) * 1e3));
}

tub_status tub__log_row(const tub_allocator *a, const char *run, const tub__progress *p, double lr,
                        tub_error *err) {
    const double cells[] = {p->train.loss, p->train.top1, p->train.top5, p->val.loss,
                            p->val.top1,   p->val.top5,   p->val.auc,    lr};
    enum { COUNT = sizeof cells / sizeof *cells };
    char row[128 + COUNT * CELL];
    int used = snprintf(row, sizeof row, "%" PRIu64 ",%" PRIu64 ",", p->epoch + 1, p->step);
    used += put_seconds(row + used, sizeof row - (size_t)used, p->seconds);
    for (int i = 0; i < COUNT; i++) {
        char cell[32] = "";
        if (cells[i] == cells[i]) {
            tub__shortest_real(cells[i], cell);
        }
        used += snprintf(row + used, sizeof row - (size_t)used, ",%s", cell);
    }
    used += snprintf(row + used, sizeof row - (size_t)used, ",");
    used += put_seconds(row + used, sizeof row - (size_t)used, p->data_wait);
    used += snprintf(row + used, sizeof row - (size_t)used, "\n");
    char *path = NULL;
    TUB__TRY(log_path(a, run, &path, err));
    tub_status status = tub__file_append(path, row, (size_t)used, err);
    tub__free(a, path);
    return status;
}

/* Bytes of the header and of the whole rows up to a step. */
static size_t kept(const char *text, uint64_t step) {
    size_t keep = 0;
    for (const char *line = text, *end = NULL; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        uint64_t epoch = 0, at = 0;
        if (line != text &&
            (sscanf(line, "%" SCNu64 ",%" SCNu64 ",", &epoch, &at) != 2 || at > step)) {
            break;
        }
        keep = (size_t)(end + 1 - text);
    }
    return keep;
}

static tub_status trim(const tub_allocator *a, const char *path, uint64_t step, tub_error *err) {
    char *text = NULL;
    size_t size = 0;
    TUB__TRY(tub__file_read(a, path, LOG_LIMIT, &text, &size, err));
    size_t keep = kept(text, step);
    tub_status status = keep < size ? tub__file_write(a, path, text, keep, err) : TUB_OK;
    tub__free(a, text);
    return status;
}

tub_status tub__log_trim(const tub_allocator *a, const char *run, uint64_t step, tub_error *err) {
    char *path = NULL;
    TUB__TRY(log_path(a, run, &path, err));
    tub_status status =
        tub__file_exists(path) ? trim(a, path, step, err) : tub__log_start(a, run, err);
    tub__free(a, path);
    return status;
}
