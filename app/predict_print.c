/* SPDX-License-Identifier: Apache-2.0 */
/* Prints predictions: a table on a terminal, tab-separated lines, or CSV. */
#include "predict_print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "output.h"

enum { JOINED = 1024 };

double predict_clock(void) {
    return clock_now();
}

bool predict_printer_open(predict_printer *p, predict_format format, const tub_model *model) {
    const tub_model_config *c = tub_model_describe(model);
    *p = (predict_printer){.format = format,
                           .model = c,
                           .labels = tub_model_labels(model),
                           .table = isatty(STDOUT_FILENO) != 0};
    p->told.list = calloc((size_t)c->classes, sizeof *p->told.list);
    p->truth.list = calloc((size_t)c->classes, sizeof *p->truth.list);
    return p->told.list != NULL && p->truth.list != NULL;
}

void predict_printer_close(predict_printer *p) {
    free(p->told.list);
    free(p->truth.list);
    *p = (predict_printer){0};
}

const char *predict_time(char out[PREDICT_TIME], int64_t nanoseconds) {
    const int64_t second = 1000000000;
    snprintf(out, PREDICT_TIME, "%lld.%09lld", (long long)(nanoseconds / second),
             (long long)(nanoseconds % second));
    char *end = out + strlen(out), *least = strchr(out, '.') + 4;
    while (end > least && end[-1] == '0') {
        *--end = '\0';
    }
    return out;
}

static int64_t heads_of(const tub_model_config *c) {
    int64_t heads = 0;
    while (heads < TUB_HEAD_LIMIT && c->head_classes[heads] != 0) {
        heads++;
    }
    return heads > 0 ? heads : 1; /* one softmax is one head */
}

static int64_t classes_of_head(const tub_model_config *c, int64_t head) {
    return c->task == TUB_TASK_MULTI_HEAD ? c->head_classes[head] : c->classes;
}

int64_t predict_columns(const tub_model_config *c) {
    return c->task == TUB_TASK_MULTI_LABEL ? c->classes : heads_of(c);
}

int64_t predict_head_begin(const tub_model_config *c, int64_t k) {
    int64_t begin = 0;
    for (int64_t h = 0; h < heads_of(c) && begin + classes_of_head(c, h) <= k; h++) {
        begin += classes_of_head(c, h);
    }
    return begin;
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

static void tell(predict_printer *p, const predict_line *line) {
    const tub_model_config *c = p->model;
    p->told.count = p->truth.count = 0;
    if (c->task == TUB_TASK_MULTI_LABEL) {
        for (int64_t k = 0; k < c->classes; k++) {
            if (line->probabilities[k] > 0.5f) {
                p->told.list[p->told.count++] = k;
            }
            if (line->truth != NULL && line->truth[k] == 1) {
                p->truth.list[p->truth.count++] = k;
            }
        }
        return;
    }
    for (int64_t h = 0, begin = 0; h < heads_of(c); begin += classes_of_head(c, h++)) {
        p->told.list[p->told.count++] =
            begin + best_class(line->probabilities + begin, classes_of_head(c, h));
        if (line->truth != NULL && line->truth[h] >= 0) {
            p->truth.list[p->truth.count++] = begin + line->truth[h];
        }
    }
}

static void label_of(const predict_printer *p, int64_t k, char *buffer, size_t size) {
    char name[OUTPUT_NAME];
    if (p->labels != NULL && k < p->model->classes) { /* raw for .csv, which quotes it */
        snprintf(buffer, size, "%s",
                 p->format == PREDICT_CSV ? p->labels[k] : output_name(name, p->labels[k]));
    } else {
        snprintf(buffer, size, "class %lld", (long long)(k - predict_head_begin(p->model, k)));
    }
}

/* "a,b" of names, or of numbers within their heads; "-" for none. */
static void join(const predict_printer *p, const predict_classes *classes, bool names, char between,
                 const char *none, char out[JOINED]) {
    size_t used = 0;
    snprintf(out, JOINED, "%s", classes->count == 0 ? none : "");
    for (int64_t i = 0; i < classes->count && used < JOINED - 1; i++) {
        const int64_t k = classes->list[i];
        char word[JOINED / 2];
        if (names) {
            label_of(p, k, word, sizeof word);
        } else {
            snprintf(word, sizeof word, "%lld", (long long)(k - predict_head_begin(p->model, k)));
        }
        snprintf(out + used, JOINED - used, "%.*s%s", i > 0, &between, word);
        used = strlen(out);
    }
}

/* Of the answer: the product over the heads; of labels the highest. */
static double probability_of(const predict_printer *p, const predict_line *line) {
    if (p->model->task == TUB_TASK_MULTI_LABEL) {
        return (double)line->probabilities[best_class(line->probabilities, p->model->classes)];
    }
    double product = 1.0;
    for (int64_t i = 0; i < p->told.count; i++) {
        product *= (double)line->probabilities[p->told.list[i]];
    }
    return product;
}

static void print_text(predict_printer *p, const predict_line *line) {
    char name[OUTPUT_NAME];
    const char *file = output_name(name, line->file);
    char numbers[JOINED], labels[JOINED], truth[JOINED];
    const double probability = probability_of(p, line);
    join(p, &p->told, false, ',', "-", numbers);
    join(p, &p->told, true, ',', "-", labels);
    join(p, &p->truth, !line->other_names, ',', "-", truth);
    if (p->table) {
        if (!p->header_done) {
            printf("%-36s %6s  %5s %-20s %6s  %s\n", "FILE", "INDEX", "CLASS", "LABEL", "P",
                   "TRUTH");
        }
        printf("%-36s %6lld  %5s %-20s %6.4f  %s\n", file, (long long)line->index, numbers, labels,
               probability, truth);
    } else {
        printf("%s\t%lld\t%s\t%s\t%.6f\t%s\n", file, (long long)line->index, numbers, labels,
               probability, truth);
    }
}

static void print_row(predict_printer *p, const predict_line *line) {
    char name[OUTPUT_NAME];
    const char *file = output_name(name, line->file);
    char numbers[JOINED], labels[JOINED], begin[PREDICT_TIME], end[PREDICT_TIME];
    const double probability = probability_of(p, line);
    join(p, &p->told, false, ',', "-", numbers);
    join(p, &p->told, true, ',', "-", labels);
    predict_time(begin, line->window->begin);
    predict_time(end, line->window->end);
    if (p->table) {
        if (!p->header_done) {
            printf("%-36s %10s %10s  %5s %-20s %6s\n", "FILE", "START", "END", "CLASS", "LABEL",
                   "P");
        }
        printf("%-36s %10s %10s  %5s %-20s %6.4f\n", file, begin, end, numbers, labels,
               probability);
    } else {
        printf("%s\t%s\t%s\t%s\t%s\t%.6f\n", file, begin, end, numbers, labels, probability);
    }
}

static void print_csv(predict_printer *p, const predict_line *line) {
    char numbers[JOINED], labels[JOINED], truth[JOINED];
    char begin[PREDICT_TIME], end[PREDICT_TIME];
    if (!p->header_done) {
        fputs(line->window != NULL ? "file,start,end,class,label" : "file,index,class,label,truth",
              stdout);
        for (int64_t k = 0; k < p->model->classes; k++) {
            printf(",p%lld", (long long)k);
        }
        puts(line->window != NULL ? "" : ",damage");
    }
    join(p, &p->told, false, ';', "", numbers);
    join(p, &p->told, true, ';', "", labels);
    join(p, &p->truth, false, ';', "", truth);
    output_csv_text(line->file);
    if (line->window != NULL) {
        printf(",%s,%s,%s,", predict_time(begin, line->window->begin),
               predict_time(end, line->window->end), numbers);
    } else {
        printf(",%lld,%s,", (long long)line->index, numbers);
    }
    output_csv_text(labels);
    if (line->window == NULL) {
        printf(",%s", truth);
    }
    for (int64_t k = 0; k < p->model->classes; k++) {
        printf(",%.9g", (double)line->probabilities[k]);
    }
    if (line->window == NULL) {
        putchar(',');
        output_csv_text(line->damage != NULL ? line->damage : "");
    }
    putchar('\n');
}

void predict_print(predict_printer *p, const predict_line *line) {
    tell(p, line);
    switch (p->format) {
    case PREDICT_TEXT:
        (line->window != NULL ? print_row : print_text)(p, line);
        break;
    case PREDICT_CSV:
        print_csv(p, line);
        break;
    case PREDICT_JSON:
        predict_print_json(p, line);
        break;
    }
    p->header_done = true;
    output_note();
}
