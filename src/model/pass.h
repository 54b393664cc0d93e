/* SPDX-License-Identifier: Apache-2.0 */
/* The insides of a pass: the layers of one model with their memory, between the driver and the
 * variant's wiring. */
#ifndef TUB__MODEL_PASS_H
#define TUB__MODEL_PASS_H

#include "model/model.h"
#include "nn/nn.h"

/* One transformer block: norm, attention, add, norm, MLP, add. */
typedef struct tub__block {
    tub__layer_norm norm1, norm2;
    tub__attention_layer attention;
    tub__mlp mlp;
    tub__mat x; /* [M, D] tokens entering the block; kept in training, else shared by all blocks */
    tub__mat middle; /* [M, D] x + attention; shared likewise */
} tub__block;

struct tub__pass {
    tub_model *model;
    tub__backend *be;
    tub__pass_config config;
    tub_allocator allocator;
    size_t tokens; /* N, class token included */
    tub__embedding embedding;
    tub__block *blocks; /* [layers] */
    tub__head head;
    tub__mat end;           /* [M, D] tokens leaving the last block */
    tub__mat probabilities; /* [B, K] */
    /* [M, D] each: output of a block's norms, made again in backward (the second in training only;
     * in inference the first is attention's output, and in both the head's norm); gradients of the tokens between two blocks, of those in a block's middle, of a norm's output.
     */
    tub__mat normed1, normed2, dtokens[2], dmiddle, dnormed;
    void *losses;         /* [B] */
    void *slab;           /* activations */
    void *gradients;      /* slab; training only */
    size_t samples;       /* of the last forward pass */
    tub__dropout dropout; /* of the last forward pass */
    bool drops;           /* it dropped anything at random */
};

/* Variant 1, joint space-time attention: wiring over the layers. */
void tub__joint_forward(tub__pass *pass, const tub__call *call, tub_dtype dtype, const void *x);
void tub__joint_backward(tub__pass *pass, const tub__call *call);

/* Gives every layer of the pass its views: of the parameters, and of activations taken from the
 * arena. A measuring arena only counts. */
void tub__pass_layout(tub__pass *pass, tub__arena *arena);

#endif
