/* SPDX-License-Identifier: Apache-2.0 */
/* Writing JSON front to back: keys in the order given, reals as the shortest decimal that reads
 * back the same. */
#include "formats/json.h"

#include "base/error.h"
#include "base/utf8.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tub__json_start(tub__json_writer *w, const tub_allocator *a, int indent) {
    *w = (tub__json_writer){.allocator = a, .indent = indent, .first = true};
}

static void append(tub__json_writer *w, const char *bytes, size_t count) {
    if (w->error.status != TUB_OK) {
        return;
    }
    size_t needed; /* one more byte for the terminator */
    if (!tub__add(w->size, count, &needed) || !tub__add(needed, 1, &needed)) {
        (void)tub__fail(&w->error, TUB_E_MEMORY, "a JSON text is too long");
        return;
    }
    if (needed > w->capacity) {
        size_t capacity = needed > SIZE_MAX / 2 ? needed : needed * 2 + 256;
        if (tub__alloc_grow(w->allocator, (void **)&w->text, w->size, capacity, &w->error) !=
            TUB_OK) {
            return;
        }
        w->capacity = capacity;
    }
    memcpy(w->text + w->size, bytes, count);
    w->size += count;
    w->text[w->size] = '\0';
}

static void append_text(tub__json_writer *w, const char *text) {
    append(w, text, strlen(text));
}

static void new_line(tub__json_writer *w) {
    if (w->indent == 0) {
        return;
    }
    append(w, "\n", 1);
    for (int i = 0; i < w->depth * w->indent; i++) {
        append(w, " ", 1);
    }
}

static void append_quoted(tub__json_writer *w, const char *text) {
    append(w, "\"", 1);
    const unsigned char *s = (const unsigned char *)text, *end = s + strlen(text);
    while (s < end) {
        size_t length = tub__utf8_length(s, (size_t)(end - s));
        if (length == 0) {
            append(w, "\xef\xbf\xbd", 3);
            length = 1;
        } else if (*s == '"' || *s == '\\') {
            append(w, (const char[]){'\\', (char)*s}, 2);
        } else if (*s < 0x20) {
            char escape[8];
            snprintf(escape, sizeof escape,
                     *s == '\n'   ? "\\n"
                     : *s == '\t' ? "\\t"
                                  : "\\u%04x",
                     *s);
            append_text(w, escape);
        } else {
            append(w, (const char *)s, length);
        }
        s += length;
    }
    append(w, "\"", 1);
}

/* What stands before any value: the comma, the line, the key. */
static void begin_value(tub__json_writer *w, const char *key) {
    if (!w->first) {
        append_text(w, w->indent > 0 ? "," : ", ");
    }
    if (w->depth > 0) {
        new_line(w);
    }
    w->first = false;
    if (key != NULL) {
        append_quoted(w, key);
        append(w, ": ", 2);
    }
}

static void open_level(tub__json_writer *w, const char *key, const char *bracket) {
    begin_value(w, key);
    append(w, bracket, 1);
    w->depth++;
    w->first = true;
}

static void close_level(tub__json_writer *w, const char *bracket) {
    bool empty = w->first;
    w->depth--;
    w->first = false;
    if (!empty) {
        new_line(w);
    }
    append(w, bracket, 1);
}

void tub__json_open_object(tub__json_writer *w, const char *key) {
    open_level(w, key, "{");
}

void tub__json_close_object(tub__json_writer *w) {
    close_level(w, "}");
}

void tub__json_open_array(tub__json_writer *w, const char *key) {
    open_level(w, key, "[");
}

void tub__json_close_array(tub__json_writer *w) {
    close_level(w, "]");
}

void tub__json_put_integer(tub__json_writer *w, const char *key, int64_t value) {
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRId64, value);
    begin_value(w, key);
    append_text(w, digits);
}

/* The C library prints the decimal point of the program's locale; JSON wants a point. */
static void use_point(char *text) {
    char *from = text + strspn(text, "+-0123456789");
    if (*from == '\0' || *from == 'e') {
        return;
    }
    char *rest = from + strcspn(from, "0123456789");
    *from = '.';
    memmove(from + 1, rest, strlen(rest) + 1);
}

void tub__shortest_real(double value, char out[32]) {
    int precision = 0;
    do {
        snprintf(out, 32, "%.*e", precision, value);
    } while (strtod(out, NULL) != value && ++precision < 17);
    int exponent = atoi(strchr(out, 'e') + 1);
    if (exponent >= -4 && exponent < 16) {
        int decimals = precision - exponent;
        snprintf(out, 32, "%.*f", decimals < 1 ? 1 : decimals, value);
    }
    use_point(out);
}

void tub__json_put_real(tub__json_writer *w, const char *key, double value) {
    if (value - value != 0) { /* NaN and infinities have no JSON form */
        tub__json_put_null(w, key);
        return;
    }
    char digits[32];
    tub__shortest_real(value, digits);
    begin_value(w, key);
    append_text(w, digits);
}

void tub__json_put_bool(tub__json_writer *w, const char *key, bool value) {
    begin_value(w, key);
    append_text(w, value ? "true" : "false");
}

void tub__json_put_null(tub__json_writer *w, const char *key) {
    begin_value(w, key);
    append_text(w, "null");
}

void tub__json_put_text(tub__json_writer *w, const char *key, const char *value) {
    if (value == NULL) {
        tub__json_put_null(w, key);
        return;
    }
    begin_value(w, key);
    append_quoted(w, value);
}

static void put_members(tub__json_writer *w, const char *key, const tub__json *object) {
    tub__json_open_object(w, key);
    for (void *it = tub__json_first(object); it != NULL; it = tub__json_next(object, it)) {
        tub__json_put_value(w, tub__json_key(it), tub__json_value(it));
    }
    tub__json_close_object(w);
}

static void put_elements(tub__json_writer *w, const char *key, const tub__json *array) {
    tub__json_open_array(w, key);
    for (size_t i = 0; i < tub__json_size(array); i++) {
        tub__json_put_value(w, NULL, tub__json_at(array, i));
    }
    tub__json_close_array(w);
}

/* The getters can't fail here, because the kind is known; if they ever do, the writer's error says
 * so. */
void tub__json_put_value(tub__json_writer *w, const char *key, const tub__json *value) {
    int64_t integer = 0;
    double real = 0;
    bool truth = false;
    const char *text = NULL;
    switch (value == NULL ? TUB__JSON_NULL : tub__json_kind_of(value)) {
    case TUB__JSON_OBJECT:
        put_members(w, key, value);
        return;
    case TUB__JSON_ARRAY:
        put_elements(w, key, value);
        return;
    case TUB__JSON_INTEGER:
        if (tub__json_to_integer(value, key, &integer, &w->error) == TUB_OK) {
            tub__json_put_integer(w, key, integer);
        }
        return;
    case TUB__JSON_REAL:
        if (tub__json_to_real(value, key, &real, &w->error) == TUB_OK) {
            tub__json_put_real(w, key, real);
        }
        return;
    case TUB__JSON_BOOL:
        if (tub__json_to_bool(value, key, &truth, &w->error) == TUB_OK) {
            tub__json_put_bool(w, key, truth);
        }
        return;
    case TUB__JSON_TEXT:
        if (tub__json_to_text(value, key, &text, &w->error) == TUB_OK) {
            tub__json_put_text(w, key, text);
        }
        return;
    case TUB__JSON_NULL:
        break;
    }
    tub__json_put_null(w, key);
}

tub_status tub__json_finish(tub__json_writer *w, char **text, size_t *size, tub_error *err) {
    if (w->indent > 0) {
        append(w, "\n", 1);
    }
    if (w->error.status != TUB_OK) {
        tub_status status = w->error.status;
        if (err != NULL) {
            *err = w->error;
        }
        tub__json_discard(w);
        return status;
    }
    *text = w->text;
    *size = w->size;
    w->text = NULL;
    return TUB_OK;
}

void tub__json_discard(tub__json_writer *w) {
    tub__free(w->allocator, w->text);
    w->text = NULL;
}
