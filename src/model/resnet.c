/* SPDX-License-Identifier: Apache-2.0 */
/* The residual network of 3x3x3 convolutions (He et al. 2016; MedMNIST's ResNet-18 in three
 * dimensions): a first convolution, stages of two blocks, the mean over all places.
 *
 * In training what every convolution gives is kept, and what leaves every block; what stands between
 * the two convolutions of a block is made again from its batch norm. */
#include "model/plan.h"

enum { BETWEEN, SHORTCUT, D0, D1, D2, ROOMS }; /* in training */
enum { BLOCKS = 2 };

/* The convolutions of a block. */
typedef struct block_convs {
    const tub__resnet_conv *first, *second, *shortcut; /* shortcut: NULL: what enters is added */
} block_convs;

static block_convs convs_of(const tub__resnet *r, size_t block) {
    block_convs b = {0};
    size_t at = 1;
    for (size_t i = 0; i <= block; i++) {
        const bool shortcut = tub__family_shortcut(i / BLOCKS, i % BLOCKS);
        b = (block_convs){&r->conv[at], &r->conv[at + 1], shortcut ? &r->conv[at + 2] : NULL};
        at += shortcut ? 3 : 2;
    }
    return b;
}

static size_t blocks_of(const tub__resnet *r) {
    return r->stages * BLOCKS;
}

/* ---- memory ---- */

static tub__mat view(void *data, size_t rows, size_t cols) {
    return (tub__mat){data, rows, cols, tub__padded(cols)};
}

static tub__batch_norm_layer norm_of(const tub__plan *p, int conv, void *workspace) {
    const size_t padded = tub__padded(tub__plan_find(p, TUB__BATCH_GAMMA, conv)->cols);
    const tub__param *gamma = tub__plan_find(p, TUB__BATCH_GAMMA, conv),
                     *beta = tub__plan_find(p, TUB__BATCH_BETA, conv);
    return (tub__batch_norm_layer){
        .gamma = tub__plan_value(p, gamma),
        .beta = tub__plan_value(p, beta),
        .dgamma = tub__plan_norm_gradient(p, gamma),
        .dbeta = tub__plan_norm_gradient(p, beta),
        .moving_mean = tub__plan_value(p, tub__plan_find(p, TUB__BATCH_MEAN, conv)),
        .moving_variance = tub__plan_value(p, tub__plan_find(p, TUB__BATCH_VARIANCE, conv)),
        .epsilon = TUB__BATCH_EPSILON,
        .momentum = 0.1, /* PyTorch's */
        .mean = tub__plan_vector(p, padded),
        .inverse = tub__plan_vector(p, padded),
        .workspace = workspace};
}

/* The most reals that anything takes: rows of all samples, a turned weight, sums of a batch norm. */
typedef struct sizes {
    size_t rows, turned, sums;
} sizes;

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static sizes sizes_of(const tub__plan *p, const tub__conv_shapes *shapes) {
    sizes s = {0};
    for (size_t i = 0; i < shapes->count; i++) {
        const tub__conv_shape *c = &shapes->list[i];
        const size_t rows = p->pass->config.batch * tub__window_out(&c->window),
                     padded = tub__padded(c->out);
        s.rows = larger(s.rows, rows * padded);
        s.turned = larger(s.turned, tub__window_taps(&c->window) * c->out * tub__padded(c->in));
        s.sums = larger(s.sums, tub__batch_blocks(rows) * 2 * padded);
    }
    return s;
}

static void convs_layout(const tub__plan *p, const tub__conv_shapes *shapes, const sizes *s) {
    tub__resnet *r = &p->pass->resnet;
    void *turned = p->training ? tub__plan_vector(p, s->turned) : NULL,
         *sums = p->training ? tub__plan_vector(p, s->sums) : NULL;
    r->convs = shapes->count;
    for (size_t i = 0; i < shapes->count; i++) {
        const tub__conv_shape *c = &shapes->list[i];
        r->conv[i] = (tub__resnet_conv){
            .conv = {.window = c->window,
                     .grids = 1,
                     .dense = tub__plan_dense(p, TUB__CONV_KERNEL, TUB__CONV_BIAS, (int)i),
                     .workspace = turned},
            .norm = norm_of(p, (int)i, sums),
            .made =
                tub__plan_training(p, p->pass->config.batch * tub__window_out(&c->window), c->out)};
    }
}

void tub__resnet_layout(const tub__plan *p) {
    const tub_model_config *c = &p->pass->model->config;
    const tub__conv_shapes shapes = tub__family_convs(c);
    const sizes s = sizes_of(p, &shapes);
    tub__resnet *r = &p->pass->resnet;
    const size_t batch = p->pass->config.batch, features = tub__family_features(c);
    r->stages = tub__family_stages(c);
    tub__voxels_layout(p);
    convs_layout(p, &shapes, &s);
    for (size_t i = 0; i < (p->training ? ROOMS : 4); i++) {
        r->room[i] = tub__plan_vector(p, s.rows);
    }
    for (size_t i = 0; i <= blocks_of(r) && p->training; i++) {
        const tub__resnet_conv *last = i == 0 ? &r->conv[0] : convs_of(r, i - 1).second;
        r->end[i] = tub__plan_mat(p, last->made.rows, last->made.cols);
    }
    r->pooled = tub__plan_mat(p, batch, features);
    r->dpooled = tub__plan_training(p, batch, features);
}

/* ---- forward ---- */

static tub__mat rows_in(const tub__call *call, const tub__resnet_conv *c, void *data) {
    const size_t channels = c->conv.dense.w.rows / tub__window_taps(&c->conv.window);
    return view(data, tub__conv_rows_in(call, &c->conv), channels);
}

static tub__mat rows_out(const tub__call *call, const tub__resnet_conv *c, void *data) {
    return view(data, tub__conv_rows_out(call, &c->conv), c->conv.dense.w.cols);
}

/* What the convolution gives: kept, or in `room`, where its norm then writes over it. */
static tub__mat made_of(const tub__call *call, const tub__resnet_conv *c, void *room) {
    return rows_out(call, c, call->training ? c->made.data : room);
}

/* Convolution and batch norm to `out`. */
static void conv_norm(const tub__call *call, const tub__resnet_conv *c, tub__mat x, tub__mat add,
                      bool relu, tub__mat out) {
    const tub__mat made = made_of(call, c, out.data);
    tub__conv_forward(call, &c->conv, x, made);
    tub__batch_norm_forward(call, &c->norm, made, add, relu, out);
}

tub__mat tub__resnet_forward(const tub__call *call, const tub__pass *pass) {
    const tub__resnet *r = &pass->resnet;
    const bool training = call->training;
    size_t turn =
        2; /* in inference what enters a block and what leaves it are rooms 2 and 3 in turn */
    tub__mat x = rows_out(call, &r->conv[0], training ? r->end[0].data : r->room[turn]);
    conv_norm(call, &r->conv[0],
              tub__first_rows(pass->voxels.rows, tub__conv_rows_in(call, &r->conv[0].conv)),
              TUB__NO_MAT, true, x);
    for (size_t i = 0; i < blocks_of(r); i++) {
        const block_convs b = convs_of(r, i);
        const tub__mat between = rows_out(call, b.first, r->room[BETWEEN]);
        turn = 5 - turn;
        const tub__mat end =
            rows_out(call, b.second, training ? r->end[i + 1].data : r->room[turn]);
        tub__mat add = x;
        conv_norm(call, b.first, x, TUB__NO_MAT, true, between);
        if (b.shortcut) {
            add = rows_out(call, b.shortcut, r->room[SHORTCUT]);
            conv_norm(call, b.shortcut, x, TUB__NO_MAT, false, add);
        }
        conv_norm(call, b.second, between, add, true, end);
        x = end;
    }
    const tub__mat pooled = tub__first_rows(r->pooled, call->samples);
    call->be->ops->pool(call->be, TUB_POOL_MEAN, call->samples, x, pooled);
    return pooled;
}

/* ---- backward ---- */

/* From the gradient of what left the block, in room `d`, to that of what entered it; returns its
 * room. The two other rooms are free. */
static int block_backward(const tub__call *call, const tub__resnet *r, size_t block, int d) {
    const block_convs b = convs_of(r, block);
    const int one = d == D0 ? D1 : D0, other = d == D2 ? D1 : D2;
    const tub__mat x = rows_in(call, b.first, r->end[block].data),
                   end = rows_out(call, b.second, r->end[block + 1].data),
                   made = made_of(call, b.first, NULL),
                   between = rows_out(call, b.first, r->room[BETWEEN]),
                   dend = rows_out(call, b.second, r->room[d]),
                   dmade = rows_out(call, b.second, r->room[other]),
                   dbetween = rows_out(call, b.first, r->room[one]);
    tub__batch_norm_gradient(call, &b.second->norm, made_of(call, b.second, NULL), end, dend,
                             dmade);
    tub__batch_norm_again(call, &b.first->norm, made, true, between);
    tub__conv_gradients(call, &b.second->conv, between, dmade);
    tub__conv_backward(call, &b.second->conv, dmade, false, dbetween);
    tub__batch_norm_gradient(call, &b.first->norm, made, between, dbetween, dbetween);
    tub__conv_gradients(call, &b.first->conv, x, dbetween);
    if (!b.shortcut) { /* dend is a part of dx as it is */
        tub__conv_backward(call, &b.first->conv, dbetween, true,
                           rows_in(call, b.first, r->room[d]));
        return d;
    }
    const tub__mat dx = rows_in(call, b.first, r->room[other]);
    tub__batch_norm_gradient(call, &b.shortcut->norm, made_of(call, b.shortcut, NULL), TUB__NO_MAT,
                             dend, dend);
    tub__conv_gradients(call, &b.shortcut->conv, x, dend);
    tub__conv_backward(call, &b.shortcut->conv, dend, false, dx);
    tub__conv_backward(call, &b.first->conv, dbetween, true, dx);
    return other;
}

void tub__resnet_backward(const tub__call *call, const tub__pass *pass) {
    const tub__resnet *r = &pass->resnet;
    const tub__resnet_conv *last = convs_of(r, blocks_of(r) - 1).second, *first = &r->conv[0];
    const tub__mat end = rows_out(call, last, r->end[blocks_of(r)].data);
    int d = D0;
    call->be->ops->pool_backward(
        call->be, &(tub__pool_backward){.kind = TUB_POOL_MEAN,
                                        .samples = call->samples,
                                        .x = end,
                                        .y = tub__first_rows(r->pooled, call->samples),
                                        .dy = tub__first_rows(r->dpooled, call->samples),
                                        .dx = view(r->room[d], end.rows, end.cols)});
    for (size_t i = blocks_of(r); i-- > 0;) {
        d = block_backward(call, r, i, d);
    }
    const tub__mat x = tub__first_rows(pass->voxels.rows, tub__conv_rows_in(call, &first->conv)),
                   dmade = rows_out(call, first, r->room[d]);
    tub__batch_norm_gradient(call, &first->norm, made_of(call, first, NULL),
                             rows_out(call, first, r->end[0].data), dmade, dmade);
    tub__conv_gradients(call, &first->conv, x, dmade);
    if (pass->voxels.dinput) {
        tub__conv_backward(call, &first->conv, dmade, false,
                           tub__first_rows(pass->voxels.drows, x.rows));
        tub__voxels_backward(call, pass);
    }
}
