/* SPDX-License-Identifier: Apache-2.0 */
/* XXH64 against values of the xxhash package for Python. */
#include "cmocka_all.h"

#include "base/hash.h"
#include <string.h>

static void test_known_values(void **state) {
    (void)state;
    static const struct {
        size_t size;
        uint64_t seed, value;
    } known[] = {{0, 0, 0xef46db3751d8e999u},    {1, 0, 0xa96c7f0ce858bbb7u},
                 {3, 0, 0xbed43740ee6332bbu},    {4, 0, 0xfa212ae44b3bb23du},
                 {7, 1, 0x0047cdce49d4bc99u},    {8, 0, 0x994b676b71ce94ddu},
                 {12, 0, 0xb92f588ce720786eu},   {31, 0, 0x6711d55e306b5d8fu},
                 {32, 0, 0x07f7b8e3bc5d6e25u},   {33, 5, 0x7bf8210a6de9d5e5u},
                 {63, 0, 0xb7c9968c066cb6a5u},   {100, 0, 0x9ddada11d3dc2d8fu},
                 {1000, 0, 0x0bf0bdbcc82eb373u}, {999, 0x123456789abcdefu, 0x2697f787d17b691du}};
    unsigned char data[1001];
    for (size_t i = 0; i < 1000; i++) {
        data[i] = (unsigned char)(i * 131 + 7);
    }
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        assert_true(tub__hash64(data, known[k].size, known[k].seed) == known[k].value);
    }
    /* wherever the bytes lie */
    const uint64_t value = tub__hash64(data, 1000, 0);
    memmove(data + 1, data, 1000);
    assert_true(tub__hash64(data + 1, 1000, 0) == value);
}

static void test_every_bit_counts(void **state) {
    (void)state;
    unsigned char data[70] = {0};
    const uint64_t value = tub__hash64(data, sizeof data, 0);
    for (size_t bit = 0; bit < 8 * sizeof data; bit++) {
        data[bit / 8] ^= (unsigned char)(1u << bit % 8);
        assert_true(tub__hash64(data, sizeof data, 0) != value);
        data[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    assert_true(tub__hash64(data, sizeof data, 1) != value);
    assert_true(tub__hash64(data, sizeof data - 1, 0) != value);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known_values),
                                       cmocka_unit_test(test_every_bit_counts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
