/* SPDX-License-Identifier: Apache-2.0 */
/* Model configurations compared value by value: a struct has padding, and some values have two ways to
 * be said. */
#ifndef TEST_SAME_CONFIG_H
#define TEST_SAME_CONFIG_H

#include <string.h>
#include <tubelet/model.h>

/* Returns the name of the first value that differs, or "". */
static inline const char *config_difference(const tub_model_config *a, const tub_model_config *b) {
#define SAME(field)                                                                                \
    if (a->field != b->field) {                                                                    \
        return #field;                                                                             \
    }
    SAME(frames)
    SAME(height)
    SAME(width)
    SAME(channels)
    for (int i = 0; i < 3; i++) {
        SAME(tubelet[i])
        if ((a->stride[i] == 0 ? a->tubelet[i] : a->stride[i]) !=
            (b->stride[i] == 0 ? b->tubelet[i] : b->stride[i])) {
            return "stride";
        }
    }
    SAME(hidden)
    SAME(heads)
    SAME(layers)
    SAME(mlp)
    SAME(classes)
    SAME(gelu)
    SAME(mlp_output_gelu)
    SAME(qkv_bias)
    SAME(pooling)
    SAME(norm_epsilon)
    SAME(attention_dropout)
    SAME(dropout)
    SAME(mlp_dropout)
    SAME(drop_layer)
    SAME(drop_layer_rescale)
    if ((a->task <= TUB_TASK_MULTI_CLASS ? 0 : a->task) !=
        (b->task <= TUB_TASK_MULTI_CLASS ? 0 : b->task)) {
        return "task";
    }
    if (memcmp(a->head_classes, b->head_classes, sizeof a->head_classes) != 0) {
        return "head_classes";
    }
    SAME(attention_init)
    SAME(input_scale)
    SAME(variant)
    if (a->variant == TUB_VARIANT_FACTORISED_ENCODER) {
        SAME(temporal_layers)
    } else if (a->variant == TUB_VARIANT_FACTORISED_SELF_ATTENTION) {
        SAME(attention_order)
    }
    SAME(sampled_frames)
    SAME(positions)
    SAME(head_init)
    SAME(representation)
#undef SAME
    return "";
}

#define assert_same_config(a, b) assert_string_equal(config_difference(a, b), "")

#endif
