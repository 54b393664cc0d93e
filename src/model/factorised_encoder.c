/* SPDX-License-Identifier: Apache-2.0 */
/* Variant 2 of the paper: a spatial transformer over the tokens of each time index, and a temporal
 * one over what it makes of them. Each has its class token, positions and norm. */
#include "model/variant.h"

tub__variant_shape tub__encoder_shape(const tub_model_config *config, const tub__geometry *g) {
    const bool token = config->pooling == TUB_POOL_CLASS_TOKEN,
               temporal = config->temporal_layers > 0;
    const size_t frames = g->grid[0], places = g->grid[1] * g->grid[2] + token,
                 times = frames + (temporal && token);
    return (tub__variant_shape){.towers = 2,
                                .tower = {{.sequences = frames,
                                           .tokens = places,
                                           .class_token = token,
                                           .layers = (size_t)config->layers,
                                           .attentions = 1,
                                           .parts = 1,
                                           .pattern = {tub__pattern_whole(frames, places)}},
                                          {.sequences = 1,
                                           .tokens = times,
                                           .class_token = temporal && token,
                                           .layers = (size_t)config->temporal_layers,
                                           .first = (size_t)config->layers,
                                           .attentions = 1,
                                           .parts = 1,
                                           .pattern = {tub__pattern_whole(1, times)}}}};
}
