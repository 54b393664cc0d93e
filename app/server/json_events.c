/* SPDX-License-Identifier: Apache-2.0 */
/* A machine that is given one byte after the other. States say what may come next. */
#include "json_events.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    VALUE,     /* a value must come */
    FIRST,     /* in an array: a value or its end */
    FIRST_KEY, /* in an object: a key or its end */
    NEXT_KEY,  /* a key must come */
    COLON,     /* behind a key */
    AFTER,     /* behind a value: a comma or an end */
    STRING,    /* within one */
    NUMBER,    /* within one */
    WORD,      /* within true, false or null */
    DONE       /* only white space may come */
};

static const char *tell(json_events *j, json_value v) {
    return j->tell(j->user, &v);
}

static bool in_object(const json_events *j) {
    return j->depth > 0 && (j->objects >> (j->depth - 1) & 1) != 0;
}

static void value_is_over(json_events *j) {
    j->state = j->depth == 0 ? DONE : AFTER;
}

/* ---- Strings ---- */

static const char *give_piece(json_events *j, bool last) {
    j->piece[j->used] = '\0';
    const size_t size = j->used;
    if (!j->key) {
        j->used = 0;
        return tell(
            j, (json_value){.event = EVENT_TEXT, .text = j->piece, .size = size, .last = last});
    }
    if (!last) {
        j->long_key = true;
        j->used = 0;
        return NULL;
    }
    const bool fits = !j->long_key && size <= JSON_KEY_LIMIT && strlen(j->piece) == size;
    j->used = 0;
    return tell(j, (json_value){.event = EVENT_KEY,
                                .text = fits ? j->piece : "",
                                .size = fits ? size : 0,
                                .last = true});
}

static const char *put(json_events *j, unsigned char byte) {
    j->piece[j->used++] = (char)byte;
    return j->used >= JSON_PIECE ? give_piece(j, false) : NULL;
}

static const char *put_point(json_events *j, unsigned c) {
    unsigned char bytes[4];
    int n = 0;
    if (c < 0x80) {
        bytes[n++] = (unsigned char)c;
    } else if (c < 0x800) {
        bytes[n++] = (unsigned char)(0xc0 | c >> 6);
        bytes[n++] = (unsigned char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        bytes[n++] = (unsigned char)(0xe0 | c >> 12);
        bytes[n++] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
        bytes[n++] = (unsigned char)(0x80 | (c & 0x3f));
    } else {
        bytes[n++] = (unsigned char)(0xf0 | c >> 18);
        bytes[n++] = (unsigned char)(0x80 | (c >> 12 & 0x3f));
        bytes[n++] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
        bytes[n++] = (unsigned char)(0x80 | (c & 0x3f));
    }
    const char *failure = NULL;
    for (int i = 0; i < n && failure == NULL; i++) {
        failure = put(j, bytes[i]);
    }
    return failure;
}

/* \uXXXX is whole: a character, or half of one (UTF-16). */
static const char *take_unit(json_events *j) {
    const unsigned unit = j->unit;
    const bool low = unit >= 0xdc00 && unit < 0xe000;
    if (j->high != 0) {
        const unsigned high = j->high;
        j->high = 0;
        return low ? put_point(j, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00))
                   : "half a character (a surrogate) stands alone in a string";
    }
    if (low) {
        return "half a character (a surrogate) stands alone in a string";
    }
    if (unit >= 0xd800 && unit < 0xdc00) {
        j->high = unit;
        return NULL;
    }
    return put_point(j, unit);
}

static int hex_digit(unsigned char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* escape: 1 behind the backslash, 2 … 5 before a digit of \u. */
static const char *take_escape(json_events *j, unsigned char c) {
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    if (j->escape > 1) {
        const int digit = hex_digit(c);
        if (digit < 0) {
            return "\\u needs four hexadecimal digits";
        }
        j->unit = j->unit << 4 | (unsigned)digit;
        j->escape = j->escape == 5 ? 0 : j->escape + 1;
        return j->escape == 0 ? take_unit(j) : NULL;
    }
    if (c == 'u') {
        j->escape = 2;
        j->unit = 0;
        return NULL;
    }
    const char *found = c != '\0' ? strchr(letters, c) : NULL;
    j->escape = 0;
    if (j->high != 0) {
        return "half a character (a surrogate) stands alone in a string";
    }
    return found != NULL ? put(j, (unsigned char)meant[found - letters]) : "an unknown escape";
}

/* The first byte of a character says how many follow, and what the second one may be. */
static bool begin_character(json_events *j, unsigned char c) {
    j->low_bound = 0x80;
    j->high_bound = 0xbf;
    if (c >= 0xc2 && c <= 0xdf) {
        j->follow = 1;
    } else if (c >= 0xe0 && c <= 0xef) {
        j->follow = 2;
        j->low_bound = c == 0xe0 ? 0xa0 : 0x80;
        j->high_bound = c == 0xed ? 0x9f : 0xbf;
    } else if (c >= 0xf0 && c <= 0xf4) {
        j->follow = 3;
        j->low_bound = c == 0xf0 ? 0x90 : 0x80;
        j->high_bound = c == 0xf4 ? 0x8f : 0xbf;
    } else {
        return false;
    }
    return true;
}

static const char *take_in_string(json_events *j, unsigned char c) {
    if (j->follow > 0) {
        if (c < j->low_bound || c > j->high_bound) {
            return "a string that is no UTF-8";
        }
        j->low_bound = 0x80;
        j->high_bound = 0xbf;
        j->follow--;
        return put(j, c);
    }
    if (j->escape > 0) {
        return take_escape(j, c);
    }
    if (c == '\\') {
        j->escape = 1;
        return NULL;
    }
    if (j->high != 0) {
        return "half a character (a surrogate) stands alone in a string";
    }
    if (c == '"') {
        const bool key = j->key;
        const char *failure = give_piece(j, true);
        if (key) {
            j->state = COLON;
        } else {
            value_is_over(j);
        }
        return failure;
    }
    if (c < 0x20) {
        return "a control character in a string";
    }
    if (c >= 0x80 && !begin_character(j, c)) {
        return "a string that is no UTF-8";
    }
    return put(j, c);
}

static void begin_string(json_events *j, bool key) {
    j->state = STRING;
    j->key = key;
    j->long_key = false;
    j->used = 0;
    j->escape = j->follow = 0;
    j->high = 0;
}

/* ---- Numbers ---- */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)? ; *whole: no fraction, no exponent. */
static bool is_number(const char *s, bool *whole) {
    s += *s == '-';
    *whole = true;
    if (!is_digit(*s) || (*s == '0' && is_digit(s[1]))) {
        return false;
    }
    while (is_digit(*s)) {
        s++;
    }
    if (*s == '.') {
        *whole = false;
        s++;
        if (!is_digit(*s)) {
            return false;
        }
        while (is_digit(*s)) {
            s++;
        }
    }
    if (*s == 'e' || *s == 'E') {
        *whole = false;
        s++;
        s += *s == '+' || *s == '-';
        if (!is_digit(*s)) {
            return false;
        }
        while (is_digit(*s)) {
            s++;
        }
    }
    return *s == '\0';
}

/* Few digits: an integer and a power of ten that are exact, so that one rounding gives what strtod
 * gives, in a tenth of the time. false: strtod is needed. */
static bool quick_number(const char *s, double *out) {
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    const bool minus = *s == '-';
    int64_t digits = 0;
    int count = 0, behind = -1;
    for (s += minus; *s != '\0'; s++) {
        if (*s == '.') {
            behind = 0;
        } else if (!is_digit(*s) || ++count > 15) {
            return false;
        } else {
            digits = digits * 10 + (*s - '0');
            behind += behind >= 0;
        }
    }
    const double value = (double)digits / powers[behind > 0 ? behind : 0];
    *out = minus ? -value : value;
    return true;
}

static const char *end_number(json_events *j) {
    json_value v = {.event = EVENT_NUMBER};
    j->piece[j->used] = '\0';
    j->used = 0;
    if (!is_number(j->piece, &v.whole)) {
        return "something that is no number where one should be";
    }
    if (!quick_number(j->piece, &v.number)) {
        v.number = strtod(j->piece, NULL);
    }
    v.whole = v.whole && v.number >= -9.2e18 && v.number <= 9.2e18;
    v.integer = v.whole ? strtoll(j->piece, NULL, 10) : 0;
    value_is_over(j);
    return tell(j, v);
}

static bool of_number(char c) {
    return is_digit(c) || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-';
}

/* ---- Structure ---- */

static const char *open_level(json_events *j, bool object) {
    if (j->depth == JSON_DEPTH) {
        return "it is nested deeper than 32 levels";
    }
    j->objects =
        object ? j->objects | (uint64_t)1 << j->depth : j->objects & ~((uint64_t)1 << j->depth);
    j->depth++;
    j->state = object ? FIRST_KEY : FIRST;
    return tell(j, (json_value){.event = object ? EVENT_OBJECT : EVENT_ARRAY});
}

static const char *close_level(json_events *j) {
    const bool object = in_object(j);
    j->depth--;
    value_is_over(j);
    return tell(j, (json_value){.event = object ? EVENT_OBJECT_END : EVENT_ARRAY_END});
}

static const char *begin_word(json_events *j, const char *rest, double value) {
    j->word = rest;
    j->word_value = value;
    j->state = WORD;
    return NULL;
}

static const char *begin_value(json_events *j, char c) {
    switch (c) {
    case '{':
        return open_level(j, true);
    case '[':
        return open_level(j, false);
    case '"':
        begin_string(j, false);
        return NULL;
    case 't':
        return begin_word(j, "rue", 1);
    case 'f':
        return begin_word(j, "alse", 0);
    case 'n':
        return begin_word(j, "ull", (double)NAN);
    default:
        if (c != '-' && !is_digit(c)) {
            return "something that is no value where one should be";
        }
        j->piece[0] = c;
        j->used = 1;
        j->state = NUMBER;
        return NULL;
    }
}

static const char *take_in_word(json_events *j, char c) {
    if (c != *j->word) {
        return "a word that is none of true, false and null";
    }
    j->word++;
    if (*j->word != '\0') {
        return NULL;
    }
    value_is_over(j);
    return tell(j, (json_value){.event = EVENT_WORD, .number = j->word_value});
}

static const char *after_value(json_events *j, char c) {
    if (c == ',') {
        j->state = in_object(j) ? NEXT_KEY : VALUE;
        return NULL;
    }
    if (c == (in_object(j) ? '}' : ']')) {
        return close_level(j);
    }
    return "a comma or an end is missing behind a value";
}

static const char *between(json_events *j, char c) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        return NULL;
    }
    switch (j->state) {
    case VALUE:
        return begin_value(j, c);
    case FIRST:
        return c == ']' ? close_level(j) : begin_value(j, c);
    case FIRST_KEY:
    case NEXT_KEY:
        if (c == '}' && j->state == FIRST_KEY) {
            return close_level(j);
        }
        if (c != '"') {
            return "a key is missing";
        }
        begin_string(j, true);
        return NULL;
    case COLON:
        j->state = VALUE;
        return c == ':' ? NULL : "a colon is missing behind a key";
    case AFTER:
        return after_value(j, c);
    default:
        return "something stands behind its end";
    }
}

static const char *take(json_events *j, char c) {
    switch (j->state) {
    case STRING:
        return take_in_string(j, (unsigned char)c);
    case WORD:
        return take_in_word(j, c);
    case NUMBER:
        if (of_number(c)) {
            if (j->used >= JSON_NUMBER_LIMIT) {
                return "a number of more than 255 characters";
            }
            j->piece[j->used++] = c;
            return NULL;
        } else {
            const char *failure = end_number(j);
            return failure != NULL ? failure : between(j, c);
        }
    default:
        return between(j, c);
    }
}

void json_events_init(json_events *j, json_event_fn *fn, void *user) {
    *j = (json_events){.tell = fn, .user = user, .state = VALUE};
}

const char *json_events_push(json_events *j, const char *data, size_t size) {
    for (size_t i = 0; i < size && j->failure == NULL; i++) {
        j->failure = take(j, data[i]);
    }
    return j->failure;
}

const char *json_events_end(json_events *j) {
    if (j->failure == NULL && j->state == NUMBER && j->depth == 0) {
        j->failure = end_number(j);
    }
    if (j->failure == NULL && j->state != DONE) {
        j->failure = "it ends before it is whole";
    }
    return j->failure;
}
