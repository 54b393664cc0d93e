/* SPDX-License-Identifier: Apache-2.0 */
/* A fresh folder for one test, and paths in it. */
#ifndef TEST_TEMP_FOLDER_H
#define TEST_TEMP_FOLDER_H

#include "base/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct temp_folder {
    char path[256];
    char joined[4][512]; /* the last four results of temp_path */
    unsigned next;
} temp_folder;

static inline void temp_folder_make(temp_folder *t) {
    const char *root = getenv("TMPDIR");
    t->next = 0;
    snprintf(t->path, sizeof t->path, "%s/tubelet-test-XXXXXX",
             root != NULL && root[0] != '\0' ? root : "/tmp");
    if (mkdtemp(t->path) == NULL) {
        perror(t->path);
        abort();
    }
}

static inline const char *temp_path(temp_folder *t, const char *name) {
    char *out = t->joined[t->next++ % 4];
    size_t length = strlen(t->path), rest = strlen(name) + 1;
    if (length + 1 + rest > sizeof t->joined[0]) {
        abort();
    }
    memcpy(out, t->path, length);
    out[length] = '/';
    memcpy(out + length + 1, name, rest);
    return out;
}

static inline void temp_folder_drop(temp_folder *t) {
    tub_error err;
    if (tub__folder_remove(&tub__default_allocator, t->path, &err) != TUB_OK) {
        fprintf(stderr, "%s\n", err.message);
    }
}

#endif
