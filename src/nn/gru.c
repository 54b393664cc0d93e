/* SPDX-License-Identifier: Apache-2.0 */
/* Gated recurrent unit (Cho et al. 2014) in the form of Keras' reset_after: the products of all frames
 * at once, then frame by frame those of the states. */
#include "nn/nn.h"

/* Row `step` of every sample, of so many rows each. */
static tub__mat at_step(const tub__call *call, tub__mat m, size_t step, size_t rows) {
    m.data = (char *)m.data + step * m.ld * call->be->real_size;
    m.rows = call->samples;
    m.ld *= rows;
    return m;
}

static tub__mat state(const tub__call *call, const tub__gru_layer *layer, size_t step) {
    return at_step(call, layer->states, step, layer->frames + 1);
}

static tub__mat frame(const tub__call *call, const tub__gru_layer *layer, tub__mat m, size_t t) {
    return m.data ? at_step(call, m, t, layer->frames) : TUB__NO_MAT;
}

tub__mat tub__gru_layer_last(const tub__call *call, const tub__gru_layer *layer) {
    return state(call, layer, layer->frames);
}

static tub__gru step(const tub__call *call, const tub__gru_layer *layer, size_t t) {
    return (tub__gru){.units = layer->units,
                      .x = frame(call, layer, layer->x_gates, t),
                      .inner = at_step(call, layer->inner, t, layer->frames + 1),
                      .h = state(call, layer, t),
                      .next = state(call, layer, t + 1),
                      .gates = frame(call, layer, layer->gates, t)};
}

tub__mat tub__gru_layer_forward(const tub__call *call, const tub__gru_layer *layer, tub__mat x) {
    tub__dense_forward(call, &layer->input,
                       &(tub__linear){.x = x, .y = tub__first_rows(layer->x_gates, x.rows)});
    for (size_t t = 0; t < layer->frames; t++) {
        const tub__gru op = step(call, layer, t);
        tub__dense_forward(call, &layer->recurrent, &(tub__linear){.x = op.h, .y = op.inner});
        call->be->ops->gru(call->be, &op);
    }
    return tub__gru_layer_last(call, layer);
}

void tub__gru_layer_backward(const tub__call *call, const tub__gru_layer *layer, tub__mat x,
                             tub__mat dlast, tub__mat dx) {
    const size_t samples = call->samples, frames = layer->frames;
    const tub__mat dstate = tub__first_rows(layer->dstate, samples),
                   dkept = tub__first_rows(layer->dkept, samples),
                   dx_gates = tub__first_rows(layer->dx_gates, x.rows);
    for (size_t t = frames; t-- > 0;) {
        const bool last = t + 1 == frames;
        const tub__gru_backward op = {.forward = step(call, layer, t),
                                      .dnext = {last ? dlast : TUB__NO_MAT,
                                                last ? TUB__NO_MAT : dstate,
                                                last ? TUB__NO_MAT : dkept},
                                      .dx = frame(call, layer, layer->dx_gates, t),
                                      .dinner = at_step(call, layer->dinner, t, frames + 1),
                                      .dh = dkept};
        call->be->ops->gru_backward(call->be, &op);
        if (t > 0) { /* the first state is no parameter */
            tub__dense_backward(call, &layer->recurrent, op.dinner, TUB__NO_MAT, dstate);
        }
    }
    const size_t rows = samples * (frames + 1);
    tub__dense_gradients(call, &layer->input, x, dx_gates);
    tub__dense_gradients(call, &layer->recurrent, tub__first_rows(layer->states, rows),
                         tub__first_rows(layer->dinner, rows));
    tub__dense_backward(call, &layer->input, dx_gates, TUB__NO_MAT, dx);
}
