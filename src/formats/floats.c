/* SPDX-License-Identifier: Apache-2.0 */
/* Floats of a file's bytes as float32. Nothing in a file is aligned: everything goes through
 * memcpy. */
#include "formats/floats.h"

#include "formats/half.h"

static void from_f64(const unsigned char *bytes, size_t count, float *out) {
    for (size_t i = 0; i < count; i++) {
        double wide;
        memcpy(&wide, bytes + sizeof wide * i, sizeof wide);
        out[i] = (float)wide;
    }
}

static void from_16_bits(tub__float_kind kind, const unsigned char *bytes, size_t count,
                         float *out) {
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, bytes + sizeof half * i, sizeof half);
        out[i] = kind == TUB__FLOAT16 ? tub__half_to_float(half) : tub__bfloat_to_float(half);
    }
}

void tub__floats_to_f32(tub__float_kind kind, const unsigned char *bytes, size_t count,
                        float *out) {
    if (kind == TUB__FLOAT64) {
        from_f64(bytes, count, out);
    } else if (kind != TUB__FLOAT32) {
        from_16_bits(kind, bytes, count, out);
    } else if (count > 0) {
        memcpy(out, bytes, count * sizeof *out);
    }
}
