/* SPDX-License-Identifier: Apache-2.0 */
/* How well scores order the samples, and what they are worth as probabilities. */
#include "chart.h"
#include "sections.h"
#include "table.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { LINES_MOST = 2 * CHART_COLOURS, POINTS_MOST = 1024, BINS = 15 };

/* One sample's score for a class, and whether it is of that class. */
typedef struct scored {
    double score;
    bool positive;
} scored;

/* One class against the rest. */
typedef struct contest {
    int64_t k;  /* among all classes */
    double auc; /* NaN: a side is empty */
} contest;

static int by_score(const void *a, const void *b) {
    const double x = ((const scored *)a)->score, y = ((const scored *)b)->score;
    return (x < y) - (x > y);
}

/* The hardest first; those without an AUC last. */
static int by_auc(const void *a, const void *b) {
    const contest *x = a, *y = b;
    if (isnan(x->auc) || isnan(y->auc)) {
        return isnan(x->auc) - isnan(y->auc);
    }
    return x->auc != y->auc ? (x->auc > y->auc) - (x->auc < y->auc) : (x->k > y->k) - (x->k < y->k);
}

static int by_class(const void *a, const void *b) {
    const contest *x = a, *y = b;
    return (x->k > y->k) - (x->k < y->k);
}

static bool is_of_class(const report_facts *f, const report_part *part, int64_t sample, int64_t k) {
    return part != NULL ? report_truth(f, part, sample) == k - part->first
                        : f->truth[sample * f->info->label_columns + k] != 0;
}

static void score_all(const report_facts *f, const report_part *part, int64_t k, scored *out) {
    for (int64_t i = 0; i < f->samples; i++) {
        out[i].score = (double)f->probabilities[i * f->config->classes + k];
        out[i].positive = is_of_class(f, part, i, k);
    }
    qsort(out, (size_t)f->samples, sizeof *out, by_score);
}

/* Points of both curves, one for each threshold between different scores. */
typedef struct curve_points {
    double *false_rate, *recall; /* the ROC curve, from (0,0) on */
    double *recall_of, *precision;
    size_t roc, pr;
} curve_points;

/* Of very many points every so many-th is drawn, the last always. */
static void trace(const scored *s, int64_t n, curve_points *out) {
    int64_t positives = 0, seen = 0, hits = 0, thresholds = 0, number = 0;
    for (int64_t i = 0; i < n; i++) {
        positives += s[i].positive;
        thresholds += i + 1 == n || s[i + 1].score < s[i].score;
    }
    const int64_t step = thresholds / POINTS_MOST + 1;
    out->roc = out->pr = 0;
    out->false_rate[out->roc] = 0;
    out->recall[out->roc++] = 0;
    for (int64_t i = 0; i < n; i++) {
        seen++;
        hits += s[i].positive;
        if (i + 1 < n && s[i + 1].score >= s[i].score) {
            continue;
        }
        if (number++ % step != 0 && i + 1 < n) {
            continue;
        }
        out->false_rate[out->roc] = (double)(seen - hits) / (double)(n - positives);
        out->recall[out->roc++] = (double)hits / (double)positives;
        out->recall_of[out->pr] = (double)hits / (double)positives;
        out->precision[out->pr++] = (double)hits / (double)seen;
    }
}

/* Everything that the curves of one part need. */
typedef struct curves {
    contest *contests;
    size_t count, known, drawn; /* classes; those with an AUC; those of them that are drawn */
    scored *scored;
    double *room; /* [drawn][4][POINTS_MOST + 4] */
    chart_line roc[LINES_MOST], pr[LINES_MOST];
    char names[LINES_MOST][REPORT_NAME + 32];
} curves;

enum { ROOM = POINTS_MOST + 4 };

static bool take(curves *c, const report_facts *f, size_t classes) {
    c->count = classes;
    c->contests = calloc(classes, sizeof *c->contests);
    c->scored = calloc((size_t)f->samples, sizeof *c->scored);
    c->room = calloc((size_t)LINES_MOST * 4 * ROOM, sizeof *c->room);
    return c->contests != NULL && c->scored != NULL && c->room != NULL;
}

static void give_back(curves *c) {
    free(c->contests);
    free(c->scored);
    free(c->room);
    free(c);
}

static void choose(curves *c, const report_facts *f, const report_part *part) {
    const tub_label_metrics *labels = f->eval->label_metrics;
    for (size_t k = 0; k < c->count; k++) {
        c->contests[k] = part != NULL
                             ? (contest){part->first + (int64_t)k, part->metrics->per_class[k].auc}
                             : (contest){(int64_t)k, labels->per_label[k].auc};
    }
    qsort(c->contests, c->count, sizeof *c->contests, by_auc);
    while (c->known < c->count && !isnan(c->contests[c->known].auc)) {
        c->known++;
    }
    c->drawn = c->known < LINES_MOST ? c->known : LINES_MOST;
    qsort(c->contests, c->drawn, sizeof *c->contests, by_class);
}

static void trace_all(curves *c, const report_facts *f, const report_part *part) {
    for (size_t i = 0; i < c->drawn; i++) {
        double *room = c->room + i * 4 * ROOM;
        char name[REPORT_NAME];
        curve_points points = {room, room + ROOM, room + 2 * ROOM, room + 3 * ROOM, 0, 0};
        score_all(f, part, c->contests[i].k, c->scored);
        trace(c->scored, f->samples, &points);
        snprintf(c->names[i], sizeof c->names[i], "%s (AUC %.4f)",
                 report_class(f, c->contests[i].k, name), c->contests[i].auc);
        c->roc[i] =
            (chart_line){c->names[i], points.false_rate, points.recall, points.roc, (int)i, false};
        c->pr[i] =
            (chart_line){c->names[i], points.recall_of, points.precision, points.pr, (int)i, false};
    }
}

static void draw_curves(page *p, const curves *c, const char *id) {
    char name[32];
    snprintf(name, sizeof name, "%s-roc", id);
    chart_draw(p, &(chart){.id = name,
                           .title = "ROC",
                           .x_name = "false positive rate",
                           .y_name = "recall",
                           .about = "Receiver operating characteristic, each class against the "
                                    "rest; the diagonal is chance.",
                           .x_high = 1,
                           .y_high = 1,
                           .diagonal = true,
                           .mark = NAN,
                           .lines = c->roc,
                           .count = c->drawn});
    snprintf(name, sizeof name, "%s-pr", id);
    chart_draw(p, &(chart){.id = name,
                           .title = "Precision and recall",
                           .x_name = "recall",
                           .y_name = "precision",
                           .about = "Precision over recall, each class against the rest.",
                           .x_high = 1,
                           .y_high = 1,
                           .mark = NAN,
                           .lines = c->pr,
                           .count = c->drawn});
}

/* ---- calibration ---- */

typedef struct bins {
    int64_t samples[BINS];
    double confidence[BINS], accuracy[BINS]; /* sums, then means */
} bins;

/* Bins (m/15, (m+1)/15] of the highest probability, as the calibration error has them. */
static void fill_bins(const report_facts *f, const report_part *part, bins *b) {
    for (int64_t i = 0; i < f->samples; i++) {
        const int64_t said = report_prediction(f, part, i);
        const double confidence = report_score(f, part, i, said);
        if (isnan(confidence)) {
            continue; /* the calibration error is none then */
        }
        const double bin = ceil(confidence * BINS) - 1;
        const int m = bin < 0 ? 0 : bin >= BINS ? BINS - 1 : (int)bin;
        b->samples[m]++;
        b->confidence[m] += confidence;
        b->accuracy[m] += said == report_truth(f, part, i);
    }
    for (int m = 0; m < BINS; m++) {
        const double n = b->samples[m] > 0 ? (double)b->samples[m] : NAN;
        b->confidence[m] /= n;
        b->accuracy[m] /= n;
    }
}

static void put_bins(page *p, const bins *b, const char *id) {
    static const char *const names[] = {"confidence", "samples", "mean confidence", "right", NULL};
    char key[64];
    page_put(p, "<details><summary>The bins of the calibration plot</summary>");
    table_open(p, "", "Bins of the calibration plot");
    table_head(p, names);
    for (int m = 0; m < BINS; m++) {
        if (b->samples[m] == 0) {
            continue;
        }
        snprintf(key, sizeof key, "%.2f to %.2f", (double)m / BINS, (double)(m + 1) / BINS);
        table_row(p, key);
        page_put(p, "<td>");
        snprintf(key, sizeof key, "%s.bin.%d.samples", id, m);
        page_count(p, key, b->samples[m]);
        page_put(p, "</td><td>");
        snprintf(key, sizeof key, "%s.bin.%d.confidence", id, m);
        page_number(p, key, b->confidence[m], 4);
        page_put(p, "</td><td>");
        snprintf(key, sizeof key, "%s.bin.%d.accuracy", id, m);
        page_number(p, key, b->accuracy[m], 4);
        page_put(p, "</td></tr>\n");
    }
    table_close(p);
    page_put(p, "</details>\n");
}

static void draw_calibration(page *p, const bins *b, const char *id) {
    double x[BINS], y[BINS];
    char name[32];
    size_t n = 0;
    for (int m = 0; m < BINS; m++) {
        if (b->samples[m] > 0) {
            x[n] = b->confidence[m];
            y[n++] = b->accuracy[m];
        }
    }
    const chart_line line = {"share that is right", x, y, n, 0, true};
    snprintf(name, sizeof name, "%s-calibration", id);
    chart_draw(p, &(chart){.id = name,
                           .title = "Calibration",
                           .x_name = "confidence",
                           .y_name = "share that is right",
                           .about = "Share of right answers over the confidence in them; on the "
                                    "diagonal a confidence is what it says.",
                           .x_high = 1,
                           .y_high = 1,
                           .diagonal = true,
                           .mark = NAN,
                           .lines = &line,
                           .count = 1});
}

/* part NULL: independent labels, whose calibration is not measured. */
static bool put_part(page *p, const report_facts *f, const report_part *part) {
    const char *id = part != NULL ? part->id : "labels";
    const size_t classes = (size_t)(part != NULL ? part->metrics->classes : f->config->classes);
    curves *c = calloc(1, sizeof *c);
    bins b = {0};
    if (c == NULL || !take(c, f, classes)) {
        if (c != NULL) {
            give_back(c);
        }
        return false;
    }
    choose(c, f, part);
    trace_all(c, f, part);
    if (f->parts > 1) {
        page_putf(p, "<h3>Head %" PRId64 "</h3>", part->column + 1);
    }
    page_put(p, "<div class=\"charts\">\n");
    draw_curves(p, c, id);
    if (part != NULL) {
        fill_bins(f, part, &b);
        draw_calibration(p, &b, id);
    }
    page_put(p, "</div>\n");
    if (c->known < c->count) {
        page_putf(p,
                  "<p class=\"note\">%zu of %zu classes have no curve here: no sample is of them, "
                  "or all are.</p>\n",
                  c->count - c->known, c->count);
    }
    if (c->drawn < c->known) {
        page_putf(p, "<p class=\"note\">%zu of %zu classes: those with the least AUC.</p>\n",
                  c->drawn, c->known);
    }
    if (part != NULL) {
        put_bins(p, &b, id);
    }
    give_back(c);
    return true;
}

bool report_ranks(page *p, const report_facts *f) {
    bool fine = true;
    page_put(p, "<section id=\"ranks\"><h2>Scores</h2>\n");
    for (int64_t h = 0; h < f->parts && fine; h++) {
        fine = put_part(p, f, &f->part[h]);
    }
    if (f->parts == 0) {
        fine = put_part(p, f, NULL);
    }
    page_put(p, "</section>\n");
    return fine;
}
