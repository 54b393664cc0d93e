/* SPDX-License-Identifier: Apache-2.0 */
/* One transformer, forward and backward: tokens, blocks, norm and pooling. */
#include "model/pass.h"

/* A single sample may have so few rows that calling the workers together for every block would cost
 * more than some blocks: where the backend finds so, they are called once for all. */
static bool all_blocks_at_once(const tub__call *call) {
    return call->samples == 1 && !call->training && !call->dropout;
}

/* Rows of all samples. */
static size_t rows_of(const tub__call *call, const tub__tower *tower) {
    return call->samples * tub__tower_rows(&tower->shape);
}

static void block_forward(const tub__call *call, const tub__tower *tower, size_t l) {
    const bool last = l + 1 == tower->shape.layers;
    const tub__block *b = &tower->blocks[l];
    const size_t rows = rows_of(call, tower);
    tub__block_forward(call, b, rows, tub__first_rows(last ? tower->end : b[1].x[0], rows),
                       last ? (tub__weight){0} : tub__attention_layer_first(b[1].attention));
}

static void blocks_forward(const tub__call *call, const tub__tower *tower) {
    const bool together = all_blocks_at_once(call);
    for (size_t l = 0; l < tower->shape.layers; l++) {
        if (!together) {
            tub__block_begin(call, tower);
        }
        block_forward(call, tower, l);
        if (!together) {
            call->be->ops->blocks_end(call->be);
        }
    }
}

void tub__first_tower_forward(const tub__call *call, const tub__tower *tower,
                              const tub__embedding *embedding, tub_dtype dtype, const void *x) {
    const size_t rows = rows_of(call, tower);
    const tub__mat tokens = tub__first_rows(tower->blocks[0].x[0], rows);
    const bool together = all_blocks_at_once(call), cut_too = !tower->shape.class_token;
    if (together && cut_too) {
        tub__block_begin(call, tower);
    }
    tub__embedding_forward(call, embedding, dtype, x, tokens);
    if (together && !cut_too) {
        tub__block_begin(call, tower);
    }
    blocks_forward(call, tower);
    if (together) {
        call->be->ops->blocks_end(call->be);
    }
    tub__pooler_forward(call, &tower->pooler, tub__first_rows(tower->end, rows));
}

void tub__next_tower_forward(const tub__call *call, const tub__tower *tower, tub__mat x) {
    const size_t rows = rows_of(call, tower);
    if (tower->shape.layers == 0) {
        tub__pooler_forward(call, &tower->pooler, x);
        return;
    }
    tub__positions_forward(call, &tower->positions, x,
                           tub__first_rows(tower->blocks[0].x[0], rows));
    if (all_blocks_at_once(call)) {
        tub__block_begin(call, tower);
        blocks_forward(call, tower);
        call->be->ops->blocks_end(call->be);
    } else {
        blocks_forward(call, tower);
    }
    tub__pooler_forward(call, &tower->pooler, tub__first_rows(tower->end, rows));
}

/* What a block made on its way is there: of all but the last one of a tower that recomputes it is made
 * once more. */
static void block_at_hand(const tub__call *call, const tub__tower *tower, size_t l, size_t rows) {
    if (tower->recompute && l + 1 < tower->shape.layers) {
        tub__block_again(call, tower, &tower->blocks[l], rows);
    }
}

static void tell(const tub__tower *tower, size_t l) {
    if (tower->watch.fn) {
        tower->watch.fn(tower->watch.user, tower->shape.first + l);
    }
}

void tub__tower_again(const tub__call *call, const tub__tower *tower) {
    for (size_t l = tower->shape.layers; l-- > 0;) {
        block_at_hand(call, tower, l, rows_of(call, tower));
        tell(tower, l);
    }
}

/* From pooler.dpooled to d, then block after block, with turns in two places. */
static tub__mat backward_from(const tub__call *call, const tub__tower *tower, tub__mat d,
                              tub__mat left) {
    tub__pooler_backward(call, &tower->pooler, tub__first_rows(tower->end, d.rows), d);
    for (size_t l = tower->shape.layers; l-- > 0;) {
        block_at_hand(call, tower, l, d.rows);
        tub__block_backward(call, tower, &tower->blocks[l], d, left);
        tell(tower, l);
        const tub__mat last = d;
        d = left, left = last;
    }
    return d;
}

tub__mat tub__tower_backward(const tub__call *call, const tub__tower *tower) {
    const size_t rows = rows_of(call, tower);
    return backward_from(call, tower, tub__first_rows(tower->dtokens[0], rows),
                         tub__first_rows(tower->dtokens[1], rows));
}

void tub__next_tower_backward(const tub__call *call, const tub__tower *tower, tub__mat dx) {
    if (tower->shape.class_token) {
        tub__positions_backward(call, &tower->positions, tub__tower_backward(call, tower), dx);
        return;
    }
    /* Without class token the tokens are the rows of x: an even number of turns leads from dx to dx. */
    const tub__mat other = tub__first_rows(tower->dtokens[0], dx.rows);
    const bool even = tower->shape.layers % 2 == 0;
    tub__positions_backward(call, &tower->positions,
                            backward_from(call, tower, even ? dx : other, even ? other : dx), dx);
}
