/* SPDX-License-Identifier: Apache-2.0 */
/* The result of an evaluation as text. */
#include "eval_print.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "eval_result.h"
#include "output.h"

enum { NAME_WIDTH = 20, CONFUSION_LIMIT = 24 };

static void print_interval(const char *name, const tub_interval *m) {
    char value[OUTPUT_FIGURE], low[OUTPUT_FIGURE], high[OUTPUT_FIGURE];
    printf("%-18s %7s", name, output_figure(value, m->value));
    if (!isnan(m->low) && !isnan(m->high)) {
        printf("   [%s, %s]", output_figure(low, m->low), output_figure(high, m->high));
    }
    putchar('\n');
}

static void print_plain(const char *name, double value) {
    char text[OUTPUT_FIGURE];
    printf("%-18s %7s\n", name, output_figure(text, value));
}

/* The class's name, or its number. */
static const char *class_name(const char *const *labels, int64_t k, char *buffer, size_t size) {
    if (labels != NULL) {
        return labels[k];
    }
    snprintf(buffer, size, "class %lld", (long long)k);
    return buffer;
}

static void print_classes(const tub_metrics *m, const char *const *labels) {
    char buffer[OUTPUT_FIGURE], text[OUTPUT_FIGURE];
    printf("\n%4s  %-*s %7s  %9s  %7s  %7s  %7s\n", "", NAME_WIDTH, "class", "samples", "precision",
           "recall", "F1", "AUC");
    for (int64_t k = 0; k < m->classes; k++) {
        const tub_class_scores *c = &m->per_class[k];
        printf("%4lld  %-*s %7lld  %9.4f  %7.4f  %7.4f  %7s\n", (long long)k, NAME_WIDTH,
               class_name(labels, k, buffer, sizeof buffer), (long long)c->support, c->precision,
               c->recall, c->f1, output_figure(text, c->auc));
    }
}

static void print_confusion(const tub_metrics *m, const char *const *labels) {
    char buffer[OUTPUT_FIGURE];
    if (m->classes > CONFUSION_LIMIT) {
        printf("\nThe confusion matrix of %lld classes is in the JSON file.\n",
               (long long)m->classes);
        return;
    }
    printf("\nConfusion matrix: a row is the true class, a column the predicted one\n%4s  %-*s", "",
           NAME_WIDTH, "");
    for (int64_t k = 0; k < m->classes; k++) {
        printf(" %5lld", (long long)k);
    }
    putchar('\n');
    for (int64_t i = 0; i < m->classes; i++) {
        printf("%4lld  %-*s", (long long)i, NAME_WIDTH,
               class_name(labels, i, buffer, sizeof buffer));
        for (int64_t k = 0; k < m->classes; k++) {
            printf(" %5lld", (long long)m->confusion[i * m->classes + k]);
        }
        putchar('\n');
    }
}

static void print_head_line(const eval_subject *s, int64_t samples, int64_t classes,
                            const char *what) {
    printf("%s%s%s%s on %s, %s split: %lld samples, %lld %s\n", s->model,
           s->weights != NULL ? " (" : "", s->weights != NULL ? s->weights : "",
           s->weights != NULL ? " weights)" : "", s->data, s->split, (long long)samples,
           (long long)classes, what);
    if (s->frames == TUB_FRAMES_SHUFFLED) {
        printf("The frames of each sample are shuffled (seed %llu).\n",
               (unsigned long long)s->frames_seed);
    } else if (s->frames == TUB_FRAMES_REVERSED) {
        printf("The frames of each sample are in reverse order.\n");
    }
    if (s->folds > 0) {
        printf("Each sample is predicted by the one of %lld folds that was trained without it.\n",
               (long long)s->folds);
    } else if (s->count > 1) {
        printf("The mean %s of %d models.\n", tub_average_name(s->average), s->count);
    }
    if (s->views != TUB_VIEWS_NONE) {
        printf("Each sample is seen in several views (%s).\n",
               s->views == TUB_VIEWS_KINDS ? "as each recipe says" : tub_views_name(s->views));
    }
    if (s->file_views * s->crops > 1) {
        printf("Of each file %lld view%s with %d crop%s are averaged (%s).\n",
               (long long)s->file_views, s->file_views == 1 ? "" : "s", s->crops,
               s->crops == 1 ? "" : "s", tub_average_name(s->file_average));
    }
    putchar('\n');
}

/* How much the folds differ. */
static void print_folds(const eval_subject *s) {
    char a[OUTPUT_FIGURE], b[OUTPUT_FIGURE];
    const struct {
        const char *name;
        double mean, deviation;
    } rows[] = {{"top-1", s->mean.top1, s->deviation.top1},
                {"AUC", s->mean.auc, s->deviation.auc},
                {"loss", s->mean.loss, s->deviation.loss}};
    printf("\nMean and standard deviation over the %lld folds\n", (long long)s->folds);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        printf("%-18s %7s ± %s\n", rows[i].name, output_figure(a, rows[i].mean),
               output_figure(b, rows[i].deviation));
    }
}

static void print_titles(void) {
    printf("%-18s %7s   95 %% interval\n", "", "value");
}

static void print_metrics(const tub_metrics *m, const char *const *labels) {
    print_titles();
    print_interval("top-1", &m->top1);
    if (eval_result_top5(m->classes)) {
        print_interval("top-5", &m->top5);
    }
    print_interval("AUC", &m->auc);
    print_interval("ACC (MedMNIST)", &m->acc);
    print_interval("loss", &m->loss);
    print_plain("balanced accuracy", m->balanced_accuracy);
    print_plain("macro F1", m->macro_f1);
    print_plain("calibration error", m->calibration_error);
    print_plain("Brier score", m->brier);
    print_classes(m, labels);
    print_confusion(m, labels);
}

static void print_labels(const eval_subject *s) {
    const tub_label_metrics *m = s->label_metrics;
    char buffer[OUTPUT_FIGURE], text[OUTPUT_FIGURE];
    print_head_line(s, m->samples, m->labels, "labels");
    print_titles();
    print_interval("AUC", &m->auc);
    print_interval("ACC (MedMNIST)", &m->acc);
    print_interval("mean precision", &m->precision);
    print_interval("micro F1", &m->micro_f1);
    print_interval("macro F1", &m->macro_f1);
    print_interval("loss", &m->loss);
    print_plain("exact match", m->exact_match);
    printf("\n%4s  %-*s %7s  %9s  %7s  %7s  %7s  %7s\n", "", NAME_WIDTH, "label", "samples",
           "precision", "recall", "F1", "AUC", "AP");
    for (int64_t k = 0; k < m->labels; k++) {
        const tub_label_scores *c = &m->per_label[k];
        printf("%4lld  %-*s %7lld  %9.4f  %7.4f  %7.4f  %7s", (long long)k, NAME_WIDTH,
               class_name(s->labels, k, buffer, sizeof buffer), (long long)c->support, c->precision,
               c->recall, c->f1, output_figure(text, c->auc));
        printf("  %7s\n", output_figure(text, c->average_precision));
    }
}

static void print_heads(const eval_subject *s) {
    const tub_head_metrics *m = s->head_metrics;
    const char *const *labels = s->labels;
    print_head_line(s, m->samples, m->heads, "heads");
    print_titles();
    print_interval("all heads, top-1", &m->top1);
    if (eval_result_heads_top5(m)) {
        print_interval("all heads, top-5", &m->top5);
    }
    print_interval("loss", &m->loss);
    for (int64_t h = 0; h < m->heads; h++) {
        printf("\nHead %lld: %lld classes\n\n", (long long)h + 1, (long long)m->head[h]->classes);
        print_metrics(m->head[h], labels);
        labels = labels != NULL ? labels + m->head[h]->classes : NULL;
    }
}

void eval_print(const eval_subject *s) {
    if (s->label_metrics != NULL) {
        print_labels(s);
    } else if (s->head_metrics != NULL) {
        print_heads(s);
    } else {
        print_head_line(s, s->metrics->samples, s->metrics->classes, "classes");
        print_metrics(s->metrics, s->labels);
    }
    if (s->folds > 0) {
        print_folds(s);
    }
}
