/* SPDX-License-Identifier: Apache-2.0 */
/* Small clips in files of their own, of two classes, and a recipe that trains on them. */
#ifndef TUB__TESTS_TINY_FILES_H
#define TUB__TESTS_TINY_FILES_H

#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>
#include <tubelet/tubelet.h>

#include "make_npz.h"

enum { LONGEST = 15, TALLEST = 24 };

/* A clip in which the upper or the lower half flickers. */
static inline void tiny_file_write(const char *path, int label, int number) {
    static unsigned char frames[LONGEST * TALLEST * TALLEST];
    const uint64_t t = 5 + (uint64_t)number % 11, h = 18 + (uint64_t)number % 7,
                   w = 17 + (uint64_t)number % 5;
    uint32_t x = (uint32_t)(number * 2 + label) * 2654435761u + 1;
    for (uint64_t i = 0; i < t * h * w; i++) {
        x ^= x << 13, x ^= x >> 17, x ^= x << 5;
        const bool lower = i / w % h >= h / 2;
        frames[i] = (unsigned char)((x & 63) + (lower == (label == 1) ? 120 : 0));
    }
    const test_array array = {path, "|u1", 3, {t, h, w}, frames, 0};
    assert_int_equal(make_npy(path, &array), 0);
}

static inline tub_train_config tiny_files_recipe(const char *data) {
    static const char *const settings[][2] = {
        {"model.frames", "4"},      {"model.height", "16"}, {"model.width", "16"},
        {"model.tubelet", "2,8,8"}, {"model.hidden", "16"}, {"model.heads", "2"},
        {"model.layers", "1"},      {"model.mlp", "24"},    {"clip.resize", "18"},
        {"batch_size", "8"},        {"epochs", "2"},        {"checkpoint_every", "2"},
        {"clip.max_frames", "6"}};
    tub_train_config c = tub_train_config_default();
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        assert_int_equal(tub_train_config_set(&c, settings[i][0], settings[i][1], NULL), TUB_OK);
    }
    snprintf(c.data, sizeof c.data, "%s", data);
    return c;
}

#endif
