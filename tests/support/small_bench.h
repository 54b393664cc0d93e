/* SPDX-License-Identifier: Apache-2.0 */
/* What measuring is tried on: a model of milliseconds, and one repeat. */
#ifndef TEST_SMALL_BENCH_H
#define TEST_SMALL_BENCH_H

#include "cmocka_all.h"
#include <tubelet/tubelet.h>

enum { SMALL_SIDE = 8, SMALL_VOXELS = SMALL_SIDE * SMALL_SIDE * SMALL_SIDE, SMALL_CLASSES = 3 };

static inline tub_model_config small_preset(const char *name) {
    tub_model_config c;
    assert_int_equal(tub_model_preset(name, &c, NULL), TUB_OK);
    return c;
}

/* Of a width that needs no padding, so that every operation is one of the formula's. */
static inline tub_model_config small_model(void) {
    tub_model_config c = small_preset("vivit-tiny");
    c.frames = c.height = c.width = SMALL_SIDE;
    c.tubelet[0] = c.tubelet[1] = c.tubelet[2] = 4;
    c.hidden = 32;
    c.heads = 2;
    c.layers = 2;
    c.mlp = 64;
    c.classes = SMALL_CLASSES;
    return c;
}

static inline tub_bench_config small_once(tub_precision precision) {
    tub_bench_config c = tub_bench_config_default();
    c.repeats = 1;
    c.precision = precision;
    return c;
}

#endif
