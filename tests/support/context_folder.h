/* SPDX-License-Identifier: Apache-2.0 */
/* The fixture of tests that need a context and a folder. */
#ifndef TEST_CONTEXT_FOLDER_H
#define TEST_CONTEXT_FOLDER_H

#include "temp_folder.h"
#include <tubelet/tubelet.h>

typedef struct fixture {
    tub_context *ctx;
    temp_folder folder;
} fixture;

static inline int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    temp_folder_make(&f->folder);
    *state = f;
    return tub_context_create(NULL, &f->ctx, NULL) == TUB_OK ? 0 : -1;
}

static inline int tear_down(void **state) {
    fixture *f = *state;
    tub_context_destroy(f->ctx);
    temp_folder_drop(&f->folder);
    free(f);
    return 0;
}

#endif
