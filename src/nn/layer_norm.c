/* SPDX-License-Identifier: Apache-2.0 */
/* Layer norm over the columns, biased variance (Ba et al. 2016). */
#include "nn/nn.h"

tub__norm tub__layer_norm_within(const tub__call *call, const tub__layer_norm *layer) {
    return (tub__norm){.gamma = layer->gamma,
                       .beta = layer->beta,
                       .epsilon = layer->epsilon,
                       .mean = call->training ? layer->mean : NULL,
                       .inverse = call->training ? layer->inverse : NULL};
}

static void normalise(const tub__call *call, const tub__layer_norm *layer, bool again, tub__mat x,
                      tub__mat y) {
    tub__norm op = tub__layer_norm_within(call, layer);
    op.x = x;
    op.y = y;
    op.again = again;
    call->be->ops->norm(call->be, &op);
}

void tub__layer_norm_forward(const tub__call *call, const tub__layer_norm *layer, tub__mat x,
                             tub__mat y) {
    normalise(call, layer, false, x, y);
}

void tub__layer_norm_again(const tub__call *call, const tub__layer_norm *layer, tub__mat x,
                           tub__mat y) {
    normalise(call, layer, true, x, y);
}

void tub__layer_norm_backward(const tub__call *call, const tub__layer_norm *layer, tub__mat x,
                              tub__mat dy, tub__mat add, tub__mat dx) {
    const tub__norm_backward op = {.dy = dy,
                                   .x = x,
                                   .gamma = layer->gamma,
                                   .mean = layer->mean,
                                   .inverse = layer->inverse,
                                   .group_rows = x.rows / call->samples * TUB__GROUP,
                                   .more = call->more,
                                   .add = add,
                                   .dx = dx,
                                   .dgamma = layer->dgamma,
                                   .dbeta = layer->dbeta,
                                   .workspace = layer->workspace};
    call->be->ops->norm_backward(call->be, &op);
}
