/* SPDX-License-Identifier: Apache-2.0 */
/* Variant 4 of the paper: the first half of an attention's heads sees the tokens of the same place,
 * the second half those of the same time index. Its arrays are those of variant 1. */
#include "model/variant.h"

tub__variant_shape tub__dot_product_shape(const tub_model_config *config, const tub__geometry *g) {
    return (tub__variant_shape){
        .towers = 1,
        .tower = {{.sequences = 1,
                   .tokens = tub__geometry_tokens(g),
                   .layers = (size_t)config->layers,
                   .attentions = 1,
                   .parts = 2,
                   .pattern = {tub__pattern_time(g), tub__pattern_space(g)}}}};
}
