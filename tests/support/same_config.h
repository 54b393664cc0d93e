/* SPDX-License-Identifier: Apache-2.0 */
/* Model configurations compared value by value: a struct has padding, and some values have two ways to
 * be said. */
#ifndef TEST_SAME_CONFIG_H
#define TEST_SAME_CONFIG_H

#include "cmocka_all.h"

#include <tubelet/model.h>

static inline void assert_same_config(const tub_model_config *a, const tub_model_config *b) {
    assert_int_equal(a->frames, b->frames);
    assert_int_equal(a->height, b->height);
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->channels, b->channels);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(a->tubelet[i], b->tubelet[i]);
        assert_int_equal(a->stride[i] == 0 ? a->tubelet[i] : a->stride[i],
                         b->stride[i] == 0 ? b->tubelet[i] : b->stride[i]);
    }
    assert_int_equal(a->hidden, b->hidden);
    assert_int_equal(a->heads, b->heads);
    assert_int_equal(a->layers, b->layers);
    assert_int_equal(a->mlp, b->mlp);
    assert_int_equal(a->classes, b->classes);
    assert_int_equal(a->gelu, b->gelu);
    assert_int_equal(a->mlp_output_gelu, b->mlp_output_gelu);
    assert_int_equal(a->qkv_bias, b->qkv_bias);
    assert_int_equal(a->pooling, b->pooling);
    assert_true(a->norm_epsilon == b->norm_epsilon);
    assert_true(a->attention_dropout == b->attention_dropout);
    assert_true(a->dropout == b->dropout && a->mlp_dropout == b->mlp_dropout);
    assert_true(a->drop_layer == b->drop_layer);
    assert_int_equal(a->drop_layer_rescale, b->drop_layer_rescale);
    assert_int_equal(a->task <= TUB_TASK_MULTI_CLASS ? 0 : a->task,
                     b->task <= TUB_TASK_MULTI_CLASS ? 0 : b->task);
    assert_memory_equal(a->head_classes, b->head_classes, sizeof a->head_classes);
    assert_int_equal(a->attention_init, b->attention_init);
    assert_int_equal(a->input_scale, b->input_scale);
    assert_int_equal(a->variant, b->variant);
    if (a->variant == TUB_VARIANT_FACTORISED_ENCODER) {
        assert_int_equal(a->temporal_layers, b->temporal_layers);
    } else if (a->variant == TUB_VARIANT_FACTORISED_SELF_ATTENTION) {
        assert_int_equal(a->attention_order, b->attention_order);
    }
    assert_int_equal(a->sampled_frames, b->sampled_frames);
    assert_int_equal(a->positions, b->positions);
    assert_int_equal(a->head_init, b->head_init);
    assert_int_equal(a->representation, b->representation);
}

#endif
