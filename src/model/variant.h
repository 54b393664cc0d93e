/* SPDX-License-Identifier: Apache-2.0 */
/* What the variants of ViViT differ in: which sequences of tokens there are, and which tokens of a
 * sequence see each other. All else is common. */
#ifndef TUB__MODEL_VARIANT_H
#define TUB__MODEL_VARIANT_H

#include "nn/nn.h"

/* Patterns of a block's attentions, at most. */
enum { TUB__PATTERNS = 2 };

/* A transformer: blocks over sequences of tokens, then a norm and pooling to one row a sequence. */
typedef struct tub__tower_shape {
    size_t sequences; /* of a sample */
    size_t tokens;    /* of a sequence, class token included */
    bool class_token;
    size_t layers;     /* 0, of a second tower only: no norm either, and the pooling is the mean */
    size_t first;      /* number of its first layer in the parameter table */
    size_t attentions; /* of a block, one after the other */
    size_t parts;      /* of an attention's heads, each with its own pattern */
    tub__pattern pattern[TUB__PATTERNS]; /* [attentions * parts] */
} tub__tower_shape;

/* The towers of a model: each takes what the one before it pooled. */
enum { TUB__TOWERS = 2 };
typedef struct tub__variant_shape {
    size_t towers;
    tub__tower_shape tower[TUB__TOWERS];
} tub__variant_shape;

/* Whether a class token has a place there: the others have no token that is at no time and nowhere. */
bool tub__variant_takes_token(tub_variant variant);
/* Of a checked configuration. */
tub__variant_shape tub__variant_shape_of(const tub_model_config *config);

/* One file each. */
tub__variant_shape tub__joint_shape(const tub_model_config *config, const tub__geometry *g);
tub__variant_shape tub__encoder_shape(const tub_model_config *config, const tub__geometry *g);
tub__variant_shape tub__self_attention_shape(const tub_model_config *config,
                                             const tub__geometry *g);
tub__variant_shape tub__dot_product_shape(const tub_model_config *config, const tub__geometry *g);

/* All tokens of a sequence see each other: one group for each sequence of a sample. */
tub__pattern tub__pattern_whole(size_t sequences, size_t tokens);
/* Tokens that share a place, and tokens that share a time index, of a grid without class token. */
tub__pattern tub__pattern_time(const tub__geometry *g);
tub__pattern tub__pattern_space(const tub__geometry *g);

/* The number of the tower that has a layer of the model. */
size_t tub__variant_tower_of(const tub__variant_shape *shape, size_t layer);
/* Layers of all towers. */
size_t tub__variant_layers(const tub__variant_shape *shape);
/* Tokens of a sample in a tower. */
static inline size_t tub__tower_rows(const tub__tower_shape *t) {
    return t->sequences * t->tokens;
}

#endif
