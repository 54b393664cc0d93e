/* SPDX-License-Identifier: Apache-2.0 */
/* How far a run is, from the files in its folder (docs/training.md lists them). */
#include "run_facts.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "output.h"
#include "run_log.h"

static bool path_in(const char *run, const char *file, char path[PATH_MAX]) {
    return snprintf(path, PATH_MAX, "%s/%s", run, file) < PATH_MAX;
}

bool run_facts_is_run(const char *folder) {
    char path[PATH_MAX];
    return path_in(folder, "recipe.yaml", path) && access(path, F_OK) == 0;
}

static json_t *load(const char *run, const char *file) {
    char path[PATH_MAX];
    json_error_t error;
    return path_in(run, file, path) ? json_load_file(path, 0, &error) : NULL;
}

static double number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* metrics.json is there once a run has ended or was stopped. */
static bool read_end(const char *run, run_facts *out) {
    json_t *metrics = load(run, "metrics.json");
    bool found = json_is_integer(json_object_get(metrics, "epochs"));
    if (found) {
        out->epochs = json_integer_value(json_object_get(metrics, "epochs"));
        out->steps = json_integer_value(json_object_get(metrics, "steps"));
        out->partial = json_is_true(json_object_get(metrics, "partial_epoch"));
    }
    json_decref(metrics);
    return found;
}

/* log.csv has a row for each epoch; the last whole one counts. False: no memory. */
static bool read_log(const char *run, run_facts *out) {
    run_log log;
    const bool fine = run_log_read(run, &log);
    for (size_t i = 0; i < log.rows; i++) {
        if (isfinite(log.column[COLUMN_STEP][i])) {
            out->epochs = (int64_t)log.column[COLUMN_EPOCH][i];
            out->steps = (int64_t)log.column[COLUMN_STEP][i];
        }
    }
    run_log_free(&log);
    return fine;
}

static void read_best(const char *run, run_facts *out) {
    json_t *metrics = load(run, "best/metrics.json");
    const json_t *val = json_object_get(metrics, "val");
    out->best_epoch = json_integer_value(json_object_get(metrics, "epoch"));
    out->best = (tub_scores){.loss = number(val, "loss"),
                             .top1 = number(val, "top1"),
                             .top5 = number(val, "top5"),
                             .auc = number(val, "auc")};
    json_decref(metrics);
}

tub_status run_facts_read(tub_context *ctx, const char *run, run_facts *out, tub_error *err) {
    *out = (run_facts){0};
    tub_status status = tub_run_config(ctx, run, &out->config, err);
    if (status != TUB_OK) {
        return status;
    }
    status = tub_train_parameters(&out->config, &out->trained, err);
    if (status != TUB_OK) {
        return status;
    }
    if (!read_end(run, out) && !read_log(run, out)) {
        *err = (tub_error){.status = TUB_E_MEMORY, .message = "out of memory"};
        return TUB_E_MEMORY;
    }
    read_best(run, out);
    return TUB_OK;
}
