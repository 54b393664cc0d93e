/* SPDX-License-Identifier: Apache-2.0 */
/* Dense layer: y = activation(x W + b) + residual, and its gradients. */
#include "nn/nn.h"

void tub__dense_forward(const tub__call *call, const tub__dense *layer, const tub__linear *op) {
    tub__linear whole = *op;
    whole.w = layer->w;
    whole.bias = layer->bias;
    call->be->ops->linear(call->be, &whole);
}

void tub__dense_gradients(const tub__call *call, const tub__dense *layer, tub__mat x, tub__mat dy) {
    if (call->frozen) {
        return;
    }
    const tub__linear_dw op = {.x = x,
                               .dy = dy,
                               .group_rows = x.rows / call->samples * TUB__GROUP,
                               .dw = layer->dw,
                               .more = call->more,
                               .reduced = layer->w.transposed != NULL,
                               .dbias = layer->dbias};
    call->be->ops->linear_dw(call->be, &op);
}

void tub__dense_backward(const tub__call *call, const tub__dense *layer, tub__mat dy,
                         tub__mat slope, tub__mat dx) {
    const tub__linear_dx op = {.dy = dy, .w = layer->w, .slope = slope, .dx = dx};
    call->be->ops->linear_dx(call->be, &op);
}
