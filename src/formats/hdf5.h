/* SPDX-License-Identifier: Apache-2.0 */
/* HDF5 files as named arrays, through the module mod-hdf5 in a worker process (base/worker.h):
 * whatever is in a file, nothing but these arrays comes out of it. */
#ifndef TUB__FORMATS_HDF5_H
#define TUB__FORMATS_HDF5_H

#include "base/context.h"
#include "base/worker.h"

/* Files have float16 and bfloat16 too, which are widened to float32, and whole numbers of all
 * widths. */
typedef enum tub__h5_type {
    TUB__H5_I64 = TUB__WIRE_I64,
    TUB__H5_F32 = TUB__WIRE_F32,
    TUB__H5_F64 = TUB__WIRE_F64
} tub__h5_type;

enum { TUB__H5_RANK = TUB__WIRE_RANK, TUB__H5_NAME = TUB__WIRE_NAME };

typedef struct tub__h5_array {
    const char *name; /* the path, "layers/dense/vars/0" */
    tub__h5_type type;
    int rank;
    uint64_t shape[TUB__H5_RANK];
    uint64_t elements;
    const void *data; /* row-major */
} tub__h5_array;

typedef struct tub__h5_label {
    const char *group, *text; /* the attribute "name" of a group */
} tub__h5_label;

typedef struct tub__h5_file {
    const tub_allocator *allocator;
    tub__map answer;       /* what all pointers lead into */
    tub__h5_array *arrays; /* sorted by name */
    size_t count;
    tub__h5_label *labels; /* sorted by group */
    size_t label_count;
} tub__h5_file;

/* Reads a whole file. Refused with a sentence that names file and object: links other than hard
 * ones, bytes in other files, elements that are no plain numbers, arrays that claim more than the
 * file stores, more than 8 dimensions, names of more than 511 bytes or with control characters,
 * groups nested deeper than 16, more than 2^17 objects. Whatever the file does to the library that
 * reads it (a crash, no end, all the memory) is a sentence, too. */
TUB_MUST_USE tub_status tub__h5_open(tub_context *ctx, const char *path, tub__h5_file *out,
                                     tub_error *err);
/* The same of a file in memory, in two steps, so that the bytes can be released between them: they
 * are copied to *fd, which the caller closes, and read from there. Sentences do not name the
 * file. */
TUB_MUST_USE tub_status tub__h5_load(const void *bytes, size_t size, int *fd, tub_error *err);
TUB_MUST_USE tub_status tub__h5_open_loaded(tub_context *ctx, int fd, tub__h5_file *out,
                                            tub_error *err);
/* Both steps in one. */
TUB_MUST_USE tub_status tub__h5_open_memory(tub_context *ctx, const void *bytes, size_t size,
                                            tub__h5_file *out, tub_error *err);
/* The last step of both, over an answer of the worker that is taken over in any case. */
TUB_MUST_USE tub_status tub__h5_parse(const tub_allocator *a, tub__map answer, tub__h5_file *out,
                                      tub_error *err);
void tub__h5_close(tub__h5_file *f);
const tub__h5_array *tub__h5_find(const tub__h5_file *f, const char *name);
const char *tub__h5_label_of(const tub__h5_file *f, const char *group); /* NULL: none */
/* Elements as float32 (from F32 and F64). */
void tub__h5_to_f32(const tub__h5_array *array, float *out);
bool tub__is_hdf5(const void *bytes, size_t size);

/* Writing: what is put is kept in memory; finish makes the whole file of it, as h5py would. The
 * first failure sticks and comes out of finish. */
typedef struct tub__h5_writer {
    int fd;
    tub_error error;
} tub__h5_writer;

void tub__h5_start(tub__h5_writer *w);
/* A new group, its parents where they are missing, with an attribute "name". */
void tub__h5_put_group(tub__h5_writer *w, const char *path, const char *name);
/* An array and its missing parents. */
void tub__h5_put(tub__h5_writer *w, const tub__h5_array *array);
/* *file: a map, the caller's (tub__map_close), in which the bytes begin at *bytes. Releases the
 * writer in any case. */
TUB_MUST_USE tub_status tub__h5_finish(tub_context *ctx, tub__h5_writer *w, tub__map *file,
                                       const void **bytes, size_t *size, tub_error *err);
void tub__h5_discard(tub__h5_writer *w); /* instead of finish */

#endif
