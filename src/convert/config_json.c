/* SPDX-License-Identifier: Apache-2.0 */
/* A model configuration from config.json. */
#include "convert/config_json.h"

#include <string.h>

#include "base/error.h"
#include "convert/config_words.h"
#include "convert/vit_json.h"

/* Keys of the "tubelet" object. An unknown one could change what is computed, so it is an error. */
static const char *const tubelet_keys[] = {"format",
                                           "variant",
                                           "pooling",
                                           "gelu",
                                           "mlp_output_activation",
                                           "tubelet_stride",
                                           "attention_init",
                                           "input_scale",
                                           "positions",
                                           "quantization",
                                           "temporal_layers",
                                           "attention_order",
                                           "sampled_frames",
                                           "head_init",
                                           "representation",
                                           "dropout",
                                           "mlp_dropout",
                                           "drop_layer",
                                           "drop_layer_rescale",
                                           "task",
                                           "head_classes",
                                           "family",
                                           "filters",
                                           "stages",
                                           "units"};

const char *tub__config_vivit_lacks(const tub_model_config *c) {
    bool stride_is_kernel = true;
    for (int i = 0; i < 3; i++) {
        stride_is_kernel = stride_is_kernel && tub__config_stride(c, i) == c->tubelet[i];
    }
    return c->family != TUB_FAMILY_VIVIT           ? "is a transformer"
           : c->variant != TUB_VARIANT_JOINT       ? "has joint attention only"
           : c->task > TUB_TASK_MULTI_CLASS        ? "has one softmax"
           : c->pooling != TUB_POOL_CLASS_TOKEN    ? "classifies by a class token"
           : c->mlp_output_gelu                    ? "has no GELU behind its MLPs"
           : !stride_is_kernel                     ? "cuts tubelets side by side"
           : c->positions != TUB_POSITIONS_LEARNED ? "learns its positions"
           : c->sampled_frames != 0                ? "reads every frame"
           : c->representation != 0                ? "has no layer between encoder and classifier"
                                                   : NULL;
}

bool tub__config_is_vivit(const tub_model_config *c) {
    return tub__config_vivit_lacks(c) == NULL;
}

bool tub__config_is_encoder(const tub__json *root) {
    const tub__json *first = tub__json_at(tub__json_get(root, "architectures"), 0);
    const char *name;
    return first != NULL && tub__json_to_text(first, "architectures", &name, NULL) == TUB_OK &&
           strcmp(name, TUB__CLASS_ENCODER) == 0;
}

/* What a key means when it is left out: transformers' VivitConfig. */
static tub_model_config transformers_defaults(void) {
    return (tub_model_config){
        .size = sizeof(tub_model_config),
        .frames = 32,
        .height = 224,
        .width = 224,
        .channels = 3,
        .tubelet = {2, 16, 16},
        .hidden = 768,
        .heads = 12,
        .layers = 12,
        .mlp = 3072,
        .classes = 2,
        .gelu = TUB_GELU_TANH,
        .qkv_bias = 1,
        .pooling = TUB_POOL_CLASS_TOKEN,
        .norm_epsilon = 1e-6,
        .attention_init = TUB_INIT_GLOROT,
        .input_scale = TUB_SCALE_DIVIDE,
        .task = TUB_TASK_MULTI_CLASS,
    };
}

static tub_status read_integers(const tub__json *value, const char *key, size_t count, int64_t *out,
                                tub_error *err) {
    const tub__json *array;
    TUB__TRY(tub__json_to_array(value, key, &array, err));
    if (tub__json_size(array) != count) {
        return tub__fail(err, TUB_E_FORMAT, "%s: expected %zu whole numbers, found %zu values", key,
                         count, tub__json_size(array));
    }
    for (size_t i = 0; i < count; i++) {
        TUB__TRY(tub__json_to_integer(tub__json_at(array, i), key, &out[i], err));
    }
    return TUB_OK;
}

static tub_status opt_integers(const tub__json *o, const char *key, size_t count, int64_t *out,
                               tub_error *err) {
    const tub__json *value = tub__json_get(o, key);
    return value == NULL ? TUB_OK : read_integers(value, key, count, out, err);
}

static tub_status read_image_size(const tub__json *root, tub_model_config *c, tub_error *err) {
    const tub__json *value = tub__json_get(root, "image_size");
    int64_t size[2] = {c->height, c->width};
    if (value != NULL && tub__json_kind_of(value) == TUB__JSON_ARRAY) {
        TUB__TRY(read_integers(value, "image_size", 2, size, err));
    } else if (value != NULL) {
        TUB__TRY(tub__json_to_integer(value, "image_size", &size[0], err));
        size[1] = size[0];
    }
    c->height = size[0];
    c->width = size[1];
    return TUB_OK;
}

/* model_type and architectures: is this a ViViT classifier, or its encoder, at all? */
static tub_status read_model_type(const tub__json *root, bool *vivit, tub_error *err) {
    const char *type, *name = NULL;
    TUB__TRY(tub__json_get_text(root, "model_type", &type, err));
    *vivit = strcmp(type, TUB__TYPE_VIVIT) == 0;
    if (!*vivit && strcmp(type, TUB__TYPE_TUBELET) != 0 && strcmp(type, TUB__TYPE_BASELINE) != 0) {
        return tub__vit_is(root)
                   ? tub__fail(err, TUB_E_UNSUPPORTED,
                               "model_type: expected '%s' or '%s', found 'vit': a ViT of pictures, "
                               "from which a training can start",
                               TUB__TYPE_VIVIT, TUB__TYPE_TUBELET)
                   : tub__fail(err, TUB_E_UNSUPPORTED,
                               "model_type: expected '%s' or '%s' (or 'vit', to start a training "
                               "from), found '%s'",
                               TUB__TYPE_VIVIT, TUB__TYPE_TUBELET, type);
    }
    const tub__json *first = tub__json_at(tub__json_get(root, "architectures"), 0);
    if (*vivit && first != NULL) {
        TUB__TRY(tub__json_to_text(first, "architectures", &name, err));
        if (strcmp(name, TUB__CLASS_CLASSIFIER) != 0 && strcmp(name, TUB__CLASS_ENCODER) != 0) {
            return tub__fail(err, TUB_E_UNSUPPORTED, "architectures: expected '%s', found '%s'",
                             TUB__CLASS_CLASSIFIER, name);
        }
    }
    return TUB_OK;
}

static tub_status check_tubelet_keys(const tub__json *own, tub_error *err) {
    for (void *it = tub__json_first(own); it != NULL; it = tub__json_next(own, it)) {
        const char *key = tub__json_key(it);
        bool known = false;
        for (size_t i = 0; i < sizeof tubelet_keys / sizeof *tubelet_keys; i++) {
            known = known || strcmp(key, tubelet_keys[i]) == 0;
        }
        if (!known) {
            return tub__fail(err, TUB_E_UNSUPPORTED, "%s: this version does not know this key",
                             key);
        }
    }
    return TUB_OK;
}

/* A share that is dropped; -0 is 0, which is not written. */
static tub_status opt_share(const tub__json *o, const char *key, double *out, tub_error *err) {
    TUB__TRY(tub__json_opt_real(o, key, out, err));
    *out = *out == 0.0 ? 0.0 : *out;
    return TUB_OK;
}

/* The one kind of quantization there is; *int8 stays where none is told. */
static tub_status read_quantization(const tub__json *own, bool *int8, tub_error *err) {
    const tub__json *value = tub__json_get(own, "quantization"), *q;
    int64_t bits = 0;
    bool symmetric = false;
    const char *scales = NULL;
    if (value == NULL) {
        return TUB_OK;
    }
    TUB__TRY(tub__json_to_object(value, "quantization", &q, err));
    TUB__TRY(tub__json_get_integer(q, "bits", &bits, err));
    TUB__TRY(tub__json_get_text(q, "scales", &scales, err));
    TUB__TRY(tub__json_opt_bool(q, "symmetric", &symmetric, err));
    if (bits != TUB__QUANTIZED_BITS || strcmp(scales, TUB__QUANTIZED_SCALES) != 0 || !symmetric ||
        tub__json_size(q) != 3) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "quantization: this version knows bits %d, scales '%s' and symmetric "
                         "true, and nothing else",
                         TUB__QUANTIZED_BITS, TUB__QUANTIZED_SCALES);
    }
    *int8 = true;
    return TUB_OK;
}

static tub_status read_heads(const tub__json *own, int64_t heads[TUB_HEAD_LIMIT], tub_error *err) {
    const tub__json *value = tub__json_get(own, "head_classes");
    const size_t count = tub__json_size(value);
    if (value == NULL) {
        return TUB_OK;
    }
    if (count < 1 || count > TUB_HEAD_LIMIT) {
        return tub__fail(err, TUB_E_RANGE, "head_classes: %zu numbers; allowed are 1 to %d", count,
                         TUB_HEAD_LIMIT);
    }
    return read_integers(value, "head_classes", count, heads, err);
}

/* Keys of the tub__variants, tokenisers and ends that transformers' ViViT lacks. */
static tub_status read_variant(const tub__json *own, tub_model_config *c, tub_error *err) {
    int variant = (int)c->variant, order = (int)c->attention_order, positions = (int)c->positions;
    int head_init = (int)c->head_init, family = (int)c->family;
    TUB__TRY(tub__choice_opt(own, "family", tub__families, &family, err));
    TUB__TRY(tub__json_opt_integer(own, "filters", &c->filters, err));
    TUB__TRY(tub__json_opt_integer(own, "stages", &c->stages, err));
    TUB__TRY(tub__json_opt_integer(own, "units", &c->units, err));
    TUB__TRY(tub__choice_opt(own, "variant", tub__variants, &variant, err));
    TUB__TRY(tub__choice_opt(own, "attention_order", tub__attention_orders, &order, err));
    TUB__TRY(tub__choice_opt(own, "positions", tub__position_kinds, &positions, err));
    TUB__TRY(tub__choice_opt(own, "head_init", tub__head_inits, &head_init, err));
    TUB__TRY(tub__json_opt_integer(own, "temporal_layers", &c->temporal_layers, err));
    TUB__TRY(tub__json_opt_integer(own, "sampled_frames", &c->sampled_frames, err));
    TUB__TRY(tub__json_opt_integer(own, "representation", &c->representation, err));
    if (variant == TUB_VARIANT_FACTORISED_ENCODER &&
        tub__json_get(own, "temporal_layers") == NULL) {
        return tub__fail(err, TUB_E_FORMAT,
                         "temporal_layers: missing; variant 'factorised_encoder' needs it (0: mean "
                         "over time)");
    }
    c->family = (tub_family)family;
    c->variant = (tub_variant)variant;
    c->attention_order = (tub_attention_order)order;
    c->positions = (tub_positions)positions;
    c->head_init = (tub_head_init)head_init;
    return TUB_OK;
}

/* The members of the "tubelet" object. */
static tub_status read_own_keys(const tub__json *own, tub_model_config *c, bool *int8,
                                tub_error *err) {
    int64_t format = TUB__CONFIG_FORMAT;
    int gelu = (int)c->gelu, pooling = (int)c->pooling, init = (int)c->attention_init;
    int scale = (int)c->input_scale, task = TUB_TASK_MULTI_CLASS;
    bool output_gelu = false, rescale = false;
    TUB__TRY(tub__json_get_integer(own, "format", &format, err));
    if (format != TUB__CONFIG_FORMAT) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "format %lld is not known; this version reads format %d",
                         (long long)format, TUB__CONFIG_FORMAT);
    }
    TUB__TRY(check_tubelet_keys(own, err));
    TUB__TRY(tub__choice_opt(own, "gelu", tub__gelus, &gelu, err));
    TUB__TRY(tub__choice_opt(own, "pooling", tub__poolings, &pooling, err));
    TUB__TRY(tub__choice_opt(own, "attention_init", tub__attention_inits, &init, err));
    TUB__TRY(tub__choice_opt(own, "input_scale", tub__input_scales, &scale, err));
    TUB__TRY(read_variant(own, c, err));
    TUB__TRY(tub__choice_opt(own, "task", tub__tasks, &task, err));
    TUB__TRY(read_heads(own, c->head_classes, err));
    TUB__TRY(tub__json_opt_bool(own, "mlp_output_activation", &output_gelu, err));
    TUB__TRY(opt_integers(own, "tubelet_stride", 3, c->stride, err));
    TUB__TRY(opt_share(own, "dropout", &c->dropout, err));
    TUB__TRY(opt_share(own, "mlp_dropout", &c->mlp_dropout, err));
    TUB__TRY(opt_share(own, "drop_layer", &c->drop_layer, err));
    TUB__TRY(tub__json_opt_bool(own, "drop_layer_rescale", &rescale, err));
    TUB__TRY(read_quantization(own, int8, err));
    if (gelu != (int)c->gelu) {
        return tub__fail(err, TUB_E_ARGUMENT, "gelu '%s' contradicts hidden_act '%s'",
                         tub__choice_name(tub__gelus, gelu),
                         tub__choice_name(tub__activations, (int)c->gelu));
    }
    c->pooling = (tub_pooling)pooling;
    c->attention_init = (tub_attention_init)init;
    c->input_scale = (tub_input_scale)scale;
    c->task = (tub_task)task;
    c->mlp_output_gelu = output_gelu;
    c->drop_layer_rescale = rescale && c->drop_layer > 0; /* else it says nothing */
    return TUB_OK;
}

/* A baseline says so twice: programs that look at model_type alone must not take it for a ViViT. */
static tub_status check_family(const tub__json *root, const tub_model_config *c, bool int8,
                               tub_error *err) {
    const char *type;
    TUB__TRY(tub__json_get_text(root, "model_type", &type, err));
    if ((strcmp(type, TUB__TYPE_BASELINE) == 0) != (c->family != TUB_FAMILY_VIVIT)) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "model_type '%s' contradicts family '%s' of 'tubelet'", type,
                         tub__choice_name(tub__families, (int)c->family));
    }
    return int8 && c->family != TUB_FAMILY_VIVIT
               ? tub__fail(err, TUB_E_UNSUPPORTED,
                           "quantization: family '%s' has weights of float32 only",
                           tub__choice_name(tub__families, (int)c->family))
               : TUB_OK;
}

static tub_status read_tubelet(const tub__json *root, bool vivit, tub_model_config *c, bool *int8,
                               tub_error *err) {
    const tub__json *value = tub__json_get(root, "tubelet"), *own;
    if (value == NULL && vivit) {
        return TUB_OK;
    }
    TUB__TRY(tub__json_to_object(value, "tubelet", &own, err));
    tub_status status = read_own_keys(own, c, int8, err);
    if (status != TUB_OK) {
        return tub__prefix(err, status, "tubelet");
    }
    for (int i = 0; i < 3; i++) { /* one way to say "the kernel's" */
        c->stride[i] = c->stride[i] == c->tubelet[i] ? 0 : c->stride[i];
    }
    TUB__TRY(check_family(root, c, *int8, err));
    if (vivit != (tub__config_is_vivit(c) && !*int8)) {
        return tub__fail(
            err, TUB_E_ARGUMENT,
            "model_type '%s' contradicts variant, pooling, positions, "
            "mlp_output_activation, tubelet_stride, sampled_frames, representation, task or "
            "quantization of 'tubelet'",
            vivit ? TUB__TYPE_VIVIT : TUB__TYPE_TUBELET);
    }
    return TUB_OK;
}

tub_status tub__config_read_shared(const tub__json *root, tub_model_config *c, tub_error *err) {
    bool qkv_bias = c->qkv_bias != 0;
    int gelu = (int)c->gelu;
    TUB__TRY(read_image_size(root, c, err));
    TUB__TRY(tub__json_opt_integer(root, "num_channels", &c->channels, err));
    TUB__TRY(tub__json_opt_integer(root, "hidden_size", &c->hidden, err));
    TUB__TRY(tub__json_opt_integer(root, "num_attention_heads", &c->heads, err));
    TUB__TRY(tub__json_opt_integer(root, "num_hidden_layers", &c->layers, err));
    TUB__TRY(tub__json_opt_integer(root, "intermediate_size", &c->mlp, err));
    TUB__TRY(tub__json_opt_real(root, "layer_norm_eps", &c->norm_epsilon, err));
    TUB__TRY(tub__json_opt_real(root, "attention_probs_dropout_prob", &c->attention_dropout, err));
    TUB__TRY(opt_share(root, "hidden_dropout_prob", &c->dropout, err));
    c->mlp_dropout = c->dropout;
    TUB__TRY(tub__json_opt_bool(root, "qkv_bias", &qkv_bias, err));
    TUB__TRY(tub__choice_opt(root, "hidden_act", tub__activations, &gelu, err));
    c->qkv_bias = qkv_bias;
    c->gelu = (tub_gelu)gelu;
    return TUB_OK;
}

static tub_status read_values(const tub__json *root, tub_model_config *c, bool *int8,
                              tub_error *err) {
    bool vivit;
    TUB__TRY(read_model_type(root, &vivit, err));
    TUB__TRY(tub__json_opt_integer(root, "num_frames", &c->frames, err));
    TUB__TRY(opt_integers(root, "tubelet_size", 3, c->tubelet, err));
    TUB__TRY(tub__config_read_shared(root, c, err));
    return read_tubelet(root, vivit, c, int8, err);
}

tub_status tub__config_from_json(const tub_allocator *a, const tub__json *root,
                                 tub_model_config *config, bool *int8, char ***labels,
                                 tub_error *err) {
    tub_model_config c = transformers_defaults();
    char **names = NULL;
    bool quantized = false;
    TUB__TRY(read_values(root, &c, &quantized, err));
    TUB__TRY(tub__labels_from_json(a, root, &c.classes, &names, err));
    tub_status status = tub_model_config_check(&c, err);
    if (status != TUB_OK) {
        tub__labels_free(a, names, c.classes);
        return status;
    }
    *config = c;
    *int8 = quantized;
    *labels = names;
    return TUB_OK;
}
