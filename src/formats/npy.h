/* SPDX-License-Identifier: Apache-2.0 */
/* NumPy's .npy (format 1.0 to 3.0) and .npz: numbers, and text of fixed width where it is asked
 * for. Object, structured and date types are refused. */
#ifndef TUB__FORMATS_NPY_H
#define TUB__FORMATS_NPY_H

#include "base/alloc.h"
#include <stdbool.h>
#include <stdint.h>

enum { TUB__NPY_RANK = 8 };

typedef enum tub__npy_kind {
    TUB__NPY_BOOL,
    TUB__NPY_INT,
    TUB__NPY_UINT,
    TUB__NPY_FLOAT
} tub__npy_kind;

typedef struct tub__npy {
    tub__npy_kind kind;
    int width; /* bytes per element: 1, 2, 4, 8 (float also 2); of text: those of the longest */
    bool text; /* elements are names, and kind says how wide a character is: INT bytes (S), UINT
                  four bytes (U) */
    bool big_endian, fortran;
    int rank;
    uint64_t shape[TUB__NPY_RANK];
    uint64_t elements;  /* checked product; 1 for rank 0 */
    size_t data_offset; /* of the first element in the file's bytes */
} tub__npy;

/* Parses the header of `size` bytes in memory and checks that the elements are all there (the bytes
 * after them are refused unless allow_tail). The error sentence does not name the file: callers
 * prefix it. */
TUB_MUST_USE tub_status tub__npy_parse(const void *bytes, size_t size, bool allow_tail,
                                       tub__npy *out, tub_error *err);
/* The same for an array of text ('<U7', '|S7'); numbers are refused. */
TUB_MUST_USE tub_status tub__npy_parse_text(const void *bytes, size_t size, tub__npy *out,
                                            tub_error *err);
/* Element `index` of an array of text with at most one dimension, as zero-terminated UTF-8; false
 * when it is empty, is no printable text or does not fit. */
bool tub__npy_text(const tub__npy *npy, const void *bytes, uint64_t index, char *out, size_t room);
/* Copies all elements in C order (whatever the file's order and endianness) to uint8, float32,
 * float64 or int64. to_u8 refuses values outside 0…255 and fractions. */
TUB_MUST_USE tub_status tub__npy_to_u8(const tub__npy *npy, const void *bytes, unsigned char *out,
                                       tub_error *err);
TUB_MUST_USE tub_status tub__npy_to_f32(const tub__npy *npy, const void *bytes, float *out,
                                        tub_error *err);
TUB_MUST_USE tub_status tub__npy_to_f64(const tub__npy *npy, const void *bytes, double *out,
                                        tub_error *err);
TUB_MUST_USE tub_status tub__npy_to_i64(const tub__npy *npy, const void *bytes, int64_t *out,
                                        tub_error *err); /* integers and whole floats */
/* Element `index` in C order, rounded to a double where it is a whole number. */
double tub__npy_element(const tub__npy *npy, const void *bytes, uint64_t index);
/* "uint8", "float32", … for sentences. */
const char *tub__npy_type_name(const tub__npy *npy);

/* A .npy file of C-order little-endian elements; written atomically. type: "|u1", "<f4", "<f8",
 * "<i4", "<i8". */
TUB_MUST_USE tub_status tub__npy_write(const tub_allocator *a, const char *path, const char *type,
                                       int rank, const uint64_t *shape, const void *data,
                                       tub_error *err);

/* The same begun: the header is written, and the elements are the caller's to write, and to commit. */
struct tub__writer;
TUB_MUST_USE tub_status tub__npy_begin(const tub_allocator *a, const char *path, const char *type,
                                       int rank, const uint64_t *shape, struct tub__writer *out,
                                       tub_error *err);

/* A .npz: a zip archive of .npy members (stored or deflated). */
typedef struct tub__npz tub__npz;
TUB_MUST_USE tub_status tub__npz_open(const tub_allocator *a, const char *path, tub__npz **out,
                                      tub_error *err);
TUB_MUST_USE tub_status tub__npz_open_memory(const tub_allocator *a, const void *bytes, size_t size,
                                             tub__npz **out,
                                             tub_error *err); /* bytes must outlive it */
void tub__npz_close(tub__npz *z);                             /* accepts NULL */
size_t tub__npz_count(const tub__npz *z);
/* Name without ".npy"; of duplicate names the last one counts, as in NumPy. Valid until close. */
const char *tub__npz_name(const tub__npz *z, size_t index);
bool tub__npz_has(const tub__npz *z, const char *name);
/* Reads a whole member: *bytes (the caller's, tub__free) holds the .npy file, *npy its header.
 * limit: the most bytes that may be unpacked (a bomb is refused before memory is taken). */
TUB_MUST_USE tub_status tub__npz_read(tub__npz *z, const char *name, uint64_t limit, void **bytes,
                                      tub__npy *npy, tub_error *err);
/* The same for an array of text. */
TUB_MUST_USE tub_status tub__npz_read_text(tub__npz *z, const char *name, uint64_t limit,
                                           void **bytes, tub__npy *npy, tub_error *err);

/* True when the bytes begin as an .npy file. */
bool tub__is_npy(const void *bytes, size_t size);

#endif
