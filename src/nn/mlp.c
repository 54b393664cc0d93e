/* SPDX-License-Identifier: Apache-2.0 */
/* MLP: dense, GELU, dense, and in the Keras example a GELU after the second dense layer too. */
#include "nn/nn.h"

void tub__mlp_forward(const tub__call *call, const tub__mlp *layer, const tub__layer_norm *norm,
                      tub__mat x, tub__mat y, tub__weight next) {
    const tub__mat hidden = tub__first_rows(layer->hidden, x.rows);
    tub__mat hidden_slope = TUB__NO_MAT, output_slope = TUB__NO_MAT;
    if (call->training) {
        hidden_slope = tub__first_rows(layer->hidden_slope, x.rows);
        output_slope = tub__first_rows(layer->output_slope, x.rows);
    }
    tub__dense_forward(call, &layer->first,
                       &(tub__linear){.x = x,
                                      .norm = tub__layer_norm_within(call, norm),
                                      .activation = layer->activation,
                                      .slope = hidden_slope,
                                      .y = hidden,
                                      .next = layer->second.w});
    tub__dense_forward(
        call, &layer->second,
        &(tub__linear){.x = hidden,
                       .activation = layer->output_activation ? layer->activation : TUB__LINEAR,
                       .slope = output_slope,
                       .residual = x,
                       .y = y,
                       .next = next});
}

/* Gradient of what the second dense layer gives, before its activation. */
static tub__mat output_gradient(const tub__mlp *layer, tub__mat dy) {
    return layer->output_activation ? tub__first_rows(layer->dout, dy.rows) : dy;
}

void tub__mlp_backward(const tub__call *call, const tub__mlp *layer, tub__mat dy, tub__mat dx) {
    const tub__mat dhidden = tub__first_rows(layer->dhidden, dy.rows),
                   dout = output_gradient(layer, dy);
    if (layer->output_activation) {
        call->be->ops->multiply(call->be, dy, tub__first_rows(layer->output_slope, dy.rows), dout);
    }
    tub__dense_backward(call, &layer->second, dout, tub__first_rows(layer->hidden_slope, dy.rows),
                        dhidden);
    tub__dense_backward(call, &layer->first, dhidden, TUB__NO_MAT, dx);
}

void tub__mlp_gradients(const tub__call *call, const tub__mlp *layer, tub__mat x, tub__mat dy) {
    tub__dense_gradients(call, &layer->second, tub__first_rows(layer->hidden, x.rows),
                         output_gradient(layer, dy));
    tub__dense_gradients(call, &layer->first, x, tub__first_rows(layer->dhidden, x.rows));
}
