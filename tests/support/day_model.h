/* SPDX-License-Identifier: Apache-2.0 */
/* A tiny model that tells dark clips from bright ones: drawn at random, its classifier's bias put in the
 * middle between what it makes of the two. */
#ifndef TEST_DAY_MODEL_H
#define TEST_DAY_MODEL_H

#include <stdlib.h>
#include <string.h>
#include <tubelet/tubelet.h>

#include "cmocka_all.h"

enum { DAY_FRAMES = 8, DAY_SIDE = 16, DAY_CHANNELS = 3, DAY_CLASSES = 2 };
enum { DAY_FRAME = DAY_SIDE * DAY_SIDE * DAY_CHANNELS, DAY_CLIP = DAY_FRAMES * DAY_FRAME };
enum { DAY_DARK = 20, DAY_BRIGHT = 230 };

static inline void day_forward(tub_model *model, int level, float logits[DAY_CLASSES]) {
    static unsigned char clip[DAY_CLIP];
    tub_error err;
    memset(clip, level, sizeof clip);
    assert_ok(tub_model_forward(model, 1, TUB_U8, clip, logits, NULL, &err), err);
}

/* Class 0 is dark, class 1 bright: labels "dark", "bright". */
static inline tub_model *day_model(tub_context *ctx) {
    static const char *const labels[] = {"dark", "bright"};
    tub_model_config c;
    tub_model *model = NULL;
    tub_error err;
    assert_ok(tub_model_preset("vivit-tiny", &c, &err), err);
    c.frames = DAY_FRAMES;
    c.height = c.width = DAY_SIDE;
    c.channels = DAY_CHANNELS;
    c.tubelet[0] = 4;
    c.tubelet[1] = c.tubelet[2] = 8;
    c.hidden = 16;
    c.heads = c.layers = 1;
    c.mlp = 16;
    c.classes = DAY_CLASSES;
    assert_ok(tub_model_create(ctx, &c, 5, &model, &err), err);
    assert_ok(tub_model_set_labels(model, labels, DAY_CLASSES, &err), err);
    float dark[DAY_CLASSES], bright[DAY_CLASSES], bias[DAY_CLASSES];
    day_forward(model, DAY_DARK, dark);
    day_forward(model, DAY_BRIGHT, bright);
    /* The classifier is the last layer: its kernel is [K, D], then its bias [K]. */
    const int64_t last = tub_model_parameters(model) - 1;
    tub_parameter kernel, shift;
    assert_ok(tub_model_parameter(model, last - 1, &kernel, &err), err);
    assert_ok(tub_model_parameter(model, last, &shift, &err), err);
    assert_int_equal(shift.count, DAY_CLASSES);
    float *weights = malloc((size_t)kernel.count * sizeof *weights);
    assert_ok(tub_model_get(model, last - 1, weights, &err), err);
    /* Steeper, and the right way round. */
    const float turn = bright[1] - bright[0] > dark[1] - dark[0] ? 100.0f : -100.0f;
    for (int64_t i = 0; i < kernel.count; i++) {
        weights[i] *= turn;
    }
    assert_ok(tub_model_set(model, last - 1, weights, &err), err);
    free(weights);
    for (int k = 0; k < DAY_CLASSES; k++) {
        bias[k] = -turn * (dark[k] + bright[k]) / 2;
    }
    assert_ok(tub_model_set(model, last, bias, &err), err);
    day_forward(model, DAY_DARK, dark);
    day_forward(model, DAY_BRIGHT, bright);
    assert_true(dark[0] > dark[1] && bright[1] > bright[0]);
    return model;
}

#endif
