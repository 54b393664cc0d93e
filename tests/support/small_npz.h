/* SPDX-License-Identifier: Apache-2.0 */
/* A small data set with MedMNIST's keys: 8 x 8 x 8 volumes of three classes, each with its own
 * bright octant. */
#ifndef TEST_SMALL_NPZ_H
#define TEST_SMALL_NPZ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

enum {
    SMALL_SIDE = 8,
    SMALL_VOLUME = 8 * 8 * 8,
    SMALL_CLASSES = 3,
    SMALL_TRAIN = 12,
    SMALL_VAL = 5,
    SMALL_TEST = 5
};

static inline unsigned char small_voxel(int sample, int voxel) {
    int octant = (voxel >> 8 & 1) * 4 + (voxel >> 5 & 1) * 2 + (voxel >> 2 & 1);
    unsigned noise = (unsigned)(sample * 7919 + voxel * 104729) * 2654435761u >> 26; /* 0 … 63 */
    return (unsigned char)(noise + (octant == sample % SMALL_CLASSES ? 150 : 20));
}

/* Adds a member: an uint8 array [count, 8, 8, 8], or its labels [count, 1]. */
static inline bool small_member(zip_t *zip, const char *split, bool images, int first, int count) {
    char name[32], header[128];
    size_t bytes = (size_t)count * (images ? SMALL_VOLUME : 1);
    unsigned char *file = malloc(sizeof header + bytes); /* libzip takes it over */
    snprintf(name, sizeof name, "%s_%s.npy", split, images ? "images" : "labels");
    memset(header, ' ', sizeof header);
    memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10);
    int n =
        snprintf(header + 10, 100, "{'descr': '|u1', 'fortran_order': False, 'shape': (%d, %s), }",
                 count, images ? "8, 8, 8" : "1");
    header[10 + n] = ' ';
    header[127] = '\n';
    memcpy(file, header, sizeof header);
    for (size_t i = 0; i < bytes; i++) {
        int sample = first + (int)(images ? i / SMALL_VOLUME : i);
        file[sizeof header + i] = images ? small_voxel(sample, (int)(i % SMALL_VOLUME))
                                         : (unsigned char)(sample % SMALL_CLASSES);
    }
    zip_source_t *source = zip_source_buffer(zip, file, sizeof header + bytes, 1);
    return source != NULL && zip_file_add(zip, name, source, 0) >= 0;
}

static inline bool small_npz_write(const char *path) {
    static const struct {
        const char *split;
        int first, count;
    } splits[] = {{"train", 0, SMALL_TRAIN}, {"val", 100, SMALL_VAL}, {"test", 200, SMALL_TEST}};
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    bool right = zip != NULL;
    for (int i = 0; i < 3 && right; i++) {
        right = small_member(zip, splits[i].split, true, splits[i].first, splits[i].count) &&
                small_member(zip, splits[i].split, false, splits[i].first, splits[i].count);
    }
    return right && zip_close(zip) == 0;
}

#endif
