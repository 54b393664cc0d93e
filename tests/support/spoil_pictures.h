/* SPDX-License-Identifier: Apache-2.0 */
/* Videos of PNG pictures of which some can't be decoded any more, while the container still tells of all. */
#ifndef TEST_SPOIL_PICTURES_H
#define TEST_SPOIL_PICTURES_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cmocka_all.h"

/* bad [frames]: which; the file is below 4 MiB. */
static inline void spoil_pictures(const char *path, int frames, const bool *bad) {
    static char bytes[1 << 22];
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    int seen = 0;
    for (size_t i = 0; i + 16 < size; i++) {
        if (memcmp(bytes + i, "\x89PNG", 4) == 0 && seen < frames && bad[seen++]) {
            memcpy(bytes + i + 12, "none", 4); /* for IHDR */
        }
    }
    assert_int_equal(seen, frames);
    rewind(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

/* The frames from `from` to before `to`. */
static inline void spoil_range(const char *path, int frames, int from, int to) {
    bool bad[512] = {false};
    assert_in_range(frames, 1, 512);
    for (int i = from; i < to; i++) {
        bad[i] = true;
    }
    spoil_pictures(path, frames, bad);
}

#endif
