/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: what a worker process answers to a request to read an HDF5 file, with an allocation that
 * fails. */
#include "formats/hdf5.h"
#include "fuzz.h"
#include <string.h>

/* A map of the input, as the answer of a worker is. */
static tub__map map_of(const uint8_t *data, size_t size) {
    void *block = mmap(NULL, size + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    FUZZ_CHECK(block != MAP_FAILED);
    memcpy(block, data, size);
    return (tub__map){block, size};
}

static void look_at_floats(const tub__h5_array *a) {
    float *values = malloc((size_t)a->elements * sizeof *values + 1);
    FUZZ_CHECK(values != NULL);
    tub__h5_to_f32(a, values);
    free(values);
}

/* Every byte of every array is there to be read. */
static void look_through(const tub__h5_file *f) {
    unsigned sum = 0;
    for (size_t i = 0; i < f->count; i++) {
        const tub__h5_array *a = &f->arrays[i];
        const unsigned char *bytes = a->data;
        const size_t n = (size_t)a->elements * tub__wire_size_of((tub__wire_type)(int)a->type);
        for (size_t k = 0; k < n; k++) {
            sum += bytes[k];
        }
        if (a->type != TUB__H5_I64) {
            look_at_floats(a);
        }
        FUZZ_CHECK(tub__h5_find(f, a->name) == a);
        FUZZ_CHECK(a->rank >= 0 && a->rank <= TUB__H5_RANK && strlen(a->name) < TUB__H5_NAME);
    }
    for (size_t i = 0; i < f->label_count; i++) {
        FUZZ_CHECK(tub__h5_label_of(f, f->labels[i].group) != NULL);
    }
    FUZZ_CHECK(sum != 1u << 31); /* so that the sum is made */
}

static void parse(const tub_allocator *a, const uint8_t *data, size_t size) {
    tub__h5_file f;
    tub_error err = {0};
    const tub_status status = tub__h5_parse(a, map_of(data, size), &f, &err);
    if (status == TUB_OK) {
        look_through(&f);
        tub__h5_close(&f);
    } else {
        FUZZ_CHECK_ERROR(status, err);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int left = (int)(size % 3);
    const tub_allocator failing = fuzz_allocator(&left);
    FUZZ_CHECK(!tub__is_hdf5(data, size) || size >= 8);
    parse(&tub__default_allocator, data, size);
    parse(&failing, data, size);
    return 0;
}
