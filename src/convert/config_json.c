/* SPDX-License-Identifier: Apache-2.0 */
/* A model configuration to and from config.json. */
#include "convert/config_json.h"

#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "convert/vit_json.h"

enum { FORMAT_VERSION = 1, QUANTIZED_BITS = 8 };

static const char VIVIT[] = "vivit", TUBELET_VIVIT[] = "tubelet_vivit",
                  BASELINE[] = "tubelet_baseline";
static const char quantized_scales[] = "output_channel";
static const char ARCHITECTURE[] = "VivitForVideoClassification", ENCODER[] = "VivitModel";

/* One name in a file and the value that it means. The first name of a value is the one written. */
typedef struct choice {
    const char *name;
    int value;
} choice;

static const choice activations[] = {
    {"gelu_fast", TUB_GELU_TANH},         {"gelu_new", TUB_GELU_TANH},
    {"gelu_pytorch_tanh", TUB_GELU_TANH}, {"gelu", TUB_GELU_ERF},
    {"gelu_python", TUB_GELU_ERF},        {NULL, 0}};
static const choice gelus[] = {{"tanh", TUB_GELU_TANH}, {"erf", TUB_GELU_ERF}, {NULL, 0}};
static const choice poolings[] = {{"mean", TUB_POOL_MEAN},
                                  {"class_token", TUB_POOL_CLASS_TOKEN},
                                  {"max", TUB_POOL_MAX},
                                  {"sum", TUB_POOL_SUM},
                                  {NULL, 0}};
static const choice attention_inits[] = {
    {"keras2022", TUB_INIT_KERAS2022}, {"glorot", TUB_INIT_GLOROT}, {NULL, 0}};
static const choice input_scales[] = {
    {"divide", TUB_SCALE_DIVIDE}, {"multiply", TUB_SCALE_MULTIPLY}, {NULL, 0}};
static const choice tasks[] = {{"multi_class", TUB_TASK_MULTI_CLASS},
                               {"multi_label", TUB_TASK_MULTI_LABEL},
                               {"multi_head", TUB_TASK_MULTI_HEAD},
                               {NULL, 0}};
static const choice variants[] = {
    {"joint", TUB_VARIANT_JOINT},
    {"factorised_encoder", TUB_VARIANT_FACTORISED_ENCODER},
    {"factorised_self_attention", TUB_VARIANT_FACTORISED_SELF_ATTENTION},
    {"factorised_dot_product", TUB_VARIANT_FACTORISED_DOT_PRODUCT},
    {NULL, 0}};
static const choice orders[] = {
    {"time_space", TUB_ORDER_TIME_SPACE}, {"space_time", TUB_ORDER_SPACE_TIME}, {NULL, 0}};
static const choice position_kinds[] = {{"learned", TUB_POSITIONS_LEARNED},
                                        {"sinusoidal_1d", TUB_POSITIONS_SINUSOIDAL_1D},
                                        {"sinusoidal_3d", TUB_POSITIONS_SINUSOIDAL_3D},
                                        {"none", TUB_POSITIONS_NONE},
                                        {NULL, 0}};
static const choice head_inits[] = {
    {"glorot", TUB_HEAD_GLOROT}, {"zeros", TUB_HEAD_ZEROS}, {NULL, 0}};

static const choice families[] = {
    {"vivit", TUB_FAMILY_VIVIT},           {"cnn-frame", TUB_FAMILY_CNN_FRAME},
    {"cnn-rnn", TUB_FAMILY_CNN_RNN},       {"cnn-transformer", TUB_FAMILY_CNN_TRANSFORMER},
    {"resnet3d18", TUB_FAMILY_RESNET3D18}, {NULL, 0}};

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

static const char *choice_name(const choice *list, int value) {
    while (list->name != NULL && list->value != value) {
        list++;
    }
    return list->name == NULL ? "unknown" : list->name;
}

static tub_status choice_parse(const choice *list, const char *key, const char *text, int *out,
                               tub_error *err) {
    char names[256] = "";
    for (const choice *c = list; c->name != NULL; c++) {
        if (strcmp(c->name, text) == 0) {
            *out = c->value;
            return TUB_OK;
        }
        size_t used = strlen(names);
        if (used + strlen(c->name) + 3 < sizeof names) {
            strcat(strcat(names, used == 0 ? "" : ", "), c->name);
        }
    }
    return tub__fail(err, TUB_E_ARGUMENT, "%s: '%s' is not known; known are %s", key, text, names);
}

/* Reads a choice from a member; *out stays when the key is missing. */
static tub_status opt_choice(const tub__json *o, const char *key, const choice *list, int *out,
                             tub_error *err) {
    const char *text = NULL;
    TUB__TRY(tub__json_opt_text(o, key, &text, err));
    return text == NULL ? TUB_OK : choice_parse(list, key, text, out, err);
}

const char *tub__input_scale_name(tub_input_scale scale) {
    return choice_name(input_scales, (int)scale);
}

const char *tub__gelu_name(tub_gelu gelu) {
    return choice_name(gelus, (int)gelu);
}

const char *tub__pooling_name(tub_pooling pooling) {
    return choice_name(poolings, (int)pooling);
}

const char *tub__family_title(tub_family family) {
    static const char *const titles[] = {
        [TUB_FAMILY_VIVIT] = "Video vision transformer (ViViT)",
        [TUB_FAMILY_CNN_FRAME] = "Convolutional network on the middle frame",
        [TUB_FAMILY_CNN_RNN] = "Convolutional network on each frame, recurrent unit over time",
        [TUB_FAMILY_CNN_TRANSFORMER] = "Convolutional network on each frame, transformer over time",
        [TUB_FAMILY_RESNET3D18] = "Residual network of 3-D convolutions (ResNet-18)"};
    return titles[family];
}

const char *tub__variant_name(tub_variant variant) {
    return choice_name(variants, (int)variant);
}

const char *tub__attention_order_name(tub_attention_order order) {
    return choice_name(orders, (int)order);
}

const char *tub__positions_name(tub_positions positions) {
    return choice_name(position_kinds, (int)positions);
}

tub_status tub__input_scale_parse(const char *text, tub_input_scale *out, tub_error *err) {
    int value;
    TUB__TRY(choice_parse(input_scales, "input_scale", text, &value, err));
    *out = (tub_input_scale)value;
    return TUB_OK;
}

static int64_t stride_of(const tub_model_config *c, int axis) {
    return c->stride[axis] == 0 ? c->tubelet[axis] : c->stride[axis];
}

const char *tub__config_vivit_lacks(const tub_model_config *c) {
    bool stride_is_kernel = true;
    for (int i = 0; i < 3; i++) {
        stride_is_kernel = stride_is_kernel && stride_of(c, i) == c->tubelet[i];
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

/* ---- Writing ---- */

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
    tub__json_put_integer(w, "bits", QUANTIZED_BITS);
    tub__json_put_text(w, "scales", quantized_scales);
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
    const int64_t stride[3] = {stride_of(c, 0), stride_of(c, 1), stride_of(c, 2)};
    tub__json_open_object(w, "tubelet");
    tub__json_put_text(w, "attention_init", choice_name(attention_inits, (int)c->attention_init));
    if (c->variant == TUB_VARIANT_FACTORISED_SELF_ATTENTION) {
        tub__json_put_text(w, "attention_order", choice_name(orders, (int)c->attention_order));
    }
    put_drops(w, c);
    if (c->family != TUB_FAMILY_VIVIT) {
        tub__json_put_text(w, "family", choice_name(families, (int)c->family));
    }
    put_number(w, "filters", c->filters);
    tub__json_put_integer(w, "format", FORMAT_VERSION);
    tub__json_put_text(w, "gelu", choice_name(gelus, (int)c->gelu));
    if (c->task == TUB_TASK_MULTI_HEAD) {
        put_integers(w, "head_classes", heads_of(c), c->head_classes);
    }
    if (c->head_init != TUB_HEAD_GLOROT) {
        tub__json_put_text(w, "head_init", choice_name(head_inits, (int)c->head_init));
    }
    tub__json_put_text(w, "input_scale", choice_name(input_scales, (int)c->input_scale));
    if (c->dropout != c->mlp_dropout) {
        tub__json_put_real(w, "mlp_dropout", c->mlp_dropout);
    }
    tub__json_put_bool(w, "mlp_output_activation", c->mlp_output_gelu != 0);
    tub__json_put_text(w, "pooling", choice_name(poolings, (int)c->pooling));
    if (c->positions != TUB_POSITIONS_LEARNED) {
        tub__json_put_text(w, "positions", choice_name(position_kinds, (int)c->positions));
    }
    if (int8) {
        put_quantization(w);
    }
    put_number(w, "representation", c->representation);
    put_number(w, "sampled_frames", c->sampled_frames);
    put_number(w, "stages", c->stages);
    if (c->task > TUB_TASK_MULTI_CLASS) {
        tub__json_put_text(w, "task", choice_name(tasks, (int)c->task));
    }
    if (c->variant == TUB_VARIANT_FACTORISED_ENCODER) {
        tub__json_put_integer(w, "temporal_layers", c->temporal_layers);
    }
    put_integers(w, "tubelet_stride", 3, stride);
    put_number(w, "units", c->units);
    tub__json_put_text(w, "variant", choice_name(variants, (int)c->variant));
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
                       encoder                         ? ENCODER
                       : vivit                         ? ARCHITECTURE
                       : c->family != TUB_FAMILY_VIVIT ? "TubeletBaselineForVideoClassification"
                                                       : "TubeletVivitForVideoClassification");
    tub__json_close_array(w);
    tub__json_put_real(w, "attention_probs_dropout_prob", c->attention_dropout);
    tub__json_put_text(w, "hidden_act", choice_name(activations, (int)c->gelu));
    tub__json_put_real(w, "hidden_dropout_prob", hidden_dropout(c));
    tub__json_put_integer(w, "hidden_size", c->hidden);
    TUB__TRY(tub__labels_to_json(a, w, c->classes, labels, err));
    put_image_size(w, c);
    tub__json_put_real(w, "initializer_range", 0.02);
    tub__json_put_integer(w, "intermediate_size", c->mlp);
    tub__json_put_real(w, "layer_norm_eps", c->norm_epsilon);
    tub__json_put_text(w, "model_type",
                       c->family != TUB_FAMILY_VIVIT ? BASELINE
                       : vivit                       ? VIVIT
                                                     : TUBELET_VIVIT);
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

/* ---- Reading ---- */

bool tub__config_is_encoder(const tub__json *root) {
    const tub__json *first = tub__json_at(tub__json_get(root, "architectures"), 0);
    const char *name;
    return first != NULL && tub__json_to_text(first, "architectures", &name, NULL) == TUB_OK &&
           strcmp(name, ENCODER) == 0;
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
    *vivit = strcmp(type, VIVIT) == 0;
    if (!*vivit && strcmp(type, TUBELET_VIVIT) != 0 && strcmp(type, BASELINE) != 0) {
        return tub__vit_is(root)
                   ? tub__fail(err, TUB_E_UNSUPPORTED,
                               "model_type: expected '%s' or '%s', found 'vit': a ViT of pictures, "
                               "from which a training can start",
                               VIVIT, TUBELET_VIVIT)
                   : tub__fail(err, TUB_E_UNSUPPORTED,
                               "model_type: expected '%s' or '%s' (or 'vit', to start a training "
                               "from), found '%s'",
                               VIVIT, TUBELET_VIVIT, type);
    }
    const tub__json *first = tub__json_at(tub__json_get(root, "architectures"), 0);
    if (*vivit && first != NULL) {
        TUB__TRY(tub__json_to_text(first, "architectures", &name, err));
        if (strcmp(name, ARCHITECTURE) != 0 && strcmp(name, ENCODER) != 0) {
            return tub__fail(err, TUB_E_UNSUPPORTED, "architectures: expected '%s', found '%s'",
                             ARCHITECTURE, name);
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
    if (bits != QUANTIZED_BITS || strcmp(scales, quantized_scales) != 0 || !symmetric ||
        tub__json_size(q) != 3) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "quantization: this version knows bits %d, scales '%s' and symmetric "
                         "true, and nothing else",
                         QUANTIZED_BITS, quantized_scales);
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

/* Keys of the variants, tokenisers and ends that transformers' ViViT lacks. */
static tub_status read_variant(const tub__json *own, tub_model_config *c, tub_error *err) {
    int variant = (int)c->variant, order = (int)c->attention_order, positions = (int)c->positions;
    int head_init = (int)c->head_init, family = (int)c->family;
    TUB__TRY(opt_choice(own, "family", families, &family, err));
    TUB__TRY(tub__json_opt_integer(own, "filters", &c->filters, err));
    TUB__TRY(tub__json_opt_integer(own, "stages", &c->stages, err));
    TUB__TRY(tub__json_opt_integer(own, "units", &c->units, err));
    TUB__TRY(opt_choice(own, "variant", variants, &variant, err));
    TUB__TRY(opt_choice(own, "attention_order", orders, &order, err));
    TUB__TRY(opt_choice(own, "positions", position_kinds, &positions, err));
    TUB__TRY(opt_choice(own, "head_init", head_inits, &head_init, err));
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
    int64_t format = FORMAT_VERSION;
    int gelu = (int)c->gelu, pooling = (int)c->pooling, init = (int)c->attention_init;
    int scale = (int)c->input_scale, task = TUB_TASK_MULTI_CLASS;
    bool output_gelu = false, rescale = false;
    TUB__TRY(tub__json_get_integer(own, "format", &format, err));
    if (format != FORMAT_VERSION) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "format %lld is not known; this version reads format %d",
                         (long long)format, FORMAT_VERSION);
    }
    TUB__TRY(check_tubelet_keys(own, err));
    TUB__TRY(opt_choice(own, "gelu", gelus, &gelu, err));
    TUB__TRY(opt_choice(own, "pooling", poolings, &pooling, err));
    TUB__TRY(opt_choice(own, "attention_init", attention_inits, &init, err));
    TUB__TRY(opt_choice(own, "input_scale", input_scales, &scale, err));
    TUB__TRY(read_variant(own, c, err));
    TUB__TRY(opt_choice(own, "task", tasks, &task, err));
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
                         choice_name(gelus, gelu), choice_name(activations, (int)c->gelu));
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
    if ((strcmp(type, BASELINE) == 0) != (c->family != TUB_FAMILY_VIVIT)) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "model_type '%s' contradicts family '%s' of 'tubelet'", type,
                         choice_name(families, (int)c->family));
    }
    return int8 && c->family != TUB_FAMILY_VIVIT
               ? tub__fail(err, TUB_E_UNSUPPORTED,
                           "quantization: family '%s' has weights of float32 only",
                           choice_name(families, (int)c->family))
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
            vivit ? VIVIT : TUBELET_VIVIT);
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
    TUB__TRY(opt_choice(root, "hidden_act", activations, &gelu, err));
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
