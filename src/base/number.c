/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as text: parsing and printing. */
#include "base/number.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_LIMIT = 64 };

bool tub__number_is_whole(const char *text) {
    const char *digits = text + (text[0] == '-' || text[0] == '+');
    return digits[0] != '\0' && strspn(digits, "0123456789") == strlen(digits);
}

bool tub__number_to_int(const char *text, int64_t *out) {
    if (!tub__number_is_whole(text)) {
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

bool tub__number_to_real(const char *text, double *out) {
    char copy[NUMBER_LIMIT];
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

void tub__number_print(char out[TUB__NUMBER_ROOM], double value) {
    snprintf(out, TUB__NUMBER_ROOM, "%.17g", value);
    char *point = out + strspn(out, "0123456789eE+-");
    if (*point != '\0') {
        *point = '.';
    }
}

static const char units[] = "KMGT";

bool tub__number_to_bytes(const char *text, int64_t *out) {
    char number[NUMBER_LIMIT];
    const size_t length = strspn(text, "0123456789.");
    const char *rest = text + length;
    const char *unit = *rest != '\0' ? strchr(units, *rest == 'k' ? 'K' : *rest) : NULL;
    double scale = 1, value = 0;
    if (length >= sizeof number) {
        return false;
    }
    memcpy(number, text, length);
    number[length] = '\0';
    if (unit != NULL) {
        rest++;
        const bool binary = *rest == 'i';
        rest += binary;
        for (const char *u = units; u <= unit; u++) {
            scale *= binary ? 1024 : 1000;
        }
    }
    rest += *rest == 'B';
    if (*rest != '\0') {
        return false;
    }
    if (scale == 1 && tub__number_is_whole(number)) {
        return tub__number_to_int(number, out); /* exact beyond 2^53 */
    }
    if (!tub__number_to_real(number, &value) || value * scale >= 9223372036854775808.0) {
        return false;
    }
    *out = (int64_t)(value * scale);
    return true;
}

void tub__number_print_bytes(char out[TUB__NUMBER_ROOM], int64_t bytes) {
    int unit = -1;
    while (bytes != 0 && bytes % 1000 == 0 && unit + 1 < (int)sizeof units - 1) {
        bytes /= 1000;
        unit++;
    }
    snprintf(out, TUB__NUMBER_ROOM, "%" PRId64 "%.1s", bytes, unit >= 0 ? units + unit : "");
}
