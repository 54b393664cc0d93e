/* SPDX-License-Identifier: Apache-2.0 */
/* A comparison as text and as JSON. */
#include "compare.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- text ---- */

/* The least width that all names fit into. */
static int name_width(const comparison *c) {
    size_t width = 8;
    for (int i = 0; i < c->count; i++) {
        const size_t n = strlen(c->runs[i].name);
        width = n > width ? n : width;
    }
    return (int)(width < 60 ? width : 60);
}

static void print_name(const char *name, int width) {
    char text[OUTPUT_NAME];
    printf("%-*s", width, output_name(text, name));
}

/* "0.8123 [0.7901, 0.8345]", in a column. */
static void print_interval(const tub_interval *m, const char *format, bool last) {
    char text[96], low[OUTPUT_FIGURE], high[OUTPUT_FIGURE];
    int n = isnan(m->value) ? snprintf(text, sizeof text, "-")
                            : snprintf(text, sizeof text, format, m->value);
    if (!isnan(m->low) && !isnan(m->high)) {
        snprintf(text + n, sizeof text - (size_t)n, " [%s, %s]", output_figure(low, m->low),
                 output_figure(high, m->high));
    }
    printf("  %-*s", last ? 0 : 26, text);
}

/* The three metrics that every task has, or NULL. */
static void metrics_of(const compared_run *run, const tub_interval *out[3]) {
    const eval_result *r = &run->result;
    out[0] = r->metrics != NULL ? &r->metrics->top1
             : r->heads != NULL ? &r->heads->top1
                                : &r->labels->acc;
    out[1] = r->metrics != NULL ? &r->metrics->auc : r->labels != NULL ? &r->labels->auc : NULL;
    out[2] = r->metrics != NULL ? &r->metrics->loss
             : r->heads != NULL ? &r->heads->loss
                                : &r->labels->loss;
}

static void print_metrics(const comparison *c, int width) {
    static const tub_interval none = {NAN, NAN, NAN};
    printf("%-*s  %-26s  %-26s  %s\n", width, "run", c->tested ? "top-1" : "right", "AUC",
           "log loss");
    for (int i = 0; i < c->count; i++) {
        const tub_interval *m[3];
        metrics_of(&c->runs[i], m);
        print_name(c->runs[i].name, width);
        for (int k = 0; k < 3; k++) {
            print_interval(m[k] != NULL ? m[k] : &none, "%.4f", k == 2);
        }
        putchar('\n');
    }
}

static void print_differences(const comparison *c, int width) {
    char text[OUTPUT_NAME];
    printf("\nMinus %s, on the same samples; McNemar: how many only that one, and only the other "
           "has right\n",
           output_name(text, c->runs[0].name));
    printf("%-*s  %-26s  %-26s  %-26s  McNemar\n", width, "run", "top-1", "AUC", "log loss");
    for (int i = 1; i < c->count; i++) {
        const tub_difference *d = &c->runs[i].difference;
        print_name(c->runs[i].name, width);
        print_interval(&d->top1, "%+.4f", false);
        print_interval(&d->auc, "%+.4f", false);
        print_interval(&d->loss, "%+.4f", false);
        printf("  %" PRId64 " and %" PRId64 ", p = %.3g\n", d->only_first, d->only_second,
               d->p_value);
    }
}

static void print_settings(const comparison *c) {
    char text[OUTPUT_NAME];
    puts("\nSettings that differ");
    for (size_t k = 0; k < c->settings_count; k++) {
        printf("  %-26s", c->settings[k].key);
        for (int i = 0; i < c->count; i++) {
            const char *value = c->settings[k].values[i];
            printf("  %s", value != NULL ? output_name(text, value) : "-");
        }
        putchar('\n');
    }
}

void compare_print(const comparison *c) {
    const int width = name_width(c);
    char text[OUTPUT_NAME];
    printf("%s, %s split, %" PRId64 " samples\n\n", output_name(text, c->runs[0].data), c->split,
           c->samples);
    print_metrics(c, width);
    if (c->tested && c->count > 1) {
        print_differences(c, width);
    }
    if (c->settings_count > 0) {
        print_settings(c);
    }
}

/* ---- JSON ---- */

static json_t *difference_json(const comparison *c, int i) {
    const tub_difference *d = &c->runs[i].difference;
    return json_pack(
        "{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:I,s:I,s:o}", "run", output_text(c->runs[i].name), "against",
        output_text(c->runs[0].name), "top1", output_interval(&d->top1), "top5",
        output_interval(&d->top5), "auc", output_interval(&d->auc), "acc", output_interval(&d->acc),
        "loss", output_interval(&d->loss), "only_first", (json_int_t)d->only_first, "only_second",
        (json_int_t)d->only_second, "p_value", output_number(d->p_value));
}

static json_t *setting_json(const comparison *c, size_t k) {
    json_t *values = json_array();
    for (int i = 0; i < c->count; i++) {
        const char *value = c->settings[k].values[i];
        json_array_append_new(values, value != NULL ? output_text(value) : json_null());
    }
    return json_pack("{s:s,s:o}", "key", c->settings[k].key, "values", values);
}

json_t *compare_json(const comparison *c) {
    json_t *runs = json_array(), *differences = json_array(), *settings = json_array();
    for (int i = 0; i < c->count; i++) {
        json_array_append_new(runs, eval_json(&c->runs[i].eval));
        if (c->tested && i > 0) {
            json_array_append_new(differences, difference_json(c, i));
        }
    }
    for (size_t k = 0; k < c->settings_count; k++) {
        json_array_append_new(settings, setting_json(c, k));
    }
    return json_pack("{s:o,s:s,s:I,s:o,s:o,s:o}", "data", output_text(c->runs[0].data), "split",
                     c->split, "samples", (json_int_t)c->samples, "runs", runs, "differences",
                     differences, "settings", settings);
}
