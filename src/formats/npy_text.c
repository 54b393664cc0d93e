/* SPDX-License-Identifier: Apache-2.0 */
/* Elements of .npy arrays of text: bytes (S) or UTF-32 (U), padded with zeros at their end. */
#include "base/utf8.h"
#include "formats/npy.h"
#include <assert.h>
#include <string.h>

/* The UTF-8 of a code point; its length, or 0 where there is no such character. */
static size_t encode(uint32_t code, unsigned char out[4]) {
    if (code < 0x80) {
        out[0] = (unsigned char)code;
        return 1;
    }
    if (code > 0x10ffff) {
        return 0;
    }
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length; i-- > 1; code >>= 6) {
        out[i] = (unsigned char)(0x80 | (code & 0x3f));
    }
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    out[0] = (unsigned char)(lead[length] | code);
    return tub__utf8_length(out, length); /* none for surrogates */
}

static uint32_t read_code(const unsigned char *at, bool big_endian) {
    return big_endian
               ? (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]
               : (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

/* The next character of an element, copied as UTF-8; its length, 0 for what is no character. */
static size_t next(const tub__npy *npy, const unsigned char *at, size_t left, size_t *used,
                   unsigned char out[4]) {
    if (npy->kind == TUB__NPY_UINT) {
        *used = 4;
        return encode(read_code(at, npy->big_endian), out);
    }
    size_t length = tub__utf8_length(at, left);
    memcpy(out, at, length);
    *used = length;
    return length;
}

static size_t without_padding(const unsigned char *at, size_t size, size_t character) {
    static const unsigned char zero[4];
    while (size >= character && memcmp(at + size - character, zero, character) == 0) {
        size -= character;
    }
    return size;
}

bool tub__npy_text(const tub__npy *npy, const void *bytes, uint64_t index, char *out, size_t room) {
    assert(npy->text && npy->rank <= 1 && index < npy->elements);
    const unsigned char *at =
        (const unsigned char *)bytes + npy->data_offset + index * (uint64_t)npy->width;
    size_t size = without_padding(at, (size_t)npy->width, npy->kind == TUB__NPY_UINT ? 4 : 1);
    size_t length = 0;
    for (size_t used = 0, step = 0; used < size; used += step) {
        unsigned char character[4];
        size_t n = next(npy, at + used, size - used, &step, character);
        if (n == 0 || character[0] < 0x20 || character[0] == 0x7f || length + n >= room) {
            return false;
        }
        memcpy(out + length, character, n);
        length += n;
    }
    if (room > 0) {
        out[length] = '\0';
    }
    return length > 0;
}
