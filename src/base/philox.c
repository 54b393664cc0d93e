/* SPDX-License-Identifier: Apache-2.0 */
/* Philox 4x32-10 and the draws made from its words. */
#include "base/philox_rounds.h"
#include "base/scalar.h"
#include <assert.h>
#include <math.h>

tub__key tub__random_key(uint64_t seed, tub__purpose purpose) {
    /* An odd multiplier spreads the small purpose numbers over the word, so that seeds counted up
     * by 2^32 do not meet them. */
    return (tub__key){{(uint32_t)seed, (uint32_t)(seed >> 32) ^ (uint32_t)purpose * 0x85EBCA6Bu}};
}

void tub__philox(tub__key key, const uint32_t counter[4], uint32_t out[4]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    tub__philox_rounds(key, &c0, &c1, &c2, &c3);
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

tub__random tub__random_start(tub__key key, uint32_t c1, uint32_t c2, uint32_t c3) {
    return (tub__random){.key = key, .counter = {0, c1, c2, c3}};
}

uint32_t tub__random_word(tub__random *r) {
    if (r->left == 0) {
        tub__philox(r->key, r->counter, r->word);
        r->counter[0]++; /* 2^34 words to a stream: none comes near it */
        r->left = 4;
    }
    return r->word[4 - r->left--];
}

double tub__random_double(tub__random *r) {
    uint32_t high = tub__random_word(r);
    uint32_t low = tub__random_word(r);
    return tub__unit_double(high, low);
}

double tub__random_normal(tub__random *r) {
    double u = 1.0 - tub__random_double(r); /* (0, 1]: its logarithm is finite */
    double turn = tub__random_double(r);
    return sqrt(-2.0 * tub__log(u)) * tub__cos(0x1.921fb54442d18p+2 * turn);
}

uint32_t tub__random_below(tub__random *r, uint32_t n) {
    assert(n >= 1);
    /* Lemire, "Fast random integer generation in an interval" (2019): the low half says when a
     * draw must be refused. */
    uint64_t product = (uint64_t)tub__random_word(r) * n;
    if ((uint32_t)product < n) {
        uint32_t threshold = (0u - n) % n;
        while ((uint32_t)product < threshold) {
            product = (uint64_t)tub__random_word(r) * n;
        }
    }
    return (uint32_t)(product >> 32);
}

void tub__permutation(uint64_t seed, uint32_t epoch, size_t n, uint32_t *order) {
    assert(n <= UINT32_MAX);
    tub__random r = tub__random_start(tub__random_key(seed, TUB__RANDOM_SHUFFLE), 0, 0, epoch);
    for (size_t i = 0; i < n; i++) {
        order[i] = (uint32_t)i;
    }
    for (size_t i = n; i > 1; i--) {
        uint32_t j = tub__random_below(&r, (uint32_t)i);
        uint32_t last = order[i - 1];
        order[i - 1] = order[j];
        order[j] = last;
    }
}
