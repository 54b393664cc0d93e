/* SPDX-License-Identifier: Apache-2.0 */
/* Parallel coordinates as SVG: a line for each trial through an axis for each parameter, and the
 * metric. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "page.h"

#include "../report/table.h"

enum {
    HEIGHT = 330,
    TOP = 46,
    BOTTOM = 24,
    GAP = 150,
    LEFT = 70,
    RIGHT = 90,
    TEXT = 512,
    LABEL = 16
};

static double at_y(double share) {
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM);
}

static double at_x(int64_t axis) {
    return LEFT + (double)axis * GAP;
}

static void label(page *p, int64_t axis, double share, const char *text) {
    char cut[LABEL + 4];
    snprintf(cut, sizeof cut, "%.*s%s", LABEL, text, strlen(text) > LABEL ? "..." : "");
    page_putf(p, "<text class=\"tick\" x=\"%.2f\" y=\"%.2f\">", at_x(axis) + 6, at_y(share) + 4);
    page_text(p, cut);
    page_put(p, "</text>");
}

/* The values of a choice, each at its place; the bounds of what has some. */
static void label_parameter(page *p, const sweep_facts *f, int64_t axis) {
    const tub_sweep_parameter *parameter = &f->searched[axis];
    char text[TEXT];
    for (int64_t k = 0; k < parameter->count && parameter->count <= 12; k++) {
        tub_error err;
        char *json = NULL;
        if (tub_sweep_value(f->sweep->context, f->sweep->file, f->index[axis], k, &json, &err) ==
            TUB_OK) {
            label(p, axis, ((double)k + 0.5) / (double)parameter->count, json);
            tub_sweep_text_free(f->sweep->context, json);
        }
    }
    if (!isnan(parameter->low)) {
        snprintf(text, sizeof text, "%.4g", parameter->low);
        label(p, axis, 0, text);
        snprintf(text, sizeof text, "%.4g", parameter->high);
        label(p, axis, 1, text);
    }
}

static void draw_axis(page *p, int64_t axis, const char *name) {
    page_putf(p,
              "<line class=\"rule\" x1=\"%.2f\" x2=\"%.2f\" y1=\"%.2f\" y2=\"%.2f\"/>"
              "<text class=\"axis\" x=\"%.2f\" y=\"%d\" text-anchor=\"middle\">",
              at_x(axis), at_x(axis), at_y(0), at_y(1), at_x(axis), TOP - 22);
    page_text(p, name);
    page_put(p, "</text>");
}

static void value_range(const sweep_facts *f, double *low, double *high) {
    *low = INFINITY;
    *high = -INFINITY;
    for (int64_t i = 0; i < f->count; i++) {
        if (!isnan(f->value[i])) {
            *low = fmin(*low, f->value[i]);
            *high = fmax(*high, f->value[i]);
        }
    }
    if (!(*low < *high)) {
        *low -= 0.5;
        *high += 0.5;
    }
}

static void draw_trial(page *p, const sweep_facts *f, int64_t i, double low, double high) {
    char text[TEXT];
    const bool best = i == f->best;
    bool drawing = false;
    page_putf(p, "<path class=\"line %s\" stroke-opacity=\"%s\" data-trial=\"%lld\" d=\"",
              best ? "c1" : "c0", best ? "1" : "0.45", (long long)i);
    for (int64_t axis = 0; axis <= f->width; axis++) {
        const double share =
            axis < f->width ? f->position[axis * f->count + i] : (f->value[i] - low) / (high - low);
        if (isnan(share)) {
            drawing = false;
            continue;
        }
        page_putf(p, "%c%.2f %.2f", drawing ? 'L' : 'M', at_x(axis), at_y(share));
        drawing = true;
    }
    sweep_describe(f->trials[i].parameters, text, sizeof text);
    page_putf(p, "\"><title>trial %lld: ", (long long)i);
    if (isnan(f->value[i])) {
        page_put(p, "no value  ");
    } else {
        page_putf(p, "%.6g  ", f->value[i]);
    }
    page_text(p, text);
    page_put(p, "</title></path>");
}

void sweep_parallel(page *p, const sweep_facts *f) {
    double low, high;
    char text[TEXT];
    value_range(f, &low, &high);
    page_put(p, "<figure class=\"chart\"><h3>Parallel coordinates</h3>");
    table_box(p, "Parallel coordinates");
    page_putf(p,
              "<svg "
              "id=\"parallel\" width=\"%lld\" viewBox=\"0 0 %lld %d\" role=\"img\" "
              "aria-labelledby=\"parallel-about\"><desc id=\"parallel-about\">One line per trial, "
              "through its value on the axis of each parameter to the metric on the last axis. The "
              "table of trials below has the same numbers.</desc>",
              (long long)(at_x(f->width) + RIGHT), (long long)(at_x(f->width) + RIGHT), HEIGHT);
    for (int64_t axis = 0; axis < f->width; axis++) {
        draw_axis(p, axis, f->searched[axis].name);
    }
    draw_axis(p, f->width, f->sweep->info->metric);
    for (int64_t i = 0; i < f->count; i++) {
        if (i != f->best) {
            draw_trial(p, f, i, low, high);
        }
    }
    if (f->best >= 0) {
        draw_trial(p, f, f->best, low, high);
    }
    for (int64_t axis = 0; axis < f->width; axis++) {
        label_parameter(p, f, axis);
    }
    snprintf(text, sizeof text, "%.4g", low);
    label(p, f->width, 0, text);
    snprintf(text, sizeof text, "%.4g", high);
    label(p, f->width, 1, text);
    page_put(p, "</svg></div><ul class=\"legend\"><li><svg class=\"key\" viewBox=\"0 0 26 10\" "
                "aria-hidden=\"true\"><path class=\"line c1\" d=\"M1 5L25 5\"/></svg>the best "
                "trial</li><li><svg class=\"key\" viewBox=\"0 0 26 10\" aria-hidden=\"true\"><path "
                "class=\"line c0\" d=\"M1 5L25 5\"/></svg>the others</li></ul></figure>\n");
}
