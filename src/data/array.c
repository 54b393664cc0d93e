/* SPDX-License-Identifier: Apache-2.0 */
/* Converts arrays of files to uint8 or float32 without holding the file's bytes longer than needed.
 */
#include "data/array.h"

#include "base/error.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static bool host_is_big_endian(void) {
    const uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    return first == 0;
}

/* The file's bytes are already C-order elements of the wanted type, at a good address. */
static bool usable_in_place(const tub__npy *npy, tub_dtype dtype) {
    bool order = !npy->fortran || npy->rank <= 1;
    if (dtype == TUB_U8) {
        return order && npy->kind == TUB__NPY_UINT && npy->width == 1;
    }
    return order && npy->kind == TUB__NPY_FLOAT && npy->width == 4 &&
           npy->big_endian == host_is_big_endian() && npy->data_offset % sizeof(float) == 0;
}

static tub_status convert(const tub_allocator *a, const void *bytes, const tub__npy *npy,
                          tub__array *out, tub_error *err) {
    size_t width = out->dtype == TUB_U8 ? 1 : sizeof(float);
    TUB__TRY(tub__alloc_array(a, npy->elements, width, &out->block, err));
    out->elements = out->block;
    if (out->dtype == TUB_F32) {
        return tub__npy_to_f32(npy, bytes, out->elements, err);
    }
    const tub_status status = tub__npy_to_u8(npy, bytes, out->elements, err);
    return status == TUB_OK ? TUB_OK
                            : tub__suffix(err, status,
                                          " (CT in Hounsfield units: as files of a folder with "
                                          "clip.intensity_window; else clip to a window and scale "
                                          "it, as uint8 of 0 to 255 or float32 of 0 to 1)");
}

/* NaN, infinity, or a float64 that float32 can't hold: what the file itself has there tells. */
static tub_status check_finite(const float *v, const tub__npy *npy, const void *bytes,
                               tub_error *err) {
    for (uint64_t i = 0; i < npy->elements; i++) {
        if (isfinite(v[i])) {
            continue;
        }
        double value = tub__npy_element(npy, bytes, i);
        if (isfinite(value)) {
            return tub__fail(err, TUB_E_RANGE,
                             "element %llu is %g, too large for float32: scale it before training "
                             "or predicting",
                             (unsigned long long)i, value);
        }
        return tub__fail(err, TUB_E_RANGE,
                         "element %llu is %s: replace it before training or predicting",
                         (unsigned long long)i, isnan(value) ? "NaN" : "infinite");
    }
    return TUB_OK;
}

static bool becomes_float(const tub__npy *npy, bool intensities) {
    const bool levels =
        npy->kind == TUB__NPY_BOOL || (npy->kind == TUB__NPY_UINT && npy->width == 1);
    return npy->kind == TUB__NPY_FLOAT || (intensities && !levels);
}

tub_status tub__array_take(const tub_allocator *a, void **bytes, const tub__npy *npy,
                           bool intensities, tub__array *out, tub_error *err) {
    *out = (tub__array){.dtype = becomes_float(npy, intensities) ? TUB_F32 : TUB_U8};
    tub_status status = TUB_OK;
    bool in_place = usable_in_place(npy, out->dtype);
    if (in_place) {
        out->block = *bytes;
        out->elements = (char *)*bytes + npy->data_offset;
    } else {
        status = convert(a, *bytes, npy, out, err);
    }
    if (status == TUB_OK && out->dtype == TUB_F32) {
        status = check_finite(out->elements, npy, *bytes, err);
    }
    if (!in_place) {
        tub__free(a, *bytes);
    }
    *bytes = NULL;
    if (status != TUB_OK) {
        tub__free(a, out->block);
        *out = (tub__array){0};
    }
    return status;
}

void tub__shape_text(const tub__npy *npy, char *out, size_t size) {
    size_t used = (size_t)snprintf(out, size, "[");
    for (int d = 0; d < npy->rank && used < size; d++) {
        used += (size_t)snprintf(out + used, size - used, "%s%llu", d ? "," : "",
                                 (unsigned long long)npy->shape[d]);
    }
    if (used < size) {
        snprintf(out + used, size - used, "]");
    }
}
