/* SPDX-License-Identifier: Apache-2.0 */
/* Multi-head attention: query, key and value projection, softmax attention over a pattern of
 * tokens, output projection.
 *
 * The three projections are one product: their weights lie side by side in the parameter slab. */
#include "nn/nn.h"

#include <math.h>

enum { PROJECTIONS = 3 }; /* query, key, value */

/* Reals that a part of the heads keeps of so many rows. */
static size_t stats_size(const tub__attention_layer *layer, size_t rows) {
    return rows * (layer->heads / layer->parts) * TUB__ATTENTION_STATS;
}

static void *stats_of(const tub__call *call, const tub__attention_layer *layer, size_t part,
                      size_t rows) {
    return call->training
               ? (char *)layer->stats + part * stats_size(layer, rows) * call->be->real_size
               : NULL;
}

/* The attention of one part of the heads. */
static tub__attention operation(const tub__call *call, const tub__attention_layer *layer,
                                size_t part, size_t rows) {
    const tub__pattern *pattern = &layer->patterns[part];
    const tub__mat all = tub__first_rows(layer->qkv_rows, rows);
    const size_t step = tub__padded(layer->width), head_width = layer->width / layer->heads,
                 heads = layer->heads / layer->parts;
    tub__attention op = {.samples = call->samples,
                         .groups = pattern->groups,
                         .length = pattern->length,
                         .sample_stride = rows / call->samples,
                         .group_stride = pattern->group_stride,
                         .token_stride = pattern->token_stride,
                         .first_head = part * heads,
                         .heads = heads,
                         .head_width = head_width,
                         .scale = 1 / sqrt((double)head_width),
                         .q = tub__columns(call->be, all, 0, layer->width),
                         .k = tub__columns(call->be, all, step, layer->width),
                         .v = tub__columns(call->be, all, 2 * step, layer->width),
                         .o = tub__first_rows(layer->o, rows),
                         .reduced = layer->qkv.w.reduced != NULL,
                         .stats = stats_of(call, layer, part, rows)};
    if (call->dropout) {
        op.dropout = *call->dropout;
        op.dropout.layer = tub__drop_place(layer->number + (uint32_t)part, TUB__DROP_PROBABILITIES);
    }
    return op;
}

void tub__attention_layer_forward(const tub__call *call, const tub__attention_layer *layer,
                                  const tub__layer_norm *norm, tub__mat x, tub__mat y,
                                  tub__weight next) {
    tub__dense_forward(call, &layer->qkv,
                       &(tub__linear){.x = x,
                                      .norm = tub__layer_norm_within(call, norm),
                                      .side = PROJECTIONS,
                                      .y = tub__first_rows(layer->qkv_rows, x.rows),
                                      .next = layer->out.w});
    for (size_t part = 0; part < layer->parts; part++) {
        const tub__attention op = operation(call, layer, part, x.rows);
        call->be->ops->attention(call->be, &op);
    }
    const bool drops = tub__drops_any(call, &layer->drops);
    tub__dense_forward(call, &layer->out,
                       &(tub__linear){.x = tub__first_rows(layer->o, x.rows),
                                      .residual = drops ? TUB__NO_MAT : x,
                                      .y = y,
                                      .next = next});
    if (drops) {
        tub__drops_apply(call, &layer->drops, TUB__DROP_ATTENTION, layer->number, y, x, y);
    }
}

/* Gradient of what the output projection gives. */
static tub__mat output_gradient(const tub__call *call, const tub__attention_layer *layer,
                                tub__mat dy) {
    return tub__drops_any(call, &layer->drops) ? tub__first_rows(layer->dout, dy.rows) : dy;
}

tub__weight tub__attention_layer_first(const tub__attention_layer *layer) {
    tub__weight w = layer->qkv.w;
    w.cols /= PROJECTIONS;
    return w;
}

void tub__attention_layer_backward(const tub__call *call, const tub__attention_layer *layer,
                                   tub__mat dy, tub__mat dx) {
    const size_t step = tub__padded(layer->width);
    const tub__mat dqkv = tub__first_rows(layer->dqkv, dy.rows);
    tub__attention_backward op = {.d_o = tub__first_rows(layer->d_o, dy.rows),
                                  .dq = tub__columns(call->be, dqkv, 0, layer->width),
                                  .dk = tub__columns(call->be, dqkv, step, layer->width),
                                  .dv = tub__columns(call->be, dqkv, 2 * step, layer->width)};
    const tub__mat dout = output_gradient(call, layer, dy);
    if (tub__drops_any(call, &layer->drops)) {
        tub__drops_apply(call, &layer->drops, TUB__DROP_ATTENTION, layer->number, dy, TUB__NO_MAT,
                         dout);
    }
    tub__dense_backward(call, &layer->out, dout, TUB__NO_MAT, op.d_o);
    for (size_t part = 0; part < layer->parts; part++) {
        op.forward = operation(call, layer, part, dy.rows);
        call->be->ops->attention_backward(call->be, &op);
    }
    tub__dense_backward(call, &layer->qkv, dqkv, TUB__NO_MAT, dx);
}

void tub__attention_layer_gradients(const tub__call *call, const tub__attention_layer *layer,
                                    tub__mat x, tub__mat dy) {
    tub__dense_gradients(call, &layer->out, tub__first_rows(layer->o, x.rows),
                         output_gradient(call, layer, dy));
    tub__dense_gradients(call, &layer->qkv, x, tub__first_rows(layer->dqkv, x.rows));
}

/* The attention of some heads of a part, which keeps and drops nothing. */
static tub__attention some_heads(const tub__call *call, const tub__attention_layer *layer,
                                 const tub__heads *heads, size_t rows) {
    tub__attention op = operation(call, layer, heads->part, rows);
    op.first_head += heads->first;
    op.heads = heads->count;
    op.stats = NULL;
    op.dropout.rate = 0;
    return op;
}

void tub__attention_layer_probabilities(const tub__call *call, const tub__attention_layer *layer,
                                        const tub__heads *heads, tub__mat scratch_o,
                                        void *probabilities) {
    tub__attention op = some_heads(call, layer, heads, scratch_o.rows);
    op.o = scratch_o;
    op.probabilities = probabilities;
    call->be->ops->attention(call->be, &op);
}

void tub__attention_layer_dp(const tub__call *call, const tub__attention_layer *layer,
                             const tub__heads *heads, size_t rows, void *dp) {
    const tub__attention_dp op = {.forward = some_heads(call, layer, heads, rows),
                                  .d_o = tub__first_rows(layer->d_o, rows),
                                  .dp = dp};
    call->be->ops->attention_dp(call->be, &op);
}
