/* SPDX-License-Identifier: Apache-2.0 */
/* What every kernel file includes: the lanes of the instruction set that it is being compiled for,
 * and their naming. */
#ifndef TUB__CPU_VEC_H
#define TUB__CPU_VEC_H

#include <stddef.h>

#include "backend/group.h"
/* VEC_HEADER is given on the command line, e.g. -DVEC_HEADER="backend/cpu/vec_avx2.h" with quotes.
 */
#include VEC_HEADER

#define CAT3_(a, b, c) a##b##c
#define CAT3(a, b, c)  CAT3_(a, b, c)
/* KERNEL(linear) is tub__avx2_linear in the AVX2 build. */
#define KERNEL(name) CAT3(CAT3(tub__, VEC_NAME, _), name, )

#define ALIGNED _Alignas(64)

INLINE vf vzero(void) {
    return vset1(0);
}

/* The balanced tree of a running sum: after group number g (from 0) is finished, its sum meets the
 * sums of equal size that wait at levels 0, 1, …; what is left waits at the first free level.
 * Equals a tree over groups padded with absent leaves. */
enum { TREE_LEVELS = TUB__TREE_LEVELS };
INLINE int tree_rise(size_t group) {
    return __builtin_ctzll(~(unsigned long long)group);
}

#endif
