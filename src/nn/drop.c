/* SPDX-License-Identifier: Apache-2.0 */
/* Dropout of elements, and of whole branches (stochastic depth). */
#include "nn/nn.h"

#include <assert.h>

bool tub__drops_any(const tub__call *call, const tub__drops *drops) {
    return call->dropout && (drops->rate > 0 || drops->layer_rate > 0);
}

void tub__drops_apply(const tub__call *call, const tub__drops *drops, tub__drop_site site,
                      uint32_t layer, tub__mat x, tub__mat add, tub__mat z) {
    const bool attention = site == TUB__DROP_ATTENTION;
    tub__drop op = {.x = x,
                    .add = add,
                    .z = z,
                    .samples = call->samples,
                    .dropout = *call->dropout,
                    .sample_kept = 1};
    op.dropout.rate = drops->rate;
    op.dropout.layer = tub__drop_place(layer, site);
    if (drops->layer_rate > 0) {
        assert(attention || site == TUB__DROP_MLP);
        op.sample_rate = drops->layer_rate;
        op.sample_kept = drops->rescale ? 1 / (1 - drops->layer_rate) : 1;
        op.branch = tub__drop_place(drops->block,
                                    attention ? TUB__DROP_ATTENTION_BRANCH : TUB__DROP_MLP_BRANCH);
        if (call->dropout->branches) {
            op.given = call->dropout->branches + (2 * drops->block + !attention) * call->samples;
        }
    }
    call->be->ops->drop(call->be, &op);
}
