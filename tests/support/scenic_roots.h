/* SPDX-License-Identifier: Apache-2.0 */
/* Where scenic's numbers lie: a part of them in the repository, and the whole set where it is. */
#ifndef TEST_SCENIC_ROOTS_H
#define TEST_SCENIC_ROOTS_H

#include "base/file.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

typedef enum scenic_root { SCENIC_PART, SCENIC_WHOLE, SCENIC_ROOTS } scenic_root;

static const char *const scenic_roots[SCENIC_ROOTS] = {GOLDEN "/scenic", SHARED "/golden/scenic"};

static const char *const scenic_part[] = {"pos_none", "pos_sin1d",  "pos_sin3d",
                                          "v2_cls",   "v1_gmp",     "v3_time_space",
                                          "v4",       "v1_gsp_rep", "tok_sampling_v1"};

/* Whether a root should have a case. */
static inline bool scenic_has(scenic_root root, const char *name) {
    bool has = root == SCENIC_WHOLE;
    for (size_t i = 0; i < sizeof scenic_part / sizeof *scenic_part; i++) {
        has = has || strcmp(scenic_part[i], name) == 0;
    }
    return has;
}

/* The part is always here: a test runs on it what is in it, and everything on the whole set. */
static inline bool scenic_whole_is_here(void) {
    if (!tub__is_folder(scenic_roots[SCENIC_WHOLE])) {
        printf("skipped: what only %s has, which is not here\n", scenic_roots[SCENIC_WHOLE]);
        return false;
    }
    return true;
}

/* A path of a root; the last one lives. */
static inline const char *scenic_path(scenic_root root, const char *name) {
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", scenic_roots[root], name);
    return path;
}

/* A file of a case. */
static inline const char *scenic_case(scenic_root root, const char *name, const char *file) {
    char path[128];
    snprintf(path, sizeof path, "cases/%s/%s", name, file);
    return scenic_path(root, path);
}

#endif
