/* SPDX-License-Identifier: Apache-2.0 */
/* MD5 as RFC 1321 section 3 describes it. */
#include "base/md5.h"

#include <string.h>

/* T[i] = floor(2^32 |sin(i + 1)|). */
static const uint32_t table[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};
static const unsigned char shift[4][4] = {
    {7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

static uint32_t little_endian(const unsigned char *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void transform(uint32_t state[4], const unsigned char *block) {
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    for (unsigned i = 0; i < 64; i++) {
        uint32_t f;
        unsigned word;
        if (i < 16) {
            f = (b & c) | (~b & d);
            word = i;
        } else if (i < 32) {
            f = (d & b) | (~d & c);
            word = (5 * i + 1) % 16;
        } else if (i < 48) {
            f = b ^ c ^ d;
            word = (3 * i + 5) % 16;
        } else {
            f = c ^ (b | ~d);
            word = 7 * i % 16;
        }
        uint32_t sum = a + f + table[i] + little_endian(block + 4 * (size_t)word);
        unsigned s = shift[i / 16][i % 4];
        a = d;
        d = c;
        c = b;
        b += sum << s | sum >> (32 - s);
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
}

void tub__md5_init(tub__md5 *m) {
    *m = (tub__md5){.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}};
}

void tub__md5_update(tub__md5 *m, const void *data, size_t size) {
    const unsigned char *p = data;
    size_t held = (size_t)(m->bytes % 64);
    m->bytes += size;
    if (held > 0) {
        size_t n = size < 64 - held ? size : 64 - held;
        if (n > 0) {
            memcpy(m->block + held, p, n);
        }
        if (held + n < 64) {
            return;
        }
        transform(m->state, m->block);
        p += n;
        size -= n;
    }
    for (; size >= 64; p += 64, size -= 64) {
        transform(m->state, p);
    }
    if (size > 0) {
        memcpy(m->block, p, size);
    }
}

void tub__md5_finish(tub__md5 *m, char hex[33]) {
    static const unsigned char padding[64] = {0x80};
    unsigned char length[8];
    uint64_t bits = m->bytes * 8;
    for (int i = 0; i < 8; i++) {
        length[i] = (unsigned char)(bits >> 8 * i);
    }
    size_t held = (size_t)(m->bytes % 64);
    tub__md5_update(m, padding, held < 56 ? 56 - held : 120 - held);
    tub__md5_update(m, length, sizeof length);
    for (int i = 0; i < 16; i++) {
        unsigned byte = m->state[i / 4] >> 8 * (i % 4) & 0xFF;
        hex[2 * i] = "0123456789abcdef"[byte >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[byte & 15];
    }
    hex[32] = '\0';
}
