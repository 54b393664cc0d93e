/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: what a worker process answers to a request to read an HDF5 file, with an allocation that
 * fails. */
#include "h5_promises.h"

/* A map of the input, as the answer of a worker is. */
static tub__map map_of(const uint8_t *data, size_t size) {
    void *block = mmap(NULL, size + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    FUZZ_CHECK(block != MAP_FAILED);
    memcpy(block, data, size);
    return (tub__map){block, size};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int left = (int)(size % 3);
    const tub_allocator failing = fuzz_allocator(&left);
    FUZZ_CHECK(!tub__is_hdf5(data, size) || size >= 8);
    (void)!h5_parse_and_look(&tub__default_allocator, map_of(data, size));
    (void)!h5_parse_and_look(&failing, map_of(data, size));
    return 0;
}
