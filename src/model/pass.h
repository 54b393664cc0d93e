/* SPDX-License-Identifier: Apache-2.0 */
/* The insides of a pass: the layers of one model with their memory, between the driver and the
 * wiring of its towers and blocks. */
#ifndef TUB__MODEL_PASS_H
#define TUB__MODEL_PASS_H

#include "model/family.h"
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
    bool recompute;   /* of what a block makes only the last block's is there for backward */
    tub__watch watch; /* of the blocks, when they have been gone back over */
    tub__mat end;     /* [M, D] tokens leaving the last block */
    /* [M, D] each: output of a block's norms, made again in backward (all but the first in training
     * only; in inference the first is attention's output, and in both the pooler's norm); gradients
     * of the tokens between two blocks, of those within a block, of a norm's output. */
    tub__mat normed[TUB__ATTENTIONS + 1], dtokens[2], dmiddle[TUB__ATTENTIONS], dnormed;
} tub__tower;

/* ---- the baselines: what stands before their towers, if any, and their head ---- */

/* Voxels as rows of channels, the places of convolutions. */
typedef struct tub__voxels {
    tub__mat rows;  /* [B places, C], kept */
    tub__mat drows; /* scratch, for the input's gradient only */
    void *dinput;   /* [B, T,H,W,C], or NULL */
} tub__voxels;

/* A stage of convolutions frame by frame. */
typedef struct tub__cnn_stage {
    tub__conv_layer conv;
    tub__window pool;
    tub__mat made;   /* what the convolution gives; kept, in inference shared by all stages */
    tub__mat pooled; /* likewise, shared by every other stage */
} tub__cnn_stage;

/* cnn.c: convolutions over frames, each pooled to one row of features. */
typedef struct tub__cnn {
    size_t stages;
    tub__cnn_stage stage[TUB__STAGES];
    tub__mat features, dfeatures; /* [B T, F] */
    tub__dense projection;        /* of cnn-transformer: to its tower's width */
    tub__mat projected, dprojected;
    tub__gru_layer gru; /* of cnn-rnn */
    tub__mat dlast;     /* [B, U]: the gradient of its last states */
    /* Gradients of what a stage made and pooled. */
    void *dmade, *dpooled;
} tub__cnn;

/* A convolution of the residual network with its batch norm. */
typedef struct tub__resnet_conv {
    tub__conv_layer conv;
    tub__batch_norm_layer norm;
    tub__mat made; /* what the convolution gives, kept in training */
} tub__resnet_conv;

/* resnet.c. Memory for rows of any shape that occurs is `room`; a view is made of one for what is in it. */
typedef struct tub__resnet {
    size_t convs, stages;
    tub__resnet_conv conv[TUB__CONVS];
    tub__mat end[1 + 2 * TUB__STAGES]; /* what leaves the first convolution, and each block: kept */
    /* Training: what a block has between its convolutions, its shortcut, and three gradients. Inference:
     * what enters a block and what it makes take turns. */
    void *room[5];
    tub__mat pooled, dpooled; /* [B, C] */
} tub__resnet;

struct tub__pass {
    tub_model *model;
    tub__backend *be;
    tub__pass_config config;
    tub_allocator allocator;
    tub__embedding embedding;
    size_t towers;
    tub__tower tower[TUB__TOWERS];
    tub__block *blocks; /* of all towers */
    tub__voxels voxels; /* of a baseline, which has one of these besides */
    tub__cnn cnn;
    tub__resnet resnet;
    tub__head head;
    tub__mat probabilities; /* [B, K] */
    void *losses;           /* [B] */
    void *heads;            /* room for tub__pass_heads */
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
/* In a training pass that recomputes: what the block made on its way and a later one has written over,
 * from what entered it. */
void tub__block_again(const tub__call *call, const tub__tower *tower, const tub__block *b,
                      size_t rows);
/* d: the gradient of what the block gave; left: room for that of what it got. */
void tub__block_backward(const tub__call *call, const tub__tower *tower, const tub__block *b,
                         tub__mat d, tub__mat left);
/* Begins a region of a block's operations on rows, some samples at a time. */
void tub__block_begin(const tub__call *call, const tub__tower *tower);

/* ---- tower.c: a stack of blocks between its tokens and its pooled rows ---- */

/* The first tower, from clips. */
void tub__first_tower_forward(const tub__call *call, const tub__tower *tower,
                              const tub__embedding *embedding, tub_dtype dtype, const void *x);
/* Another, from the rows [samples * N, D] that the one before it pooled. */
void tub__next_tower_forward(const tub__call *call, const tub__tower *tower, tub__mat x);
/* From pooler.dpooled to the gradient of the tokens that entered the first block (of a tower without
 * layers: of the rows that it pooled), whose place is returned. */
tub__mat tub__tower_backward(const tub__call *call, const tub__tower *tower);
/* Without gradients: block after block from the last one on, with what it makes on its way. */
void tub__tower_again(const tub__call *call, const tub__tower *tower);
/* The same, on to dx: the gradient of next_tower_forward's x. */
void tub__next_tower_backward(const tub__call *call, const tub__tower *tower, tub__mat dx);

/* ---- cnn.c and resnet.c: the baselines, from clips to what the head takes and back ---- */

/* Places of all samples from clips. */
void tub__voxels_forward(const tub__call *call, const tub__pass *pass, tub_dtype dtype,
                         const void *x);
/* From the gradient of those rows to that of the clips. */
void tub__voxels_backward(const tub__call *call, const tub__pass *pass);
/* What the head takes, [samples, ...]; and from dx, which is the gradient of that, to all others. */
tub__mat tub__cnn_forward(const tub__call *call, const tub__pass *pass);
tub__mat tub__cnn_output(const tub__call *call, const tub__pass *pass);
tub__mat tub__cnn_doutput(const tub__call *call, const tub__pass *pass);
void tub__cnn_backward(const tub__call *call, const tub__pass *pass);
tub__mat tub__resnet_forward(const tub__call *call, const tub__pass *pass);
void tub__resnet_backward(const tub__call *call, const tub__pass *pass);

/* The tower that has layer l of the model; a layer that is none ends the last tower. */
tub__tower *tub__pass_tower_of(tub__pass *pass, size_t layer);

/* Gives every layer of the pass its views: of the parameters, and of activations taken from the
 * arena. A measuring arena only counts. */
void tub__pass_layout(tub__pass *pass, tub__arena *arena);

#endif
