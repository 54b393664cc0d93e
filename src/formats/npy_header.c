/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing the header of a .npy file (NumPy's format.py, versions 1.0 to 3.0) and checking it
 * against the bytes that are there.
 *
 *   \x93NUMPY  major minor  length (2 bytes in 1.0, else 4, little-endian)  header: a Python dict
 * literal  elements
 *
 * The literal is read by hand with a cursor that never leaves the header; nothing in it is
 * evaluated. */
#include "formats/npy.h"

#include "base/error.h"
#include <string.h>

static const unsigned char magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

typedef struct cursor {
    const unsigned char *at, *end;
    bool text; /* the array is to be one of text, not of numbers */
} cursor;

enum { TEXT_LIMIT = 1024 }; /* characters of an element */

enum { HAS_DESCR = 1, HAS_ORDER = 2, HAS_SHAPE = 4, HAS_ALL = 7 };

bool tub__is_npy(const void *bytes, size_t size) {
    return size >= sizeof magic && memcmp(bytes, magic, sizeof magic) == 0;
}

static void skip_space(cursor *c) {
    while (c->at < c->end && (*c->at == ' ' || (*c->at >= '\t' && *c->at <= '\r'))) {
        c->at++;
    }
}

/* Takes one character after any space, if it is the next. */
static bool take(cursor *c, char wanted) {
    skip_space(c);
    if (c->at < c->end && *c->at == (unsigned char)wanted) {
        c->at++;
        return true;
    }
    return false;
}

static bool take_word(cursor *c, const char *word) {
    size_t length = strlen(word);
    skip_space(c);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0) {
        return false;
    }
    c->at += length;
    return true;
}

/* A quoted text without escapes, in either quote; too long or unprintable ones are refused. */
static bool take_quoted(cursor *c, char *out, size_t size) {
    char quote = take(c, '\'') ? '\'' : take(c, '"') ? '"' : '\0';
    size_t length = 0;
    while (quote != '\0' && c->at < c->end && *c->at != (unsigned char)quote) {
        if (*c->at < 0x20 || *c->at > 0x7e || *c->at == '\\' || length + 1 == size) {
            return false;
        }
        out[length++] = (char)*c->at++;
    }
    out[length] = '\0';
    return quote != '\0' && take(c, quote);
}

/* A whole number without sign, with the L of Python 2 if it has one. */
static bool take_number(cursor *c, uint64_t *out) {
    skip_space(c);
    const unsigned char *start = c->at;
    uint64_t value = 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*c->at - '0'), &value)) {
            return false;
        }
    }
    if (c->at == start) {
        return false;
    }
    if (c->at < c->end && *c->at == 'L') {
        c->at++;
    }
    *out = value;
    return true;
}

static tub_status unsupported(const char *descr, tub_error *err) {
    return tub__fail(
        err, TUB_E_UNSUPPORTED,
        "its type is %s; only bool, whole numbers and floats of up to 64 bits are read", descr);
}

/* '<U12' or '|S12'. */
static tub_status parse_text_descr(const char *descr, tub__npy *out, tub_error *err) {
    const char *type = descr + (descr[0] != '\0' && strchr("<>|=", descr[0]) != NULL);
    cursor digits = {(const unsigned char *)type + 1, (const unsigned char *)type + strlen(type),
                     false};
    uint64_t characters = 0;
    if ((type[0] != 'U' && type[0] != 'S') || !take_number(&digits, &characters) ||
        digits.at != digits.end || characters < 1 || characters > TEXT_LIMIT) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "its type is %s, not text of a fixed width of 1 to %d characters", descr,
                         TEXT_LIMIT);
    }
    out->text = true;
    out->kind = type[0] == 'U' ? TUB__NPY_UINT : TUB__NPY_INT;
    out->width = (int)characters * (type[0] == 'U' ? 4 : 1);
    out->big_endian = descr[0] == '>';
    return TUB_OK;
}

/* '<f4' and the like: an order character (may be missing), a kind, a width. */
static tub_status parse_descr(cursor *c, tub__npy *out, tub_error *err) {
    skip_space(c);
    if (c->at < c->end && *c->at == '[') {
        return unsupported("structured", err);
    }
    char descr[24];
    if (!take_quoted(c, descr, sizeof descr)) {
        return tub__fail(err, TUB_E_FORMAT, "its .npy header has no readable type after 'descr'");
    }
    if (c->text) {
        return parse_text_descr(descr, out, err);
    }
    const char *type = descr + (descr[0] != '\0' && strchr("<>|=", descr[0]) != NULL);
    if (type[0] == '\0' || type[1] == '\0' || type[2] != '\0' || strchr("1248", type[1]) == NULL) {
        return unsupported(descr, err);
    }
    out->width = type[1] - '0';
    out->big_endian = descr[0] == '>' && out->width > 1;
    switch (type[0]) {
    case 'b':
        out->kind = TUB__NPY_BOOL;
        return out->width == 1 ? TUB_OK : unsupported(descr, err);
    case 'i':
        out->kind = TUB__NPY_INT;
        break;
    case 'u':
        out->kind = TUB__NPY_UINT;
        break;
    case 'f':
        out->kind = TUB__NPY_FLOAT;
        break;
    default:
        return unsupported(descr, err);
    }
    bool no_order = descr[0] == '|' && out->width > 1; /* '|' says "has no byte order" */
    bool no_such = out->kind == TUB__NPY_FLOAT && out->width == 1;
    return no_order || no_such ? unsupported(descr, err) : TUB_OK;
}

/* (), (3,), (2, 3): a tuple, so one number needs its comma. */
static tub_status parse_shape(cursor *c, tub__npy *out, tub_error *err) {
    bool comma = false;
    out->rank = 0;
    if (!take(c, '(')) {
        return tub__fail(err, TUB_E_FORMAT, "its shape is not a tuple");
    }
    while (!take(c, ')')) {
        if (out->rank == TUB__NPY_RANK) {
            return tub__fail(err, TUB_E_UNSUPPORTED, "it has more than %d dimensions",
                             TUB__NPY_RANK);
        }
        if (out->rank > 0 && !comma) {
            return tub__fail(err, TUB_E_FORMAT, "its shape is damaged after dimension %d",
                             out->rank);
        }
        if (!take_number(c, &out->shape[out->rank])) {
            return tub__fail(err, TUB_E_FORMAT,
                             "dimension %d of its shape is not a whole number from 0 to 2^64-1",
                             out->rank + 1);
        }
        out->rank++;
        comma = take(c, ',');
    }
    if (out->rank == 1 && !comma) {
        return tub__fail(err, TUB_E_FORMAT, "its shape is a number, not a tuple");
    }
    return TUB_OK;
}

static tub_status parse_member(cursor *c, unsigned *seen, tub__npy *out, tub_error *err) {
    char key[24];
    unsigned which = 0;
    if (!take_quoted(c, key, sizeof key) || !take(c, ':')) {
        return tub__fail(
            err, TUB_E_FORMAT,
            "its .npy header is not a dictionary of 'descr', 'fortran_order' and 'shape'");
    }
    if (strcmp(key, "descr") == 0) {
        which = HAS_DESCR;
        TUB__TRY(parse_descr(c, out, err));
    } else if (strcmp(key, "shape") == 0) {
        which = HAS_SHAPE;
        TUB__TRY(parse_shape(c, out, err));
    } else if (strcmp(key, "fortran_order") == 0) {
        which = HAS_ORDER;
        out->fortran = take_word(c, "True");
        if (!out->fortran && !take_word(c, "False")) {
            return tub__fail(err, TUB_E_FORMAT, "its fortran_order is neither True nor False");
        }
    }
    if (which == 0 || (*seen & which) != 0) {
        return tub__fail(err, TUB_E_FORMAT, "its .npy header has %s key '%s'",
                         which == 0 ? "an unknown" : "twice the", key);
    }
    *seen |= which;
    return TUB_OK;
}

static tub_status parse_dict(cursor *c, tub__npy *out, tub_error *err) {
    unsigned seen = 0;
    bool comma = true;
    if (!take(c, '{')) {
        return tub__fail(err, TUB_E_FORMAT, "its .npy header does not begin with '{'");
    }
    while (!take(c, '}')) {
        if (!comma) {
            return tub__fail(err, TUB_E_FORMAT, "its .npy header lacks a comma or its closing '}'");
        }
        TUB__TRY(parse_member(c, &seen, out, err));
        comma = take(c, ',');
    }
    skip_space(c);
    if (c->at != c->end) {
        return tub__fail(err, TUB_E_FORMAT, "its .npy header goes on after its closing '}'");
    }
    if (seen != HAS_ALL) {
        return tub__fail(err, TUB_E_FORMAT, "its .npy header lacks '%s'",
                         (seen & HAS_DESCR) == 0   ? "descr"
                         : (seen & HAS_ORDER) == 0 ? "fortran_order"
                                                   : "shape");
    }
    return TUB_OK;
}

/* The element count, and that exactly these elements follow. Zero dimensions are left out of the
 * overflow check's product, so that no partial product of a shape can overflow for anybody later.
 */
static tub_status check_size(tub__npy *out, size_t size, bool allow_tail, tub_error *err) {
    uint64_t product = (uint64_t)out->width;
    bool empty = false;
    for (int i = 0; i < out->rank; i++) {
        empty |= out->shape[i] == 0;
        if (out->shape[i] != 0 &&
            (__builtin_mul_overflow(product, out->shape[i], &product) || product > INT64_MAX)) {
            return tub__fail(err, TUB_E_FORMAT, "its shape means more than 2^63 bytes");
        }
    }
    uint64_t bytes = empty ? 0 : product, there = size - out->data_offset;
    out->elements = bytes / (uint64_t)out->width;
    if (there < bytes || (there > bytes && !allow_tail)) {
        return tub__fail(err, TUB_E_FORMAT,
                         "its header means %llu bytes of elements, the file has %llu (%s)",
                         (unsigned long long)bytes, (unsigned long long)there,
                         there < bytes ? "truncated?" : "too many");
    }
    return TUB_OK;
}

static tub_status parse(const void *bytes, size_t size, bool allow_tail, bool text, tub__npy *out,
                        tub_error *err) {
    const unsigned char *b = bytes;
    if (!tub__is_npy(bytes, size)) {
        return tub__fail(err, TUB_E_FORMAT, "not a .npy file (its first bytes are not \\x93NUMPY)");
    }
    if (size < 10) {
        return tub__fail(err, TUB_E_FORMAT, "the .npy header is truncated");
    }
    if (b[6] < 1 || b[6] > 3 || b[7] != 0) {
        return tub__fail(err, TUB_E_FORMAT,
                         ".npy version %d.%d is not known (1.0, 2.0 and 3.0 are)", b[6], b[7]);
    }
    size_t start = b[6] == 1 ? 10 : 12;
    size_t length = b[8] | (size_t)b[9] << 8;
    if (b[6] > 1 && size >= start) {
        length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    }
    if (size < start || length > size - start) {
        return tub__fail(err, TUB_E_FORMAT,
                         "the .npy header is truncated (%zu bytes claimed, file of %zu)", length,
                         size);
    }
    cursor c = {b + start, b + start + length, text};
    tub__npy npy = {.data_offset = start + length};
    TUB__TRY(parse_dict(&c, &npy, err));
    TUB__TRY(check_size(&npy, size, allow_tail, err));
    *out = npy;
    return TUB_OK;
}

tub_status tub__npy_parse(const void *bytes, size_t size, bool allow_tail, tub__npy *out,
                          tub_error *err) {
    return parse(bytes, size, allow_tail, false, out, err);
}

tub_status tub__npy_parse_text(const void *bytes, size_t size, tub__npy *out, tub_error *err) {
    return parse(bytes, size, false, true, out, err);
}

const char *tub__npy_type_name(const tub__npy *npy) {
    static const char *const names[4][9] = {
        [TUB__NPY_BOOL] = {[1] = "bool"},
        [TUB__NPY_INT] = {[1] = "int8", [2] = "int16", [4] = "int32", [8] = "int64"},
        [TUB__NPY_UINT] = {[1] = "uint8", [2] = "uint16", [4] = "uint32", [8] = "uint64"},
        [TUB__NPY_FLOAT] = {[2] = "float16", [4] = "float32", [8] = "float64"},
    };
    return names[npy->kind][npy->width];
}
