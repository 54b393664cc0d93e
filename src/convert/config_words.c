/* SPDX-License-Identifier: Apache-2.0 */
/* The words of config.json for the choices of a configuration. */
#include "convert/config_words.h"

#include <string.h>

#include "base/error.h"
#include "convert/config_json.h"

const tub__choice tub__activations[] = {
    {"gelu_fast", TUB_GELU_TANH},         {"gelu_new", TUB_GELU_TANH},
    {"gelu_pytorch_tanh", TUB_GELU_TANH}, {"gelu", TUB_GELU_ERF},
    {"gelu_python", TUB_GELU_ERF},        {NULL, 0}};
const tub__choice tub__gelus[] = {{"tanh", TUB_GELU_TANH}, {"erf", TUB_GELU_ERF}, {NULL, 0}};
const tub__choice tub__poolings[] = {{"mean", TUB_POOL_MEAN},
                                     {"class_token", TUB_POOL_CLASS_TOKEN},
                                     {"max", TUB_POOL_MAX},
                                     {"sum", TUB_POOL_SUM},
                                     {NULL, 0}};
const tub__choice tub__attention_inits[] = {
    {"keras2022", TUB_INIT_KERAS2022}, {"glorot", TUB_INIT_GLOROT}, {NULL, 0}};
const tub__choice tub__input_scales[] = {
    {"divide", TUB_SCALE_DIVIDE}, {"multiply", TUB_SCALE_MULTIPLY}, {NULL, 0}};
const tub__choice tub__tasks[] = {{"multi_class", TUB_TASK_MULTI_CLASS},
                                  {"multi_label", TUB_TASK_MULTI_LABEL},
                                  {"multi_head", TUB_TASK_MULTI_HEAD},
                                  {NULL, 0}};
const tub__choice tub__variants[] = {
    {"joint", TUB_VARIANT_JOINT},
    {"factorised_encoder", TUB_VARIANT_FACTORISED_ENCODER},
    {"factorised_self_attention", TUB_VARIANT_FACTORISED_SELF_ATTENTION},
    {"factorised_dot_product", TUB_VARIANT_FACTORISED_DOT_PRODUCT},
    {NULL, 0}};
const tub__choice tub__attention_orders[] = {
    {"time_space", TUB_ORDER_TIME_SPACE}, {"space_time", TUB_ORDER_SPACE_TIME}, {NULL, 0}};
const tub__choice tub__position_kinds[] = {{"learned", TUB_POSITIONS_LEARNED},
                                           {"sinusoidal_1d", TUB_POSITIONS_SINUSOIDAL_1D},
                                           {"sinusoidal_3d", TUB_POSITIONS_SINUSOIDAL_3D},
                                           {"none", TUB_POSITIONS_NONE},
                                           {NULL, 0}};
const tub__choice tub__head_inits[] = {
    {"glorot", TUB_HEAD_GLOROT}, {"zeros", TUB_HEAD_ZEROS}, {NULL, 0}};

const tub__choice tub__families[] = {
    {"vivit", TUB_FAMILY_VIVIT},           {"cnn-frame", TUB_FAMILY_CNN_FRAME},
    {"cnn-rnn", TUB_FAMILY_CNN_RNN},       {"cnn-transformer", TUB_FAMILY_CNN_TRANSFORMER},
    {"resnet3d18", TUB_FAMILY_RESNET3D18}, {NULL, 0}};

const char *tub__choice_name(const tub__choice *list, int value) {
    while (list->name != NULL && list->value != value) {
        list++;
    }
    return list->name == NULL ? "unknown" : list->name;
}

tub_status tub__choice_parse(const tub__choice *list, const char *key, const char *text, int *out,
                             tub_error *err) {
    char names[256] = "";
    for (const tub__choice *c = list; c->name != NULL; c++) {
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

tub_status tub__choice_opt(const tub__json *o, const char *key, const tub__choice *list, int *out,
                           tub_error *err) {
    const char *text = NULL;
    TUB__TRY(tub__json_opt_text(o, key, &text, err));
    return text == NULL ? TUB_OK : tub__choice_parse(list, key, text, out, err);
}

const char *tub__input_scale_name(tub_input_scale scale) {
    return tub__choice_name(tub__input_scales, (int)scale);
}

const char *tub__gelu_name(tub_gelu gelu) {
    return tub__choice_name(tub__gelus, (int)gelu);
}

const char *tub__pooling_name(tub_pooling pooling) {
    return tub__choice_name(tub__poolings, (int)pooling);
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
    return tub__choice_name(tub__variants, (int)variant);
}

const char *tub__attention_order_name(tub_attention_order order) {
    return tub__choice_name(tub__attention_orders, (int)order);
}

const char *tub__positions_name(tub_positions positions) {
    return tub__choice_name(tub__position_kinds, (int)positions);
}

tub_status tub__input_scale_parse(const char *text, tub_input_scale *out, tub_error *err) {
    int value;
    TUB__TRY(tub__choice_parse(tub__input_scales, "input_scale", text, &value, err));
    *out = (tub_input_scale)value;
    return TUB_OK;
}

int64_t tub__config_stride(const tub_model_config *c, int axis) {
    return c->stride[axis] == 0 ? c->tubelet[axis] : c->stride[axis];
}
