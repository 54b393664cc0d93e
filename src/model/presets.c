/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations with a name. */
#include <string.h>

#include "base/error.h"
#include "model/model.h"

typedef struct preset {
    const char *name;
    tub_model_config config;
} preset;

/* ViViT with tubelets of 16x16x2 on clips of Kinetics-400, Arnab et al. 2021, table 1 and section 4.1;
 * with four layers in the temporal transformer of its variant 2. */
#define KINETICS(hidden_, heads_, layers_)                                                         \
    {                                                                                              \
        .size = sizeof(tub_model_config), .frames = 32, .height = 224, .width = 224,               \
        .channels = 3, .tubelet = {2, 16, 16}, .hidden = hidden_, .heads = heads_,                 \
        .layers = layers_, .mlp = 4 * hidden_, .classes = 400, .gelu = TUB_GELU_TANH,              \
        .qkv_bias = 1, .pooling = TUB_POOL_CLASS_TOKEN, .norm_epsilon = 1e-6,                      \
        .attention_init = TUB_INIT_GLOROT, .temporal_layers = 4                                    \
    }

static const preset presets[] = {
    {"vivit-tiny", /* the Keras example "Video Vision Transformer" */
     {.size = sizeof(tub_model_config),
      .frames = 28,
      .height = 28,
      .width = 28,
      .channels = 1,
      .tubelet = {8, 8, 8},
      .hidden = 128,
      .heads = 8,
      .layers = 8,
      .mlp = 512,
      .classes = 11,
      .gelu = TUB_GELU_TANH,
      .mlp_output_gelu = 1,
      .qkv_bias = 1,
      .pooling = TUB_POOL_MEAN,
      .norm_epsilon = 1e-6,
      .attention_dropout = 0.1,
      .attention_init = TUB_INIT_KERAS2022,
      .temporal_layers = 4}},
    {"vivit-b", KINETICS(768, 12, 12)}, /* sizes as google/vivit-b-16x2-kinetics400 */
    {"vivit-l", KINETICS(1024, 16, 24)},
    {"vivit-h", KINETICS(1280, 16, 32)},
};

tub_status tub_model_preset(const char *name, tub_model_config *out, tub_error *err) {
    const size_t n = sizeof presets / sizeof *presets;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(name, presets[i].name) == 0) {
            *out = presets[i].config;
            return TUB_OK;
        }
    }
    return tub__fail(err, TUB_E_NOT_FOUND,
                     "no preset is named '%s'; there are vivit-tiny, vivit-b, vivit-l and vivit-h",
                     name);
}
