/* SPDX-License-Identifier: Apache-2.0 */
/* A model configuration to config.json. */
#include "convert/config_json.h"

#include <assert.h>

#include "base/error.h"
#include "convert/config_words.h"

static void put_integers(tub__json_writer *w, const char *key, int count, const int64_t *values) {
    tub__json_open_array(w, key);
    for (int i = 0; i < count; i++) {
        tub__json_put_integer(w, NULL, values[i]);
    }
    tub__json_close_array(w);
}

static int heads_of(const tub_model_config *c) {
    int heads = 0;
    while (heads < TUB_HEAD_LIMIT && c->head_classes[heads] != 0) {
        heads++;
    }
    return heads;
}

static void put_quantization(tub__json_writer *w) {
    tub__json_open_object(w, "quantization");
    tub__json_put_integer(w, "bits", TUB__QUANTIZED_BITS);
    tub__json_put_text(w, "scales", TUB__QUANTIZED_SCALES);
    tub__json_put_bool(w, "symmetric", true);
    tub__json_close_object(w);
}

/* hidden_dropout_prob is both rates of elements at once: own keys are for those that differ. */
static double hidden_dropout(const tub_model_config *c) {
    return c->dropout == c->mlp_dropout ? c->dropout : 0.0;
}

static void put_drops(tub__json_writer *w, const tub_model_config *c) {
    if (c->drop_layer > 0) {
        tub__json_put_real(w, "drop_layer", c->drop_layer);
        tub__json_put_bool(w, "drop_layer_rescale", c->drop_layer_rescale != 0);
    }
    if (c->dropout != c->mlp_dropout) {
        tub__json_put_real(w, "dropout", c->dropout);
    }
}

/* Keys that not every model has: only where they say something. */
static void put_number(tub__json_writer *w, const char *key, int64_t value) {
    if (value != 0) {
        tub__json_put_integer(w, key, value);
    }
}

static void put_tubelet(tub__json_writer *w, const tub_model_config *c, bool int8) {
    const int64_t stride[3] = {tub__config_stride(c, 0), tub__config_stride(c, 1),
                               tub__config_stride(c, 2)};
    tub__json_open_object(w, "tubelet");
    tub__json_put_text(w, "attention_init",
                       tub__choice_name(tub__attention_inits, (int)c->attention_init));
    if (c->variant == TUB_VARIANT_FACTORISED_SELF_ATTENTION) {
        tub__json_put_text(w, "attention_order",
                           tub__choice_name(tub__attention_orders, (int)c->attention_order));
    }
    put_drops(w, c);
    if (c->family != TUB_FAMILY_VIVIT) {
        tub__json_put_text(w, "family", tub__choice_name(tub__families, (int)c->family));
    }
    put_number(w, "filters", c->filters);
    tub__json_put_integer(w, "format", TUB__CONFIG_FORMAT);
    tub__json_put_text(w, "gelu", tub__choice_name(tub__gelus, (int)c->gelu));
    if (c->task == TUB_TASK_MULTI_HEAD) {
        put_integers(w, "head_classes", heads_of(c), c->head_classes);
    }
    if (c->head_init != TUB_HEAD_GLOROT) {
        tub__json_put_text(w, "head_init", tub__choice_name(tub__head_inits, (int)c->head_init));
    }
    tub__json_put_text(w, "input_scale", tub__choice_name(tub__input_scales, (int)c->input_scale));
    if (c->dropout != c->mlp_dropout) {
        tub__json_put_real(w, "mlp_dropout", c->mlp_dropout);
    }
    tub__json_put_bool(w, "mlp_output_activation", c->mlp_output_gelu != 0);
    tub__json_put_text(w, "pooling", tub__choice_name(tub__poolings, (int)c->pooling));
    if (c->positions != TUB_POSITIONS_LEARNED) {
        tub__json_put_text(w, "positions",
                           tub__choice_name(tub__position_kinds, (int)c->positions));
    }
    if (int8) {
        put_quantization(w);
    }
    put_number(w, "representation", c->representation);
    put_number(w, "sampled_frames", c->sampled_frames);
    put_number(w, "stages", c->stages);
    if (c->task > TUB_TASK_MULTI_CLASS) {
        tub__json_put_text(w, "task", tub__choice_name(tub__tasks, (int)c->task));
    }
    if (c->variant == TUB_VARIANT_FACTORISED_ENCODER) {
        tub__json_put_integer(w, "temporal_layers", c->temporal_layers);
    }
    put_integers(w, "tubelet_stride", 3, stride);
    put_number(w, "units", c->units);
    tub__json_put_text(w, "variant", tub__choice_name(tub__variants, (int)c->variant));
    tub__json_close_object(w);
}

static void put_image_size(tub__json_writer *w, const tub_model_config *c) {
    if (c->height == c->width) {
        tub__json_put_integer(w, "image_size", c->height);
    } else {
        put_integers(w, "image_size", 2, (const int64_t[2]){c->height, c->width});
    }
}

/* Keys in alphabetical order, as transformers writes them, but for label2id, which stands beside
 * id2label. */
static tub_status put_config(const tub_allocator *a, tub__json_writer *w, const tub_model_config *c,
                             bool int8, bool encoder, const char *const *labels, tub_error *err) {
    bool vivit = tub__config_is_vivit(c) && !int8;
    tub__json_open_object(w, NULL);
    tub__json_open_array(w, "architectures");
    tub__json_put_text(w, NULL,
                       encoder                         ? TUB__CLASS_ENCODER
                       : vivit                         ? TUB__CLASS_CLASSIFIER
                       : c->family != TUB_FAMILY_VIVIT ? "TubeletBaselineForVideoClassification"
                                                       : "TubeletVivitForVideoClassification");
    tub__json_close_array(w);
    tub__json_put_real(w, "attention_probs_dropout_prob", c->attention_dropout);
    tub__json_put_text(w, "hidden_act", tub__choice_name(tub__activations, (int)c->gelu));
    tub__json_put_real(w, "hidden_dropout_prob", hidden_dropout(c));
    tub__json_put_integer(w, "hidden_size", c->hidden);
    TUB__TRY(tub__labels_to_json(a, w, c->classes, labels, err));
    put_image_size(w, c);
    tub__json_put_real(w, "initializer_range", 0.02);
    tub__json_put_integer(w, "intermediate_size", c->mlp);
    tub__json_put_real(w, "layer_norm_eps", c->norm_epsilon);
    tub__json_put_text(w, "model_type",
                       c->family != TUB_FAMILY_VIVIT ? TUB__TYPE_BASELINE
                       : vivit                       ? TUB__TYPE_VIVIT
                                                     : TUB__TYPE_TUBELET);
    tub__json_put_integer(w, "num_attention_heads", c->heads);
    tub__json_put_integer(w, "num_channels", c->channels);
    tub__json_put_integer(w, "num_frames", c->frames);
    tub__json_put_integer(w, "num_hidden_layers", c->layers);
    tub__json_put_bool(w, "qkv_bias", c->qkv_bias != 0);
    tub__json_put_text(w, "torch_dtype", "float32");
    put_tubelet(w, c, int8);
    put_integers(w, "tubelet_size", 3, c->tubelet);
    tub__json_close_object(w);
    return TUB_OK;
}

static tub_status to_json(const tub_allocator *a, const tub_model_config *config, bool int8,
                          bool encoder, const char *const *labels, char **text, size_t *size,
                          tub_error *err) {
    tub__json_writer w;
    tub__json_start(&w, a, 2);
    tub_status status = put_config(a, &w, config, int8, encoder, labels, err);
    if (status != TUB_OK) {
        tub__json_discard(&w);
        return status;
    }
    return tub__json_finish(&w, text, size, err);
}

tub_status tub__config_to_json(const tub_allocator *a, const tub_model_config *config, bool int8,
                               const char *const *labels, char **text, size_t *size,
                               tub_error *err) {
    return to_json(a, config, int8, false, labels, text, size, err);
}

tub_status tub__encoder_to_json(const tub_allocator *a, const tub_model_config *config,
                                const char *const *labels, char **text, size_t *size,
                                tub_error *err) {
    assert(tub__config_is_vivit(config));
    return to_json(a, config, false, true, labels, text, size, err);
}
