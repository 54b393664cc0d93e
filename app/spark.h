/* SPDX-License-Identifier: Apache-2.0 */
/* A curve in one line of text: its whole course in as many columns as there are. */
#ifndef APP_SPARK_H
#define APP_SPARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SPARK_BINS = 1024, SPARK_CELL = 4 /* most bytes of a column */ };

/* Means of equally many values each; when all bins are full, pairs are joined. Begins cleared. */
typedef struct spark {
    float mean[SPARK_BINS];
    size_t bins;    /* full ones */
    uint64_t width; /* values in a bin, less one */
    double sum;     /* of the values behind the full bins */
    uint64_t count;
} spark;

/* What a float does not hold, and what is no number, is left out. */
void spark_add(spark *s, double value);
/* Writes up to `columns` characters, from the least value's to the greatest's: blocks of UTF-8, or
 * ASCII. out has room for SPARK_CELL bytes each and a zero. Returns how many columns they take. */
size_t spark_draw(const spark *s, size_t columns, bool utf8, char *out);

#endif
