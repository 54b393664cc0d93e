/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and words as text: parsing, and the distance between words. */
#include "train/text.h"

#include "base/alloc.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_LIMIT = 64 };

bool tub__text_to_int(const char *text, int64_t *out) {
    const char *digits = text + (text[0] == '-' || text[0] == '+');
    if (digits[0] == '\0' || strspn(digits, "0123456789") != strlen(digits)) {
        return false;
    }
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0') {
        return false;
    }
    *out = value;
    return true;
}

/* strtod uses the decimal separator of the program's locale. Rather than switch locales (which
 * can fail), the separator is found out and put in place. */
static char separator(void) {
    char text[8];
    snprintf(text, sizeof text, "%.1f", 0.5);
    return text[1];
}

bool tub__text_to_real(const char *text, double *out) {
    char copy[WORD_LIMIT];
    size_t length = strlen(text);
    if (length == 0 || length >= sizeof copy || strspn(text, "0123456789.eE+-") != length) {
        return false;
    }
    memcpy(copy, text, length + 1);
    char *point = strchr(copy, '.');
    if (point != NULL) {
        *point = separator();
    }
    char *end = NULL;
    double value = strtod(copy, &end);
    if (*end != '\0' || end == copy || value - value != 0.0) {
        return false;
    }
    *out = value;
    return true;
}

size_t tub__edit_distance(const char *a, const char *b) {
    size_t n = tub__min(strlen(a), WORD_LIMIT), m = tub__min(strlen(b), WORD_LIMIT);
    size_t row[3][WORD_LIMIT + 1];
    for (size_t j = 0; j <= m; j++) {
        row[0][j] = j;
    }
    for (size_t i = 1; i <= n; i++) {
        size_t *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t replace = last[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = tub__min(replace, tub__min(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                now[j] = tub__min(now[j], before[j - 2] + 1);
            }
        }
    }
    return row[n % 3][m];
}
