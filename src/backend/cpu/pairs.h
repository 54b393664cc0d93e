/* SPDX-License-Identifier: Apache-2.0 */
/* Two vectors rounded to bfloat16 in one. Of processors that have the instruction. */
#ifndef TUB__CPU_PAIRS_H
#define TUB__CPU_PAIRS_H

#include "backend/cpu/vec.h"

#if defined VEC_ENGINES && defined __AVX512BF16__
#include <immintrin.h>
#include <stdint.h>

/* The numbers of first, then those of second; subnormal ones become zero. */
INLINE __m512i round_two(vf first, vf second) {
    return (__m512i)_mm512_cvtne2ps_pbh(second, first);
}

/* Sixteen pairs of one number of each. */
INLINE __m512i round_pairs(vf first, vf second) {
    static const ALIGNED uint16_t order[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                               21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                               11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return _mm512_permutexvar_epi16(_mm512_load_si512(order), round_two(first, second));
}
#endif

#endif
