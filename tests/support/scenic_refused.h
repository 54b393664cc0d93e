/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint that is refused, with what it says. */
#ifndef TEST_SCENIC_REFUSED_H
#define TEST_SCENIC_REFUSED_H

#include "cmocka_all.h"
#include "convert/scenic.h"
#include <string.h>

static inline void expect_refused(tub_context *ctx, const char *path,
                                  const tub__scenic_hints *hints, tub_status status,
                                  const char *words) {
    tub_model *model = NULL;
    tub_error err = {0};
    const tub_status got = tub__scenic_open(ctx, path, hints, &model, &err);
    if (got != status || strstr(err.message, words) == NULL || model != NULL) {
        fail_msg("%s: expected '%s', got %s: %s", path, words, tub_status_name(got), err.message);
    }
}

#endif
