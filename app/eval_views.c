/* SPDX-License-Identifier: Apache-2.0 */
/* A split whose samples lie in files, with several views of each: the files' parts go through
 * tub_predict_files. */
#include "eval_views.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct gathering {
    float *logits, *probabilities;
    size_t classes;
    tub_error *err;
    tub_status status;
} gathering;

static int gather(void *user, const tub_file_result *r) {
    gathering *g = user;
    if (r->status != TUB_OK) {
        g->status = g->err->status = r->status;
        snprintf(g->err->message, sizeof g->err->message, "%s", r->message);
        return 1;
    }
    if (g->logits != NULL) {
        memcpy(g->logits + r->index * g->classes, r->logits, g->classes * sizeof *g->logits);
    }
    memcpy(g->probabilities + r->index * g->classes, r->probabilities,
           g->classes * sizeof *g->probabilities);
    return 0;
}

static tub_status list_files(const eval_part *of, const char **paths, tub_file_part *parts,
                             tub_error *err) {
    tub_status status = TUB_OK;
    for (int64_t i = 0; i < of->count && status == TUB_OK; i++) {
        tub_file file;
        status = tub_dataset_file(
            of->data, tub_dataset_sample_file(of->data, of->split, of->first + i), &file, err);
        if (status == TUB_OK) {
            paths[i] = file.path;
            parts[i] = (tub_file_part){file.first, file.frames};
        }
    }
    return status;
}

tub_status eval_views(tub_model *model, const eval_part *of, const tub_file_options *options,
                      float *logits, float *probabilities, tub_error *err) {
    const tub_dataset *data = of->data;
    const int64_t count = of->count;
    if (tub_dataset_files(data) == 0) {
        err->status = TUB_E_UNSUPPORTED;
        snprintf(err->message, sizeof err->message,
                 "%s has its samples in memory, each of one clip; --views and --crops work with "
                 "sets of files",
                 tub_dataset_describe(data)->name);
        return TUB_E_UNSUPPORTED;
    }
    const char **paths = calloc((size_t)count + 1, sizeof *paths);
    tub_file_part *parts = calloc((size_t)count + 1, sizeof *parts);
    tub_status status = TUB_E_MEMORY;
    if (paths == NULL || parts == NULL) {
        *err = (tub_error){.status = TUB_E_MEMORY, .message = "out of memory"};
    } else {
        status = tub_predict_check_classes(model, data, err);
    }
    if (status == TUB_OK) {
        status = list_files(of, paths, parts, err);
    }
    if (status == TUB_OK) {
        tub_file_options o = *options;
        gathering g = {logits, probabilities, (size_t)tub_model_describe(model)->classes, err,
                       TUB_OK};
        o.parts = parts;
        status = tub_predict_files(model, (size_t)count, paths, &o, gather, &g, err);
        status = status == TUB_OK ? g.status : status;
    }
    free(parts);
    free(paths);
    return status;
}
