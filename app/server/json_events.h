/* SPDX-License-Identifier: Apache-2.0 */
/* JSON (RFC 8259) as it comes, piece by piece: what is read is told at once and nothing is kept, so that
 * memory does not grow with the text. */
#ifndef APP_SERVER_JSON_EVENTS_H
#define APP_SERVER_JSON_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum json_event {
    EVENT_OBJECT,     /* { */
    EVENT_OBJECT_END, /* } */
    EVENT_ARRAY,      /* [ */
    EVENT_ARRAY_END,  /* ] */
    EVENT_KEY,        /* text, at most JSON_KEY_LIMIT bytes; of a longer one none: "" */
    EVENT_TEXT,       /* a piece of a string: text, size; the last one has `last` */
    EVENT_NUMBER,     /* number, whole */
    EVENT_WORD        /* true, false: number 1, 0; null: number NaN */
} json_event;

enum { JSON_KEY_LIMIT = 127, JSON_DEPTH = 32, JSON_NUMBER_LIMIT = 255, JSON_PIECE = 256 };

typedef struct json_value {
    json_event event;
    const char *text; /* UTF-8, with a zero behind it */
    size_t size;
    bool last;
    double number;
    bool whole; /* a number without a fraction, exact in int64 */
    int64_t integer;
} json_value;

/* Returns NULL, or a sentence that ends the reading; it must stay valid. */
typedef const char *json_event_fn(void *user, const json_value *value);

typedef struct json_events {
    json_event_fn *tell;
    void *user;
    const char *failure; /* NULL: none so far */
    int state;
    int depth;
    uint64_t objects; /* a bit for each depth: it is an object */
    bool key;         /* the string at hand is a key */
    bool long_key;
    int escape;                          /* within an escape: its state */
    unsigned unit, high;                 /* of \u */
    int follow;                          /* bytes of UTF-8 that are to come */
    unsigned char low_bound, high_bound; /* of the next of them */
    size_t used;
    char piece[JSON_PIECE + 8];
    const char *word; /* the rest of true, false, null */
    double word_value;
} json_events;

void json_events_init(json_events *j, json_event_fn *tell, void *user);
/* NULL, or why it is no JSON, or what `tell` said. */
const char *json_events_push(json_events *j, const char *data, size_t size);
/* The text ends here. */
const char *json_events_end(json_events *j);

#endif
