/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics with their intervals, and the tables of classes and labels. */
#include "sections.h"
#include "table.h"

#include "../eval_result.h"

#include <stdio.h>

static void put_key(char key[64], const char *prefix, const char *name) {
    snprintf(key, 64, "%s.%s", prefix, name);
}

static void row_interval(page *p, const char *prefix, const char *name, const char *title,
                         const tub_interval *m) {
    char key[64];
    put_key(key, prefix, name);
    page_putf(p, "<tr><th scope=\"row\">%s</th><td>", title);
    page_interval(p, key, m);
    page_put(p, "</td></tr>\n");
}

static void row_number(page *p, const char *prefix, const char *name, const char *title,
                       double value) {
    char key[64];
    put_key(key, prefix, name);
    page_putf(p, "<tr><th scope=\"row\">%s</th><td>", title);
    page_number(p, key, value, 4);
    page_put(p, "</td></tr>\n");
}

static void begin_table(page *p, const char *label) {
    table_open(p, "metrics", label);
    page_put(p, "<tbody>\n");
}

/* A class of a table, and where its numbers are in eval-SPLIT.json: PREFIX.LIST.k. */
typedef struct class_row {
    const char *prefix, *list;
    int64_t k, first; /* its number among all classes is first + k */
} class_row;

static void cell(page *p, const class_row *row, const char *name, double value) {
    char key[96];
    snprintf(key, sizeof key, "%s.%s.%lld.%s", row->prefix, row->list, (long long)row->k, name);
    page_put(p, "<td>");
    page_number(p, key, value, 4);
    page_put(p, "</td>");
}

static void begin_class(page *p, const report_facts *f, const class_row *row, int64_t support) {
    char name[REPORT_NAME], key[96];
    table_row(p, report_class(f, row->first + row->k, name));
    page_put(p, "<td>");
    snprintf(key, sizeof key, "%s.%s.%lld.samples", row->prefix, row->list, (long long)row->k);
    page_count(p, key, support);
    page_put(p, "</td>");
}

static void put_classes(page *p, const report_facts *f, const report_part *part) {
    static const char *const names[] = {"class", "samples", "precision", "recall",
                                        "F1",    "AUC",     NULL};
    table_open(p, "sortable", "Metrics of the classes");
    table_head(p, names);
    for (int64_t k = 0; k < part->metrics->classes; k++) {
        const tub_class_scores *c = &part->metrics->per_class[k];
        const class_row row = {part->key, "per_class", k, part->first};
        begin_class(p, f, &row, c->support);
        cell(p, &row, "precision", c->precision);
        cell(p, &row, "recall", c->recall);
        cell(p, &row, "f1", c->f1);
        cell(p, &row, "auc", c->auc);
        page_put(p, "</tr>\n");
    }
    table_close(p);
}

static void put_labels(page *p, const report_facts *f, const tub_label_metrics *m) {
    static const char *const names[] = {"label", "samples", "precision",         "recall",
                                        "F1",    "AUC",     "average precision", NULL};
    table_open(p, "sortable", "Metrics of the labels");
    table_head(p, names);
    for (int64_t k = 0; k < m->labels; k++) {
        const tub_label_scores *c = &m->per_label[k];
        const class_row row = {"eval", "per_label", k, 0};
        begin_class(p, f, &row, c->support);
        cell(p, &row, "precision", c->precision);
        cell(p, &row, "recall", c->recall);
        cell(p, &row, "f1", c->f1);
        cell(p, &row, "auc", c->auc);
        cell(p, &row, "average_precision", c->average_precision);
        page_put(p, "</tr>\n");
    }
    table_close(p);
}

static void put_part(page *p, const report_facts *f, const report_part *part) {
    const tub_metrics *m = part->metrics;
    if (f->parts > 1) {
        page_putf(p, "<h3>Head %lld</h3>", (long long)(part->column + 1));
    }
    begin_table(p, "Metrics");
    row_interval(p, part->key, "top1", "top-1 accuracy", &m->top1);
    if (eval_result_top5(m->classes)) {
        row_interval(p, part->key, "top5", "top-5 accuracy", &m->top5);
    }
    row_interval(p, part->key, "auc", "AUC, mean of the classes", &m->auc);
    row_interval(p, part->key, "acc", "ACC (MedMNIST)", &m->acc);
    row_interval(p, part->key, "loss", "log loss", &m->loss);
    row_number(p, part->key, "balanced_accuracy", "balanced accuracy", m->balanced_accuracy);
    row_number(p, part->key, "macro_f1", "macro F1", m->macro_f1);
    row_number(p, part->key, "calibration_error", "calibration error", m->calibration_error);
    row_number(p, part->key, "brier", "Brier score", m->brier);
    table_close(p);
    put_classes(p, f, part);
}

static void put_label_metrics(page *p, const report_facts *f) {
    const tub_label_metrics *m = f->eval->label_metrics;
    begin_table(p, "Metrics");
    row_interval(p, "eval", "auc", "AUC, mean of the labels", &m->auc);
    row_interval(p, "eval", "acc", "ACC (MedMNIST)", &m->acc);
    row_interval(p, "eval", "mean_average_precision", "mean average precision", &m->precision);
    row_interval(p, "eval", "micro_f1", "micro F1", &m->micro_f1);
    row_interval(p, "eval", "macro_f1", "macro F1", &m->macro_f1);
    row_interval(p, "eval", "loss", "log loss", &m->loss);
    row_number(p, "eval", "exact_match", "all labels right", m->exact_match);
    table_close(p);
    put_labels(p, f, m);
}

void report_metrics(page *p, const report_facts *f) {
    const tub_head_metrics *heads = f->eval->head_metrics;
    page_putf(p, "<section id=\"metrics\"><h2>Metrics on %s</h2><p>", tub_split_name(f->split));
    page_count(p, "eval.samples", f->samples);
    page_putf(p, " samples%s.</p>\n",
              f->intervals ? "; in brackets 95 % intervals, by bootstrap over the samples" : "");
    if (heads != NULL) {
        begin_table(p, "Metrics");
        row_interval(p, "eval", "top1", "all heads right", &heads->top1);
        if (eval_result_heads_top5(heads)) {
            row_interval(p, "eval", "top5", "all heads, top-5", &heads->top5);
        }
        row_interval(p, "eval", "loss", "log loss, mean of the heads", &heads->loss);
        table_close(p);
    }
    for (int64_t h = 0; h < f->parts; h++) {
        put_part(p, f, &f->part[h]);
    }
    if (f->parts == 0) {
        put_label_metrics(p, f);
    }
    page_put(p, "</section>\n");
}
