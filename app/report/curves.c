/* SPDX-License-Identifier: Apache-2.0 */
/* Curves of a training. */
#include "chart.h"
#include "sections.h"
#include "table.h"

#include <math.h>
#include <string.h>

typedef struct curve {
    run_column column;
    const char *name, *key;
    int colour;
} curve;

typedef struct curve_chart {
    const char *id, *title, *y_name, *about;
    const curve *curves;
    size_t count;
    bool from_zero;
} curve_chart;

static const curve losses[] = {{COLUMN_TRAIN_LOSS, "training", "train_loss", 0},
                               {COLUMN_VAL_LOSS, "validation", "val_loss", 1}};
static const curve accuracies[] = {{COLUMN_TRAIN_TOP1, "training", "train_top1", 0},
                                   {COLUMN_VAL_TOP1, "validation", "val_top1", 1}};
static const curve aucs[] = {{COLUMN_VAL_AUC, "validation", "val_auc", 1}};
static const curve rates[] = {{COLUMN_LR, "learning rate", "lr", 2}};
static const curve_chart charts[] = {
    {"curve-loss", "Loss", "loss", "Loss of training and validation after each epoch.", losses, 2,
     false},
    {"curve-top1", "Top-1 accuracy", "share that is right",
     "Share of right answers in training and validation after each epoch.", accuracies, 2, false},
    {"curve-auc", "Validation AUC", "AUC", "Area under the ROC curve on the validation split.",
     aucs, 1, false},
    {"curve-lr", "Learning rate", "rate", "Learning rate of the last step of each epoch.", rates, 1,
     true}};
enum { CHARTS = sizeof charts / sizeof charts[0], CURVES_MOST = 2 };

static double best_epoch(const report_facts *f) {
    const json_t *epoch = json_object_get(f->metrics, "best_epoch");
    return json_is_integer(epoch) && json_integer_value(epoch) > 0
               ? (double)json_integer_value(epoch)
               : NAN;
}

static double greatest(const chart_line *lines, size_t count) {
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < lines[i].count; k++) {
            most = fmax(most, lines[i].y[k]); /* passes NaN over */
        }
    }
    return most;
}

static void draw(page *p, const report_facts *f, const curve_chart *c) {
    chart_line lines[CURVES_MOST];
    size_t count = 0;
    for (size_t i = 0; i < c->count; i++) {
        const curve *one = &c->curves[i];
        if (run_log_has(&f->log, one->column)) {
            lines[count++] = (chart_line){one->name,
                                          f->log.column[COLUMN_EPOCH],
                                          f->log.column[one->column],
                                          f->log.rows,
                                          one->colour,
                                          true};
        }
    }
    if (count > 0) {
        chart_draw(p, &(chart){.y_high = c->from_zero ? 1.05 * greatest(lines, count) : 0,
                               .id = c->id,
                               .title = c->title,
                               .x_name = "epoch",
                               .counts = true,
                               .y_name = c->y_name,
                               .about = c->about,
                               .mark = best_epoch(f),
                               .mark_name = "best epoch, by validation AUC",
                               .lines = lines,
                               .count = count});
    }
}

/* Least, greatest and last value of a curve, as a row of the table. */
static void put_extremes(page *p, const run_log *log, const char *chart_title, const curve *c) {
    const double *v = log->column[c->column];
    size_t low = log->rows, high = log->rows;
    char key[64];
    for (size_t i = 0; i < log->rows; i++) {
        if (isfinite(v[i])) {
            low = low == log->rows || v[i] < v[low] ? i : low;
            high = high == log->rows || v[i] > v[high] ? i : high;
        }
    }
    if (low == log->rows) {
        return;
    }
    const int digits = c->column == COLUMN_LR ? 8 : 4;
    snprintf(key, sizeof key, "%s, %s", chart_title, c->name);
    table_row(p, key);
    page_put(p, "<td>");
    snprintf(key, sizeof key, "log.%s.min", c->key);
    page_number(p, key, v[low], digits);
    page_putf(p, " <span class=\"range\">(epoch %.0f)</span></td><td>",
              log->column[COLUMN_EPOCH][low]);
    snprintf(key, sizeof key, "log.%s.max", c->key);
    page_number(p, key, v[high], digits);
    page_putf(p, " <span class=\"range\">(epoch %.0f)</span></td><td>",
              log->column[COLUMN_EPOCH][high]);
    snprintf(key, sizeof key, "log.%s.last", c->key);
    page_number(p, key, v[log->rows - 1], digits);
    page_put(p, "</td></tr>\n");
}

void report_curves(page *p, const report_facts *f) {
    static const char *const names[] = {"curve", "least", "greatest", "last", NULL};
    if (f->log.rows == 0) {
        return;
    }
    page_put(p, "<section id=\"curves\"><h2>Training</h2><div class=\"charts\">\n");
    for (size_t i = 0; i < CHARTS; i++) {
        draw(p, f, &charts[i]);
    }
    page_put(p, "</div><details><summary>Least, greatest and last values</summary>");
    table_open(p, "", "Least, greatest and last values of the curves");
    table_head(p, names);
    for (size_t i = 0; i < CHARTS; i++) {
        for (size_t k = 0; k < charts[i].count; k++) {
            put_extremes(p, &f->log, charts[i].title, &charts[i].curves[k]);
        }
    }
    table_close(p);
    page_put(p, "</details></section>\n");
}
