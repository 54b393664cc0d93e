/* SPDX-License-Identifier: Apache-2.0 */
/* Line charts as SVG within an HTML page. */
#ifndef APP_REPORT_CHART_H
#define APP_REPORT_CHART_H

#include "page.h"

/* Points in the order of x. A point that is not finite breaks the line. */
typedef struct chart_line {
    const char *name;
    const double *x, *y;
    size_t count;
    int colour; /* 0 to 7, then again with dashes, each time others */
    bool dots;  /* points show, each with its numbers; else the line alone, which has the name */
} chart_line;

typedef struct chart {
    const char *id; /* unique on the page */
    const char *title, *x_name, *y_name;
    const char *about;    /* what it shows, for those who don't see it */
    double x_low, x_high; /* low = high: as the lines need */
    double y_low, y_high; /* likewise */
    bool counts;          /* x counts something: its ticks are whole numbers */
    bool diagonal;        /* a line from corner to corner: chance, or what is perfect */
    double mark;          /* a vertical line at this x; NaN: none */
    const char *mark_name;
    const chart_line *lines;
    size_t count;
} chart;

enum { CHART_COLOURS = 8 };

/* A figure: title, drawing, legend. */
void chart_draw(page *p, const chart *c);

#endif
