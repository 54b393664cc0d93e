/* SPDX-License-Identifier: Apache-2.0 */
/* An HTML page in memory: text is escaped, numbers carry their full value. */
#ifndef APP_REPORT_PAGE_H
#define APP_REPORT_PAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <tubelet/tubelet.h>

typedef struct page {
    FILE *out;
    char *bytes; /* the page and its size, after page_end */
    size_t size;
} page;

/* False: no memory. page_free in any case. */
bool page_begin(page *p);
/* False: there was no memory for all of it. */
bool page_end(page *p);
void page_free(page *p);

/* Bytes so far. */
size_t page_size(page *p);

/* Markup, as it is. */
void page_put(page *p, const char *markup);
void page_put_bytes(page *p, const void *bytes, size_t size);
void page_putf(page *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Text, in elements and in attributes with double quotes: what means something in HTML is
 * escaped, and bytes that are no UTF-8 become '?'. */
void page_text(page *p, const char *text);
/* A number that people read with `digits` digits behind the point. Programs read <data>: its
 * value has nine digits, and data-key says which number it is. NaN: a dash. */
void page_number(page *p, const char *key, double value, int digits);
/* With four digits behind the point, or, where it is smaller than those can say, three in all:
 * 1.16e-12. */
void page_probability(page *p, const char *key, double value);
void page_count(page *p, const char *key, int64_t value);
/* A metric with its 95 % interval; keys KEY.value, KEY.low and KEY.high. */
void page_interval(page *p, const char *key, const tub_interval *m);
/* "data:TYPE;base64,…" */
void page_data_url(page *p, const char *type, const void *bytes, size_t size);

#endif
