/* SPDX-License-Identifier: Apache-2.0 */
/* What laying out a pass is done with: memory from its arena, and views of parameters. */
#ifndef TUB__MODEL_PLAN_H
#define TUB__MODEL_PLAN_H

#include "model/pass.h"

typedef struct tub__plan {
    tub__pass *pass;
    tub__arena *arena;
    tub__tower *tower; /* at hand */
    size_t rows;       /* M: its tokens of the whole batch */
    bool training;
} tub__plan;

static inline tub__mat tub__plan_mat(const tub__plan *p, size_t rows, size_t cols) {
    const size_t ld = tub__padded(cols);
    return (tub__mat){tub__arena_take(p->arena, rows, ld * p->pass->be->real_size), rows, cols, ld};
}

static inline void *tub__plan_vector(const tub__plan *p, size_t n) {
    return tub__arena_take(p->arena, n, p->pass->be->real_size);
}

static inline tub__mat tub__plan_training(const tub__plan *p, size_t rows, size_t cols) {
    return p->training ? tub__plan_mat(p, rows, cols) : TUB__NO_MAT;
}

/* ---- parameters ---- */

static inline const tub__param *tub__plan_find(const tub__plan *p, tub__role role, int layer) {
    return tub__params_find(&p->pass->model->params, role, layer);
}

static inline void *tub__plan_value(const tub__plan *p, const tub__param *param) {
    return tub__param_mat(p->pass->be, param, p->pass->model->weights).data;
}

static inline void *tub__plan_gradient(const tub__plan *p, const tub__param *param) {
    return p->training && !p->pass->config.frozen
               ? tub__param_mat(p->pass->be, param, p->pass->gradients).data
               : NULL;
}

/* Likewise of a norm, whose backward pass writes them in any case: where nobody wants them, somewhere. */
static inline void *tub__plan_norm_gradient(const tub__plan *p, const tub__param *param) {
    return p->pass->config.frozen ? tub__plan_vector(p, tub__padded(param->cols))
                                  : tub__plan_gradient(p, param);
}

static inline tub__dense tub__plan_dense(const tub__plan *p, tub__role kernel, tub__role bias,
                                         int layer) {
    const tub_model *model = p->pass->model;
    const tub__param *w = tub__plan_find(p, kernel, layer), *b = tub__plan_find(p, bias, layer);
    tub__dense d = {0};
    (void)tub__model_factor(model, w, &d.w);
    if (b) {
        d.bias = tub__plan_value(p, b);
        d.dbias = tub__plan_gradient(p, b);
    }
    d.dw = (tub__weight){.data = tub__plan_gradient(p, w), .rows = d.w.rows, .cols = d.w.cols};
    return d;
}

/* cnn.c and resnet.c: the layers of a baseline, but for its towers and head. */
/* The places that convolutions begin with. */
void tub__voxels_layout(const tub__plan *plan);
void tub__cnn_layout(const tub__plan *plan);
void tub__resnet_layout(const tub__plan *plan);

#endif
