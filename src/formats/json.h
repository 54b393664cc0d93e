/* SPDX-License-Identifier: Apache-2.0 */
/* JSON: reading with checked getters, and a writer that keeps the order of keys and the exact value
 * of numbers.
 *
 * Reading: a document is a tree owned by its root; every other pointer is borrowed from it. Getters
 * fail with a sentence such as `hidden_size: expected a whole number, found text`; callers prefix
 * the file. */
#ifndef TUB__FORMATS_JSON_H
#define TUB__FORMATS_JSON_H

#include "base/alloc.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct tub__json tub__json; /* one value */

typedef enum tub__json_kind {
    TUB__JSON_NULL,
    TUB__JSON_BOOL,
    TUB__JSON_INTEGER, /* written without fraction and exponent, fits int64 */
    TUB__JSON_REAL,
    TUB__JSON_TEXT,
    TUB__JSON_ARRAY,
    TUB__JSON_OBJECT
} tub__json_kind;

/* Parses a text of `size` bytes whose top is an object or an array. Refused: duplicate keys, text
 * that is not UTF-8, NUL in strings, numbers out of range, bytes after the end. The error names
 * line and column, not the file. *out is the caller's until tub__json_free. */
TUB_MUST_USE tub_status tub__json_parse(const char *text, size_t size, tub__json **out,
                                        tub_error *err);
/* The same from a file of at most `limit` bytes; the error begins with the path. */
TUB_MUST_USE tub_status tub__json_load(const tub_allocator *a, const char *path, size_t limit,
                                       tub__json **out, tub_error *err);
void tub__json_free(tub__json *root); /* accepts NULL */

/* ---- Looking. NULL as a value means "missing" everywhere. ---- */

tub__json_kind tub__json_kind_of(const tub__json *value); /* value is not NULL */
const char *
tub__json_kind_name(const tub__json *value); /* "text", "a whole number", …; "nothing" for NULL */
size_t tub__json_size(const tub__json *value); /* members or elements; 0 for others */
const tub__json *tub__json_get(const tub__json *object,
                               const char *key); /* NULL: missing, or not an object */
const tub__json *tub__json_at(const tub__json *array,
                              size_t index); /* NULL: beyond the end, or not an array */

/* Members in the order of the file: for (it = tub__json_first(o); it != NULL; it =
 * tub__json_next(o, it)). */
void *tub__json_first(const tub__json *object); /* NULL: empty, or not an object */
void *tub__json_next(const tub__json *object, void *it);
const char *tub__json_key(void *it);
const tub__json *tub__json_value(void *it);

/* ---- Values, checked. `name` stands in the sentence. A missing value is TUB_E_NOT_FOUND, a wrong
 * kind TUB_E_FORMAT. ---- */

TUB_MUST_USE tub_status tub__json_to_integer(const tub__json *v, const char *name, int64_t *out,
                                             tub_error *err);
/* Whole numbers are fine too. */
TUB_MUST_USE tub_status tub__json_to_real(const tub__json *v, const char *name, double *out,
                                          tub_error *err);
TUB_MUST_USE tub_status tub__json_to_bool(const tub__json *v, const char *name, bool *out,
                                          tub_error *err);
/* *out lives as long as the root. */
TUB_MUST_USE tub_status tub__json_to_text(const tub__json *v, const char *name, const char **out,
                                          tub_error *err);
TUB_MUST_USE tub_status tub__json_to_array(const tub__json *v, const char *name,
                                           const tub__json **out, tub_error *err);
TUB_MUST_USE tub_status tub__json_to_object(const tub__json *v, const char *name,
                                            const tub__json **out, tub_error *err);

/* ---- Members. get_: the key must be there. opt_: *out stays as it is when the key is missing or
 * null. ---- */

TUB_MUST_USE tub_status tub__json_get_integer(const tub__json *o, const char *key, int64_t *out,
                                              tub_error *err);
TUB_MUST_USE tub_status tub__json_get_real(const tub__json *o, const char *key, double *out,
                                           tub_error *err);
TUB_MUST_USE tub_status tub__json_get_bool(const tub__json *o, const char *key, bool *out,
                                           tub_error *err);
TUB_MUST_USE tub_status tub__json_get_text(const tub__json *o, const char *key, const char **out,
                                           tub_error *err);
TUB_MUST_USE tub_status tub__json_opt_integer(const tub__json *o, const char *key, int64_t *out,
                                              tub_error *err);
TUB_MUST_USE tub_status tub__json_opt_real(const tub__json *o, const char *key, double *out,
                                           tub_error *err);
TUB_MUST_USE tub_status tub__json_opt_bool(const tub__json *o, const char *key, bool *out,
                                           tub_error *err);
TUB_MUST_USE tub_status tub__json_opt_text(const tub__json *o, const char *key, const char **out,
                                           tub_error *err);

/* ---- Writing: a text made front to back. The first failure sticks and comes out of
 * tub__json_finish. ---- */

typedef struct tub__json_writer {
    const tub_allocator *allocator;
    char *text;
    size_t size, capacity;
    int indent; /* spaces per level; 0: all on one line */
    int depth;
    bool first; /* nothing written yet in the open object or array */
    tub_error error;
} tub__json_writer;

void tub__json_start(tub__json_writer *w, const tub_allocator *a, int indent);
/* key is NULL inside an array and at the top. */
void tub__json_open_object(tub__json_writer *w, const char *key);
void tub__json_close_object(tub__json_writer *w);
void tub__json_open_array(tub__json_writer *w, const char *key);
void tub__json_close_array(tub__json_writer *w);
void tub__json_put_integer(tub__json_writer *w, const char *key, int64_t value);
/* The shortest decimal that reads back as the same double; NaN and infinities become null. Always
 * has a point or exponent. */
void tub__json_put_real(tub__json_writer *w, const char *key, double value);
void tub__json_put_bool(tub__json_writer *w, const char *key, bool value);
void tub__json_put_null(tub__json_writer *w, const char *key);
/* NULL gives null; bytes that are not UTF-8 become U+FFFD. */
void tub__json_put_text(tub__json_writer *w, const char *key, const char *value);
/* A whole parsed value; missing (NULL) gives null. */
void tub__json_put_value(tub__json_writer *w, const char *key, const tub__json *value);
/* *text is the caller's (tub__free), zero-terminated, with a newline at its end when indented.
 * Releases the rest in any case. */
TUB_MUST_USE tub_status tub__json_finish(tub__json_writer *w, char **text, size_t *size,
                                         tub_error *err);
void tub__json_discard(tub__json_writer *w); /* instead of finish; fine after it */

/* Writes the shortest decimal of a finite double into out (at least 32 bytes). */
void tub__shortest_real(double value, char out[32]);

#endif
