/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution, and the pooling that stands behind those of a frame. */
#include "nn/nn.h"

static size_t grids(const tub__call *call, const tub__conv_layer *layer) {
    return call->samples * layer->grids;
}

size_t tub__conv_rows_in(const tub__call *call, const tub__conv_layer *layer) {
    return grids(call, layer) * tub__window_in(&layer->window);
}

size_t tub__conv_rows_out(const tub__call *call, const tub__conv_layer *layer) {
    return grids(call, layer) * tub__window_out(&layer->window);
}

void tub__conv_forward(const tub__call *call, const tub__conv_layer *layer, tub__mat x,
                       tub__mat y) {
    const tub__conv op = {
        .window = layer->window, .x = x, .w = layer->dense.w, .bias = layer->dense.bias, .y = y};
    call->be->ops->conv(call->be, &op);
}

void tub__conv_gradients(const tub__call *call, const tub__conv_layer *layer, tub__mat x,
                         tub__mat dy) {
    if (call->frozen) {
        return;
    }
    const tub__conv_dw op = {.window = layer->window,
                             .samples = grids(call, layer),
                             .group = TUB__GROUP * layer->grids,
                             .x = x,
                             .dy = dy,
                             .more = call->more,
                             .dw = layer->dense.dw,
                             .dbias = layer->dense.dbias};
    call->be->ops->conv_dw(call->be, &op);
}

void tub__conv_backward(const tub__call *call, const tub__conv_layer *layer, tub__mat dy, bool more,
                        tub__mat dx) {
    const tub__conv_dx op = {.window = layer->window,
                             .dy = dy,
                             .w = layer->dense.w,
                             .workspace = layer->workspace,
                             .more = more,
                             .dx = dx};
    call->be->ops->conv_dx(call->be, &op);
}

void tub__relu_pool_forward(const tub__call *call, const tub__window *window, tub__mat x,
                            tub__mat y) {
    call->be->ops->max_pool(call->be, &(tub__max_pool){.window = *window, .x = x, .y = y});
}

void tub__relu_pool_backward(const tub__call *call, const tub__window *window, tub__mat x,
                             tub__mat y, tub__mat dy, tub__mat dx) {
    call->be->ops->max_pool_backward(
        call->be, &(tub__max_pool){.window = *window, .x = x, .y = y, .dy = dy, .dx = dx});
}
