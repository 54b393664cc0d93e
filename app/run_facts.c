/* SPDX-License-Identifier: Apache-2.0 */
/* How far a run is, from the files in its folder (docs/training.md lists them). */
#include "run_facts.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "output.h"

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

/* log.csv has a row for each epoch; the last whole one counts. */
static void read_log(const char *run, run_facts *out) {
    char path[PATH_MAX], row[1024];
    FILE *file = path_in(run, "log.csv", path) ? fopen(path, "r") : NULL;
    while (file != NULL && fgets(row, sizeof row, file) != NULL) {
        int64_t epoch, step;
        if (sscanf(row, "%" SCNd64 ",%" SCNd64 ",", &epoch, &step) == 2) {
            out->epochs = epoch;
            out->steps = step;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
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
    if (!read_end(run, out)) {
        read_log(run, out);
    }
    read_best(run, out);
    return TUB_OK;
}
