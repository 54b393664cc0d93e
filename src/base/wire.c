/* SPDX-License-Identifier: Apache-2.0 */
/* Records of named arrays, read from memory. */
#include "base/wire.h"

#include "base/error.h"
#include "base/wire_head.h"
#include <stdbool.h>
#include <string.h>

size_t tub__wire_size_of(tub__wire_type type) {
    static const size_t sizes[TUB__WIRE_TYPES] = {
        [TUB__WIRE_U8] = 1, [TUB__WIRE_I64] = 8, [TUB__WIRE_F32] = 4, [TUB__WIRE_F64] = 8};
    return sizes[type];
}

/* Takes `size` bytes and what fills them up to a word; NULL when there are fewer. */
static const void *take(tub__wire_bytes *b, uint64_t size) {
    const unsigned char *at = b->at;
    if (size > b->left || -size % 8 > b->left - size) {
        return NULL;
    }
    const size_t whole = (size_t)(size + -size % 8);
    b->at += whole;
    b->left -= whole;
    return at;
}

/* Zero-terminated, on one line, and of no other length than was said. */
static bool is_line(const char *text, size_t bytes) {
    if (bytes == 0 || text[bytes - 1] != '\0') {
        return false;
    }
    for (size_t i = 0; i + 1 < bytes; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

/* Whether the bytes are as many as type and shape say; fills in elements. */
static bool shape_fits(const tub__wire_head *h, uint64_t *elements) {
    uint64_t bytes;
    *elements = 1;
    for (uint64_t i = 0; i < h->rank; i++) {
        if (__builtin_mul_overflow(*elements, h->shape[i], elements)) {
            return false;
        }
    }
    return !__builtin_mul_overflow(*elements, tub__wire_size_of((tub__wire_type)h->code), &bytes) &&
           bytes == h->bytes;
}

static bool is_sound(const tub__wire_head *h, const tub__wire_record *r, size_t left,
                     uint64_t *elements) {
    switch (h->kind) {
    case TUB__WIRE_ARRAY:
        return h->code < TUB__WIRE_TYPES && shape_fits(h, elements);
    case TUB__WIRE_TEXT:
        return h->rank == 0 && is_line(r->data, r->bytes);
    case TUB__WIRE_ERROR:
        return h->rank == 0 && h->bytes == 0 && left == 0 && h->code > TUB_OK &&
               h->code <= TUB_E_NUMERIC && r->name[0] != '\0';
    case TUB__WIRE_END:
        return h->rank == 0 && h->bytes == 0 && left == 0;
    default:
        return false;
    }
}

tub_status tub__wire_next(tub__wire_bytes *bytes, tub__wire_record *out, tub_error *err) {
    tub__wire_head h;
    uint64_t elements = 0;
    const void *taken = take(bytes, sizeof h);
    if (taken != NULL) {
        memcpy(&h, taken, sizeof h);
        const bool named = h.magic == TUB__WIRE_MAGIC && h.rank <= TUB__WIRE_RANK &&
                           h.name_bytes <= TUB__WIRE_NAME;
        const char *name = named ? take(bytes, h.name_bytes) : NULL;
        const void *data = name != NULL ? take(bytes, h.bytes) : NULL;
        if (data != NULL && is_line(name, (size_t)h.name_bytes)) {
            tub__wire_record r = {.kind = (tub__wire_kind)h.kind,
                                  .code = (int)h.code,
                                  .rank = (int)h.rank,
                                  .name = name,
                                  .data = data,
                                  .bytes = (size_t)h.bytes};
            memcpy(r.shape, h.shape, sizeof r.shape);
            if (is_sound(&h, &r, bytes->left, &elements)) {
                r.elements = elements;
                *out = r;
                return r.kind == TUB__WIRE_ERROR ? tub__fail(err, (tub_status)r.code, "%s", r.name)
                                                 : TUB_OK;
            }
        }
    }
    return tub__fail(err, TUB_E_FORMAT, "what the worker process sent is not whole");
}
