/* SPDX-License-Identifier: Apache-2.0 */
/* MLP: dense, GELU, dense, and in the Keras example a GELU after the second dense layer too. */
#include "nn/nn.h"

/* Drops of what an activation gave. Its slope is dropped alike, which is all that the gradient
 * needs. */
static void drop_kept(const tub__call *call, const tub__mlp *layer, const tub__drops *drops,
                      tub__drop_site site, tub__mat x, tub__mat add, tub__mat slope) {
    tub__drops_apply(call, drops, site, layer->number, x, add, x);
    if (slope.data) {
        tub__drops_apply(call, drops, site, layer->number, slope, TUB__NO_MAT, slope);
    }
}

/* Inside, only elements are dropped. */
static tub__drops hidden_drops(const tub__mlp *layer) {
    return (tub__drops){.rate = layer->drops.rate};
}

void tub__mlp_forward(const tub__call *call, const tub__mlp *layer, const tub__layer_norm *norm,
                      tub__mat x, tub__mat y, tub__weight next) {
    const tub__mat hidden = tub__first_rows(layer->hidden, x.rows);
    const tub__drops inside = hidden_drops(layer);
    const bool drops = tub__drops_any(call, &layer->drops);
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
    if (tub__drops_any(call, &inside)) {
        drop_kept(call, layer, &inside, TUB__DROP_HIDDEN, hidden, TUB__NO_MAT, hidden_slope);
    }
    tub__dense_forward(
        call, &layer->second,
        &(tub__linear){.x = hidden,
                       .activation = layer->output_activation ? layer->activation : TUB__LINEAR,
                       .slope = output_slope,
                       .residual = drops ? TUB__NO_MAT : x,
                       .y = y,
                       .next = next});
    if (drops) {
        drop_kept(call, layer, &layer->drops, TUB__DROP_MLP, y, x, output_slope);
    }
}

/* Gradient of what the second dense layer gives, before its activation. */
static tub__mat output_gradient(const tub__call *call, const tub__mlp *layer, tub__mat dy) {
    return layer->output_activation || tub__drops_any(call, &layer->drops)
               ? tub__first_rows(layer->dout, dy.rows)
               : dy;
}

void tub__mlp_backward(const tub__call *call, const tub__mlp *layer, tub__mat dy, tub__mat dx) {
    const tub__mat dhidden = tub__first_rows(layer->dhidden, dy.rows),
                   dout = output_gradient(call, layer, dy);
    if (layer->output_activation) {
        call->be->ops->multiply(call->be, dy, tub__first_rows(layer->output_slope, dy.rows), dout);
    } else if (tub__drops_any(call, &layer->drops)) {
        tub__drops_apply(call, &layer->drops, TUB__DROP_MLP, layer->number, dy, TUB__NO_MAT, dout);
    }
    tub__dense_backward(call, &layer->second, dout, tub__first_rows(layer->hidden_slope, dy.rows),
                        dhidden);
    tub__dense_backward(call, &layer->first, dhidden, TUB__NO_MAT, dx);
}

void tub__mlp_gradients(const tub__call *call, const tub__mlp *layer, tub__mat x, tub__mat dy) {
    tub__dense_gradients(call, &layer->second, tub__first_rows(layer->hidden, x.rows),
                         output_gradient(call, layer, dy));
    tub__dense_gradients(call, &layer->first, x, tub__first_rows(layer->dhidden, x.rows));
}
