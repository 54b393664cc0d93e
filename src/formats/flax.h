/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints of Flax (flax/serialization.py, msgpack_serialize): nested maps of arrays in
 * MessagePack, seen as one list of arrays by their paths ("params/Dense_0/kernel"). The arrays'
 * bytes stay where they lie in the file. */
#ifndef TUB__FORMATS_FLAX_H
#define TUB__FORMATS_FLAX_H

#include "base/file.h"
#include <stdint.h>

enum { TUB__FLAX_RANK = 8 };

typedef enum tub__flax_dtype {
    TUB__FLAX_F32,
    TUB__FLAX_F64,
    TUB__FLAX_F16,
    TUB__FLAX_BF16,
    TUB__FLAX_OTHER, /* whole numbers, bool, complex */
    TUB__FLAX_PLAIN  /* no array: a plain number, text, nothing, … */
} tub__flax_dtype;

/* A run of an array's bytes; large arrays come in several. */
typedef struct tub__flax_chunk {
    const unsigned char *data;
    size_t size;
} tub__flax_chunk;

typedef struct tub__flax_leaf {
    char *name; /* the keys on its way, with slashes between */
    tub__flax_dtype dtype;
    const char *type; /* "float32", "a whole number"; for sentences */
    int rank;
    uint64_t shape[TUB__FLAX_RANK]; /* C order */
    uint64_t elements;
    size_t place;              /* in the file */
    size_t chunk, chunk_count; /* its share of the file's chunks, in order */
} tub__flax_leaf;

typedef struct tub__flax_file {
    tub__map map;
    tub__flax_leaf *leaves; /* sorted by name; empty maps leave nothing */
    size_t count;
    tub__flax_chunk *chunks;
    size_t chunk_count;
    const tub_allocator *allocator;
} tub__flax_file;

/* Opens a checkpoint and checks all of it: lengths, nesting, keys that stand twice, element types,
 * shapes against bytes, chunks against the whole array, bytes left over. */
TUB_MUST_USE tub_status tub__flax_open(const tub_allocator *a, const char *path,
                                       tub__flax_file *out, tub_error *err);
/* The same over bytes in memory; the bytes must outlive it. */
TUB_MUST_USE tub_status tub__flax_parse(const tub_allocator *a, const void *bytes, size_t size,
                                        tub__flax_file *out, tub_error *err);
void tub__flax_close(tub__flax_file *f);
const tub__flax_leaf *tub__flax_find(const tub__flax_file *f, const char *name);
/* Elements as float32, from float32, float64, float16 and bfloat16; other types are TUB_E_SHAPE. */
TUB_MUST_USE tub_status tub__flax_to_f32(const tub__flax_file *f, const tub__flax_leaf *leaf,
                                         float *out, tub_error *err);

#endif
