/* SPDX-License-Identifier: Apache-2.0 */
/* Class token and positions: what is put before and added to the tokens of each sequence. */
#include "nn/nn.h"

void tub__positions_forward(const tub__call *call, const tub__positions *layer, tub__mat x,
                            tub__mat y) {
    call->be->ops->prepend(call->be, call->samples * layer->sequences, x, layer->class_token,
                           layer->position, y);
    tub__positions_drop(call, layer, y);
}

void tub__positions_drop(const tub__call *call, const tub__positions *layer, tub__mat y) {
    if (tub__drops_any(call, &layer->drops)) {
        tub__drops_apply(call, &layer->drops, TUB__DROP_TOKENS, layer->number, y, TUB__NO_MAT, y);
    }
}

/* The first token of every sequence alone: rows as far apart as sequences are. */
static tub__mat first_tokens(tub__mat m, size_t sequences) {
    m.ld *= m.rows / sequences;
    m.rows = sequences;
    return m;
}

/* Of the class token: the sum over all sequences, which the table's gradient has, too. */
static void class_token_gradient(const tub__call *call, const tub__positions *layer, tub__mat dy) {
    const size_t count = call->samples * layer->sequences, ld = tub__padded(dy.cols);
    if (layer->dposition) {
        call->be->ops->copy(call->be, layer->dclass_token, layer->dposition, ld);
        return;
    }
    call->be->ops->sum_samples(call->be, count, TUB__GROUP * layer->sequences, call->more,
                               first_tokens(dy, count),
                               (tub__mat){layer->dclass_token, 1, dy.cols, ld});
}

void tub__positions_backward(const tub__call *call, const tub__positions *layer, tub__mat dy,
                             tub__mat dx) {
    const size_t count = call->samples * layer->sequences;
    tub__positions_drop(call, layer, dy);
    if (layer->dposition) {
        tub__mat sum = layer->position;
        sum.data = layer->dposition;
        call->be->ops->sum_samples(call->be, count, TUB__GROUP * layer->sequences, call->more, dy,
                                   sum);
    }
    if (layer->class_token) {
        if (layer->dclass_token) {
            class_token_gradient(call, layer, dy);
        }
        call->be->ops->prepend_backward(call->be, count, dy, dx);
    }
}
