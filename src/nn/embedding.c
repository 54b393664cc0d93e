/* SPDX-License-Identifier: Apache-2.0 */
/* Tubelet embedding (Arnab et al. 2021, section 3.2): each tubelet of the clip times one matrix,
 * plus its position. */
#include "nn/nn.h"

void tub__embedding_forward(const tub__call *call, const tub__embedding *layer, tub_dtype dtype,
                            const void *x, tub__mat y) {
    const size_t count = call->samples * tub__geometry_tokens(&layer->geometry);
    const tub__mat rows = tub__first_rows(layer->rows, count);
    call->be->ops->cut(call->be, &layer->geometry, dtype, x, layer->multiply, rows);
    if (!layer->positions.class_token) { /* a sequence's table comes round for every sequence */
        tub__dense_forward(
            call, &layer->projection,
            &(tub__linear){.x = rows, .residual = layer->positions.position, .y = y});
        tub__positions_drop(call, &layer->positions, y);
        return;
    }
    const tub__mat bare = tub__first_rows(layer->bare, count);
    tub__dense_forward(call, &layer->projection, &(tub__linear){.x = rows, .y = bare});
    tub__positions_forward(call, &layer->positions, bare, y);
}

void tub__embedding_backward(const tub__call *call, const tub__embedding *layer, tub__mat dy) {
    const struct tub__backend_ops *ops = call->be->ops;
    const size_t count = call->samples * tub__geometry_tokens(&layer->geometry);
    const tub__mat dbare = layer->positions.class_token ? tub__first_rows(layer->dbare, count) : dy;
    tub__positions_backward(call, &layer->positions, dy, dbare);
    tub__dense_gradients(call, &layer->projection, tub__first_rows(layer->rows, count), dbare);
    if (layer->dinput) {
        const tub__mat drows = tub__first_rows(layer->drows, count);
        tub__dense_backward(call, &layer->projection, dbare, TUB__NO_MAT, drows);
        ops->cut_backward(call->be, &layer->geometry, call->samples, drows, layer->dinput);
    }
}
