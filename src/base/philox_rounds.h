/* SPDX-License-Identifier: Apache-2.0 */
/* The rounds of Philox 4x32-10, for loops over many counters. */
#ifndef TUB__BASE_PHILOX_ROUNDS_H
#define TUB__BASE_PHILOX_ROUNDS_H

#include "base/philox.h"

/* counter becomes the four random words. Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy
 * as 1, 2, 3", table 2. */
static inline __attribute__((always_inline)) void
tub__philox_rounds(tub__key key, uint32_t *c0, uint32_t *c1, uint32_t *c2, uint32_t *c3) {
    uint32_t k0 = key.word[0], k1 = key.word[1];
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * *c0, p1 = (uint64_t)0xCD9E8D57u * *c2;
        *c0 = (uint32_t)(p1 >> 32) ^ *c1 ^ k0;
        *c2 = (uint32_t)(p0 >> 32) ^ *c3 ^ k1;
        *c1 = (uint32_t)p1;
        *c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u; /* Weyl sequences */
        k1 += 0xBB67AE85u;
    }
}

#endif
