/* SPDX-License-Identifier: Apache-2.0 */
/* The two 16-bit float types of files, as float32: both widenings are exact. */
#ifndef TUB__FORMATS_HALF_H
#define TUB__FORMATS_HALF_H

#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tubelet reads and writes its files by copying little-endian memory"
#endif

static inline float tub__float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction. */
static inline float tub__half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = (half >> 10) & 31, fraction = half & 0x3ff;
    if (exponent == 31) { /* infinity, or NaN with its payload */
        return tub__float_of_bits(sign | 0x7f800000u | fraction << 13);
    }
    if (exponent == 0) { /* zero or subnormal: fraction * 2^-24 */
        float magnitude = (float)fraction * 0x1p-24f;
        return sign != 0 ? -magnitude : magnitude;
    }
    return tub__float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

/* bfloat16: the upper half of a float32. */
static inline float tub__bfloat_to_float(uint16_t bits) {
    return tub__float_of_bits((uint32_t)bits << 16);
}

#endif
