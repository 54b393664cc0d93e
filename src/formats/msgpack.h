/* SPDX-License-Identifier: Apache-2.0 */
/* MessagePack (github.com/msgpack/msgpack, spec.md): one value's head at a time, out of bytes in
 * memory. Nothing is copied and nothing is allocated; what a head promises is there. */
#ifndef TUB__FORMATS_MSGPACK_H
#define TUB__FORMATS_MSGPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tubelet/status.h>

typedef enum tub__mp_kind {
    TUB__MP_NIL,
    TUB__MP_BOOL,
    TUB__MP_INTEGER,
    TUB__MP_REAL,
    TUB__MP_TEXT, /* UTF-8 without NUL */
    TUB__MP_BYTES,
    TUB__MP_LIST,
    TUB__MP_MAP,
    TUB__MP_EXTENSION
} tub__mp_kind;

typedef struct tub__mp_head {
    tub__mp_kind kind;
    size_t place;     /* of its first byte */
    uint64_t integer; /* two's complement where negative; of a bool 0 or 1 */
    bool negative;
    const unsigned char *data; /* text, bytes and extension: `size` bytes that are there */
    size_t size;
    size_t count; /* list: elements that follow; map: keys, each with its value */
    int type;     /* extension: -128 … 127 */
} tub__mp_head;

/* A part of a file, up to byte `end`. Sentences name bytes of the whole file. */
typedef struct tub__mp_reader {
    const unsigned char *bytes;
    size_t place, end;
} tub__mp_reader;

/* Reads the next head and moves behind it, and behind the data of text, bytes and extensions. A
 * list or map of more values than there are bytes left is refused. Errors: TUB_E_FORMAT, "byte N: …". */
TUB_MUST_USE tub_status tub__mp_next(tub__mp_reader *r, tub__mp_head *out, tub_error *err);
/* "text", "a whole number", … */
const char *tub__mp_kind_name(tub__mp_kind kind);

#endif
