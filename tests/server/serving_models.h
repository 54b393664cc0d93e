/* SPDX-License-Identifier: Apache-2.0 */
/* Small models, written as folders, and what the library itself makes of clips. */
#ifndef TEST_SERVING_MODELS_H
#define TEST_SERVING_MODELS_H

#include "cmocka_all.h"
#include <stdio.h>
#include <string.h>
#include <tubelet/tubelet.h>

/* The recorded conversations are about clips of 2x4x4 and 3 classes. */
static inline void write_model(tub_context *ctx, const char *folder, int64_t frames, int64_t side,
                               int64_t tubelet, int64_t classes, uint64_t seed) {
    static const char *const names[] = {"class0", "class1", "class2", "class3", "class4"};
    tub_model_config c;
    tub_model *model;
    tub_error err;
    assert_int_equal(tub_model_preset("vivit-tiny", &c, &err), TUB_OK);
    c.frames = frames;
    c.height = c.width = side;
    c.channels = 1;
    c.tubelet[0] = 1;
    c.tubelet[1] = c.tubelet[2] = tubelet;
    c.classes = classes;
    if (tub_model_create(ctx, &c, seed, &model, &err) != TUB_OK ||
        (classes <= (int64_t)(sizeof names / sizeof *names) &&
         tub_model_set_labels(model, names, classes, &err) != TUB_OK) ||
        tub_model_save(model, folder, &err) != TUB_OK) {
        fail_msg("%s", err.message);
    }
    tub_model_close(model);
}

static inline tub_model *read_model(tub_context *ctx, const char *folder) {
    tub_model *model;
    tub_error err;
    if (tub_model_open(ctx, folder, &model, &err) != TUB_OK) {
        fail_msg("%s", err.message);
    }
    return model;
}

#endif
