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

static tub__mat kept(const tub__call *call, tub__mat slope, size_t rows) {
    return call->training ? tub__first_rows(slope, rows) : TUB__NO_MAT;
}

static void forward_first(const tub__call *call, const tub__mlp *layer, const tub__layer_norm *norm,
                          tub__mat x) {
    const tub__mat hidden = tub__first_rows(layer->hidden, x.rows),
                   slope = kept(call, layer->hidden_slope, x.rows);
    const tub__drops drops = hidden_drops(layer);
    tub__dense_forward(call, &layer->first,
                       &(tub__linear){.x = x,
                                      .norm = tub__layer_norm_within(call, norm),
                                      .activation = layer->activation,
                                      .slope = slope,
                                      .y = hidden,
                                      .next = layer->second.w});
    if (tub__drops_any(call, &drops)) {
        drop_kept(call, layer, &drops, TUB__DROP_HIDDEN, hidden, TUB__NO_MAT, slope);
    }
}

static void forward_second(const tub__call *call, const tub__mlp *layer, tub__mat x, tub__mat y,
                           tub__weight next) {
    const tub__mat slope = kept(call, layer->output_slope, x.rows);
    const bool drops = tub__drops_any(call, &layer->drops);
    tub__dense_forward(
        call, &layer->second,
        &(tub__linear){.x = tub__first_rows(layer->hidden, x.rows),
                       .activation = layer->output_activation ? layer->activation : TUB__LINEAR,
                       .slope = slope,
                       .residual = drops ? TUB__NO_MAT : x,
                       .y = y,
                       .next = next});
    if (drops) {
        drop_kept(call, layer, &layer->drops, TUB__DROP_MLP, y, x, slope);
    }
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
        forward_second(call, layer, x, scratch, (tub__weight){0});
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
