/* SPDX-License-Identifier: Apache-2.0 */
/* Batch norm (Ioffe and Szegedy 2015) with what may stand behind it: a sum and ReLU. */
#include "nn/nn.h"

static tub__batch_norm operation(const tub__batch_norm_layer *layer, tub__mat x, tub__mat y) {
    return (tub__batch_norm){.x = x,
                             .gamma = layer->gamma,
                             .beta = layer->beta,
                             .moving_mean = layer->moving_mean,
                             .moving_variance = layer->moving_variance,
                             .epsilon = layer->epsilon,
                             .momentum = layer->momentum,
                             .mean = layer->mean,
                             .inverse = layer->inverse,
                             .y = y,
                             .workspace = layer->workspace};
}

void tub__batch_norm_forward(const tub__call *call, const tub__batch_norm_layer *layer, tub__mat x,
                             tub__mat add, bool relu, tub__mat y) {
    tub__batch_norm op = operation(layer, x, y);
    op.mode = call->training && !call->frozen ? TUB__BATCH_STATISTICS : TUB__BATCH_MOVING;
    op.add = add;
    op.relu = relu;
    call->be->ops->batch_norm(call->be, &op);
}

void tub__batch_norm_again(const tub__call *call, const tub__batch_norm_layer *layer, tub__mat x,
                           bool relu, tub__mat y) {
    tub__batch_norm op = operation(layer, x, y);
    op.mode = TUB__BATCH_AGAIN;
    op.relu = relu;
    call->be->ops->batch_norm(call->be, &op);
}

void tub__batch_norm_gradient(const tub__call *call, const tub__batch_norm_layer *layer, tub__mat x,
                              tub__mat y, tub__mat dy, tub__mat dx) {
    const tub__batch_norm_backward op = {.moving = call->frozen,
                                         .dy = dy,
                                         .x = x,
                                         .y = y,
                                         .gamma = layer->gamma,
                                         .mean = layer->mean,
                                         .inverse = layer->inverse,
                                         .dx = dx,
                                         .dgamma = layer->dgamma,
                                         .dbeta = layer->dbeta,
                                         .workspace = layer->workspace};
    call->be->ops->batch_norm_backward(call->be, &op);
}
