/* SPDX-License-Identifier: Apache-2.0 */
/* Named arrays and texts on their way between a worker process and whoever started it.
 *
 * A stream is a row of records and one at its end. A record is a head of 64-bit numbers, a name and
 * data, the two filled up to whole 64-bit words. The reader believes nothing: a worker that was
 * taken over by a hostile file may send anything. */
#ifndef TUB__BASE_WIRE_H
#define TUB__BASE_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <tubelet/status.h>

enum { TUB__WIRE_RANK = 8, TUB__WIRE_NAME = 512 /* with its end */ };

typedef enum tub__wire_kind {
    TUB__WIRE_ARRAY = 1,
    TUB__WIRE_TEXT,  /* data is zero-terminated */
    TUB__WIRE_ERROR, /* a status in `code`, its sentence as the name; nothing follows */
    TUB__WIRE_END    /* nothing follows */
} tub__wire_kind;

typedef enum tub__wire_type {
    TUB__WIRE_U8,
    TUB__WIRE_I64,
    TUB__WIRE_F32,
    TUB__WIRE_F64,
    TUB__WIRE_TYPES
} tub__wire_type;

typedef struct tub__wire_record {
    tub__wire_kind kind;
    int code; /* the type of an array, the status of an error */
    int rank;
    uint64_t shape[TUB__WIRE_RANK];
    uint64_t elements; /* of an array; the writer need not fill it in */
    const char *name;
    const void *data;
    size_t bytes;
} tub__wire_record;

size_t tub__wire_size_of(tub__wire_type type);

/* Writes a record to a file descriptor. */
TUB_MUST_USE tub_status tub__wire_put(int fd, const tub__wire_record *r, tub_error *err);
TUB_MUST_USE tub_status tub__wire_put_text(int fd, const char *name, const char *text,
                                           tub_error *err);
TUB_MUST_USE tub_status tub__wire_put_error(int fd, const tub_error *error);
TUB_MUST_USE tub_status tub__wire_put_end(int fd, tub_error *err);

/* Bytes that are still to be read. They begin at a multiple of 8 in memory. */
typedef struct tub__wire_bytes {
    const unsigned char *at;
    size_t left;
} tub__wire_bytes;

/* Takes the next record off; its pointers lead into the bytes. An error that was sent is this
 * function's own. Names and texts are one line, sizes agree with shapes, and nothing lies behind the
 * end. TUB_E_FORMAT: the stream is not that. */
TUB_MUST_USE tub_status tub__wire_next(tub__wire_bytes *bytes, tub__wire_record *out,
                                       tub_error *err);

#endif
