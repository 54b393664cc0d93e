/* SPDX-License-Identifier: Apache-2.0 */
/* MD5 against RFC 1321's test suite, in one piece and in many. */
#include "cmocka_all.h"

#include "base/md5.h"
#include <string.h>

static const char *digest(const void *data, size_t size, size_t piece) {
    static char hex[33];
    tub__md5 m;
    tub__md5_init(&m);
    for (size_t i = 0; i < size; i += piece) {
        tub__md5_update(&m, (const char *)data + i, size - i < piece ? size - i : piece);
    }
    tub__md5_finish(&m, hex);
    return hex;
}

static void test_rfc(void **state) {
    (void)state;
    static const char *const known[][2] = {
        {"", "d41d8cd98f00b204e9800998ecf8427e"},
        {"a", "0cc175b9c0f1b6a831c399e269772661"},
        {"abc", "900150983cd24fb0d6963f7d28e17f72"},
        {"message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
        {"abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
         "d174ab98d277d9f5a5611c2c9f419d9f"},
        {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
         "57edf4a22be3c955ac49da2e2107b67a"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        assert_string_equal(digest(known[i][0], strlen(known[i][0]), 1000), known[i][1]);
    }
}

static void test_pieces(void **state) {
    (void)state;
    unsigned char data[1000];
    char whole[33];
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (unsigned char)(i * 31 + i / 7);
    }
    for (size_t size = 0; size <= sizeof data; size += 13) {
        strcpy(whole, digest(data, size, sizeof data));
        for (size_t piece = 1; piece < 200; piece += 9) {
            assert_string_equal(digest(data, size, piece), whole);
        }
    }
    strcpy(whole, digest(data, sizeof data, sizeof data));
    data[500] ^= 1;
    assert_string_not_equal(digest(data, sizeof data, sizeof data), whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rfc), cmocka_unit_test(test_pieces)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
