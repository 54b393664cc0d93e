/* SPDX-License-Identifier: Apache-2.0 */
/* The safetensors format: an 8-byte length, a JSON header, and the arrays' bytes. */
#ifndef TUB__FORMATS_SAFETENSORS_H
#define TUB__FORMATS_SAFETENSORS_H

#include "base/file.h"
#include <stdint.h>

enum { TUB__SAFETENSORS_RANK = 8 };

typedef enum tub__st_dtype {
    TUB__ST_F32,
    TUB__ST_F64,
    TUB__ST_F16,
    TUB__ST_BF16,
    TUB__ST_I64,
    TUB__ST_I32,
    TUB__ST_U8,
    TUB__ST_I8,
    TUB__ST_OTHER
} tub__st_dtype;

typedef struct tub__st_array {
    char *name;
    tub__st_dtype dtype;
    int rank;
    uint64_t shape[TUB__SAFETENSORS_RANK];
    uint64_t elements;
    uint64_t offset, size; /* bytes, from the start of the data section */
} tub__st_array;

typedef struct tub__st_file {
    tub__map map;
    const unsigned char *data; /* data section */
    tub__st_array *arrays;     /* sorted by name */
    size_t count;
    char **metadata;       /* key, value, key, value, … */
    size_t metadata_count; /* pairs */
    const tub_allocator *allocator;
} tub__st_file;

/* Opens and checks everything: header length, JSON, types, shapes against sizes, gaps, overlaps,
 * bytes left over, duplicate names. */
TUB_MUST_USE tub_status tub__st_open(const tub_allocator *a, const char *path, tub__st_file *out,
                                     tub_error *err);
/* The same over bytes in memory (for the fuzzer); the bytes must outlive it. */
TUB_MUST_USE tub_status tub__st_parse(const tub_allocator *a, const void *bytes, size_t size,
                                      tub__st_file *out, tub_error *err);
void tub__st_close(tub__st_file *f);
const tub__st_array *tub__st_find(const tub__st_file *f, const char *name);
const char *tub__st_metadata(const tub__st_file *f, const char *key);
/* Elements as float32 (from F32, F16, BF16, F64). */
TUB_MUST_USE tub_status tub__st_to_f32(const tub__st_file *f, const tub__st_array *array,
                                       float *out, tub_error *err);

/* Writing: arrays are declared first, then their bytes follow in the declared order. Deterministic:
 * the same arrays give the same bytes. Atomic. */
typedef struct tub__st_writer tub__st_writer;
TUB_MUST_USE tub_status tub__st_create(const tub_allocator *a, const char *path,
                                       tub__st_writer **out, tub_error *err);
TUB_MUST_USE tub_status tub__st_declare(tub__st_writer *w, const char *name, tub__st_dtype dtype,
                                        int rank, const uint64_t *shape, tub_error *err);
TUB_MUST_USE tub_status tub__st_declare_metadata(tub__st_writer *w, const char *key,
                                                 const char *value, tub_error *err);
/* The next declared array's bytes; size must be its size. The first call writes the header. */
TUB_MUST_USE tub_status tub__st_write(tub__st_writer *w, const void *data, size_t size,
                                      tub_error *err);
TUB_MUST_USE tub_status tub__st_commit(tub__st_writer *w, tub_error *err); /* frees w in any case */
void tub__st_abort(tub__st_writer *w);                                     /* accepts NULL */

#endif
