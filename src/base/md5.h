/* SPDX-License-Identifier: Apache-2.0 */
/* MD5 (RFC 1321), the checksum that the MedMNIST files are published with. Not for security. */
#ifndef TUB__BASE_MD5_H
#define TUB__BASE_MD5_H

#include <stddef.h>
#include <stdint.h>

typedef struct tub__md5 {
    uint32_t state[4];
    uint64_t bytes;
    unsigned char block[64];
} tub__md5;

void tub__md5_init(tub__md5 *m);
void tub__md5_update(tub__md5 *m, const void *data, size_t size);
/* Writes 32 lower-case hexadecimal digits and a terminator. */
void tub__md5_finish(tub__md5 *m, char hex[33]);

#endif
