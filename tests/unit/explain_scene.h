/* SPDX-License-Identifier: Apache-2.0 */
/* Small models and a clip to be explained. */
#ifndef TEST_EXPLAIN_SCENE_H
#define TEST_EXPLAIN_SCENE_H

#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>
#include <tubelet/tubelet.h>

enum { T = 5, H = 6, W = 8, C = 2, VOXELS = T * H * W, NUMBERS = VOXELS * C, K = 3 };

static inline tub_model_config config_of(tub_family family, tub_variant variant) {
    tub_model_config c;
    assert_int_equal(tub_model_preset("vivit-tiny", &c, NULL), TUB_OK);
    c.frames = T, c.height = H, c.width = W, c.channels = C;
    c.tubelet[0] = 2, c.tubelet[1] = 3, c.tubelet[2] = 3;
    c.hidden = 32, c.heads = 4, c.layers = 2, c.mlp = 64, c.classes = K;
    c.family = family, c.variant = variant;
    c.temporal_layers = variant == TUB_VARIANT_FACTORISED_ENCODER ? 1 : 0;
    c.filters = 4, c.stages = 2, c.units = 6;
    return c;
}

static inline tub_context *context_on(tub_cpu cpu, int threads, tub_precision precision) {
    tub_context_config c = tub_context_config_default();
    tub_context *ctx = NULL;
    c.cpu = cpu;
    c.threads = threads;
    c.precision = precision;
    const tub_status status = tub_context_create(&c, &ctx, NULL);
    assert_true(status == TUB_OK || (status == TUB_E_UNSUPPORTED && cpu != TUB_CPU_AUTO));
    return ctx;
}

static inline tub_context *context(int threads, tub_precision precision) {
    return context_on(TUB_CPU_AUTO, threads, precision);
}

static inline tub_model *model_of(tub_context *ctx, const tub_model_config *c) {
    tub_model *m = NULL;
    tub_error err = {0};
    assert_ok(tub_model_create(ctx, c, 7, &m, &err), err);
    return m;
}

static inline tub_model *vivit(tub_context *ctx, tub_variant variant) {
    const tub_model_config c = config_of(TUB_FAMILY_VIVIT, variant);
    return model_of(ctx, &c);
}

static float x[NUMBERS];

static inline void fill_x(void) {
    uint64_t random = 5;
    for (int i = 0; i < NUMBERS; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        x[i] = (float)(random >> 40) / 16777216.0f;
    }
}

static inline tub_explain_options options_of(tub_explain_method method) {
    tub_explain_options o = tub_explain_options_default();
    o.method = method;
    return o;
}

static inline tub_explanation explain(tub_model *m, const tub_explain_options *o) {
    tub_explanation e;
    tub_error err = {0};
    assert_ok(tub_explain(m, o, TUB_F32, x, &e, &err), err);
    return e;
}

#endif
