/* SPDX-License-Identifier: Apache-2.0 */
/* Philox 4x32-10 (Salmon et al. 2011): random numbers as a function of a key and a counter, with
 * no state to share. */
#ifndef TUB__BASE_PHILOX_H
#define TUB__BASE_PHILOX_H

#include <stddef.h>
#include <stdint.h>

/* What a stream is for: one stream per purpose and seed. The values are part of the promise "same
 * seed, same bits". */
typedef enum tub__purpose {
    TUB__RANDOM_INIT = 1,      /* initial parameters: counter (block, array, 0, 0) */
    TUB__RANDOM_SHUFFLE = 2,   /* epoch order: counter (index, 0, 0, epoch) */
    TUB__RANDOM_DROPOUT = 3,   /* attention dropout: counter (block, position, layer, epoch) */
    TUB__RANDOM_AUGMENT = 4,   /* per-sample transforms: counter (index, position, lane, epoch) */
    TUB__RANDOM_BOOTSTRAP = 5, /* confidence intervals: counter (index, draw, 0, 0) */
    TUB__RANDOM_PHANTOM = 6,   /* phantom3d: counter (index, sample, split, 0) */
    TUB__RANDOM_MOTION = 7,    /* motion: counter (index, sample, split, 0 or 1 + angle) */
    TUB__RANDOM_FRAMES = 8,    /* shuffled frames: counter (index, sample, split, 0) */
    TUB__RANDOM_SEARCH = 9     /* sweeps: counter (index, trial, what for, 0) */
} tub__purpose;

typedef struct tub__key {
    uint32_t word[2];
} tub__key;

/* Key of (seed, purpose): the seed's two halves, the purpose mixed into the high one. */
tub__key tub__random_key(uint64_t seed, tub__purpose purpose);

/* out = Philox4x32-10(key, counter). Known-answer tested against Random123's vectors. */
void tub__philox(tub__key key, const uint32_t counter[4], uint32_t out[4]);

/* [0, 1) from one word: the top 24 bits times 2^-24, exact in float. */
static inline float tub__unit_float(uint32_t word) {
    return (float)(word >> 8) * 0x1p-24f;
}
/* [0, 1) with 53 bits from two words. */
static inline double tub__unit_double(uint32_t high, uint32_t low) {
    return (double)(((uint64_t)high << 32 | low) >> 11) * 0x1p-53;
}

/* A sequence of words counted by word 0 of the counter; plain value, copy freely. */
typedef struct tub__random {
    tub__key key;
    uint32_t counter[4];
    uint32_t word[4];
    int left;
} tub__random;

tub__random tub__random_start(tub__key key, uint32_t c1, uint32_t c2, uint32_t c3);
uint32_t tub__random_word(tub__random *r);
double tub__random_double(tub__random *r); /* [0, 1), two words */
double
tub__random_normal(tub__random *r); /* standard normal by Box-Muller over our own log, sin, cos */
uint32_t tub__random_below(tub__random *r,
                           uint32_t n); /* 0 … n - 1 without bias (Lemire), n >= 1 */

/* order[i] = a permutation of 0 … n - 1 (Fisher-Yates) keyed by (seed, epoch): the epoch's sample
 * order. */
void tub__permutation(uint64_t seed, uint32_t epoch, size_t n, uint32_t *order);

#endif
