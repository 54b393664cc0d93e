/* SPDX-License-Identifier: Apache-2.0 */
/* Plain scalars of YAML 1.1: the patterns of PyYAML's resolver, and what its safe constructor
 * makes of them. */
#include "search/yaml11.h"

#include "base/number.h"
#include <stddef.h>
#include <string.h>

static const char FIGURES[] = "0123456789";
static const char FIGURES_[] = "0123456789_";

static bool is_one_of(const char *text, const char *const *words) {
    for (; *words != NULL; words++) {
        if (strcmp(text, *words) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_figure(char c) {
    return c >= '0' && c <= '9';
}

static const char *after_sign(const char *text) {
    return text + (*text == '-' || *text == '+');
}

/* One or more times ":" and a number below 60; NULL: not so. */
static const char *sixties(const char *at) {
    const char *begin = at;
    while (*at == ':' && is_figure(at[1])) {
        at += at[1] <= '5' && is_figure(at[2]) ? 3 : 2;
    }
    return at > begin ? at : NULL;
}

static bool is_real(const char *text) {
    const char *at = after_sign(text);
    if (is_figure(*at)) {
        at += strspn(at, FIGURES_);
        const char *behind = sixties(at);
        if (behind != NULL) {
            return *behind == '.' && behind[1 + strspn(behind + 1, FIGURES_)] == '\0';
        }
        if (*at != '.') {
            return false;
        }
        at += 1 + strspn(at + 1, FIGURES_);
    } else if (*text == '.' && is_figure(text[1])) {
        at = text + 1 + strspn(text + 1, FIGURES_);
    } else {
        return false;
    }
    if ((*at == 'e' || *at == 'E') && (at[1] == '-' || at[1] == '+') && is_figure(at[2])) {
        at += 2 + strspn(at + 2, FIGURES);
    }
    return *at == '\0';
}

/* The base that the text is a whole number in: 2, 8, 10, 16 or 60; 0: it is none. *begin: its
 * figures. */
static int base_of(const char *text, const char **begin) {
    const char *at = after_sign(text);
    *begin = at;
    if (at[0] == '0' && (at[1] == 'b' || at[1] == 'x')) {
        const char *figures = at[1] == 'b' ? "01_" : "0123456789abcdefABCDEF_";
        *begin = at + 2;
        const size_t n = strspn(at + 2, figures);
        return n > 0 && at[2 + n] == '\0' ? (at[1] == 'b' ? 2 : 16) : 0;
    }
    if (at[0] == '0') {
        return at[1] == '\0' ? 10 : at[1 + strspn(at + 1, "01234567_")] == '\0' ? 8 : 0;
    }
    if (!is_figure(*at)) {
        return 0;
    }
    at += strspn(at, FIGURES_);
    const char *behind = *at == ':' ? sixties(at) : NULL;
    return *at == '\0' ? 10 : behind != NULL && *behind == '\0' ? 60 : 0;
}

static int figure_of(char c) {
    return is_figure(c) ? c - '0' : (c | 0x20) - 'a' + 10;
}

static tub__yaml11 whole(const char *text, int base, const char *at) {
    uint64_t value = 0, part = 0;
    bool fits = true, any = false;
    for (; *at != '\0'; at++) {
        if (*at == ':') {
            fits = fits && !__builtin_mul_overflow(value + part, (uint64_t)60, &value);
            part = 0;
        } else if (*at != '_') {
            fits = fits &&
                   !__builtin_mul_overflow(part, (uint64_t)(base == 60 ? 10 : base), &part) &&
                   !__builtin_add_overflow(part, (uint64_t)figure_of(*at), &part);
            any = true;
        }
    }
    fits = fits && !__builtin_add_overflow(value, part, &value) && value <= INT64_MAX;
    const int64_t size = fits ? (int64_t)value : 0;
    return (tub__yaml11){.kind = !any    ? TUB__YAML11_BROKEN
                                 : !fits ? TUB__YAML11_TOO_BIG
                                         : TUB__YAML11_INT,
                         .whole = *text == '-' ? -size : size};
}

/* Parts between colons, the last with the fraction; no part has more than the room. */
static bool sixties_value(const char *text, double *out) {
    double value = 0;
    while (true) {
        char part[64];
        double figure = 0;
        const size_t length = strcspn(text, ":");
        if (length >= sizeof part) {
            return false;
        }
        memcpy(part, text, length);
        part[length] = '\0';
        if (!tub__number_to_real(part, &figure)) {
            return false;
        }
        value = value * 60 + figure;
        if (text[length] == '\0') {
            *out = value;
            return true;
        }
        text += length + 1;
    }
}

static tub__yaml11 real(const char *text) {
    char plain[64];
    size_t n = 0;
    double value = 0;
    for (const char *at = after_sign(text); *at != '\0'; at++) {
        if (*at != '_' && n < sizeof plain) {
            plain[n++] = *at;
        }
    }
    if (n >= sizeof plain) {
        return (tub__yaml11){.kind = TUB__YAML11_TOO_BIG};
    }
    plain[n] = '\0';
    if (!sixties_value(plain, &value)) {
        return (tub__yaml11){.kind = TUB__YAML11_TOO_BIG};
    }
    return (tub__yaml11){.kind = TUB__YAML11_REAL, .real = *text == '-' ? -value : value};
}

static size_t figures_at(const char *text) {
    return strspn(text, FIGURES);
}

/* YYYY-MM-DD, or a time behind a date of one or two figures each; PyYAML's pattern but for what
 * can only follow a right beginning. */
static bool is_date(const char *text) {
    if (figures_at(text) != 4 || text[4] != '-') {
        return false;
    }
    const char *at = text + 5;
    const size_t month = figures_at(at);
    if (month < 1 || month > 2 || at[month] != '-') {
        return false;
    }
    at += month + 1;
    const size_t day = figures_at(at);
    if (day < 1 || day > 2) {
        return false;
    }
    at += day;
    if (*at == '\0') {
        return month == 2 && day == 2;
    }
    if (*at == 'T' || *at == 't') {
        at++;
    } else if (*at == ' ' || *at == '\t') {
        at += strspn(at, " \t");
    } else {
        return false;
    }
    const size_t hour = figures_at(at);
    return hour >= 1 && hour <= 2 && at[hour] == ':' && figures_at(at + hour + 1) == 2 &&
           at[hour + 3] == ':' && is_figure(at[hour + 4]) && is_figure(at[hour + 5]);
}

tub__yaml11 tub__yaml11_scalar(const char *text) {
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"yes",  "Yes", "YES", "true", "True",
                                        "TRUE", "on",  "On",  "ON",   NULL};
    static const char *const falses[] = {"no",    "No",  "NO",  "false", "False",
                                         "FALSE", "off", "Off", "OFF",   NULL};
    static const char *const infinities[] = {".inf", ".Inf", ".INF", NULL};
    static const char *const nans[] = {".nan", ".NaN", ".NAN", NULL};
    if (is_one_of(text, nulls)) {
        return (tub__yaml11){.kind = TUB__YAML11_NULL};
    }
    const bool yes = is_one_of(text, trues);
    if (yes || is_one_of(text, falses)) {
        return (tub__yaml11){.kind = TUB__YAML11_BOOL, .flag = yes};
    }
    if (is_one_of(after_sign(text), infinities) || is_one_of(text, nans)) {
        return (tub__yaml11){.kind = TUB__YAML11_NO_JSON};
    }
    if (is_real(text)) {
        return real(text);
    }
    const char *begin = NULL;
    const int base = base_of(text, &begin);
    if (base > 0) {
        return whole(text, base, begin);
    }
    return (tub__yaml11){.kind = strcmp(text, "=") == 0 ? TUB__YAML11_BROKEN
                                 : is_date(text)        ? TUB__YAML11_DATE
                                                        : TUB__YAML11_TEXT};
}
