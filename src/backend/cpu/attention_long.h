/* SPDX-License-Identifier: Apache-2.0 */
/* What the attention kernels for long sequences share that carry a maximum and a sum for each
 * query, queries in the lanes. */
#ifndef TUB__CPU_ATTENTION_LONG_H
#define TUB__CPU_ATTENTION_LONG_H

#include "backend/cpu/attention.h"

/* Whether factors are rounded to bfloat16: in inference, without dropout, and where nothing is
 * kept. */
INLINE bool rounds_factors(const tub__attention *op) {
    return op->reduced && op->length > TUB__K_SMALL && !op->stats && !op->probabilities &&
           op->dropout.rate == 0;
}

/* Queries in a block, whose keys and values are gathered once: more of them for narrow heads. */
INLINE size_t block_of_queries(size_t padded) {
    return padded <= TUB__K_HEAD_LIMIT / 2 ? 2 * QUERIES : QUERIES;
}

/* room(queries, padded): reals of scratch that a block of so many queries takes. */
#define ASSERT_ROOM(room)                                                                          \
    _Static_assert(room(2 * QUERIES, TUB__K_HEAD_LIMIT / 2) <= TUB__K_SCRATCH &&                   \
                       room(QUERIES, TUB__K_HEAD_LIMIT) <= TUB__K_SCRATCH,                         \
                   "a block of queries fits the scratch")

/* Nothing seen yet: rows of o [queries][padded], maxima and sums. */
INLINE void begin_queries(size_t queries, size_t padded, real *o, real *max, real *sum) {
    for (size_t i = 0; i < queries; i += 16) {
        vstore(max + i, vset1(-(real)INFINITY));
        vstore(sum + i, vzero());
    }
    for (size_t i = 0; i < queries * padded; i += 16) {
        vstore(o + i, vzero());
    }
}

/* The largest of sixteen queries' scores [key][lanes]: four chains, because a maximum takes longer
 * than its load. */
INLINE vf largest(const real *s, size_t lanes, size_t keys) {
    vf m[4];
    UNROLL for (size_t i = 0; i < 4; i++) m[i] = vload(s + (i < keys ? i : 0) * lanes);
    for (size_t key = 4; key < keys; key += 4) {
        UNROLL for (size_t i = 0; i < 4; i++) {
            m[i] = vmax(m[i], vload(s + (key + i < keys ? key + i : 0) * lanes));
        }
    }
    return vmax(vmax(m[0], m[1]), vmax(m[2], m[3]));
}

/* Sixteen queries' maxima meet the largest scores of another block of keys: what was summed so
 * far is scaled down where a maximum grows. `queries` of them have a row of o [padded]. Returns
 * the maxima of now. */
INLINE vf carry(const unit *u, bool first, real *o, size_t queries, vf largest, real *max,
                real *sum) {
    const vf old = vload(max), top = vmax(largest, old);
    const vm grown = vlt(old, top);
    if (vbits(grown) == 0) {
        return top;
    }
    ALIGNED real factor[16];
    vstore(max, top);
    if (first) { /* there is nothing to scale */
        return top;
    }
    const vf fix = vsel(grown, vexp(vsub(old, top)), vset1(1));
    vstore(factor, fix);
    vstore(sum, vmul(vload(sum), fix));
    for (size_t i = 0; i < queries; i++, o += u->padded) {
        const vf f = vset1(factor[i]);
        for (size_t j = 0; factor[i] != 1 && j < u->padded; j += 16) {
            vstore(o + j, vmul(vload(o + j), f));
        }
    }
    return top;
}

#endif
