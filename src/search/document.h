/* SPDX-License-Identifier: Apache-2.0 */
/* A sweep file as values with the places where they stand. */
#ifndef TUB__SEARCH_DOCUMENT_H
#define TUB__SEARCH_DOCUMENT_H

#include "base/context.h"
#include "formats/json.h"

enum { TUB__NOTE_LIMIT = 16, TUB__NOTE_LENGTH = 256 };

/* Things that are accepted and probably not meant. */
typedef struct tub__notes {
    char text[TUB__NOTE_LIMIT][TUB__NOTE_LENGTH];
    size_t count;
} tub__notes;

/* Adds one; beyond the limit it is dropped. */
void tub__note(tub__notes *notes, const char *format, ...) __attribute__((format(printf, 2, 3)));

typedef struct tub__document {
    tub__json *tree; /* nodes, as tub__yaml_tree gives them */
    tub__json *
        values; /* a mapping: types by YAML 1.1, merges done, the last of a key that stands twice */
} tub__document;

/* Reads a text whose top is a mapping. Errors name line and column; TUB_E_MODULE without mod-
 * yaml. */
TUB_MUST_USE tub_status tub__document_parse(tub_context *ctx, const char *text, size_t size,
                                            tub__document *out, tub__notes *notes, tub_error *err);
/* The same from the tree of a text; *out owns the tree, whether that succeeds or not. */
TUB_MUST_USE tub_status tub__document_of(const tub_allocator *a, tub__json *tree,
                                         tub__document *out, tub__notes *notes, tub_error *err);
void tub__document_free(tub__document *d);

/* A value with its place. value NULL: there is none. */
typedef struct tub__spot {
    const tub__json *value;
    const tub__json *node;
} tub__spot;

tub__spot tub__spot_top(const tub__document *d);
tub__spot tub__spot_get(tub__spot mapping, const char *key);
tub__spot tub__spot_at(tub__spot list, size_t index);
/* Whether a key is text, and not another scalar such as 1. */
bool tub__spot_key_is_text(tub__spot mapping, const char *key);
int tub__spot_line(tub__spot s);
/* TUB_E_FORMAT with "line L, column C: " before the sentence. */
tub_status tub__spot_fail(tub__spot s, tub_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
