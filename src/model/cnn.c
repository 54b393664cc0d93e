/* SPDX-License-Identifier: Apache-2.0 */
/* The baselines that go over frames: a small CNN on each, then nothing (one frame), a recurrent unit, or
 * a transformer. */
#include "model/plan.h"

/* ---- memory ---- */

static size_t frames_of(const tub__plan *p) {
    return p->pass->config.batch * tub__family_frames(&p->pass->model->config);
}

/* View number `turn` of the two or more rooms of stages: rows of another shape each time. */
static tub__mat view(void *data, size_t rows, size_t cols) {
    return (tub__mat){data, rows, cols, tub__padded(cols)};
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Reals of the largest of what stages make (pooled: of what they give). */
static size_t room(const tub__plan *p, const tub__conv_shapes *shapes, bool pooled) {
    size_t most = 0;
    for (size_t i = 0; i < shapes->count; i++) {
        const tub__window pool = tub__family_pool(&shapes->list[i]);
        const size_t places = pooled ? tub__window_out(&pool) : tub__window_in(&pool);
        most = larger(most, frames_of(p) * places * tub__padded(shapes->list[i].out));
    }
    return most;
}

void tub__voxels_layout(const tub__plan *p) {
    tub__pass *pass = p->pass;
    const tub__geometry *g = &pass->model->geometry;
    const size_t rows = pass->config.batch * tub__geometry_tokens(g);
    pass->voxels.rows = tub__plan_mat(p, rows, g->channels);
    if (p->training && pass->config.input_gradient) {
        pass->voxels.drows = tub__plan_mat(p, rows, g->channels);
        pass->voxels.dinput = tub__arena_take(p->arena, pass->config.batch,
                                              tub__geometry_voxels(g) * pass->be->real_size);
    }
}

static void *turn_room(const tub__plan *p, const tub__conv_shapes *shapes) {
    size_t most = 0;
    for (size_t i = 0; i < shapes->count; i++) {
        const tub__conv_shape *s = &shapes->list[i];
        most = larger(most, tub__window_taps(&s->window) * s->out * tub__padded(s->in));
    }
    return p->training ? tub__plan_vector(p, most) : NULL;
}

static void stages_layout(const tub__plan *p, const tub__conv_shapes *shapes) {
    tub__cnn *cnn = &p->pass->cnn;
    void *made = NULL, *pooled[2] = {NULL, NULL}, *turned = turn_room(p, shapes);
    if (p->training) {
        cnn->dmade = tub__plan_vector(p, room(p, shapes, false));
        cnn->dpooled = tub__plan_vector(p, room(p, shapes, true));
    } else {
        made = tub__plan_vector(p, room(p, shapes, false));
        pooled[0] = tub__plan_vector(p, room(p, shapes, true));
        pooled[1] = tub__plan_vector(p, room(p, shapes, true));
    }
    cnn->stages = shapes->count;
    for (size_t i = 0; i < shapes->count; i++) {
        const tub__conv_shape *shape = &shapes->list[i];
        tub__cnn_stage *s = &cnn->stage[i];
        *s = (tub__cnn_stage){
            .conv = {.window = shape->window,
                     .grids = tub__family_frames(&p->pass->model->config),
                     .dense = tub__plan_dense(p, TUB__CONV_KERNEL, TUB__CONV_BIAS, (int)i),
                     .workspace = turned},
            .pool = tub__family_pool(shape)};
        const size_t before = frames_of(p) * tub__window_in(&s->pool),
                     after = frames_of(p) * tub__window_out(&s->pool);
        s->made =
            p->training ? tub__plan_mat(p, before, shape->out) : view(made, before, shape->out);
        s->pooled = p->training ? tub__plan_mat(p, after, shape->out)
                                : view(pooled[i % 2], after, shape->out);
    }
}

static void gru_layout(const tub__plan *p) {
    const tub_model_config *c = &p->pass->model->config;
    const size_t units = tub__family_units(c), frames = tub__family_frames(c),
                 batch = p->pass->config.batch;
    tub__gru_layer *g = &p->pass->cnn.gru;
    *g = (tub__gru_layer){.units = units,
                          .frames = frames,
                          .input = tub__plan_dense(p, TUB__GRU_KERNEL, TUB__GRU_BIAS, -1),
                          .recurrent =
                              tub__plan_dense(p, TUB__GRU_RECURRENT, TUB__GRU_RECURRENT_BIAS, -1),
                          .x_gates = tub__plan_mat(p, batch * frames, 3 * units),
                          .inner = tub__plan_mat(p, batch * (frames + 1), 3 * units),
                          .states = tub__plan_mat(p, batch * (frames + 1), units),
                          .gates = tub__plan_training(p, batch * frames, 3 * units),
                          .dx_gates = tub__plan_training(p, batch * frames, 3 * units),
                          .dinner = tub__plan_training(p, batch * (frames + 1), 3 * units),
                          .dstate = tub__plan_training(p, batch, units),
                          .dkept = tub__plan_training(p, batch, units)};
    p->pass->cnn.dlast = tub__plan_training(p, batch, units);
}

void tub__cnn_layout(const tub__plan *p) {
    const tub_model_config *c = &p->pass->model->config;
    const tub__conv_shapes shapes = tub__family_convs(c);
    const size_t features = tub__family_features(c), rows = frames_of(p);
    tub__cnn *cnn = &p->pass->cnn;
    tub__voxels_layout(p);
    stages_layout(p, &shapes);
    cnn->features = tub__plan_mat(p, rows, features);
    cnn->dfeatures = tub__plan_training(p, rows, features);
    if (c->family == TUB_FAMILY_CNN_TRANSFORMER) {
        cnn->projection = tub__plan_dense(p, TUB__PROJECT_KERNEL, TUB__PROJECT_BIAS, -1);
        cnn->projected = tub__plan_mat(p, rows, (size_t)c->hidden);
        cnn->dprojected = tub__plan_training(p, rows, (size_t)c->hidden);
    } else if (c->family == TUB_FAMILY_CNN_RNN) {
        gru_layout(p);
    }
}

/* ---- clips ---- */

void tub__voxels_forward(const tub__call *call, const tub__pass *pass, tub_dtype dtype,
                         const void *x) {
    const tub__geometry *g = &pass->model->geometry;
    call->be->ops->cut(call->be, g, dtype, x, pass->model->config.input_scale == TUB_SCALE_MULTIPLY,
                       tub__first_rows(pass->voxels.rows, call->samples * tub__geometry_tokens(g)));
}

void tub__voxels_backward(const tub__call *call, const tub__pass *pass) {
    const tub__geometry *g = &pass->model->geometry;
    call->be->ops->cut_backward(
        call->be, g, call->samples,
        tub__first_rows(pass->voxels.drows, call->samples * tub__geometry_tokens(g)),
        pass->voxels.dinput);
}

/* ---- forward ---- */

static size_t frames_now(const tub__call *call, const tub__cnn *cnn) {
    return call->samples * cnn->stage[0].conv.grids;
}

/* What enters a stage. */
static tub__mat entering(const tub__call *call, const tub__pass *pass, size_t stage) {
    const tub__cnn *cnn = &pass->cnn;
    const tub__mat x = stage == 0 ? pass->voxels.rows : cnn->stage[stage - 1].pooled;
    return tub__first_rows(x, tub__conv_rows_in(call, &cnn->stage[stage].conv));
}

static tub__mat made(const tub__call *call, const tub__cnn_stage *s) {
    return tub__first_rows(s->made, tub__conv_rows_out(call, &s->conv));
}

static tub__mat pooled(const tub__call *call, const tub__cnn *cnn, const tub__cnn_stage *s) {
    return tub__first_rows(s->pooled, frames_now(call, cnn) * tub__window_out(&s->pool));
}

tub__mat tub__cnn_output(const tub__call *call, const tub__pass *pass) {
    const tub__cnn *cnn = &pass->cnn;
    return pass->model->config.family == TUB_FAMILY_CNN_RNN
               ? tub__gru_layer_last(call, &cnn->gru)
               : tub__first_rows(cnn->features, frames_now(call, cnn));
}

tub__mat tub__cnn_doutput(const tub__call *call, const tub__pass *pass) {
    const tub__cnn *cnn = &pass->cnn;
    return pass->model->config.family == TUB_FAMILY_CNN_RNN
               ? tub__first_rows(cnn->dlast, call->samples)
               : tub__first_rows(cnn->dfeatures, frames_now(call, cnn));
}

tub__mat tub__cnn_forward(const tub__call *call, const tub__pass *pass) {
    const tub__cnn *cnn = &pass->cnn;
    const size_t frames = frames_now(call, cnn);
    const tub__mat features = tub__first_rows(cnn->features, frames);
    for (size_t i = 0; i < cnn->stages; i++) {
        const tub__cnn_stage *s = &cnn->stage[i];
        tub__conv_forward(call, &s->conv, entering(call, pass, i), made(call, s));
        tub__relu_pool_forward(call, &s->pool, made(call, s), pooled(call, cnn, s));
    }
    call->be->ops->pool(call->be, TUB_POOL_MEAN, frames,
                        pooled(call, cnn, &cnn->stage[cnn->stages - 1]), features);
    if (pass->model->config.family == TUB_FAMILY_CNN_RNN) {
        (void)tub__gru_layer_forward(call, &cnn->gru, features);
    } else if (pass->model->config.family == TUB_FAMILY_CNN_TRANSFORMER) {
        const tub__mat tokens = tub__first_rows(cnn->projected, frames);
        tub__dense_forward(call, &cnn->projection, &(tub__linear){.x = features, .y = tokens});
        tub__next_tower_forward(call, &pass->tower[0], tokens);
        return tub__first_rows(pass->tower[0].pooler.pooled, call->samples);
    }
    return tub__cnn_output(call, pass);
}

/* ---- backward ---- */

/* To the gradient of the features. */
static void over_time_backward(const tub__call *call, const tub__pass *pass, tub__mat features,
                               tub__mat dfeatures) {
    const tub__cnn *cnn = &pass->cnn;
    if (pass->model->config.family == TUB_FAMILY_CNN_RNN) {
        tub__gru_layer_backward(call, &cnn->gru, features,
                                tub__first_rows(cnn->dlast, call->samples), dfeatures);
    } else if (pass->model->config.family == TUB_FAMILY_CNN_TRANSFORMER) {
        const tub__mat d = tub__first_rows(cnn->dprojected, features.rows);
        tub__next_tower_backward(call, &pass->tower[0], d);
        tub__dense_gradients(call, &cnn->projection, features, d);
        tub__dense_backward(call, &cnn->projection, d, TUB__NO_MAT, dfeatures);
    }
}

void tub__cnn_backward(const tub__call *call, const tub__pass *pass) {
    const tub__cnn *cnn = &pass->cnn;
    const size_t frames = frames_now(call, cnn);
    const tub__cnn_stage *last = &cnn->stage[cnn->stages - 1];
    const tub__mat features = tub__first_rows(cnn->features, frames),
                   dfeatures = tub__first_rows(cnn->dfeatures, frames);
    over_time_backward(call, pass, features, dfeatures);
    const tub__mat end = pooled(call, cnn, last);
    call->be->ops->pool_backward(
        call->be, &(tub__pool_backward){.kind = TUB_POOL_MEAN,
                                        .samples = frames,
                                        .x = end,
                                        .y = features,
                                        .dy = dfeatures,
                                        .dx = view(cnn->dpooled, end.rows, end.cols)});
    for (size_t i = cnn->stages; i-- > 0;) {
        const tub__cnn_stage *s = &cnn->stage[i];
        const tub__mat x = entering(call, pass, i), z = made(call, s), y = pooled(call, cnn, s),
                       dz = view(cnn->dmade, z.rows, z.cols);
        tub__relu_pool_backward(call, &s->pool, z, y, view(cnn->dpooled, y.rows, y.cols), dz);
        tub__conv_gradients(call, &s->conv, x, dz);
        if (i > 0) {
            tub__conv_backward(call, &s->conv, dz, false, view(cnn->dpooled, x.rows, x.cols));
        } else if (pass->voxels.dinput) {
            tub__conv_backward(call, &s->conv, dz, false,
                               tub__first_rows(pass->voxels.drows, x.rows));
            tub__voxels_backward(call, pass);
        }
    }
}
