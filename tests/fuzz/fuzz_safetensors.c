/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: safetensors files, by path and in memory, with an allocation that fails. */
#include "formats/safetensors.h"
#include "fuzz.h"
#include <string.h>

/* The promises of an accepted file: sorted names, ranges inside the data, sizes that fit the
 * shapes. */
static void check_arrays(const tub__st_file *f, size_t data_size) {
    uint64_t sum = 0;
    for (size_t i = 0; i < f->count; i++) {
        const tub__st_array *array = &f->arrays[i];
        tub_error err = {0};
        FUZZ_CHECK(i == 0 || strcmp(f->arrays[i - 1].name, array->name) < 0);
        FUZZ_CHECK(tub__st_find(f, array->name) == array);
        FUZZ_CHECK(array->offset <= data_size && array->size <= data_size - array->offset);
        sum += array->size;
        float *values = malloc((size_t)array->elements * 4 + 1);
        FUZZ_CHECK(values != NULL);
        tub_status status = tub__st_to_f32(f, array, values, &err);
        if (status != TUB_OK) {
            FUZZ_CHECK_ERROR(status, err);
        }
        free(values);
    }
    FUZZ_CHECK(sum == data_size);
    for (size_t i = 0; i < f->metadata_count; i++) {
        FUZZ_CHECK(tub__st_metadata(f, f->metadata[2 * i]) != NULL);
    }
    FUZZ_CHECK(tub__st_metadata(f, "no such key in any file") == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tub__st_file f;
    tub_error err = {0};
    tub_status status = tub__st_parse(&tub__default_allocator, data, size, &f, &err);
    if (status == TUB_OK) {
        check_arrays(&f, size - (size_t)(f.data - data));
        tub__st_close(&f);
    } else {
        FUZZ_CHECK_ERROR(status, err);
    }
    int left = (int)(size % 7);
    const tub_allocator failing = fuzz_allocator(&left);
    if (tub__st_open(&failing, fuzz_file(data, size), &f, &err) == TUB_OK) {
        tub__st_close(&f);
    }
    return 0;
}
