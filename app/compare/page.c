/* SPDX-License-Identifier: Apache-2.0 */
/* A comparison as an HTML page. */
#include "compare.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>

#include "../eval_result.h"
#include "../report/chart.h"
#include "../report/document.h"
#include "../report/table.h"

static void cell(page *p, const char *list, int i, const char *name, const tub_interval *m) {
    char key[96];
    snprintf(key, sizeof key, "%s.%d.%s", list, i, name);
    page_put(p, "<td>");
    page_interval(p, key, m);
    page_put(p, "</td>");
}

/* Of the first run, which has the others' classes. */
static bool has_top5(const eval_result *r) {
    return r->metrics != NULL ? eval_result_top5(r->metrics->classes)
                              : r->heads != NULL && eval_result_heads_top5(r->heads);
}

static void put_metrics(page *p, const comparison *c) {
    static const char *const names[] = {"run", "top-1", "AUC", "ACC", "log loss", NULL};
    static const char *const names5[] = {"run", "top-1", "top-5", "AUC", "ACC", "log loss", NULL};
    static const char *const label_names[] = {"run",      "AUC", "ACC", "mean average precision",
                                              "log loss", NULL};
    static const char *const head_names[] = {"run", "all heads right", "log loss", NULL};
    static const char *const head_names5[] = {"run", "all heads right", "all heads, top-5",
                                              "log loss", NULL};
    const eval_result *first = &c->runs[0].result;
    const bool top5 = has_top5(first);
    table_open(p, "sortable", "Metrics of the runs");
    table_head(p, first->metrics != NULL  ? (top5 ? names5 : names)
                  : first->labels != NULL ? label_names
                                          : (top5 ? head_names5 : head_names));
    for (int i = 0; i < c->count; i++) {
        const eval_result *r = &c->runs[i].result;
        table_row(p, c->runs[i].name);
        if (r->metrics != NULL) {
            cell(p, "runs", i, "top1", &r->metrics->top1);
            if (top5) {
                cell(p, "runs", i, "top5", &r->metrics->top5);
            }
            cell(p, "runs", i, "auc", &r->metrics->auc);
            cell(p, "runs", i, "acc", &r->metrics->acc);
            cell(p, "runs", i, "loss", &r->metrics->loss);
        } else if (r->labels != NULL) {
            cell(p, "runs", i, "auc", &r->labels->auc);
            cell(p, "runs", i, "acc", &r->labels->acc);
            cell(p, "runs", i, "mean_average_precision", &r->labels->precision);
            cell(p, "runs", i, "loss", &r->labels->loss);
        } else {
            cell(p, "runs", i, "top1", &r->heads->top1);
            if (top5) {
                cell(p, "runs", i, "top5", &r->heads->top5);
            }
            cell(p, "runs", i, "loss", &r->heads->loss);
        }
        page_put(p, "</tr>\n");
    }
    table_close(p);
}

static void put_test(page *p, int i, const tub_difference *d) {
    char key[96];
    page_put(p, "<td>");
    snprintf(key, sizeof key, "differences.%d.only_first", i);
    page_count(p, key, d->only_first);
    page_put(p, "</td><td>");
    snprintf(key, sizeof key, "differences.%d.only_second", i);
    page_count(p, key, d->only_second);
    page_put(p, "</td><td>");
    snprintf(key, sizeof key, "differences.%d.p_value", i);
    page_probability(p, key, d->p_value);
    page_put(p, "</td>");
}

static void put_differences(page *p, const comparison *c) {
    static const char *const names[] = {
        "run", "top-1", "AUC", "ACC", "log loss", "right only there", "right only here", "p", NULL};
    page_put(p, "<section><h2>Minus ");
    page_text(p, c->runs[0].name);
    page_put(p, "</h2><p class=\"note\">On the same samples, with 95 % intervals by bootstrap; p "
                "by McNemar's "
                "exact test: how probable at least so uneven counts are when both are equally "
                "good.</p>\n");
    table_open(p, "sortable", "Differences from the first run");
    table_head(p, names);
    for (int i = 1; i < c->count; i++) {
        const tub_difference *d = &c->runs[i].difference;
        table_row(p, c->runs[i].name);
        cell(p, "differences", i - 1, "top1", &d->top1);
        cell(p, "differences", i - 1, "auc", &d->auc);
        cell(p, "differences", i - 1, "acc", &d->acc);
        cell(p, "differences", i - 1, "loss", &d->loss);
        put_test(p, i - 1, d);
        page_put(p, "</tr>\n");
    }
    table_close(p);
    page_put(p, "</section>\n");
}

/* ---- curves over each other ---- */

typedef struct shared_chart {
    run_column column;
    const char *id, *title, *y_name;
} shared_chart;
static const shared_chart charts[] = {
    {COLUMN_TRAIN_LOSS, "train-loss", "Training loss", "loss"},
    {COLUMN_VAL_LOSS, "val-loss", "Validation loss", "loss"},
    {COLUMN_VAL_TOP1, "val-top1", "Validation top-1", "share that is right"},
    {COLUMN_VAL_AUC, "val-auc", "Validation AUC", "AUC"}};

static void draw(page *p, const comparison *c, const shared_chart *s, chart_line *lines) {
    size_t count = 0;
    for (int i = 0; i < c->count; i++) {
        const run_log *log = &c->runs[i].facts.log;
        if (run_log_has(log, s->column)) {
            lines[count++] = (chart_line){.name = c->runs[i].name,
                                          .x = log->column[COLUMN_EPOCH],
                                          .y = log->column[s->column],
                                          .count = log->rows,
                                          .colour = i,
                                          .dots = true};
        }
    }
    if (count > 0) {
        chart_draw(p, &(chart){.id = s->id,
                               .title = s->title,
                               .x_name = "epoch",
                               .counts = true,
                               .y_name = s->y_name,
                               .about = "The same curve of every run, over the epochs.",
                               .mark = NAN,
                               .lines = lines,
                               .count = count});
    }
}

static bool put_curves(page *p, const comparison *c) {
    chart_line *lines = calloc((size_t)c->count, sizeof *lines);
    if (lines == NULL) {
        return false;
    }
    page_put(p, "<section><h2>Training</h2><div class=\"charts\">\n");
    for (size_t i = 0; i < sizeof charts / sizeof charts[0]; i++) {
        draw(p, c, &charts[i], lines);
    }
    page_put(p, "</div></section>\n");
    free(lines);
    return true;
}

static void put_settings(page *p, const comparison *c) {
    page_put(p, "<section><h2>Settings that differ</h2>");
    table_open(p, "", "Settings that differ");
    table_begin_head(p);
    table_heading(p, "setting");
    for (int i = 0; i < c->count; i++) {
        table_heading(p, c->runs[i].name);
    }
    table_end_head(p);
    for (size_t k = 0; k < c->settings_count; k++) {
        table_row(p, c->settings[k].key);
        for (int i = 0; i < c->count; i++) {
            const char *value = c->settings[k].values[i];
            page_put(p, "<td>");
            page_text(p, value != NULL ? value : "–");
            page_put(p, "</td>");
        }
        page_put(p, "</tr>\n");
    }
    table_close(p);
    page_put(p, "</section>\n");
}

static bool put_all(page *p, const comparison *c) {
    document_begin(p, "Comparison of runs");
    page_put(p, "<header><h1>Comparison of runs</h1><p>");
    page_text(p, c->runs[0].data);
    page_putf(p, ", %s split, ", c->split);
    page_count(p, "samples", c->samples);
    page_put(p, " samples</p></header>\n<main>\n<section><h2>Metrics</h2>\n");
    put_metrics(p, c);
    page_put(p, "</section>\n");
    if (c->tested && c->count > 1) {
        put_differences(p, c);
    }
    const bool fine = put_curves(p, c);
    if (c->settings_count > 0) {
        put_settings(p, c);
    }
    document_end(p);
    return fine;
}

int compare_page(const cli_command *self, const comparison *c, const char *path) {
    char why[PATH_MAX + 128];
    page p;
    const bool fine = page_begin(&p) && put_all(&p, c) && page_end(&p);
    int code = fine ? CLI_GO : cli_fail_with(self, "out of memory");
    if (fine && !output_bytes(p.bytes, p.size, path, why, sizeof why)) {
        code = cli_fail_with(self, "%s", why);
    }
    page_free(&p);
    return code;
}
