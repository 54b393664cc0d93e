/* SPDX-License-Identifier: Apache-2.0 */
/* What a report shows. */
#include "facts.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool report_facts_read_run(report_facts *f) {
    char path[PATH_MAX];
    json_error_t error;
    if (!f->subject->is_run) {
        return true;
    }
    if (snprintf(path, sizeof path, "%s/metrics.json", f->run) < (int)sizeof path) {
        f->metrics = json_load_file(path, 0, &error);
    }
    return run_log_read(f->run, &f->log);
}

void report_facts_split_up(report_facts *f) {
    const tub_head_metrics *heads = f->eval->head_metrics;
    int64_t first = 0;
    f->parts = f->eval->metrics != NULL ? 1 : heads != NULL ? heads->heads : 0;
    for (int64_t h = 0; h < f->parts; h++) {
        report_part *part = &f->part[h];
        *part = (report_part){.key = "eval", .first = first, .column = h};
        part->metrics = heads != NULL ? heads->head[h] : f->eval->metrics;
        snprintf(part->id, sizeof part->id, "head%d", (int)h);
        if (heads != NULL) {
            snprintf(part->key, sizeof part->key, "eval.heads.%d", (int)h);
        }
        first += part->metrics->classes;
    }
}

void report_facts_free(report_facts *f) {
    run_log_free(&f->log);
    json_decref(f->metrics);
}

const char *report_class(const report_facts *f, int64_t k, char buffer[REPORT_NAME]) {
    if (f->eval->labels != NULL && f->eval->labels[k] != NULL) {
        snprintf(buffer, REPORT_NAME, "%s", f->eval->labels[k]);
    } else {
        snprintf(buffer, REPORT_NAME, "class %lld", (long long)k);
    }
    return buffer;
}

const char *report_file(const report_facts *f, int64_t sample) {
    tub_file file;
    tub_error err;
    const char *split = tub_split_name(f->split);
    const int64_t number = tub_dataset_sample_file(f->data, f->split, sample);
    if (number < 0 || tub_dataset_file(f->data, number, &file, &err) != TUB_OK) {
        return NULL;
    }
    const size_t length = strlen(split);
    const bool within = strncmp(file.name, split, length) == 0 && file.name[length] == '/';
    return file.name + (within ? length + 1 : 0);
}

double report_score(const report_facts *f, const report_part *part, int64_t sample, int64_t k) {
    return (double)f->probabilities[sample * f->config->classes + part->first + k];
}

int64_t report_truth(const report_facts *f, const report_part *part, int64_t sample) {
    return f->truth[sample * f->info->label_columns + part->column];
}

int64_t report_prediction(const report_facts *f, const report_part *part, int64_t sample) {
    int64_t best = 0;
    for (int64_t k = 0; k < part->metrics->classes; k++) {
        const double score = report_score(f, part, sample, k);
        if (isnan(score)) {
            return k;
        }
        best = score > report_score(f, part, sample, best) ? k : best;
    }
    return best;
}

/* Each label by itself: there where its probability is above one half. */
static report_answer answer_of_labels(const report_facts *f, int64_t sample) {
    report_answer a = {sample, true, 1};
    for (int64_t k = 0; k < f->config->classes; k++) {
        const double p = (double)f->probabilities[sample * f->config->classes + k];
        a.right = a.right && (p > 0.5) == (f->truth[sample * f->info->label_columns + k] != 0);
        a.confidence *= fmax(p, 1 - p);
    }
    return a;
}

report_answer report_answer_of(const report_facts *f, int64_t sample) {
    if (f->parts == 0) {
        return answer_of_labels(f, sample);
    }
    report_answer a = {sample, true, 1};
    for (int64_t h = 0; h < f->parts; h++) {
        const report_part *part = &f->part[h];
        const int64_t said = report_prediction(f, part, sample);
        a.right = a.right && said == report_truth(f, part, sample);
        a.confidence *= report_score(f, part, sample, said);
    }
    return a;
}

static void append(char *text, const char *between, const char *more) {
    const size_t used = strlen(text);
    snprintf(text + used, REPORT_TEXT - used, "%s%s", used > 0 ? between : "", more);
}

void report_describe(const report_facts *f, int64_t sample, bool truth, char text[REPORT_TEXT]) {
    char name[REPORT_NAME];
    text[0] = '\0';
    for (int64_t h = 0; h < f->parts; h++) {
        const report_part *part = &f->part[h];
        const int64_t k =
            truth ? report_truth(f, part, sample) : report_prediction(f, part, sample);
        append(text, ", ", report_class(f, part->first + k, name));
    }
    for (int64_t k = 0; f->parts == 0 && k < f->config->classes; k++) {
        const bool there = truth ? f->truth[sample * f->info->label_columns + k] != 0
                                 : f->probabilities[sample * f->config->classes + k] > 0.5F;
        if (there) {
            append(text, ", ", report_class(f, k, name));
        }
    }
    if (text[0] == '\0') {
        append(text, "", "none");
    }
}
