/* SPDX-License-Identifier: Apache-2.0 */
/* Head: layer norm, pooling over the tokens, classifier. */
#include "nn/nn.h"

void tub__head_forward(const tub__call *call, const tub__head *layer, tub__mat x) {
    const tub__mat normed = tub__first_rows(layer->normed, x.rows);
    const tub__mat pooled = tub__first_rows(layer->pooled, call->samples);
    tub__layer_norm_forward(call, &layer->norm, x, normed);
    call->be->ops->pool(call->be, layer->pooling, call->samples, normed, pooled);
    tub__dense_forward(
        call, &layer->classifier,
        &(tub__linear){.x = pooled, .y = tub__first_rows(layer->logits, call->samples)});
}

void tub__head_backward(const tub__call *call, const tub__head *layer, tub__mat x, tub__mat dx) {
    const tub__mat dlogits = tub__first_rows(layer->dlogits, call->samples);
    const tub__mat pooled = tub__first_rows(layer->pooled, call->samples);
    const tub__mat dpooled = tub__first_rows(layer->dpooled, call->samples);
    const tub__mat dnormed = tub__first_rows(layer->dnormed, x.rows);
    tub__dense_gradients(call, &layer->classifier, pooled, dlogits);
    tub__dense_backward(call, &layer->classifier, dlogits, TUB__NO_MAT, dpooled);
    call->be->ops->pool_backward(call->be, layer->pooling, call->samples, dpooled, dnormed);
    tub__layer_norm_backward(call, &layer->norm, x, dnormed, TUB__NO_MAT, dx);
}
