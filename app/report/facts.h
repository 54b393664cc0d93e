/* SPDX-License-Identifier: Apache-2.0 */
/* What a report shows: a run, its log, and its model's answers on a split. */
#ifndef APP_REPORT_FACTS_H
#define APP_REPORT_FACTS_H

#include "../eval_print.h"
#include "../run_log.h"
#include "../subject.h"

/* One question that the model answers with one class: all of them, or one of several heads. */
typedef struct report_part {
    char key[32];   /* where eval-SPLIT.json has its metrics: "eval" or "eval.heads.0" */
    char id[16];    /* of its figures on the page */
    int64_t first;  /* of its classes among all */
    int64_t column; /* of its truth */
    const tub_metrics *metrics;
} report_part;

typedef struct report_facts {
    const char *run; /* the folder that was asked for */
    const subject *subject;
    const eval_subject *eval; /* the metrics */
    tub_context *context;
    tub_model *model;
    const tub_model_config *config;
    const tub_dataset *data;
    const tub_dataset_info *info;
    tub_split split;
    int64_t samples;
    tub_precision precision;    /* of the evaluation */
    bool intervals;             /* there are some */
    const float *probabilities; /* [samples,K] */
    const int32_t *truth;       /* [samples,label_columns] */
    run_log log;                /* without rows: a model that is no run */
    json_t *metrics;            /* metrics.json; NULL: there is none */
    report_part part[TUB_HEAD_LIMIT];
    int64_t parts;              /* 0: labels that are independent */
    struct small_sample **kept; /* [samples] what pictures.c has read, or NULL each */
} report_facts;

enum { REPORT_NAME = 256 };

/* Reads the log and metrics.json of a run: what is missing or no log is left out. False: no
 * memory. */
bool report_facts_read_run(report_facts *f);
/* Fills the parts. */
void report_facts_split_up(report_facts *f);
void report_facts_free(report_facts *f);

/* The name of class k of all classes, or its number. */
const char *report_class(const report_facts *f, int64_t k, char buffer[REPORT_NAME]);
/* The file of a sample within its split, "cat/001.mp4"; NULL: of a set in memory. The data set's. */
const char *report_file(const report_facts *f, int64_t sample);
/* The probability of class k of a part. */
double report_score(const report_facts *f, const report_part *part, int64_t sample, int64_t k);
int64_t report_truth(const report_facts *f, const report_part *part, int64_t sample);
/* The class with the highest probability, the first of equal ones, or the first that is no
 * number, as the metrics have it. */
int64_t report_prediction(const report_facts *f, const report_part *part, int64_t sample);

/* What the model said of a sample, of all parts or labels together. */
typedef struct report_answer {
    int64_t sample;
    bool right;
    double confidence; /* that it gave the whole answer */
} report_answer;
report_answer report_answer_of(const report_facts *f, int64_t sample);
/* What a sample is, or what the model says it is: classes or labels with commas between them. */
enum { REPORT_TEXT = 2 * REPORT_NAME };
void report_describe(const report_facts *f, int64_t sample, bool truth, char text[REPORT_TEXT]);

#endif
