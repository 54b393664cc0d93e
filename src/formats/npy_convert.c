/* SPDX-License-Identifier: Apache-2.0 */
/* The elements of a .npy array as C-order uint8, float32, float64 or int64, whatever the file's
 * type, byte order and memory order. */
#include "formats/npy.h"

#include "base/error.h"
#include "formats/half.h"
#include <string.h>

/* One element. Whole numbers keep all their bits: going through double would round large ones. */
typedef struct number {
    tub__npy_kind kind; /* TUB__NPY_BOOL does not occur */
    int64_t i;
    uint64_t u;
    double f;
} number;

/* Walks over the elements in C order. */
typedef struct walk {
    const tub__npy *npy;
    const unsigned char *at;
    uint64_t index[TUB__NPY_RANK];
    size_t stride[TUB__NPY_RANK]; /* bytes */
} walk;

static walk start(const tub__npy *npy, const void *bytes) {
    walk w = {.npy = npy, .at = (const unsigned char *)bytes + npy->data_offset};
    size_t stride = (size_t)npy->width;
    for (int i = 0; i < npy->rank; i++) {
        int axis = npy->fortran ? i : npy->rank - 1 - i;
        w.stride[axis] = stride;
        stride *= (size_t)npy->shape[axis]; /* can't overflow: checked when parsed */
    }
    return w;
}

static void advance(walk *w) {
    for (int axis = w->npy->rank - 1; axis >= 0; axis--) {
        w->at += w->stride[axis];
        if (++w->index[axis] < w->npy->shape[axis]) {
            return;
        }
        w->index[axis] = 0;
        w->at -= w->stride[axis] * (size_t)w->npy->shape[axis];
    }
}

static uint64_t read_bits(const unsigned char *at, int width, bool big_endian) {
    uint64_t bits = 0;
    for (int i = 0; i < width; i++) {
        bits |= (uint64_t)at[big_endian ? width - 1 - i : i] << (8 * i);
    }
    return bits;
}

static double float_value(uint64_t bits, int width) {
    if (width == 2) {
        return (double)tub__half_to_float((uint16_t)bits);
    }
    if (width == 4) {
        return (double)tub__float_of_bits((uint32_t)bits);
    }
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static number read_number(const walk *w) {
    int width = w->npy->width;
    uint64_t bits = read_bits(w->at, width, w->npy->big_endian);
    number n = {.kind = w->npy->kind};
    switch (w->npy->kind) {
    case TUB__NPY_BOOL: /* any byte but 0 is true */
        n.kind = TUB__NPY_UINT;
        n.u = bits != 0;
        break;
    case TUB__NPY_UINT:
        n.u = bits;
        break;
    case TUB__NPY_INT: /* the sign bit is moved to the top and back */
        n.i = (int64_t)(bits << (64 - 8 * width)) >> (64 - 8 * width);
        break;
    case TUB__NPY_FLOAT:
        n.f = float_value(bits, width);
        break;
    }
    return n;
}

static double as_double(number n) {
    return n.kind == TUB__NPY_INT ? (double)n.i : n.kind == TUB__NPY_UINT ? (double)n.u : n.f;
}

double tub__npy_element(const tub__npy *npy, const void *bytes, uint64_t index) {
    walk w = start(npy, bytes);
    for (int axis = npy->rank - 1; axis >= 0; axis--) {
        w.at += w.stride[axis] * (size_t)(index % npy->shape[axis]);
        index /= npy->shape[axis];
    }
    return as_double(read_number(&w));
}

/* True when the file's elements are already C-order bytes of this kind and width. */
static bool is_plain(const tub__npy *npy, tub__npy_kind kind, int width) {
    return npy->kind == kind && npy->width == width && !npy->big_endian &&
           (!npy->fortran || npy->rank < 2);
}

static void copy_plain(const tub__npy *npy, const void *bytes, void *out) {
    if (npy->elements > 0) {
        memcpy(out, (const unsigned char *)bytes + npy->data_offset,
               (size_t)npy->elements * (size_t)npy->width);
    }
}

tub_status tub__npy_to_f32(const tub__npy *npy, const void *bytes, float *out, tub_error *err) {
    (void)err; /* every number has a nearest float */
    if (is_plain(npy, TUB__NPY_FLOAT, 4)) {
        copy_plain(npy, bytes, out);
        return TUB_OK;
    }
    walk w = start(npy, bytes);
    for (uint64_t e = 0; e < npy->elements; e++, advance(&w)) {
        number n = read_number(&w);
        out[e] = n.kind == TUB__NPY_INT    ? (float)n.i
                 : n.kind == TUB__NPY_UINT ? (float)n.u
                                           : (float)n.f;
    }
    return TUB_OK;
}

tub_status tub__npy_to_f64(const tub__npy *npy, const void *bytes, double *out, tub_error *err) {
    (void)err;
    if (is_plain(npy, TUB__NPY_FLOAT, 8)) {
        copy_plain(npy, bytes, out);
        return TUB_OK;
    }
    walk w = start(npy, bytes);
    for (uint64_t e = 0; e < npy->elements; e++, advance(&w)) {
        out[e] = as_double(read_number(&w));
    }
    return TUB_OK;
}

/* The whole number that an element is; false when it has a fraction, is NaN or does not fit. */
static bool whole_number(number n, int64_t *out) {
    if (n.kind == TUB__NPY_INT) {
        *out = n.i;
        return true;
    }
    if (n.kind == TUB__NPY_UINT) {
        *out = (int64_t)n.u;
        return n.u <= INT64_MAX;
    }
    if (!(n.f >= -0x1p63 && n.f < 0x1p63)) {
        return false;
    }
    *out = (int64_t)n.f;
    return (double)*out == n.f;
}

tub_status tub__npy_to_i64(const tub__npy *npy, const void *bytes, int64_t *out, tub_error *err) {
    walk w = start(npy, bytes);
    for (uint64_t e = 0; e < npy->elements; e++, advance(&w)) {
        number n = read_number(&w);
        if (!whole_number(n, &out[e])) {
            return tub__fail(err, TUB_E_RANGE,
                             "element %llu is %.17g, not a whole number of 64 bits",
                             (unsigned long long)e, as_double(n));
        }
    }
    return TUB_OK;
}

tub_status tub__npy_to_u8(const tub__npy *npy, const void *bytes, unsigned char *out,
                          tub_error *err) {
    if (is_plain(npy, TUB__NPY_UINT, 1)) {
        copy_plain(npy, bytes, out);
        return TUB_OK;
    }
    walk w = start(npy, bytes);
    for (uint64_t e = 0; e < npy->elements; e++, advance(&w)) {
        number n = read_number(&w);
        int64_t value;
        if (!whole_number(n, &value) || value < 0 || value > 255) {
            return tub__fail(err, TUB_E_RANGE,
                             "element %llu is %.17g: integers must lie from 0 to 255",
                             (unsigned long long)e, as_double(n));
        }
        out[e] = (unsigned char)value;
    }
    return TUB_OK;
}
