/* SPDX-License-Identifier: Apache-2.0 */
/* Variant 3 of the paper: in every block one attention over time and one over space, each with its
 * weights and its norm, then the MLP. */
#include "model/variant.h"

tub__variant_shape tub__self_attention_shape(const tub_model_config *config,
                                             const tub__geometry *g) {
    const bool time_first = config->attention_order == TUB_ORDER_TIME_SPACE;
    const tub__pattern time = tub__pattern_time(g), space = tub__pattern_space(g);
    return (tub__variant_shape){
        .towers = 1,
        .tower = {{.sequences = 1,
                   .tokens = tub__geometry_tokens(g),
                   .layers = (size_t)config->layers,
                   .attentions = 2,
                   .parts = 1,
                   .pattern = {time_first ? time : space, time_first ? space : time}}}};
}
