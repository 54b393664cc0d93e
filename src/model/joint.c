/* SPDX-License-Identifier: Apache-2.0 */
/* Variant 1 of the paper: all tokens of a sample attend to each other in every block. */
#include "model/pass.h"

/* A block's operations on rows, for so many samples at a time. */
static void blocks_begin(const tub__pass *pass, const tub__call *call, const tub__block *b,
                         size_t block) {
    const tub__weight w[] = {b->attention.qkv.w, b->attention.out.w, b->mlp.first.w,
                             b->mlp.second.w};
    tub__blocks blocks = {.samples = call->samples,
                          .block = block,
                          .rows = pass->tokens,
                          .inference = !call->training && !call->dropout};
    for (size_t i = 0; i < sizeof w / sizeof *w; i++) {
        blocks.weights += tub__weight_elements(w[i].rows, w[i].cols);
    }
    call->be->ops->blocks_begin(call->be, &blocks);
}

/* A single sample may have so few rows that calling the workers together for every block would cost
 * more than some blocks: where the backend finds so, they are called once for all. */
static bool all_blocks_at_once(const tub__call *call) {
    return call->samples == 1 && !call->training && !call->dropout;
}

static tub__pattern all_tokens(const tub__pass *pass) {
    return (tub__pattern){
        .groups = 1, .length = pass->tokens, .group_stride = pass->tokens, .token_stride = 1};
}

static void block_forward(const tub__pass *pass, const tub__call *call, size_t l, size_t rows) {
    const tub__pattern pattern = all_tokens(pass);
    const bool last = l + 1 == (size_t)pass->model->config.layers;
    const tub__block *b = &pass->blocks[l];
    const tub__mat h = tub__first_rows(b->x, rows), middle = tub__first_rows(b->middle, rows);
    const tub__mat next = tub__first_rows(last ? pass->end : b[1].x, rows);
    tub__attention_layer_forward(call, &b->attention, &b->norm1, &pattern, h, middle,
                                 b->mlp.first.w);
    tub__mlp_forward(call, &b->mlp, &b->norm2, middle, next,
                     last ? (tub__weight){0} : tub__attention_layer_first(&b[1].attention));
}

static void blocks_forward(const tub__pass *pass, const tub__call *call, size_t rows) {
    const bool together = all_blocks_at_once(call);
    for (size_t l = 0; l < (size_t)pass->model->config.layers; l++) {
        if (!together) {
            blocks_begin(pass, call, &pass->blocks[l], TUB__GROUP);
        }
        block_forward(pass, call, l, rows);
        if (!together) {
            call->be->ops->blocks_end(call->be);
        }
    }
}

void tub__joint_forward(tub__pass *pass, const tub__call *call, tub_dtype dtype, const void *x) {
    const size_t rows = call->samples * pass->tokens;
    const tub__mat tokens = tub__first_rows(pass->blocks[0].x, rows);
    const bool together = all_blocks_at_once(call), cut_too = !pass->embedding.class_token;
    if (together && cut_too) {
        blocks_begin(pass, call, pass->blocks, TUB__GROUP);
    }
    tub__embedding_forward(call, &pass->embedding, dtype, x, tokens);
    if (together && !cut_too) {
        blocks_begin(pass, call, pass->blocks, TUB__GROUP);
    }
    blocks_forward(pass, call, rows);
    if (together) {
        call->be->ops->blocks_end(call->be);
    }
    tub__head_forward(call, &pass->head, tub__first_rows(pass->end, rows));
}

/* Samples done together in the backward pass: each product transposes its weight once for them. */
enum { BACKWARD_BLOCK = 2 * TUB__GROUP };

/* d: the gradient of what the block gave; left: room for that of what it got. Gradients of the
 * weights come last: they need all samples, the rest only its own. */
static void block_backward(const tub__pass *pass, const tub__call *call, const tub__block *b,
                           tub__mat d, tub__mat left) {
    const tub__pattern pattern = all_tokens(pass);
    const tub__mat h = tub__first_rows(b->x, d.rows), middle = tub__first_rows(b->middle, d.rows),
                   normed1 = tub__first_rows(pass->normed1, d.rows),
                   normed2 = tub__first_rows(pass->normed2, d.rows),
                   dmiddle = tub__first_rows(pass->dmiddle, d.rows),
                   dnormed = tub__first_rows(pass->dnormed, d.rows);
    blocks_begin(pass, call, b, BACKWARD_BLOCK);
    tub__mlp_backward(call, &b->mlp, d, dnormed);
    tub__layer_norm_backward(call, &b->norm2, middle, dnormed, d, dmiddle);
    tub__layer_norm_again(call, &b->norm2, middle, normed2);
    tub__attention_layer_backward(call, &b->attention, &pattern, dmiddle, dnormed);
    tub__layer_norm_backward(call, &b->norm1, h, dnormed, dmiddle, left);
    tub__layer_norm_again(call, &b->norm1, h, normed1);
    call->be->ops->blocks_end(call->be);
    call->be->ops->blocks_begin(call->be, &(tub__blocks){.independent = true});
    tub__attention_layer_gradients(call, &b->attention, normed1, dmiddle);
    tub__mlp_gradients(call, &b->mlp, normed2, d);
    call->be->ops->blocks_end(call->be);
}

/* What the forward pass of a block made and a later block has written over. */
static void block_again(const tub__pass *pass, const tub__call *call, const tub__block *b,
                        size_t rows) {
    const tub__pattern pattern = all_tokens(pass);
    const tub__mat h = tub__first_rows(b->x, rows), middle = tub__first_rows(b->middle, rows);
    blocks_begin(pass, call, b, TUB__GROUP);
    tub__attention_layer_forward(call, &b->attention, &b->norm1, &pattern, h, middle,
                                 b->mlp.first.w);
    tub__mlp_again(call, &b->mlp, &b->norm2, middle, tub__first_rows(pass->dnormed, rows));
    call->be->ops->blocks_end(call->be);
}

void tub__joint_backward(tub__pass *pass, const tub__call *call) {
    const size_t rows = call->samples * pass->tokens;
    tub__mat d = tub__first_rows(pass->dtokens[0], rows),
             left = tub__first_rows(pass->dtokens[1], rows);
    tub__head_backward(call, &pass->head, tub__first_rows(pass->end, rows), d);
    const size_t layers = (size_t)pass->model->config.layers;
    for (size_t l = layers; l-- > 0;) {
        if (pass->config.recompute && l + 1 < layers) {
            block_again(pass, call, &pass->blocks[l], rows);
        }
        block_backward(pass, call, &pass->blocks[l], d, left);
        const tub__mat last = d;
        d = left, left = last;
    }
    tub__embedding_backward(call, &pass->embedding, d);
}
