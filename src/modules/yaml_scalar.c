/* SPDX-License-Identifier: Apache-2.0 */
/* Plain scalars of YAML 1.2's core schema and their JSON spelling. */
#include "modules/yaml_scalar.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The parts of [-+]? digits [. digits] [e [-+]? digits]. */
typedef struct parts {
    bool negative, point, exponent;
    const char *whole, *fraction, *power; /* power begins with its sign, if it has one */
    size_t whole_size, fraction_size, power_size;
} parts;

static bool is_one_of(const char *text, size_t size, const char *words) {
    while (*words != '\0') {
        size_t length = strcspn(words, " ");
        if (length == size && memcmp(words, text, size) == 0) {
            return true;
        }
        words += length + (words[length] == ' ');
    }
    return false;
}

static size_t digits(const char *from, const char *end) {
    const char *at = from;
    while (at < end && *at >= '0' && *at <= '9') {
        at++;
    }
    return (size_t)(at - from);
}

static bool split_number(const char *text, size_t size, parts *p) {
    const char *at = text, *end = text + size;
    *p = (parts){.negative = size > 0 && *at == '-'};
    at += size > 0 && (*at == '-' || *at == '+');
    p->whole = at;
    p->whole_size = digits(at, end);
    at += p->whole_size;
    if (at < end && *at == '.') {
        p->point = true;
        p->fraction = ++at;
        p->fraction_size = digits(at, end);
        at += p->fraction_size;
    }
    if (p->whole_size + p->fraction_size == 0) {
        return false;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        p->exponent = true;
        p->power = ++at;
        at += at < end && (*at == '-' || *at == '+');
        size_t count = digits(at, end);
        at += count;
        p->power_size = (size_t)(at - p->power);
        if (count == 0) {
            return false;
        }
    }
    return at == end;
}

/* 0o17 and 0x1F, without sign. */
static bool based_number(const char *text, size_t size, uint64_t *out, bool *too_big) {
    if (size < 3 || text[0] != '0' || (text[1] != 'o' && text[1] != 'x')) {
        return false;
    }
    unsigned base = text[1] == 'o' ? 8 : 16;
    *out = 0;
    *too_big = false;
    for (size_t i = 2; i < size; i++) {
        static const char figures[] = "0123456789abcdefABCDEF";
        const char *figure = text[i] == '\0' ? NULL : strchr(figures, text[i]);
        if (figure == NULL) {
            return false;
        }
        unsigned value = (unsigned)(figure - figures);
        value -= value > 15 ? 6 : 0;
        if (value >= base) {
            return false;
        }
        *too_big |= *out > (UINT64_MAX >> 1) / base;
        *out = *out * base + value;
    }
    *too_big |= *out > INT64_MAX;
    return true;
}

static void drop_leading_zeros(parts *p) {
    while (p->whole_size > 1 && *p->whole == '0') {
        p->whole++;
        p->whole_size--;
    }
}

static bool fits_int64(const parts *p) {
    uint64_t value = 0;
    for (size_t i = 0; i < p->whole_size; i++) {
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(p->whole[i] - '0'), &value)) {
            return false;
        }
    }
    return value <= (uint64_t)INT64_MAX + p->negative;
}

/* Whether a decimal is certainly finite as a double: at most 10^308 less one figure. The few
 * numbers between that and the largest double are refused too; nobody means them. */
static bool fits_double(const parts *p) {
    long power = 0;
    for (size_t i = 0; i < p->power_size; i++) {
        if (p->power[i] >= '0' && p->power[i] <= '9' && power < 100000) {
            power = power * 10 + (p->power[i] - '0');
        }
    }
    bool down = p->power_size > 0 && *p->power == '-';
    long size = p->whole_size > 100000 ? 100000 : (long)p->whole_size;
    return size + (down ? -power : power) <= 308;
}

static void spell(const parts *p, char *out) {
    bool none = p->whole_size == 0;
    out += sprintf(out, "%s%.*s", p->negative ? "-" : "", none ? 1 : (int)p->whole_size,
                   none ? "0" : p->whole);
    if (p->point) {
        bool empty = p->fraction_size == 0;
        out += sprintf(out, ".%.*s", empty ? 1 : (int)p->fraction_size, empty ? "0" : p->fraction);
    }
    if (p->exponent) {
        sprintf(out, "e%.*s", (int)p->power_size, p->power);
    }
}

tub__yaml_kind tub__yaml_scalar(const char *text, size_t size, char *out) {
    parts p;
    uint64_t value;
    bool too_big;
    const char *word = size == 0 || is_one_of(text, size, "~ null Null NULL") ? "null"
                       : is_one_of(text, size, "true True TRUE")              ? "true"
                       : is_one_of(text, size, "false False FALSE")           ? "false"
                                                                              : NULL;
    if (word != NULL) {
        strcpy(out, word);
        return TUB__YAML_WORD;
    }
    size_t sign = *text == '-' || *text == '+';
    if (is_one_of(text + sign, size - sign, ".inf .Inf .INF") ||
        is_one_of(text, size, ".nan .NaN .NAN")) {
        return TUB__YAML_NO_JSON;
    }
    if (based_number(text, size, &value, &too_big)) {
        sprintf(out, "%" PRIu64, value);
        return too_big ? TUB__YAML_TOO_BIG : TUB__YAML_NUMBER;
    }
    if (!split_number(text, size, &p)) {
        return TUB__YAML_TEXT;
    }
    drop_leading_zeros(&p);
    if (p.point || p.exponent ? !fits_double(&p) : !fits_int64(&p)) {
        return TUB__YAML_TOO_BIG;
    }
    spell(&p, out);
    return TUB__YAML_NUMBER;
}
