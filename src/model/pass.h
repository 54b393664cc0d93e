/* SPDX-License-Identifier: Apache-2.0 */
/* The insides of a pass: the layers of one model with their memory, between the driver and the
 * wiring of its towers and blocks. */
#ifndef TUB__MODEL_PASS_H
#define TUB__MODEL_PASS_H

#include "model/model.h"
#include "model/variant.h"
#include "nn/nn.h"

/* Attentions of a block, at most. */
enum { TUB__ATTENTIONS = TUB__PATTERNS };

/* One transformer block: norm, attention, add, once or twice, then norm, MLP, add. */
typedef struct tub__block {
    size_t attentions;
    tub__attention_layer attention[TUB__ATTENTIONS];
    tub__mlp mlp;
    tub__layer_norm norm[TUB__ATTENTIONS + 1]; /* before each attention, and before the MLP */
    /* [M, D] each: what those norms get; the first is what enters the block. Kept in training, else
     * shared by all blocks. */
    tub__mat x[TUB__ATTENTIONS + 1];
} tub__block;

/* One transformer with its memory. M: rows of all samples. */
typedef struct tub__tower {
    tub__tower_shape shape;
    tub__positions positions; /* of a second tower: the first one's are the embedding's */
    tub__block *blocks;       /* [layers] */
    tub__pooler pooler;
    tub__mat end; /* [M, D] tokens leaving the last block */
    /* [M, D] each: output of a block's norms, made again in backward (all but the first in training
     * only; in inference the first is attention's output, and in both the pooler's norm); gradients
     * of the tokens between two blocks, of those within a block, of a norm's output. */
    tub__mat normed[TUB__ATTENTIONS + 1], dtokens[2], dmiddle[TUB__ATTENTIONS], dnormed;
} tub__tower;

struct tub__pass {
    tub_model *model;
    tub__backend *be;
    tub__pass_config config;
    tub_allocator allocator;
    tub__embedding embedding;
    size_t towers;
    tub__tower tower[TUB__TOWERS];
    tub__block *blocks; /* of all towers */
    tub__head head;
    tub__mat probabilities; /* [B, K] */
    void *losses;           /* [B] */
    void *slab;             /* activations */
    void *gradients;        /* slab; training only */
    size_t samples;         /* of the last forward pass */
    tub__dropout dropout;   /* of the last forward pass */
    bool drops;             /* it dropped anything at random */
};

/* ---- block.c: one block, whatever its variant ---- */

/* h: what the block gives. next: the weight of the product that follows, as in tub__linear. */
void tub__block_forward(const tub__call *call, const tub__block *b, size_t rows, tub__mat h,
                        tub__weight next);
/* d: the gradient of what the block gave; left: room for that of what it got. */
void tub__block_backward(const tub__call *call, const tub__tower *tower, const tub__block *b,
                         tub__mat d, tub__mat left);
/* Begins a region of a block's operations on rows, so many samples at a time. */
void tub__block_begin(const tub__call *call, const tub__tower *tower, size_t samples);

/* ---- tower.c: a stack of blocks between its tokens and its pooled rows ---- */

/* The first tower, from clips. */
void tub__first_tower_forward(const tub__call *call, const tub__tower *tower,
                              const tub__embedding *embedding, tub_dtype dtype, const void *x);
/* Another, from the rows [samples * N, D] that the one before it pooled. */
void tub__next_tower_forward(const tub__call *call, const tub__tower *tower, tub__mat x);
/* From pooler.dpooled to the gradient of the tokens that entered the first block (of a tower without
 * layers: of the rows that it pooled), whose place is returned. */
tub__mat tub__tower_backward(const tub__call *call, const tub__tower *tower);
/* The same, on to dx: the gradient of next_tower_forward's x. */
void tub__next_tower_backward(const tub__call *call, const tub__tower *tower, tub__mat dx);

/* Gives every layer of the pass its views: of the parameters, and of activations taken from the
 * arena. A measuring arena only counts. */
void tub__pass_layout(tub__pass *pass, tub__arena *arena);

#endif
