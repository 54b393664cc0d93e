/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: .npy headers, conversions, text. */
#include "formats/npy.h"
#include "fuzz.h"
#include <string.h>

enum { ELEMENTS_MAX = 1 << 16 };

/* Each conversion into a block of exactly its size. */
static void convert(const tub__npy *npy, const void *bytes) {
    size_t n = (size_t)npy->elements;
    tub_error err = {0};
    unsigned char *u8 = malloc(n + 1);
    float *f32 = malloc(4 * n + 1);
    double *f64 = malloc(8 * n + 1);
    int64_t *i64 = malloc(8 * n + 1);
    FUZZ_CHECK(u8 != NULL && f32 != NULL && f64 != NULL && i64 != NULL);
    FUZZ_CHECK(tub__npy_to_f32(npy, bytes, f32, &err) == TUB_OK);
    FUZZ_CHECK(tub__npy_to_f64(npy, bytes, f64, &err) == TUB_OK);
    if (tub__npy_to_i64(npy, bytes, i64, &err) == TUB_OK) {
        for (size_t i = 0; i < n; i++) {
            FUZZ_CHECK((double)i64[i] == f64[i]);
        }
    }
    tub_status status = tub__npy_to_u8(npy, bytes, u8, &err);
    for (size_t i = 0; status == TUB_OK && i < n; i++) {
        FUZZ_CHECK(u8[i] == f64[i]);
    }
    free(u8);
    free(f32);
    free(f64);
    free(i64);
}

static void read_text(const uint8_t *data, size_t size) {
    tub__npy npy;
    tub_error err = {0};
    tub_status status = tub__npy_parse_text(data, size, &npy, &err);
    if (status != TUB_OK) {
        FUZZ_CHECK_ERROR(status, err);
        return;
    }
    FUZZ_CHECK(npy.data_offset + npy.elements * (uint64_t)npy.width == size);
    for (uint64_t i = 0; npy.rank <= 1 && i < npy.elements; i++) {
        char *text = malloc(16); /* exactly: the sanitizer sees one byte more */
        FUZZ_CHECK(text != NULL);
        if (tub__npy_text(&npy, data, i, text, 16)) {
            FUZZ_CHECK(text[0] != '\0' && strlen(text) < 16);
        }
        free(text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tub__npy npy, loose;
    tub_error err = {0};
    read_text(data, size);
    tub_status tail = tub__npy_parse(data, size, true, &loose, &err);
    tub_status status = tub__npy_parse(data, size, false, &npy, &err);
    FUZZ_CHECK(tail == TUB_OK || status != TUB_OK);
    if (status != TUB_OK) {
        FUZZ_CHECK_ERROR(status, err);
    }
    if (tail != TUB_OK) {
        return 0;
    }
    FUZZ_CHECK(tub__is_npy(data, size) && tub__npy_type_name(&loose) != NULL);
    FUZZ_CHECK(loose.elements * (uint64_t)loose.width <= size - loose.data_offset);
    if (loose.elements <= ELEMENTS_MAX) {
        convert(&loose, data);
    }
    return 0;
}
