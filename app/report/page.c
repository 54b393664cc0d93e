/* SPDX-License-Identifier: Apache-2.0 */
/* An HTML page in memory. */
#include "page.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

bool page_begin(page *p) {
    *p = (page){0};
    p->out = open_memstream(&p->bytes, &p->size);
    return p->out != NULL;
}

bool page_end(page *p) {
    const bool fine = p->out != NULL && fflush(p->out) == 0 && !ferror(p->out);
    const bool closed = p->out != NULL && fclose(p->out) == 0;
    p->out = NULL;
    return fine && closed;
}

void page_free(page *p) {
    if (p->out != NULL) {
        fclose(p->out);
    }
    free(p->bytes);
    *p = (page){0};
}

size_t page_size(page *p) {
    fflush(p->out);
    return p->size;
}

void page_put(page *p, const char *markup) {
    fputs(markup, p->out);
}

void page_put_bytes(page *p, const void *bytes, size_t size) {
    fwrite(bytes, 1, size, p->out);
}

void page_putf(page *p, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vfprintf(p->out, format, list);
    va_end(list);
}

/* Bytes of the UTF-8 character that begins here; 0: none does. */
static size_t character(const unsigned char *s) {
    const size_t n = s[0] < 0x80                    ? 1
                     : s[0] >= 0xC2 && s[0] <= 0xDF ? 2
                     : s[0] >= 0xE0 && s[0] <= 0xEF ? 3
                     : s[0] >= 0xF0 && s[0] <= 0xF4 ? 4
                                                    : 0;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    /* Forms that are too long, surrogates, and what lies beyond the last code point. */
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) ||
        (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F)) {
        return 0;
    }
    return n;
}

static const char *escape(unsigned char c) {
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    default:
        return c < 0x20 && c != '\n' && c != '\t' ? "?" : NULL;
    }
}

void page_text(page *p, const char *text) {
    const unsigned char *s = (const unsigned char *)text;
    while (*s != '\0') {
        const size_t n = character(s);
        const char *instead = n == 1 ? escape(*s) : NULL;
        if (n == 0 || instead != NULL) {
            fputs(n == 0 ? "?" : instead, p->out);
        } else {
            fwrite(s, 1, n, p->out);
        }
        s += n > 0 ? n : 1;
    }
}

static void put_number(page *p, const char *key, double value, const char *text) {
    page_putf(p, "<data data-key=\"%s\" value=\"%.9g\">%s</data>", key, value, text);
}

void page_number(page *p, const char *key, double value, int digits) {
    char text[400]; /* the largest number has 309 digits */
    if (!isfinite(value)) {
        page_putf(p, "<data data-key=\"%s\" value=\"null\">–</data>", key);
        return;
    }
    snprintf(text, sizeof text, "%.*f", digits, value);
    put_number(p, key, value, text);
}

void page_probability(page *p, const char *key, double value) {
    char text[32];
    if (!(value < 0.0001)) {
        page_number(p, key, value, 4);
        return;
    }
    snprintf(text, sizeof text, "%.3g", value);
    put_number(p, key, value, text);
}

void page_count(page *p, const char *key, int64_t value) {
    page_putf(p, "<data data-key=\"%s\" value=\"%" PRId64 "\">%" PRId64 "</data>", key, value,
              value);
}

void page_interval(page *p, const char *key, const tub_interval *m) {
    char part[128];
    snprintf(part, sizeof part, "%s.value", key);
    page_number(p, part, m->value, 4);
    if (!isfinite(m->low) || !isfinite(m->high)) {
        return;
    }
    page_put(p, " <span class=\"range\">[");
    snprintf(part, sizeof part, "%s.low", key);
    page_number(p, part, m->low, 4);
    page_put(p, ", ");
    snprintf(part, sizeof part, "%s.high", key);
    page_number(p, part, m->high, 4);
    page_put(p, "]</span>");
}

void page_data_url(page *p, const char *type, const void *bytes, size_t size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *b = bytes;
    page_putf(p, "data:%s;base64,", type);
    for (size_t i = 0; i < size; i += 3) {
        const size_t n = size - i < 3 ? size - i : 3;
        const unsigned long v = (unsigned long)b[i] << 16 |
                                (n > 1 ? (unsigned long)b[i + 1] << 8 : 0) |
                                (n > 2 ? (unsigned long)b[i + 2] : 0);
        const char four[4] = {digits[v >> 18], digits[v >> 12 & 63],
                              n > 1 ? digits[v >> 6 & 63] : '=', n > 2 ? digits[v & 63] : '='};
        page_put_bytes(p, four, sizeof four);
    }
}
