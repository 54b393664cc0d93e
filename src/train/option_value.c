/* SPDX-License-Identifier: Apache-2.0 */
/* Values of training settings as text: what recipes and command lines say, and what the resolved recipe says back. */
#include "train/option_value.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/number.h"
#include "base/utf8.h"
#include "formats/json.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- reading ---- */

static tub_status out_of_range(const tub_option *o, const char *text, tub_error *err) {
    const char *format = o->type == TUB_OPTION_REAL || o->type == TUB_OPTION_RANGE
                             ? "%s is %.80s; it must lie between %.10g and %.10g"
                             : "%s is %.80s; it must lie between %.0f and %.0f";
    return tub__fail(err, TUB_E_RANGE, format, o->key, text, o->low, o->high);
}

static tub_status set_int(const tub_option *o, void *at, const char *text, tub_error *err) {
    int64_t value = 0;
    if (!tub__number_to_int(text, &value)) {
        if (tub__number_is_whole(text)) { /* more than 64 bits hold */
            return out_of_range(o, text, err);
        }
        return tub__fail(err, TUB_E_ARGUMENT, "%s is '%.80s'; it takes a whole number", o->key,
                         text);
    }
    if ((double)value < o->low || (double)value > o->high) {
        return out_of_range(o, text, err);
    }
    memcpy(at, &value, sizeof value);
    return TUB_OK;
}

static tub_status set_size(const tub_option *o, void *at, const char *text, tub_error *err) {
    int64_t value = 0;
    if (!tub__number_to_bytes(text, &value)) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "%s is '%.80s'; it takes a number of bytes, as 500M or 20G", o->key, text);
    }
    if ((double)value < o->low || (double)value > o->high) {
        return out_of_range(o, text, err);
    }
    memcpy(at, &value, sizeof value);
    return TUB_OK;
}

static tub_status set_real(const tub_option *o, void *at, const char *text, tub_error *err) {
    double value = 0.0;
    if (!tub__number_to_real(text, &value)) {
        return tub__fail(err, TUB_E_ARGUMENT, "%s is '%.80s'; it takes a number", o->key, text);
    }
    if (value < o->low || value > o->high) {
        return out_of_range(o, text, err);
    }
    memcpy(at, &value, sizeof value);
    return TUB_OK;
}

static tub_status set_text(const tub_option *o, char *at, size_t size, const char *text,
                           tub_error *err) {
    size_t length = strlen(text);
    if (length >= size) {
        return tub__fail(err, TUB_E_RANGE, "%s is longer than %zu bytes", o->key, size - 1);
    }
    for (size_t i = 0, n = 0; i < length; i += n) {
        n = tub__utf8_length((const unsigned char *)text + i, length - i);
        if (n == 0) {
            return tub__fail(
                err, TUB_E_ARGUMENT,
                "%s is not UTF-8, so no recipe can hold it; give the file a name that is", o->key);
        }
    }
    memset(at, 0, size); /* equal settings are equal bytes */
    memcpy(at, text, length);
    return TUB_OK;
}

enum { CHOICE_LIMIT = 16, CHOICE_ROOM = 40 };

/* Number of `text` in "a|b|c", or -1; with text NULL: the start and length of number `index`. */
static int choice(const char *choices, const char *text, int index, const char **start,
                  size_t *length) {
    int number = 0;
    for (const char *c = choices; *c != '\0'; number++) {
        size_t n = strcspn(c, "|");
        if (text != NULL ? strlen(text) == n && memcmp(c, text, n) == 0 : number == index) {
            *start = c;
            *length = n;
            return number;
        }
        c += n + (c[n] == '|');
    }
    return -1;
}

static const char *choice_word(const void *words, size_t index) {
    return ((const char(*)[CHOICE_ROOM])words)[index];
}

/* A choice that was refused: all of them, and the one that was probably meant. */
static tub_status no_choice(const tub_option *o, const char *text, tub_error *err) {
    char words[CHOICE_LIMIT][CHOICE_ROOM] = {{0}};
    const char *start;
    size_t length;
    for (int i = 0; i < CHOICE_LIMIT && choice(o->choices, NULL, i, &start, &length) >= 0; i++) {
        snprintf(words[i], CHOICE_ROOM, "%.*s", (int)length, start);
    }
    const size_t near = tub_nearest(text, words, CHOICE_LIMIT, choice_word);
    const tub_status status = tub__fail(err, TUB_E_ARGUMENT, "%s is '%.80s'; it takes one of %s",
                                        o->key, text, o->choices);
    return near < CHOICE_LIMIT ? tub__suffix(err, status, "; did you mean '%s'?", words[near])
                               : status;
}

static tub_status set_choice(const tub_option *o, void *at, const char *text, tub_error *err) {
    const char *start = NULL;
    size_t length = 0;
    int value = choice(o->choices, text, 0, &start, &length);
    if (value < 0 && strcmp(o->key, "precision") == 0 && strcmp(text, "int8") == 0) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "precision is 'int8', which is for eval and predict only: train in f32 or "
                         "bf16, and convert the model then");
    }
    if (value < 0) {
        return no_choice(o, text, err);
    }
    memcpy(at, &value, sizeof value);
    return TUB_OK;
}

static tub_status set_flag(const tub_option *o, void *at, const char *text, tub_error *err) {
    static const char *const yes[] = {"true", "yes", "on", "1"}, *const no[] = {"false", "no",
                                                                                "off", "0"};
    for (int i = 0; i < 4; i++) {
        int value = strcmp(text, yes[i]) == 0;
        if (value || strcmp(text, no[i]) == 0) {
            memcpy(at, &value, sizeof value);
            return TUB_OK;
        }
    }
    return tub__fail(err, TUB_E_ARGUMENT, "%s is '%.80s'; it takes true or false", o->key, text);
}

/* One part of "8, 8,8" or "8x8x8": the number that *rest begins with, into `part`; *rest moves to the
 * separator behind it, or to the end. False when there is no number. */
static bool next_part(const char **rest, char *part, size_t size) {
    const char *c = *rest + strspn(*rest, " ");
    size_t length = strcspn(c, ",x ");
    if (length == 0 || length >= size) {
        return false;
    }
    memcpy(part, c, length);
    part[length] = '\0';
    *rest = c + length + strspn(c + length, " ");
    return **rest == '\0' || **rest == ',' || **rest == 'x';
}

/* Parts of "97,300" into value[count]; *n: how many there were. False when they are not such numbers. */
static tub_status read_parts(const tub_option *o, const char *text, size_t count, int64_t *value,
                             size_t *n, bool *right, tub_error *err) {
    bool more = true;
    *n = 0;
    *right = true;
    for (const char *rest = text; more && *right; rest++) {
        char part[24];
        *right = *n < count && next_part(&rest, part, sizeof part);
        if (*right) {
            TUB__TRY(set_int(o, &value[(*n)++], part, err));
            more = *rest != '\0';
        }
    }
    return TUB_OK;
}

/* No heads are one zero. */
static tub_status set_heads(const tub_option *o, void *at, const char *text, tub_error *err) {
    int64_t value[TUB_HEAD_LIMIT] = {0};
    size_t n = 0;
    bool right = true;
    TUB__TRY(read_parts(o, text, TUB_HEAD_LIMIT, value, &n, &right, err));
    for (size_t i = 0; right && i < n; i++) {
        right = value[i] > 1 || (n == 1 && value[i] == 0);
    }
    if (!right) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "%s is '%.80s'; it takes one to %d whole numbers from 2 on, as 97,300, or "
                         "0",
                         o->key, text, TUB_HEAD_LIMIT);
    }
    memcpy(at, value, sizeof value);
    return TUB_OK;
}

static tub_status set_int3(const tub_option *o, void *at, const char *text, tub_error *err) {
    int64_t value[3] = {0};
    size_t n = 0;
    bool right = true;
    TUB__TRY(read_parts(o, text, 3, value, &n, &right, err));
    if (!right || n == 2) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "%s is '%.80s'; it takes one whole number or three, as 8,8,8", o->key,
                         text);
    }
    if (n == 1) {
        value[1] = value[2] = value[0];
    }
    memcpy(at, value, sizeof value);
    return TUB_OK;
}

/* "0.8,1.2", or one number for both. */
static tub_status set_range(const tub_option *o, void *at, const char *text, tub_error *err) {
    double value[2] = {0};
    char part[2][32];
    const size_t first = strcspn(text, ","), second = text[first] == ',' ? first + 1 : 0;
    snprintf(part[0], sizeof part[0], "%.*s", (int)tub__min(first, sizeof part[0]), text);
    snprintf(part[1], sizeof part[1], "%s", text + second + strspn(text + second, " "));
    if (second == 0) {
        memcpy(part[1], part[0], sizeof part[1]);
    }
    for (int i = 0; i < 2; i++) {
        double *v = &value[i];
        if (first >= sizeof part[0] || strlen(text + second) >= sizeof part[1] ||
            !tub__number_to_real(part[i], v)) {
            return tub__fail(err, TUB_E_ARGUMENT,
                             "%s is '%.80s'; it takes two numbers, as 0.8,1.2, or one", o->key,
                             text);
        }
        TUB__TRY(set_real(o, v, part[i], err));
    }
    if (value[0] > value[1]) {
        return tub__fail(err, TUB_E_RANGE, "%s is %.80s; the lower bound comes first", o->key,
                         text);
    }
    memcpy(at, value, sizeof value);
    return TUB_OK;
}

tub_status tub__option_read(const tub_option *o, const char *text, void *at, size_t size,
                            tub_error *err) {
    switch (o->type) {
    case TUB_OPTION_INT:
        return set_int(o, at, text, err);
    case TUB_OPTION_REAL:
        return set_real(o, at, text, err);
    case TUB_OPTION_CHOICE:
        return set_choice(o, at, text, err);
    case TUB_OPTION_FLAG:
        return set_flag(o, at, text, err);
    case TUB_OPTION_INT3:
        return set_int3(o, at, text, err);
    case TUB_OPTION_HEADS:
        return set_heads(o, at, text, err);
    case TUB_OPTION_RANGE:
        return set_range(o, at, text, err);
    case TUB_OPTION_SIZE:
        return set_size(o, at, text, err);
    case TUB_OPTION_TEXT:
        break;
    }
    return set_text(o, at, size, text, err);
}

/* ---- writing ---- */

static void put_heads(const int64_t *heads, char *text, size_t size) {
    int used = snprintf(text, size, "%" PRId64, heads[0]);
    for (int i = 1; i < TUB_HEAD_LIMIT && heads[i] != 0; i++) {
        used += snprintf(text + used, size - (size_t)used, ",%" PRId64, heads[i]);
    }
}

static void put_real(double real, char *text, size_t size) {
    if (isfinite(real)) {
        tub__shortest_real(real, text);
    } else {
        snprintf(text, size, "%f",
                 real); /* a program's mistake, for the sentence that refuses it */
    }
}

/* The value of a setting that is one number or several. */
static void put_numbers(tub_option_type type, const void *at, char *text, size_t size) {
    int64_t whole[TUB_HEAD_LIMIT] = {0};
    double real[2] = {0};
    switch (type) {
    case TUB_OPTION_INT:
        memcpy(whole, at, sizeof *whole);
        snprintf(text, size, "%" PRId64, whole[0]);
        break;
    case TUB_OPTION_SIZE:
        memcpy(whole, at, sizeof *whole);
        tub__number_print_bytes(text, whole[0]);
        break;
    case TUB_OPTION_INT3:
        memcpy(whole, at, 3 * sizeof *whole);
        snprintf(text, size, "%" PRId64 ",%" PRId64 ",%" PRId64, whole[0], whole[1], whole[2]);
        break;
    case TUB_OPTION_HEADS:
        memcpy(whole, at, sizeof whole);
        put_heads(whole, text, size);
        break;
    case TUB_OPTION_REAL:
        memcpy(real, at, sizeof *real);
        put_real(real[0], text, size);
        break;
    case TUB_OPTION_RANGE:
        memcpy(real, at, sizeof real);
        put_real(real[0], text, size);
        strcat(text, ",");
        put_real(real[1], text + strlen(text), size - strlen(text));
        break;
    case TUB_OPTION_FLAG:
    case TUB_OPTION_CHOICE:
    case TUB_OPTION_TEXT:
        break;
    }
}

tub_status tub__option_write(const tub_option *o, const void *at, char *out, size_t size,
                             tub_error *err) {
    char number[TUB_HEAD_LIMIT * 24] = "";
    const char *text = number;
    int index = 0;
    size_t length = 0;
    if (o->type == TUB_OPTION_TEXT) {
        text = at;
    } else if (o->type == TUB_OPTION_FLAG) {
        memcpy(&index, at, sizeof index);
        text = index ? "true" : "false";
    } else if (o->type == TUB_OPTION_CHOICE) {
        memcpy(&index, at, sizeof index);
        if (choice(o->choices, NULL, index, &text, &length) < 0) {
            return tub__fail(err, TUB_E_RANGE, "%s is number %d; it takes one of %s", o->key, index,
                             o->choices);
        }
    } else {
        put_numbers(o->type, at, number, sizeof number);
    }
    if (length == 0) {
        length = strlen(text);
    }
    if (length >= size) {
        return tub__fail(err, TUB_E_ARGUMENT, "the value of %s needs %zu bytes; %zu were given",
                         o->key, length + 1, size);
    }
    memcpy(out, text, length);
    out[length] = '\0';
    return TUB_OK;
}
