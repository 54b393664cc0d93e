/* SPDX-License-Identifier: Apache-2.0 */
/* The shape of a configuration's variant, and the patterns that variants are made from. */
#include "model/variant.h"

#include "model/family.h"
#include "model/model.h"

/* A transformer over the frames, or none. */
static tub__variant_shape family_shape(const tub_model_config *c) {
    const bool token = c->pooling == TUB_POOL_CLASS_TOKEN;
    const size_t tokens = tub__family_frames(c) + token;
    if (c->family != TUB_FAMILY_CNN_TRANSFORMER) {
        return (tub__variant_shape){.towers = 0};
    }
    return (tub__variant_shape){.towers = 1,
                                .tower = {{.sequences = 1,
                                           .tokens = tokens,
                                           .class_token = token,
                                           .layers = (size_t)c->layers,
                                           .attentions = 1,
                                           .parts = 1,
                                           .pattern = {tub__pattern_whole(1, tokens)}}}};
}

tub__variant_shape tub__variant_shape_of(const tub_model_config *config) {
    const tub__geometry g = tub__model_geometry(config);
    if (config->family != TUB_FAMILY_VIVIT) {
        return family_shape(config);
    }
    switch (config->variant) {
    case TUB_VARIANT_FACTORISED_ENCODER:
        return tub__encoder_shape(config, &g);
    case TUB_VARIANT_FACTORISED_SELF_ATTENTION:
        return tub__self_attention_shape(config, &g);
    case TUB_VARIANT_FACTORISED_DOT_PRODUCT:
        return tub__dot_product_shape(config, &g);
    case TUB_VARIANT_JOINT:
        break;
    }
    return tub__joint_shape(config, &g);
}

tub__pattern tub__pattern_whole(size_t sequences, size_t tokens) {
    return (tub__pattern){
        .groups = sequences, .length = tokens, .group_stride = tokens, .token_stride = 1};
}

tub__pattern tub__pattern_time(const tub__geometry *g) {
    const size_t places = g->grid[1] * g->grid[2];
    return (tub__pattern){
        .groups = places, .length = g->grid[0], .group_stride = 1, .token_stride = places};
}

tub__pattern tub__pattern_space(const tub__geometry *g) {
    return tub__pattern_whole(g->grid[0], g->grid[1] * g->grid[2]);
}

size_t tub__variant_tower_of(const tub__variant_shape *shape, size_t layer) {
    return shape->towers > 1 && layer >= shape->tower[0].layers ? 1 : 0;
}

size_t tub__variant_layers(const tub__variant_shape *shape) {
    size_t layers = 0;
    for (size_t i = 0; i < shape->towers; i++) {
        layers += shape->tower[i].layers;
    }
    return layers;
}
