/* SPDX-License-Identifier: Apache-2.0 */
/* Prints predictions: a table on a terminal, tab-separated lines, CSV or JSON. */
#include "predict_print.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "output.h"

double predict_clock(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void predict_printer_init(predict_printer *p, predict_format format, int64_t classes,
                          const char *const *labels) {
    *p = (predict_printer){format, classes, labels, isatty(STDOUT_FILENO) != 0, false, NULL};
}

/* The lowest index among equal scores wins (docs/metrics.md). */
static int64_t best_class(const float *p, int64_t classes) {
    int64_t best = 0;
    for (int64_t k = 1; k < classes; k++) {
        if (p[k] > p[best]) {
            best = k;
        }
    }
    return best;
}

static void print_label(const predict_printer *p, int64_t k, char *buffer, size_t size) {
    if (p->labels != NULL && k >= 0 && k < p->classes) {
        snprintf(buffer, size, "%s", p->labels[k]);
    } else if (k >= 0) {
        snprintf(buffer, size, "class %lld", (long long)k);
    } else {
        snprintf(buffer, size, "-");
    }
}

static void print_text(predict_printer *p, const predict_line *line, int64_t best) {
    char label[128], truth[128];
    print_label(p, best, label, sizeof label);
    print_label(p, line->truth, truth, sizeof truth);
    if (p->table) {
        if (!p->header_done) {
            printf("%-36s %6s  %5s %-20s %6s  %s\n", "FILE", "INDEX", "CLASS", "LABEL", "P",
                   "TRUTH");
        }
        printf("%-36s %6lld  %5lld %-20s %6.4f  %s\n", line->file, (long long)line->index,
               (long long)best, label, (double)line->probabilities[best], truth);
    } else {
        printf("%s\t%lld\t%lld\t%s\t%.6f\t%s\n", line->file, (long long)line->index,
               (long long)best, label, (double)line->probabilities[best], truth);
    }
}

static void print_csv(predict_printer *p, const predict_line *line, int64_t best) {
    char label[128];
    if (!p->header_done) {
        fputs("file,index,class,label,truth", stdout);
        for (int64_t k = 0; k < p->classes; k++) {
            printf(",p%lld", (long long)k);
        }
        putchar('\n');
    }
    print_label(p, best, label, sizeof label);
    output_csv_text(line->file);
    printf(",%lld,%lld,", (long long)line->index, (long long)best);
    output_csv_text(label);
    if (line->truth >= 0) {
        printf(",%d", (int)line->truth);
    } else {
        putchar(',');
    }
    for (int64_t k = 0; k < p->classes; k++) {
        printf(",%.9g", (double)line->probabilities[k]);
    }
    putchar('\n');
}

static void print_json(const predict_printer *p, const predict_line *line, int64_t best) {
    json_t *object = json_pack("{s:o,s:I,s:I,s:o,s:o,s:o,s:o,s:s?}", "file",
                               output_text(line->file), "index", (json_int_t)line->index, "class",
                               (json_int_t)best, "label", output_label(p->labels, best),
                               "probabilities", output_floats(line->probabilities, p->classes),
                               "logits", output_floats(line->logits, p->classes), "milliseconds",
                               output_number(line->milliseconds), "weights", p->weights);
    if (line->truth >= 0) {
        json_object_set_new(object, "truth", json_integer(line->truth));
    }
    (void)output_line(object);
}

void predict_print(predict_printer *p, const predict_line *line) {
    int64_t best = best_class(line->probabilities, p->classes);
    switch (p->format) {
    case PREDICT_TEXT:
        print_text(p, line, best);
        break;
    case PREDICT_CSV:
        print_csv(p, line, best);
        break;
    case PREDICT_JSON:
        print_json(p, line, best);
        break;
    }
    p->header_done = true;
    output_note();
}
