/* SPDX-License-Identifier: Apache-2.0 */
/* XXH64, a fast 64-bit checksum against damage by chance. Not against anybody's will: whoever wants to can make
 * two inputs with one value. */
#ifndef TUB__BASE_HASH_H
#define TUB__BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* The value of size bytes; the same on every machine. About the speed of memory. */
uint64_t tub__hash64(const void *data, size_t size, uint64_t seed);

#endif
