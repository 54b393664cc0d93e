/* SPDX-License-Identifier: Apache-2.0 */
/* What a comparison of runs found, and the ways in which it is told. */
#ifndef APP_COMPARE_H
#define APP_COMPARE_H

#include "../eval_print.h"
#include "../eval_result.h"
#include "../report/facts.h"

/* One run: its answers and metrics on the split. */
typedef struct compared_run {
    const char *name; /* as it was given */
    subject subject;
    eval_subject eval;
    eval_result result;
    tub_model_config config;
    char *data;           /* name of its data set */
    char **labels;        /* names of its classes, ended by NULL; NULL: none */
    float *probabilities; /* [samples,K] */
    tub_difference
        difference;     /* from the first; of one class a sample, and not of the first itself */
    report_facts facts; /* its log, if it is a run */
} compared_run;

/* A setting in which the runs differ. */
typedef struct compared_setting {
    const char *key;
    char **values; /* [count] as recipes have them; NULL of a model that is no run */
} compared_setting;

typedef struct comparison {
    compared_run *runs;
    int count;
    const char *split;
    int64_t samples;
    bool tested; /* there are differences: each sample has one class */
    compared_setting *settings;
    size_t settings_count;
} comparison;

/* Finds the settings that differ. False: no memory. */
bool compare_settings(comparison *c);
void compare_print(const comparison *c);
/* NULL: no memory. */
json_t *compare_json(const comparison *c);
/* Writes the page. CLI_GO, or the exit code after a sentence. */
int compare_page(const cli_command *self, const comparison *c, const char *path);

#endif
