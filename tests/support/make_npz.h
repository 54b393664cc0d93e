/* SPDX-License-Identifier: Apache-2.0 */
/* Writes small .npz and .npy files for tests, right or wrong ones. */
#ifndef TUB__TESTS_MAKE_NPZ_H
#define TUB__TESTS_MAKE_NPZ_H

#include <stddef.h>
#include <stdint.h>

/* One array; type as in NumPy's headers ("|u1", "<f4"). */
typedef struct test_array {
    const char *name; /* NULL ends a list */
    const char *type;
    int rank;
    uint64_t shape[5];
    const void *data;
    int fortran;
} test_array;

/* Deflated members. Returns 0 when the file was written. */
int make_npz(const char *path, const test_array *arrays);
int make_npy(const char *path, const test_array *array);

#endif
