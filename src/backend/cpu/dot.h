/* SPDX-License-Identifier: Apache-2.0 */
/* Products of pairs of bfloat16 and of fours of int8, added to sixteen sums. Sums and factors are vf
 * whatever they hold.
 *
 * By name, because GCC 12 keeps the sums of its own functions for these in memory besides: every product
 * is followed by a store. */
#ifndef TUB__CPU_DOT_H
#define TUB__CPU_DOT_H

#include "backend/cpu/vec.h"

/* sum + a1 b1 + a0 b0, rounded after each product; subnormal numbers are taken for zero. */
INLINE vf dot_bf16(vf sum, vf a, vf b) {
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}

/* sum, of int32, + a0 b0 + … + a3 b3; a without, b with sign. */
INLINE vf dot_int8(vf sum, vf a, vf b) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}

#endif
