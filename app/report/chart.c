/* SPDX-License-Identifier: Apache-2.0 */
/* Line charts as SVG. Colours come from the page's style sheet: light and dark, and on paper. */
#include "chart.h"

#include <math.h>

/* The drawing, in units that a page makes wider or narrower; the margins hold the numbers. */
enum { WIDTH = 420, HEIGHT = 290, LEFT = 62, RIGHT = 12, TOP = 10, BOTTOM = 44 };
enum { TICKS = 5, TICKS_MOST = 4 * TICKS, DOTS_MOST = 240 };

typedef struct frame {
    double x0, x1, y0, y1;
} frame;

static double at_x(const frame *f, double x) {
    return LEFT + (x - f->x0) / (f->x1 - f->x0) * (WIDTH - LEFT - RIGHT);
}

static double at_y(const frame *f, double y) {
    return HEIGHT - BOTTOM - (y - f->y0) / (f->y1 - f->y0) * (HEIGHT - TOP - BOTTOM);
}

static void widen(double *low, double *high, const double *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (isfinite(v[i])) {
            *low = fmin(*low, v[i]);
            *high = fmax(*high, v[i]);
        }
    }
}

/* An axis without length, or so short that its numbers could not be told apart, has one around
 * its value; one without values that from 0 to 1. */
static void open_up(double *low, double *high) {
    const double shortest = 1e-9 * fmax(fabs(*low), fabs(*high));
    if (!(*low <= *high) || !isfinite(*high - *low)) {
        *low = 0;
        *high = 1;
    } else if (*high - *low <= shortest) {
        *low -= *low == 0 ? 0.5 : 0.1 * fabs(*low);
        *high += *high == 0 ? 0.5 : 0.1 * fabs(*high);
    }
}

static frame frame_of(const chart *c) {
    frame f = {INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (size_t i = 0; i < c->count; i++) {
        widen(&f.x0, &f.x1, c->lines[i].x, c->lines[i].count);
        widen(&f.y0, &f.y1, c->lines[i].y, c->lines[i].count);
    }
    if (c->x_low < c->x_high) {
        f.x0 = c->x_low;
        f.x1 = c->x_high;
    }
    if (c->y_low < c->y_high) {
        f.y0 = c->y_low;
        f.y1 = c->y_high;
    }
    open_up(&f.x0, &f.x1);
    open_up(&f.y0, &f.y1);
    return f;
}

/* The distance of ticks: 1, 2 or 5 times a power of ten. */
static double step_of(double span) {
    const double rough = span / TICKS, power = pow(10, floor(log10(rough)));
    const double share = rough / power;
    return power * (share < 1.5 ? 1 : share < 3.5 ? 2 : share < 7.5 ? 5 : 10);
}

static void draw_ticks(page *p, const frame *f, bool counts) {
    const double dx = fmax(step_of(f->x1 - f->x0), counts ? 1 : 0), dy = step_of(f->y1 - f->y0);
    const double slack = 1e-9;
    for (int t = 0; t <= TICKS_MOST; t++) {
        const double i = ceil(f->x0 / dx - slack) + t, x = at_x(f, i * dx);
        if (i * dx > f->x1 + slack * dx) {
            break;
        }
        page_putf(p,
                  "<line class=\"rule\" x1=\"%.2f\" x2=\"%.2f\" y1=\"%d\" y2=\"%d\"/>"
                  "<text class=\"tick\" x=\"%.2f\" y=\"%d\" text-anchor=\"middle\">%.4g</text>",
                  x, x, TOP, HEIGHT - BOTTOM, x, HEIGHT - BOTTOM + 16, i * dx);
    }
    for (int t = 0; t <= TICKS_MOST; t++) {
        const double i = ceil(f->y0 / dy - slack) + t, y = at_y(f, i * dy);
        if (i * dy > f->y1 + slack * dy) {
            break;
        }
        page_putf(p,
                  "<line class=\"rule\" x1=\"%d\" x2=\"%d\" y1=\"%.2f\" y2=\"%.2f\"/>"
                  "<text class=\"tick\" x=\"%d\" y=\"%.2f\" text-anchor=\"end\">%.4g</text>",
                  LEFT, WIDTH - RIGHT, y, y, LEFT - 6, y + 4, i * dy);
    }
}

static void draw_axes(page *p, const chart *c, const frame *f) {
    draw_ticks(p, f, c->counts);
    if (c->diagonal) {
        page_putf(p, "<line class=\"diagonal\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>", LEFT,
                  HEIGHT - BOTTOM, WIDTH - RIGHT, TOP);
    }
    if (isfinite(c->mark)) {
        page_putf(p, "<line class=\"mark\" x1=\"%.2f\" x2=\"%.2f\" y1=\"%d\" y2=\"%d\"><title>",
                  at_x(f, c->mark), at_x(f, c->mark), TOP, HEIGHT - BOTTOM);
        page_text(p, c->mark_name);
        page_put(p, "</title></line>");
    }
    page_putf(p, "<text class=\"axis\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">",
              (WIDTH + LEFT - RIGHT) / 2, HEIGHT - 6);
    page_text(p, c->x_name);
    page_putf(p,
              "</text><text class=\"axis\" transform=\"translate(12 %d) rotate(-90)\" "
              "text-anchor=\"middle\">",
              (HEIGHT - BOTTOM + TOP) / 2);
    page_text(p, c->y_name);
    page_put(p, "</text>");
}

/* Colours come again with other dashes: none, short ones, and with each round a dot more between
 * long ones. */
static void put_class(page *p, const char *kind, const chart_line *l) {
    const int round = l->colour / CHART_COLOURS;
    page_putf(p, " class=\"%s c%d\"", kind, l->colour % CHART_COLOURS);
    if (round > 0) {
        page_put(p, round == 1 ? " stroke-dasharray=\"6 3" : " stroke-dasharray=\"11 3");
        for (int dot = 2; dot <= round; dot++) {
            page_put(p, " 2 3");
        }
        page_put(p, "\"");
    }
}

static void draw_dots(page *p, const frame *f, const chart_line *l, const char *x_name) {
    const size_t step = l->count / DOTS_MOST + 1;
    for (size_t i = 0; i < l->count; i += step) {
        if (!isfinite(l->x[i]) || !isfinite(l->y[i])) {
            continue;
        }
        page_put(p, "<circle");
        put_class(p, "dot", l);
        page_putf(p, " cx=\"%.2f\" cy=\"%.2f\" r=\"6\"><title>", at_x(f, l->x[i]),
                  at_y(f, l->y[i]));
        page_text(p, l->name);
        page_put(p, ", ");
        page_text(p, x_name);
        page_putf(p, " %.4g: %.4g</title></circle>", l->x[i], l->y[i]);
    }
}

static void draw_line(page *p, const frame *f, const chart_line *l, const char *x_name) {
    bool drawing = false;
    page_put(p, "<path");
    put_class(p, "line", l);
    page_put(p, " d=\"");
    for (size_t i = 0; i < l->count; i++) {
        if (!isfinite(l->x[i]) || !isfinite(l->y[i])) {
            drawing = false;
            continue;
        }
        page_putf(p, "%c%.2f %.2f", drawing ? 'L' : 'M', at_x(f, l->x[i]), at_y(f, l->y[i]));
        drawing = true;
    }
    page_put(p, "\"><title>");
    page_text(p, l->name);
    page_put(p, "</title></path>");
    if (l->dots) {
        draw_dots(p, f, l, x_name);
    }
}

static void put_legend(page *p, const chart *c) {
    page_put(p, "<ul class=\"legend\">");
    for (size_t i = 0; i < c->count; i++) {
        page_put(p, "<li><svg class=\"key\" viewBox=\"0 0 26 10\" aria-hidden=\"true\"><path");
        put_class(p, "line", &c->lines[i]);
        page_put(p, " d=\"M1 5L25 5\"/></svg>");
        page_text(p, c->lines[i].name);
        page_put(p, "</li>");
    }
    page_put(p, "</ul>");
}

void chart_draw(page *p, const chart *c) {
    const frame f = frame_of(c);
    page_putf(
        p,
        "<figure class=\"chart\"><h3>%s</h3><svg id=\"%s\" viewBox=\"0 0 %d %d\" role=\"img\" "
        "aria-labelledby=\"%s-about\" data-x0=\"%.9g\" data-x1=\"%.9g\" data-y0=\"%.9g\" "
        "data-y1=\"%.9g\" data-box=\"%d %d %d %d\"><desc id=\"%s-about\">",
        c->title, c->id, WIDTH, HEIGHT, c->id, f.x0, f.x1, f.y0, f.y1, LEFT, TOP, WIDTH - RIGHT,
        HEIGHT - BOTTOM, c->id);
    page_text(p, c->about);
    page_put(p, "</desc>");
    draw_axes(p, c, &f);
    for (size_t i = 0; i < c->count; i++) {
        draw_line(p, &f, &c->lines[i], c->x_name);
    }
    page_put(p, "</svg>");
    put_legend(p, c);
    page_put(p, "</figure>\n");
}
