/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints as Flax writes them, made by a test: one map of arrays of float32. A slash in a key
 * gives the same names as maps in maps. */
#ifndef TEST_MAKE_FLAX_H
#define TEST_MAKE_FLAX_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct flax_maker {
    FILE *file;
    uint16_t count;
} flax_maker;

static inline void flax_put(flax_maker *m, const void *bytes, size_t size) {
    if (fwrite(bytes, 1, size, m->file) != size) {
        abort();
    }
}

static inline void flax_number(flax_maker *m, unsigned char kind, uint32_t number) {
    const unsigned char bytes[5] = {kind, (unsigned char)(number >> 24),
                                    (unsigned char)(number >> 16), (unsigned char)(number >> 8),
                                    (unsigned char)number};
    flax_put(m, bytes, sizeof bytes);
}

static inline void flax_text(flax_maker *m, const char *text) {
    flax_number(m, 0xdb, (uint32_t)strlen(text));
    flax_put(m, text, strlen(text));
}

static inline void flax_begin(flax_maker *m, const char *path) {
    m->count = 0;
    m->file = fopen(path, "wb");
    if (m->file == NULL) {
        abort();
    }
    flax_put(m, "\xde\0\0", 3); /* the count comes at the end */
}

/* type: numpy's name of a type of four bytes. */
static inline void flax_array(flax_maker *m, const char *name, const char *type, int rank,
                              const uint64_t *shape, const void *values) {
    uint32_t bytes = 4;
    for (int i = 0; i < rank; i++) {
        bytes *= (uint32_t)shape[i];
    }
    flax_text(m, name);
    flax_number(m, 0xc9, 1 + 5 + 5 * (uint32_t)rank + 5 + (uint32_t)strlen(type) + 5 + bytes);
    flax_put(m, "\x01\x93", 2);
    flax_number(m, 0xdd, (uint32_t)rank);
    for (int i = 0; i < rank; i++) {
        flax_number(m, 0xce, (uint32_t)shape[i]);
    }
    flax_text(m, type);
    flax_number(m, 0xc6, bytes);
    flax_put(m, values, bytes);
    m->count++;
}

static inline void flax_end(flax_maker *m) {
    const unsigned char count[2] = {(unsigned char)(m->count >> 8), (unsigned char)m->count};
    if (fseek(m->file, 1, SEEK_SET) != 0) {
        abort();
    }
    flax_put(m, count, sizeof count);
    if (fclose(m->file) != 0) {
        abort();
    }
}

#endif
