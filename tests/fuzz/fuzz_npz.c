/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: zip archives of arrays, by path and in memory, with an allocation that fails. */
#include "formats/npy.h"
#include "fuzz.h"
#include <string.h>

enum { UNPACK_LIMIT = 1 << 18, READ_MAX = 16 };

/* Asked in another way than the reader asks: "t../n" is a name like any other. */
static bool climbs(const char *name) {
    return strncmp(name, "../", 3) == 0 || strstr(name, "/../") != NULL;
}

static void read_text(const tub_allocator *a, tub__npz *z, const char *name) {
    tub__npy npy;
    void *bytes = NULL;
    char text[64];
    tub_error err = {0};
    tub_status status = tub__npz_read_text(z, name, UNPACK_LIMIT, &bytes, &npy, &err);
    if (status != TUB_OK) {
        FUZZ_CHECK_ERROR(status, err);
        return;
    }
    for (uint64_t k = 0; npy.rank <= 1 && k < npy.elements; k++) {
        if (tub__npy_text(&npy, bytes, k, text, sizeof text)) {
            FUZZ_CHECK(text[0] != '\0' && strlen(text) < sizeof text);
        }
    }
    tub__free(a, bytes);
}

static void read_members(const tub_allocator *a, tub__npz *z) {
    size_t count = tub__npz_count(z);
    for (size_t i = 0; i < count; i++) {
        const char *name = tub__npz_name(z, i);
        FUZZ_CHECK(!climbs(name) && name[0] != '/');
        FUZZ_CHECK(i > READ_MAX || tub__npz_has(z, name));
        tub__npy npy;
        void *bytes = NULL;
        tub_error err = {0};
        tub_status status =
            i > READ_MAX ? TUB_OK : tub__npz_read(z, name, UNPACK_LIMIT, &bytes, &npy, &err);
        if (status != TUB_OK) {
            FUZZ_CHECK_ERROR(status, err);
        } else if (bytes != NULL) {
            FUZZ_CHECK(npy.data_offset + npy.elements * (uint64_t)npy.width <= UNPACK_LIMIT);
        }
        tub__free(a, bytes);
        read_text(a, z, name);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tub__npz *z = NULL;
    tub_error err = {0};
    const tub_allocator *plain = &tub__default_allocator;
    tub_status status = tub__npz_open_memory(plain, data, size, &z, &err);
    if (status == TUB_OK) {
        FUZZ_CHECK(!tub__npz_has(z, "no such name in any archive"));
        read_members(plain, z);
        tub__npz_close(z);
    } else {
        FUZZ_CHECK_ERROR(status, err);
    }
    int left = (int)(size % 5);
    const tub_allocator failing = fuzz_allocator(&left);
    if (tub__npz_open(&failing, fuzz_file(data, size), &z, &err) == TUB_OK) {
        read_members(&failing, z);
        tub__npz_close(z);
    }
    return 0;
}
