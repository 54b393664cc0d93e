/* SPDX-License-Identifier: Apache-2.0 */
/* One transformer block, forward and backward: attention once, or once for each axis, then MLP. */
#include "model/pass.h"

/* Samples done together: a layer's weights pass by once for them, and the backward pass transposes
 * them once. More of them would leave the workers less to take from each other on a busy machine. */
enum { TOGETHER = 2 * TUB__GROUP };

void tub__block_begin(const tub__call *call, const tub__tower *tower) {
    const tub__block *b = tower->blocks;
    tub__blocks blocks = {.samples = call->samples,
                          .block = TOGETHER,
                          .rows = tub__tower_rows(&tower->shape),
                          .inference = !call->training && !call->dropout};
    for (size_t i = 0; i < b->attentions; i++) {
        const tub__weight *qkv = &b->attention[i].qkv.w, *out = &b->attention[i].out.w;
        blocks.weights += tub__weight_elements(qkv->rows, qkv->cols);
        blocks.weights += tub__weight_elements(out->rows, out->cols);
    }
    blocks.weights += tub__weight_elements(b->mlp.first.w.rows, b->mlp.first.w.cols);
    blocks.weights += tub__weight_elements(b->mlp.second.w.rows, b->mlp.second.w.cols);
    call->be->ops->blocks_begin(call->be, &blocks);
}

static void attentions_forward(const tub__call *call, const tub__block *b, size_t rows) {
    for (size_t i = 0; i < b->attentions; i++) {
        const bool last = i + 1 == b->attentions;
        tub__attention_layer_forward(
            call, &b->attention[i], &b->norm[i], tub__first_rows(b->x[i], rows),
            tub__first_rows(b->x[i + 1], rows),
            last ? b->mlp.first.w : tub__attention_layer_first(&b->attention[i + 1]));
    }
}

void tub__block_forward(const tub__call *call, const tub__block *b, size_t rows, tub__mat h,
                        tub__weight next) {
    attentions_forward(call, b, rows);
    tub__mlp_forward(call, &b->mlp, &b->norm[b->attentions],
                     tub__first_rows(b->x[b->attentions], rows), h, next);
}

void tub__block_again(const tub__call *call, const tub__tower *tower, const tub__block *b,
                      size_t rows) {
    tub__block_begin(call, tower);
    attentions_forward(call, b, rows);
    tub__mlp_again(call, &b->mlp, &b->norm[b->attentions],
                   tub__first_rows(b->x[b->attentions], rows),
                   tub__first_rows(tower->dnormed, rows));
    call->be->ops->blocks_end(call->be);
}

/* The gradient of what entered attention i from that of what left it, which the caller keeps. */
static void attention_backward(const tub__call *call, const tub__tower *tower, const tub__block *b,
                               size_t i, tub__mat d, tub__mat left) {
    const tub__mat x = tub__first_rows(b->x[i], d.rows),
                   dnormed = tub__first_rows(tower->dnormed, d.rows);
    tub__attention_layer_backward(call, &b->attention[i], d, dnormed);
    tub__layer_norm_backward(call, &b->norm[i], x, dnormed, d, left);
    tub__layer_norm_again(call, &b->norm[i], x, tub__first_rows(tower->normed[i], d.rows));
}

/* Gradients of the weights come last: they need all samples, the rest only its own. */
void tub__block_backward(const tub__call *call, const tub__tower *tower, const tub__block *b,
                         tub__mat d, tub__mat left) {
    const size_t n = b->attentions, rows = d.rows;
    const tub__mat x = tub__first_rows(b->x[n], rows),
                   normed = tub__first_rows(tower->normed[n], rows),
                   dnormed = tub__first_rows(tower->dnormed, rows);
    tub__mat dmiddle[TUB__ATTENTIONS];
    for (size_t i = 0; i < n; i++) {
        dmiddle[i] = tub__first_rows(tower->dmiddle[i], rows);
    }
    tub__block_begin(call, tower);
    tub__mlp_backward(call, &b->mlp, d, dnormed);
    tub__layer_norm_backward(call, &b->norm[n], x, dnormed, d, dmiddle[n - 1]);
    tub__layer_norm_again(call, &b->norm[n], x, normed);
    for (size_t i = n; i-- > 0;) {
        attention_backward(call, tower, b, i, dmiddle[i], i > 0 ? dmiddle[i - 1] : left);
    }
    call->be->ops->blocks_end(call->be);
    call->be->ops->blocks_begin(call->be, &(tub__blocks){.independent = true});
    for (size_t i = n; i-- > 0;) {
        tub__attention_layer_gradients(call, &b->attention[i],
                                       tub__first_rows(tower->normed[i], rows), dmiddle[i]);
    }
    tub__mlp_gradients(call, &b->mlp, normed, d);
    call->be->ops->blocks_end(call->be);
}
