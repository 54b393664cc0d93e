/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: checkpoints of Flax, by path and in memory, with an allocation that fails. */
#include "formats/flax.h"
#include "fuzz.h"
#include <string.h>

/* Chunks lie in the file, and their sizes fit the shape. */
static void check_leaf(const tub__flax_file *f, const tub__flax_leaf *leaf, const uint8_t *data,
                       size_t size) {
    uint64_t elements = 1, bytes = 0;
    tub_error err = {0};
    for (int i = 0; i < leaf->rank; i++) {
        elements *= leaf->shape[i];
    }
    FUZZ_CHECK(elements == leaf->elements || leaf->dtype == TUB__FLAX_PLAIN);
    FUZZ_CHECK(leaf->place < size && leaf->chunk + leaf->chunk_count <= f->chunk_count);
    for (size_t i = 0; i < leaf->chunk_count; i++) {
        const tub__flax_chunk *chunk = &f->chunks[leaf->chunk + i];
        const size_t place = (size_t)(chunk->data - data);
        FUZZ_CHECK(place <= size && chunk->size <= size - place);
        bytes += chunk->size;
    }
    FUZZ_CHECK(leaf->dtype != TUB__FLAX_F32 || bytes == 4 * leaf->elements);
    float *values = malloc((size_t)leaf->elements * sizeof *values + 1);
    FUZZ_CHECK(values != NULL);
    tub_status status = tub__flax_to_f32(f, leaf, values, &err);
    if (status != TUB_OK) {
        FUZZ_CHECK_ERROR(status, err);
    }
    free(values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tub__flax_file f;
    tub_error err = {0};
    tub_status status = tub__flax_parse(&tub__default_allocator, data, size, &f, &err);
    if (status == TUB_OK) {
        for (size_t i = 0; i < f.count; i++) {
            FUZZ_CHECK(i == 0 || strcmp(f.leaves[i - 1].name, f.leaves[i].name) < 0);
            FUZZ_CHECK(tub__flax_find(&f, f.leaves[i].name) == &f.leaves[i]);
            check_leaf(&f, &f.leaves[i], data, size);
        }
        tub__flax_close(&f);
    } else {
        FUZZ_CHECK_ERROR(status, err);
    }
    int left = (int)(size % 7);
    const tub_allocator failing = fuzz_allocator(&left);
    if (tub__flax_open(&failing, fuzz_file(data, size), &f, &err) == TUB_OK) {
        tub__flax_close(&f);
    }
    return 0;
}
