/* SPDX-License-Identifier: Apache-2.0 */
/* XXH64 as its specification says it (xxHash fast digest algorithm, version 0.1.1, Yann Collet). */
#include "base/hash.h"

#include <string.h>

#define PRIME1 0x9E3779B185EBCA87u
#define PRIME2 0xC2B2AE3D27D4EB4Fu
#define PRIME3 0x165667B19E3779F9u
#define PRIME4 0x85EBCA77C2B2AE63u
#define PRIME5 0x27D4EB2F165667C5u

enum { STRIPE = 32 };

static uint64_t rotate(uint64_t x, int by) {
    return x << by | x >> (64 - by);
}

/* Little-endian, wherever it lies. */
static uint64_t read64(const unsigned char *p) {
    uint64_t x;
    memcpy(&x, p, sizeof x);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    return x;
}

static uint32_t read32(const unsigned char *p) {
    uint32_t x;
    memcpy(&x, p, sizeof x);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap32(x);
#endif
    return x;
}

static uint64_t mix(uint64_t sum, uint64_t input) {
    return rotate(sum + input * PRIME2, 31) * PRIME1;
}

static uint64_t merge(uint64_t sum, uint64_t lane) {
    return (sum ^ mix(0, lane)) * PRIME1 + PRIME4;
}

/* Whole stripes of 32 bytes in four lanes, added up. */
static uint64_t stripes(const unsigned char *p, size_t count, uint64_t seed) {
    uint64_t a = seed + PRIME1 + PRIME2, b = seed + PRIME2, c = seed, d = seed - PRIME1;
    for (; count > 0; count--, p += STRIPE) {
        a = mix(a, read64(p));
        b = mix(b, read64(p + 8));
        c = mix(c, read64(p + 16));
        d = mix(d, read64(p + 24));
    }
    const uint64_t sum = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
    return merge(merge(merge(merge(sum, a), b), c), d);
}

uint64_t tub__hash64(const void *data, size_t size, uint64_t seed) {
    const unsigned char *p = data;
    uint64_t sum = size >= STRIPE ? stripes(p, size / STRIPE, seed) : seed + PRIME5;
    size_t left = size % STRIPE;
    p += size - left;
    sum += size;
    for (; left >= 8; left -= 8, p += 8) {
        sum = rotate(sum ^ mix(0, read64(p)), 27) * PRIME1 + PRIME4;
    }
    if (left >= 4) {
        sum = rotate(sum ^ read32(p) * PRIME1, 23) * PRIME2 + PRIME3;
        left -= 4;
        p += 4;
    }
    for (; left > 0; left--, p++) {
        sum = rotate(sum ^ *p * PRIME5, 11) * PRIME1;
    }
    sum = (sum ^ sum >> 33) * PRIME2;
    sum = (sum ^ sum >> 29) * PRIME3;
    return sum ^ sum >> 32;
}
