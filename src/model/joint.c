/* SPDX-License-Identifier: Apache-2.0 */
/* Variant 1 of the paper: all tokens of a sample attend to each other in every block. */
#include "model/variant.h"

tub__variant_shape tub__joint_shape(const tub_model_config *config, const tub__geometry *g) {
    const bool token = config->pooling == TUB_POOL_CLASS_TOKEN;
    const size_t tokens = tub__geometry_tokens(g) + token;
    return (tub__variant_shape){.towers = 1,
                                .tower = {{.sequences = 1,
                                           .tokens = tokens,
                                           .class_token = token,
                                           .layers = (size_t)config->layers,
                                           .attentions = 1,
                                           .parts = 1,
                                           .pattern = {tub__pattern_whole(1, tokens)}}}};
}
