/* SPDX-License-Identifier: Apache-2.0 */
/* The result of an evaluation as text and as JSON. */
#include "eval_print.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

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
static const char *class_name(const eval_subject *s, int64_t k, char *buffer, size_t size) {
    if (s->labels != NULL) {
        return s->labels[k];
    }
    snprintf(buffer, size, "class %lld", (long long)k);
    return buffer;
}

static void print_classes(const eval_subject *s) {
    const tub_metrics *m = s->metrics;
    char buffer[OUTPUT_FIGURE], text[OUTPUT_FIGURE];
    printf("\n%4s  %-*s %7s  %9s  %7s  %7s  %7s\n", "", NAME_WIDTH, "class", "samples", "precision",
           "recall", "F1", "AUC");
    for (int64_t k = 0; k < m->classes; k++) {
        const tub_class_scores *c = &m->per_class[k];
        printf("%4lld  %-*s %7lld  %9.4f  %7.4f  %7.4f  %7s\n", (long long)k, NAME_WIDTH,
               class_name(s, k, buffer, sizeof buffer), (long long)c->support, c->precision,
               c->recall, c->f1, output_figure(text, c->auc));
    }
}

static void print_confusion(const eval_subject *s) {
    const tub_metrics *m = s->metrics;
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
        printf("%4lld  %-*s", (long long)i, NAME_WIDTH, class_name(s, i, buffer, sizeof buffer));
        for (int64_t k = 0; k < m->classes; k++) {
            printf(" %5lld", (long long)m->confusion[i * m->classes + k]);
        }
        putchar('\n');
    }
}

void eval_print(const eval_subject *s) {
    const tub_metrics *m = s->metrics;
    printf("%s%s%s%s on %s, %s split: %lld samples, %lld classes\n", s->model,
           s->weights != NULL ? " (" : "", s->weights != NULL ? s->weights : "",
           s->weights != NULL ? " weights)" : "", s->data, s->split, (long long)m->samples,
           (long long)m->classes);
    if (s->frames == TUB_FRAMES_SHUFFLED) {
        printf("The frames of each sample are shuffled (seed %llu).\n",
               (unsigned long long)s->frames_seed);
    } else if (s->frames == TUB_FRAMES_REVERSED) {
        printf("The frames of each sample are in reverse order.\n");
    }
    putchar('\n');
    printf("%-18s %7s   95 %% interval\n", "", "value");
    print_interval("top-1", &m->top1);
    print_interval("top-5", &m->top5);
    print_interval("AUC", &m->auc);
    print_interval("ACC (MedMNIST)", &m->acc);
    print_interval("loss", &m->loss);
    print_plain("balanced accuracy", m->balanced_accuracy);
    print_plain("macro F1", m->macro_f1);
    print_plain("calibration error", m->calibration_error);
    print_plain("Brier score", m->brier);
    print_classes(s);
    print_confusion(s);
}

json_t *eval_json(const eval_subject *s) {
    const tub_metrics *m = s->metrics;
    json_t *confusion = json_array(), *classes = json_array();
    for (int64_t i = 0; i < m->classes; i++) {
        const tub_class_scores *c = &m->per_class[i];
        json_array_append_new(confusion,
                              output_integers(m->confusion + i * m->classes, m->classes));
        json_array_append_new(
            classes,
            json_pack("{s:I,s:o,s:I,s:o,s:o,s:o,s:o}", "class", (json_int_t)i, "label",
                      output_label(s->labels, i), "samples", (json_int_t)c->support, "precision",
                      output_number(c->precision), "recall", output_number(c->recall), "f1",
                      output_number(c->f1), "auc", output_number(c->auc)));
    }
    json_t *seed =
        s->frames == TUB_FRAMES_SHUFFLED ? json_integer((json_int_t)s->frames_seed) : json_null();
    return json_pack(
        "{s:o,s:s?,s:o,s:s,s:s,s:o,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "model",
        output_text(s->model), "weights", s->weights, "data", output_text(s->data), "split",
        s->split, "frames", tub_frame_order_name(s->frames), "frames_seed", seed, "samples",
        (json_int_t)m->samples, "classes", (json_int_t)m->classes, "top1",
        output_interval(&m->top1), "top5", output_interval(&m->top5), "auc",
        output_interval(&m->auc), "acc", output_interval(&m->acc), "loss",
        output_interval(&m->loss), "balanced_accuracy", output_number(m->balanced_accuracy),
        "macro_f1", output_number(m->macro_f1), "calibration_error",
        output_number(m->calibration_error), "brier", output_number(m->brier), "confusion",
        confusion, "per_class", classes);
}
