/* SPDX-License-Identifier: Apache-2.0 */
/* Reading MessagePack.
 *
 * The first byte of a value is its kind and, for small ones, its number or length; else a
 * big-endian number or length follows:
 *
 *   00-7f 0 … 127     80-8f map      90-9f list    a0-bf text    c0 nil   c2 c3 false true
 *   c4-c6 bytes       c7-c9 extension               ca cb real    cc-cf unsigned   d0-d3 signed
 *   d4-d8 extension of 1, 2, 4, 8, 16 bytes         d9-db text    dc dd list       de df map
 *   e0-ff -32 … -1                                                c1 is never used */
#include "formats/msgpack.h"

#include "base/error.h"
#include "base/utf8.h"

static tub_status truncated(const tub__mp_reader *r, size_t place, uint64_t needed,
                            tub_error *err) {
    return tub__fail(err, TUB_E_FORMAT, "byte %zu: truncated: needs %llu more bytes, there are %zu",
                     place, (unsigned long long)needed, r->end - r->place);
}

/* A big-endian number of 1, 2, 4 or 8 bytes. */
static tub_status read_number(tub__mp_reader *r, size_t width, uint64_t *out, tub_error *err) {
    uint64_t number = 0;
    if (width > r->end - r->place) {
        return truncated(r, r->place, width, err);
    }
    for (size_t i = 0; i < width; i++) {
        number = number << 8 | r->bytes[r->place++];
    }
    *out = number;
    return TUB_OK;
}

static tub_status check_text(const tub__mp_head *h, tub_error *err) {
    for (size_t i = 0, step; i < h->size; i += step) {
        step = tub__utf8_length(h->data + i, h->size - i);
        if (step == 0 || h->data[i] == '\0') {
            return tub__fail(err, TUB_E_FORMAT, "byte %zu: text that is not UTF-8, or holds a NUL",
                             h->place);
        }
    }
    return TUB_OK;
}

static tub_status take_data(tub__mp_reader *r, tub__mp_head *h, tub__mp_kind kind, uint64_t size,
                            tub_error *err) {
    h->kind = kind;
    if (kind == TUB__MP_EXTENSION) {
        uint64_t type;
        TUB__TRY(read_number(r, 1, &type, err));
        h->type = (int)(int8_t)type;
    }
    if (size > r->end - r->place) {
        return truncated(r, h->place, size, err);
    }
    h->data = r->bytes + r->place;
    h->size = (size_t)size;
    r->place += (size_t)size;
    return kind == TUB__MP_TEXT ? check_text(h, err) : TUB_OK;
}

static tub_status take_count(const tub__mp_reader *r, tub__mp_head *h, tub__mp_kind kind,
                             uint64_t count, tub_error *err) {
    const size_t least = kind == TUB__MP_MAP ? 2 : 1; /* bytes of an element, at least */
    if (count > (r->end - r->place) / least) {
        return truncated(r, h->place, count * least, err);
    }
    h->kind = kind;
    h->count = (size_t)count;
    return TUB_OK;
}

/* Kinds whose first byte says how wide their number is. */
static tub_status take_number(tub__mp_reader *r, tub__mp_head *h, int first, tub_error *err) {
    const bool sign = first >= 0xd0;
    const bool real = first == 0xca || first == 0xcb;
    const size_t width = real ? (first == 0xca ? 4 : 8) : (size_t)1 << (first & 3);
    uint64_t number = 0;
    TUB__TRY(read_number(r, width, &number, err));
    h->kind = real ? TUB__MP_REAL : TUB__MP_INTEGER;
    h->negative = sign && number >> (8 * width - 1) != 0;
    if (h->negative && width < 8) {
        number |= UINT64_MAX << (8 * width);
    }
    h->integer = real ? 0 : number;
    return TUB_OK;
}

/* Kinds whose first byte says how wide their length is, or (extensions of a fixed size) the length. */
static tub_status take_long(tub__mp_reader *r, tub__mp_head *h, int first, tub_error *err) {
    static const struct {
        int first, last; /* widths 1, 2, 4, or 2, 4 */
        size_t width;
        tub__mp_kind kind;
    } kinds[] = {
        {0xc4, 0xc6, 1, TUB__MP_BYTES}, {0xc7, 0xc9, 1, TUB__MP_EXTENSION},
        {0xd9, 0xdb, 1, TUB__MP_TEXT},  {0xdc, 0xdd, 2, TUB__MP_LIST},
        {0xde, 0xdf, 2, TUB__MP_MAP},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (first >= kinds[i].first && first <= kinds[i].last) {
            const tub__mp_kind kind = kinds[i].kind;
            uint64_t size = 0;
            TUB__TRY(read_number(r, kinds[i].width << (first - kinds[i].first), &size, err));
            return kind == TUB__MP_LIST || kind == TUB__MP_MAP ? take_count(r, h, kind, size, err)
                                                               : take_data(r, h, kind, size, err);
        }
    }
    if (first >= 0xd4 && first <= 0xd8) {
        return take_data(r, h, TUB__MP_EXTENSION, UINT64_C(1) << (first - 0xd4), err);
    }
    return tub__fail(err, TUB_E_FORMAT, "byte %zu: 0x%02x begins no value of MessagePack", h->place,
                     (unsigned)first);
}

tub_status tub__mp_next(tub__mp_reader *r, tub__mp_head *out, tub_error *err) {
    *out = (tub__mp_head){.place = r->place};
    if (r->place == r->end) {
        return tub__fail(err, TUB_E_FORMAT, "byte %zu: truncated: a value is missing", r->place);
    }
    const int first = r->bytes[r->place++];
    if (first < 0x80 || first >= 0xe0) {
        out->kind = TUB__MP_INTEGER;
        out->negative = first >= 0xe0;
        out->integer = out->negative ? (uint64_t)(int64_t)(first - 256) : (uint64_t)first;
        return TUB_OK;
    }
    if (first < 0xa0) {
        return take_count(r, out, first < 0x90 ? TUB__MP_MAP : TUB__MP_LIST, first & 0x0f, err);
    }
    if (first < 0xc0) {
        return take_data(r, out, TUB__MP_TEXT, first & 0x1f, err);
    }
    if (first == 0xc0 || first == 0xc2 || first == 0xc3) {
        out->kind = first == 0xc0 ? TUB__MP_NIL : TUB__MP_BOOL;
        out->integer = first == 0xc3;
        return TUB_OK;
    }
    const bool number = first >= 0xca && first <= 0xd3;
    return number ? take_number(r, out, first, err) : take_long(r, out, first, err);
}

const char *tub__mp_kind_name(tub__mp_kind kind) {
    static const char *const names[] = {[TUB__MP_NIL] = "nothing",
                                        [TUB__MP_BOOL] = "true or false",
                                        [TUB__MP_INTEGER] = "a whole number",
                                        [TUB__MP_REAL] = "a real number",
                                        [TUB__MP_TEXT] = "text",
                                        [TUB__MP_BYTES] = "bytes",
                                        [TUB__MP_LIST] = "a list",
                                        [TUB__MP_MAP] = "a map",
                                        [TUB__MP_EXTENSION] = "an extension"};
    return names[kind];
}
