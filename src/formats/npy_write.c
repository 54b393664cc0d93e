/* SPDX-License-Identifier: Apache-2.0 */
/* Writing .npy files: version 1.0, C order, the header padded so that the elements begin at a
 * multiple of 64. */
#include "formats/npy.h"

#include "base/error.h"
#include "base/file.h"
#include "formats/half.h" /* for its check of the byte order */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PREFIX = 10, HEADER_LIMIT = 320 }; /* 8 dimensions of 20 digits and the rest fit */

/* The whole header with its prefix; returns its length. */
static size_t make_header(const char *type, int rank, const uint64_t *shape,
                          char out[HEADER_LIMIT]) {
    char tuple[TUB__NPY_RANK * 22 + 1] = "";
    size_t used = 0;
    for (int i = 0; i < rank; i++) {
        const char *comma = rank == 1 ? "," : "";
        used += (size_t)snprintf(tuple + used, sizeof tuple - used, "%s%" PRIu64 "%s",
                                 i > 0 ? ", " : "", shape[i], comma);
    }
    int length = snprintf(out + PREFIX, HEADER_LIMIT - PREFIX,
                          "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", type, tuple);
    size_t whole = tub__round_up(PREFIX + (size_t)length + 1, 64);
    memset(out + PREFIX + length, ' ', whole - PREFIX - (size_t)length);
    out[whole - 1] = '\n';
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (char)((whole - PREFIX) & 0xff);
    out[9] = (char)((whole - PREFIX) >> 8);
    return whole;
}

static bool known_type(const char *type) {
    static const char *const known[] = {"|u1", "<f4", "<f8", "<i4", "<i8"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(type, known[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Bytes of all elements. */
static tub_status measure(const char *path, const char *type, int rank, const uint64_t *shape,
                          size_t *bytes, tub_error *err) {
    if (!known_type(type) || rank < 0 || rank > TUB__NPY_RANK) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "%s: a .npy file of type %s and %d dimensions can't be written", path,
                         type, rank);
    }
    *bytes = (size_t)(type[2] - '0');
    for (int i = 0; i < rank; i++) {
        if (!tub__mul(*bytes, (size_t)shape[i], bytes)) {
            return tub__fail(err, TUB_E_MEMORY, "%s: the array's size overflows", path);
        }
    }
    return TUB_OK;
}

tub_status tub__npy_begin(const tub_allocator *a, const char *path, const char *type, int rank,
                          const uint64_t *shape, tub__writer *out, tub_error *err) {
    char header[HEADER_LIMIT];
    size_t bytes;
    TUB__TRY(measure(path, type, rank, shape, &bytes, err));
    const size_t length = make_header(type, rank, shape, header);
    TUB__TRY(tub__writer_open(a, path, out, err));
    const tub_status status = tub__writer_write(out, header, length, err);
    if (status != TUB_OK) {
        tub__writer_abort(out);
    }
    return status;
}

tub_status tub__npy_write(const tub_allocator *a, const char *path, const char *type, int rank,
                          const uint64_t *shape, const void *data, tub_error *err) {
    size_t bytes;
    tub__writer w;
    TUB__TRY(measure(path, type, rank, shape, &bytes, err));
    TUB__TRY(tub__npy_begin(a, path, type, rank, shape, &w, err));
    const tub_status status = bytes > 0 ? tub__writer_write(&w, data, bytes, err) : TUB_OK;
    if (status != TUB_OK) {
        tub__writer_abort(&w);
        return status;
    }
    return tub__writer_commit(&w, err);
}
