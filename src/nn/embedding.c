/* SPDX-License-Identifier: Apache-2.0 */
/* Tubelet embedding (Arnab et al. 2021, section 3.2): each tubelet of the clip times one matrix,
 * plus its position. */
#include "nn/nn.h"

void tub__embedding_forward(const tub__call *call, const tub__embedding *layer, tub_dtype dtype,
                            const void *x, tub__mat y) {
    const size_t count = call->samples * tub__geometry_tokens(&layer->geometry);
    const tub__mat rows = tub__first_rows(layer->rows, count);
    call->be->ops->cut(call->be, &layer->geometry, dtype, x, layer->multiply, rows);
    if (!layer->class_token) {
        tub__dense_forward(call, &layer->projection,
                           &(tub__linear){.x = rows, .residual = layer->position, .y = y});
        return;
    }
    const tub__mat bare = tub__first_rows(layer->bare, count);
    tub__dense_forward(call, &layer->projection, &(tub__linear){.x = rows, .y = bare});
    call->be->ops->prepend(call->be, call->samples, bare, layer->class_token, layer->position, y);
}

void tub__embedding_backward(const tub__call *call, const tub__embedding *layer, tub__mat dy) {
    const struct tub__backend_ops *ops = call->be->ops;
    const size_t count = call->samples * tub__geometry_tokens(&layer->geometry);
    tub__mat dbare = dy;
    ops->sum_samples(call->be, call->samples, call->more, dy, layer->dposition);
    if (layer->class_token) { /* the token is added where position 0 is: the same sum */
        ops->copy(call->be, layer->dclass_token, layer->dposition.data, layer->dposition.ld);
        dbare = tub__first_rows(layer->dbare, count);
        ops->prepend_backward(call->be, call->samples, dy, dbare);
    }
    tub__dense_gradients(call, &layer->projection, tub__first_rows(layer->rows, count), dbare);
    if (layer->dinput) {
        const tub__mat drows = tub__first_rows(layer->drows, count);
        tub__dense_backward(call, &layer->projection, dbare, TUB__NO_MAT, drows);
        ops->cut_backward(call->be, &layer->geometry, call->samples, drows, layer->dinput);
    }
}
