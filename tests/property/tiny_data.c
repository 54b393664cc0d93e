/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the small data set: a zip of stored .npy members, made by hand. */
#include "tiny_data.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { T = 10, H = 13, W = 9, C = 2, VOLUME = T * H * W * C, MEMBERS = 6, HEADER = 128 };

typedef struct member {
    char name[32];
    unsigned char *bytes;
    uint32_t size, crc, offset;
} member;

static uint32_t crc32_of(const unsigned char *p, size_t n) {
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int b = 0; b < 8; b++) {
            crc = crc >> 1 ^ (0xedb88320 & -(crc & 1));
        }
    }
    return ~crc;
}

/* Noise, with a bright slab whose place says the class. */
static unsigned char voxel(int split, int sample, int label, int i) {
    uint32_t x = (uint32_t)(split * 1000 + sample) * 2654435761u + (uint32_t)i * 40503u;
    x ^= x >> 13, x *= 2246822519u, x ^= x >> 16;
    int h = i / (W * C) % H;
    return (unsigned char)((x & 127) + (h / 3 == label ? 90 : 0));
}

static member make_images(const char *split, int index, int count) {
    member m = {.size = HEADER + (uint32_t)count * VOLUME};
    snprintf(m.name, sizeof m.name, "%s_images.npy", split);
    m.bytes = calloc(m.size, 1);
    memcpy(m.bytes, "\x93NUMPY\x01\x00\x76\x00", 10);
    int n = snprintf((char *)m.bytes + 10, HEADER - 10,
                     "{'descr': '|u1', 'fortran_order': False, 'shape': (%d, %d, %d, %d, %d), }",
                     count, T, H, W, C);
    memset(m.bytes + 10 + n, ' ', (size_t)(HEADER - 11 - n));
    m.bytes[HEADER - 1] = '\n';
    for (int s = 0; s < count; s++) {
        for (int i = 0; i < VOLUME; i++) {
            m.bytes[HEADER + s * VOLUME + i] = voxel(index, s, (s * 7 + s / 5) % TINY_CLASSES, i);
        }
    }
    return m;
}

static int label_of(tiny_kind kind, int class, int column) {
    return kind == TINY_LABELS                 ? (class + 1) >> column & 1
           : kind == TINY_HEADS && column == 0 ? class % 2
                                               : class;
}

static member make_labels(const char *split, int count, tiny_kind kind) {
    const int columns = kind == TINY_LABELS ? 3 : kind == TINY_HEADS ? 2 : 1;
    member m = {.size = HEADER + (uint32_t)(count * columns)};
    snprintf(m.name, sizeof m.name, "%s_labels.npy", split);
    m.bytes = calloc(m.size, 1);
    memcpy(m.bytes, "\x93NUMPY\x01\x00\x76\x00", 10);
    int n =
        snprintf((char *)m.bytes + 10, HEADER - 10,
                 "{'descr': '|u1', 'fortran_order': False, 'shape': (%d, %d), }", count, columns);
    memset(m.bytes + 10 + n, ' ', (size_t)(HEADER - 11 - n));
    m.bytes[HEADER - 1] = '\n';
    for (int i = 0; i < count * columns; i++) {
        const int s = i / columns;
        m.bytes[HEADER + i] =
            (unsigned char)label_of(kind, (s * 7 + s / 5) % TINY_CLASSES, i % columns);
    }
    return m;
}

static void put(FILE *f, uint32_t value, int bytes) {
    for (int i = 0; i < bytes; i++) {
        fputc((int)(value >> 8 * i & 255), f);
    }
}

/* The fields that a local header and a central one share: versions, method, time, CRC, sizes,
 * name length. */
static void put_common(FILE *f, const member *m) {
    put(f, 20, 2), put(f, 0, 2), put(f, 0, 2), put(f, 0, 2), put(f, 33, 2);
    put(f, m->crc, 4), put(f, m->size, 4), put(f, m->size, 4), put(f, (uint32_t)strlen(m->name), 2),
        put(f, 0, 2);
}

int tiny_data_write(const char *path, tiny_kind kind) {
    member list[MEMBERS] = {
        make_images("train", 0, TINY_TRAIN), make_labels("train", TINY_TRAIN, kind),
        make_images("val", 1, TINY_VAL),     make_labels("val", TINY_VAL, kind),
        make_images("test", 2, TINY_TEST),   make_labels("test", TINY_TEST, kind)};
    FILE *f = fopen(path, "wb");
    if (f == NULL) {
        return -1;
    }
    for (int i = 0; i < MEMBERS; i++) {
        list[i].crc = crc32_of(list[i].bytes, list[i].size);
        list[i].offset = (uint32_t)ftell(f);
        put(f, 0x04034b50, 4), put_common(f, &list[i]);
        fwrite(list[i].name, 1, strlen(list[i].name), f);
        fwrite(list[i].bytes, 1, list[i].size, f);
        free(list[i].bytes);
    }
    uint32_t start = (uint32_t)ftell(f);
    for (int i = 0; i < MEMBERS; i++) {
        put(f, 0x02014b50, 4), put(f, 20, 2), put_common(f, &list[i]);
        put(f, 0, 2), put(f, 0, 2), put(f, 0, 2), put(f, 0, 4), put(f, list[i].offset, 4);
        fwrite(list[i].name, 1, strlen(list[i].name), f);
    }
    uint32_t size = (uint32_t)ftell(f) - start;
    put(f, 0x06054b50, 4), put(f, 0, 4), put(f, MEMBERS, 2), put(f, MEMBERS, 2), put(f, size, 4),
        put(f, start, 4);
    put(f, 0, 2);
    return fclose(f);
}
