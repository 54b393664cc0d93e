/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the Keras goldens: arrays by name, parameters into a model, gradients out of a pass. */
#ifndef TEST_KERAS_GOLDEN_H
#define TEST_KERAS_GOLDEN_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tubelet/tubelet.h>

#include "backend/cpu.h"
#include "golden_array.h"
#include "model/model.h"

/* The model "mini" or "seed" of the goldens, dropout off. */
static tub_model_config golden_config(bool mini, tub_gelu gelu) {
    tub_model_config c;
    tub_error err = {0};
    assert_ok(tub_model_preset("vivit-tiny", &c, &err), err);
    c.attention_dropout = 0;
    c.gelu = gelu;
    if (mini) {
        c.frames = 10, c.height = 13, c.width = 9, c.channels = 2;
        c.tubelet[0] = 4, c.tubelet[1] = 5, c.tubelet[2] = 3;
        c.hidden = 24, c.heads = 3, c.layers = 2, c.mlp = 96, c.classes = 5;
    }
    return c;
}

static tub_model *golden_model(tub_context *ctx, tub__backend *be, const tub_model_config *c,
                               const char *folder) {
    tub_error err = {0};
    tub_model *m = NULL;
    tub__npz *z = golden_open(folder, "params.npz");
    assert_ok(tub__model_create_empty(ctx, be, c, &m, &err), err);
    for (size_t i = 0; i < m->params.count; i++) {
        const tub__param *p = &m->params.list[i];
        size_t n;
        double *v = golden_array(z, p->keras, &n);
        assert_int_equal(n, p->rows * p->cols);
        golden_set_param(m, p, v);
        free(v);
    }
    tub__npz_close(z);
    return m;
}

/* Largest difference, and the largest value of the truth. */
static double largest_difference(const double *got, const double *truth, size_t n,
                                 double *largest) {
    double worst = 0;
    *largest = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = got[i] > truth[i] ? got[i] - truth[i] : truth[i] - got[i];
        const double a = truth[i] < 0 ? -truth[i] : truth[i];
        worst = d > worst || d != d ? d : worst;
        *largest = a > *largest ? a : *largest;
    }
    return worst;
}

#endif
