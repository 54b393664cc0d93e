/* SPDX-License-Identifier: Apache-2.0 */
/* Text that grows by doubling. */
#include "text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool make_room(textbuf *t, size_t more) {
    if (t->failed || more > ((size_t)1 << 40)) {
        t->failed = true;
        return false;
    }
    if (t->room - t->size >= more) {
        return true;
    }
    size_t room = t->room < 512 ? 512 : t->room;
    while (room - t->size < more) {
        room *= 2;
    }
    char *bigger = realloc(t->bytes, room);
    if (bigger == NULL) {
        t->failed = true;
        return false;
    }
    t->bytes = bigger;
    t->room = room;
    return true;
}

void text_add(textbuf *t, const void *bytes, size_t size) {
    if (size > 0 && make_room(t, size)) {
        memcpy(t->bytes + t->size, bytes, size);
        t->size += size;
    }
}

void text_put(textbuf *t, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int n = vsnprintf(NULL, 0, format, arguments);
    if (n >= 0 && make_room(t, (size_t)n + 1)) {
        vsnprintf(t->bytes + t->size, (size_t)n + 1, format, again);
        t->size += (size_t)n;
    }
    va_end(again);
    va_end(arguments);
}

/* Bytes of the UTF-8 character that begins here; 0: it is none. */
static size_t character(const unsigned char *s) {
    const size_t n = s[0] < 0x80   ? 1
                     : s[0] < 0xc2 ? 0
                     : s[0] < 0xe0 ? 2
                     : s[0] < 0xf0 ? 3
                     : s[0] < 0xf5 ? 4
                                   : 0;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    const bool wrong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
                       (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f);
    return n > 1 && wrong ? 0 : n;
}

void text_json(textbuf *t, const char *string) {
    text_add(t, "\"", 1);
    for (const unsigned char *s = (const unsigned char *)string; *s != '\0';) {
        const size_t n = character(s);
        if (*s == '"' || *s == '\\') {
            text_put(t, "\\%c", *s);
        } else if (*s < 0x20 || *s == 0x7f) {
            text_put(t, "\\u%04x", *s);
        } else if (n == 0) {
            text_add(t, "?", 1);
        } else {
            text_add(t, s, n);
        }
        s += n == 0 ? 1 : n;
    }
    text_add(t, "\"", 1);
}

void text_float(textbuf *t, float value) {
    if (isfinite(value)) {
        text_put(t, "%.9g", (double)value);
    } else {
        text_add(t, "null", 4);
    }
}

void text_label(textbuf *t, const char *string) {
    for (; *string != '\0'; string++) {
        if (*string == '\n') {
            text_add(t, "\\n", 2);
        } else if (*string == '"' || *string == '\\') {
            text_put(t, "\\%c", *string);
        } else {
            text_add(t, string, 1);
        }
    }
}

void text_free(textbuf *t) {
    free(t->bytes);
    *t = (textbuf){0};
}
