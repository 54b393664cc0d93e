/* SPDX-License-Identifier: Apache-2.0 */
/* A curve in one line of text. */
#include "spark.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { LEVELS = 8 };

static void join_pairs(spark *s) {
    for (size_t i = 0; i < SPARK_BINS / 2; i++) {
        s->mean[i] = 0.5f * s->mean[2 * i] + 0.5f * s->mean[2 * i + 1];
    }
    s->bins = SPARK_BINS / 2;
    s->width = 2 * s->width + 1;
}

void spark_add(spark *s, double value) {
    if (!(fabs(value) <= (double)FLT_MAX)) {
        return;
    }
    s->sum += value;
    s->count++;
    if (s->count <= s->width) {
        return;
    }
    s->mean[s->bins++] = (float)(s->sum / (double)s->count);
    s->sum = 0.0;
    s->count = 0;
    if (s->bins == SPARK_BINS) {
        join_pairs(s);
    }
}

/* The mean of a column's bins: at least one. */
static double column_of(const spark *s, size_t column, size_t columns) {
    const size_t begin = column * s->bins / columns, end = (column + 1) * s->bins / columns;
    double sum = 0.0;
    for (size_t i = begin; i < end; i++) {
        sum += s->mean[i];
    }
    return sum / (double)(end - begin);
}

size_t spark_draw(const spark *s, size_t columns, bool utf8, char *out) {
    static const char *const blocks[LEVELS] = {"\u2581", "\u2582", "\u2583", "\u2584",
                                               "\u2585", "\u2586", "\u2587", "\u2588"};
    static const char ascii[LEVELS + 1] = "_.-~=+*#";
    columns = columns < s->bins ? columns : s->bins;
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < columns; i++) {
        const double v = column_of(s, i, columns);
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    for (size_t i = 0; i < columns; i++) {
        const double share = high > low ? (column_of(s, i, columns) - low) / (high - low) : 0.0;
        const int level = (int)(share * (LEVELS - 1) + 0.5);
        if (utf8) {
            out = stpcpy(out, blocks[level]);
        } else {
            *out++ = ascii[level];
        }
    }
    *out = '\0';
    return columns;
}
