/* SPDX-License-Identifier: Apache-2.0 */
/* What an HDF5 file promises that was read: shared by the targets for the worker's answers and for the worker's
 * own reader. */
#ifndef TUB__TESTS_H5_PROMISES_H
#define TUB__TESTS_H5_PROMISES_H

#include "formats/hdf5.h"
#include "fuzz.h"
#include <string.h>

static inline void h5_look_at_floats(const tub__h5_array *a) {
    float *values = malloc((size_t)a->elements * sizeof *values + 1);
    FUZZ_CHECK(values != NULL);
    tub__h5_to_f32(a, values);
    free(values);
}

/* Every byte of every array is there to be read. */
static inline void h5_look_through(const tub__h5_file *f) {
    unsigned sum = 0;
    for (size_t i = 0; i < f->count; i++) {
        const tub__h5_array *a = &f->arrays[i];
        const unsigned char *bytes = a->data;
        const size_t n = (size_t)a->elements * tub__wire_size_of((tub__wire_type)(int)a->type);
        for (size_t k = 0; k < n; k++) {
            sum += bytes[k];
        }
        if (a->type != TUB__H5_I64) {
            h5_look_at_floats(a);
        }
        FUZZ_CHECK(tub__h5_find(f, a->name) == a);
        FUZZ_CHECK(a->rank >= 0 && a->rank <= TUB__H5_RANK && strlen(a->name) < TUB__H5_NAME);
    }
    for (size_t i = 0; i < f->label_count; i++) {
        FUZZ_CHECK(tub__h5_label_of(f, f->labels[i].group) != NULL);
    }
    FUZZ_CHECK(sum != 1u << 31); /* so that the sum is made */
}

/* Parses an answer, which is taken over; what is accepted is looked at. */
static inline tub_status h5_parse_and_look(const tub_allocator *a, tub__map answer) {
    tub__h5_file f;
    tub_error err = {0};
    const tub_status status = tub__h5_parse(a, answer, &f, &err);
    if (status == TUB_OK) {
        h5_look_through(&f);
        tub__h5_close(&f);
    } else {
        FUZZ_CHECK_ERROR(status, err);
    }
    return status;
}

#endif
