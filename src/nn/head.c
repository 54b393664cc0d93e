/* SPDX-License-Identifier: Apache-2.0 */
/* Head: a dense layer with tanh where there is one, and the classifier. */
#include "nn/nn.h"

static bool has_representation(const tub__head *layer) {
    return layer->representation.w.rows > 0;
}

/* What the classifier takes. */
static tub__mat features(const tub__head *layer, tub__mat x) {
    return has_representation(layer) ? tub__first_rows(layer->represented, x.rows) : x;
}

void tub__head_forward(const tub__call *call, const tub__head *layer, tub__mat x) {
    if (has_representation(layer)) {
        tub__dense_forward(call, &layer->representation,
                           &(tub__linear){.x = x,
                                          .activation = TUB__TANH,
                                          .slope = call->training
                                                       ? tub__first_rows(layer->slope, x.rows)
                                                       : TUB__NO_MAT,
                                          .y = features(layer, x)});
    }
    tub__dense_forward(
        call, &layer->classifier,
        &(tub__linear){.x = features(layer, x), .y = tub__first_rows(layer->logits, x.rows)});
}

void tub__head_backward(const tub__call *call, const tub__head *layer, tub__mat x, tub__mat dx) {
    const tub__mat dlogits = tub__first_rows(layer->dlogits, x.rows);
    tub__dense_gradients(call, &layer->classifier, features(layer, x), dlogits);
    if (!has_representation(layer)) {
        tub__dense_backward(call, &layer->classifier, dlogits, TUB__NO_MAT, dx);
        return;
    }
    const tub__mat d = tub__first_rows(layer->drepresented, x.rows);
    tub__dense_backward(call, &layer->classifier, dlogits, tub__first_rows(layer->slope, x.rows),
                        d);
    tub__dense_gradients(call, &layer->representation, x, d);
    tub__dense_backward(call, &layer->representation, d, TUB__NO_MAT, dx);
}
