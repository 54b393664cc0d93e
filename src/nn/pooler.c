/* SPDX-License-Identifier: Apache-2.0 */
/* A transformer's end: layer norm, and each sequence of tokens pooled to one row. */
#include "nn/nn.h"

static tub__mat normed_of(const tub__pooler *layer, tub__mat x) {
    return layer->bare ? x : tub__first_rows(layer->normed, x.rows);
}

void tub__pooler_forward(const tub__call *call, const tub__pooler *layer, tub__mat x) {
    const tub__mat normed = normed_of(layer, x);
    const size_t count = call->samples * layer->sequences;
    if (!layer->bare) {
        tub__layer_norm_forward(call, &layer->norm, x, normed);
    }
    call->be->ops->pool(call->be, layer->pooling, count, normed,
                        tub__first_rows(layer->pooled, count));
}

void tub__pooler_backward(const tub__call *call, const tub__pooler *layer, tub__mat x,
                          tub__mat dx) {
    const size_t count = call->samples * layer->sequences;
    const tub__mat dnormed = layer->bare ? dx : tub__first_rows(layer->dnormed, x.rows);
    const tub__pool_backward op = {.kind = layer->pooling,
                                   .samples = count,
                                   .x = normed_of(layer, x),
                                   .y = tub__first_rows(layer->pooled, count),
                                   .dy = tub__first_rows(layer->dpooled, count),
                                   .dx = dnormed};
    call->be->ops->pool_backward(call->be, &op);
    if (!layer->bare) {
        tub__layer_norm_backward(call, &layer->norm, x, dnormed, TUB__NO_MAT, dx);
    }
}
