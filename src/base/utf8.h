/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 (RFC 3629): nothing overlong, no surrogates, nothing beyond U+10FFFF. */
#ifndef TUB__BASE_UTF8_H
#define TUB__BASE_UTF8_H

#include <stddef.h>

/* Bytes of the valid sequence that begins at s, of which `left` bytes (at least 1) are there; 0
 * when there is none. */
static inline size_t tub__utf8_length(const unsigned char *s, size_t left) {
    if (s[0] < 0x80) {
        return 1;
    }
    size_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || left < length) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    int odd = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
              (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f);
    return odd ? 0 : length;
}

#endif
