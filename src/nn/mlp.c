/* SPDX-License-Identifier: Apache-2.0 */
/* MLP: dense, GELU, dense, and in the Keras example a GELU after the second dense layer too. */
#include "nn/nn.h"

static void forward_first(const tub__call *call, const tub__mlp *layer, const tub__layer_norm *norm,
                          tub__mat x) {
    const bool keep = call->training;
    tub__dense_forward(
        call, &layer->first,
        &(tub__linear){.x = x,
                       .norm = tub__layer_norm_within(call, norm),
                       .activation = layer->activation,
                       .slope = keep ? tub__first_rows(layer->hidden_slope, x.rows) : TUB__NO_MAT,
                       .y = tub__first_rows(layer->hidden, x.rows),
                       .next = layer->second.w});
}

static void forward_second(const tub__call *call, const tub__mlp *layer, tub__mat residual,
                           tub__mat y, tub__weight next) {
    const bool keep = call->training;
    tub__dense_forward(
        call, &layer->second,
        &(tub__linear){.x = tub__first_rows(layer->hidden, y.rows),
                       .activation = layer->output_activation ? layer->activation : TUB__LINEAR,
                       .slope = keep ? tub__first_rows(layer->output_slope, y.rows) : TUB__NO_MAT,
                       .residual = residual,
                       .y = y,
                       .next = next});
}

void tub__mlp_forward(const tub__call *call, const tub__mlp *layer, const tub__layer_norm *norm,
                      tub__mat x, tub__mat y, tub__weight next) {
    forward_first(call, layer, norm, x);
    forward_second(call, layer, x, y, next);
}

/* Of the second layer only the slope is kept. */
void tub__mlp_again(const tub__call *call, const tub__mlp *layer, const tub__layer_norm *norm,
                    tub__mat x, tub__mat scratch) {
    forward_first(call, layer, norm, x);
    if (layer->output_activation) {
        forward_second(call, layer, TUB__NO_MAT, scratch, (tub__weight){0});
    }
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
