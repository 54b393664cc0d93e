/* SPDX-License-Identifier: Apache-2.0 */
/* The list of models, and making them. */
#include "onnx_cases.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- What each is ---- */

static void erf_token_sinusoids(tub_model_config *c) {
    c->gelu = TUB_GELU_ERF;
    c->mlp_output_gelu = 0;
    c->pooling = TUB_POOL_CLASS_TOKEN;
    c->positions = TUB_POSITIONS_SINUSOIDAL_1D;
}
static void overlapping(tub_model_config *c) {
    c->stride[0] = 2;
    c->stride[1] = 3;
    c->stride[2] = 2;
    c->qkv_bias = 0;
    c->norm_epsilon = 1e-3;
}
static void token_learned(tub_model_config *c) {
    c->pooling = TUB_POOL_CLASS_TOKEN;
    c->channels = 3;
}
static void no_positions(tub_model_config *c) {
    c->positions = TUB_POSITIONS_NONE;
    c->pooling = TUB_POOL_SUM;
    c->representation = 7;
}
static void sampled(tub_model_config *c) {
    c->sampled_frames = 3;
    c->tubelet[0] = 1;
    c->pooling = TUB_POOL_MAX;
}
static void all_sampled(tub_model_config *c) {
    c->sampled_frames = c->frames;
    c->tubelet[0] = 1;
    c->variant = TUB_VARIANT_FACTORISED_DOT_PRODUCT;
}
static void encoder_token(tub_model_config *c) {
    c->variant = TUB_VARIANT_FACTORISED_ENCODER;
    c->temporal_layers = 2;
    c->pooling = TUB_POOL_CLASS_TOKEN;
}
static void encoder_mean(tub_model_config *c) {
    c->variant = TUB_VARIANT_FACTORISED_ENCODER;
    c->temporal_layers = 1;
    c->positions = TUB_POSITIONS_SINUSOIDAL_1D;
}
static void encoder_bare(tub_model_config *c) {
    c->variant = TUB_VARIANT_FACTORISED_ENCODER;
    c->temporal_layers = 0;
    c->pooling = TUB_POOL_MAX;
    c->gelu = TUB_GELU_ERF;
}
static void encoder_none(tub_model_config *c) {
    c->variant = TUB_VARIANT_FACTORISED_ENCODER;
    c->temporal_layers = 1;
    c->positions = TUB_POSITIONS_NONE;
}
static void encoder_bare_token(tub_model_config *c) {
    c->variant = TUB_VARIANT_FACTORISED_ENCODER;
    c->temporal_layers = 0;
    c->pooling = TUB_POOL_CLASS_TOKEN;
}
static void encoder_one_time(tub_model_config *c) {
    c->variant = TUB_VARIANT_FACTORISED_ENCODER;
    c->temporal_layers = 1;
    c->tubelet[0] = c->frames;
    c->pooling = TUB_POOL_CLASS_TOKEN;
}
static void self_time(tub_model_config *c) {
    c->variant = TUB_VARIANT_FACTORISED_SELF_ATTENTION;
    c->mlp_output_gelu = 0;
}
static void self_space(tub_model_config *c) {
    c->variant = TUB_VARIANT_FACTORISED_SELF_ATTENTION;
    c->attention_order = TUB_ORDER_SPACE_TIME;
    c->positions = TUB_POSITIONS_SINUSOIDAL_3D;
}
static void one_place(tub_model_config *c) {
    c->variant = TUB_VARIANT_FACTORISED_SELF_ATTENTION;
    c->tubelet[1] = c->height;
    c->tubelet[2] = c->width;
}
static void dot_product(tub_model_config *c) {
    c->variant = TUB_VARIANT_FACTORISED_DOT_PRODUCT;
    c->positions = TUB_POSITIONS_SINUSOIDAL_1D;
}
static void dot_product_one_place(tub_model_config *c) {
    c->variant = TUB_VARIANT_FACTORISED_DOT_PRODUCT;
    c->tubelet[1] = c->height;
    c->tubelet[2] = c->width;
}
static void dot_product_one_time(tub_model_config *c) {
    c->variant = TUB_VARIANT_FACTORISED_DOT_PRODUCT;
    c->tubelet[0] = c->frames;
    c->gelu = TUB_GELU_ERF;
}
static void labels(tub_model_config *c) {
    c->task = TUB_TASK_MULTI_LABEL;
}
static void heads(tub_model_config *c) {
    c->task = TUB_TASK_MULTI_HEAD;
    c->head_classes[0] = 2;
    c->head_classes[1] = 3;
    c->representation = 9;
}
static void three_channels(tub_model_config *c) {
    c->channels = 3;
}
static void multiplied(tub_model_config *c) {
    c->input_scale = TUB_SCALE_MULTIPLY;
    c->sampled_frames = 2;
    c->tubelet[0] = 1;
}

/* Baselines: small ones. */
static void baseline(tub_model_config *c, tub_family family) {
    c->family = family;
    c->filters = 4;
    c->stages = 2;
    c->units = 6;
}
static void cnn_frame(tub_model_config *c) {
    baseline(c, TUB_FAMILY_CNN_FRAME);
}
static void cnn_rnn(tub_model_config *c) {
    baseline(c, TUB_FAMILY_CNN_RNN);
}
static void cnn_rnn_sampled(tub_model_config *c) {
    baseline(c, TUB_FAMILY_CNN_RNN);
    c->sampled_frames = 3;
    c->representation = 5;
}
static void cnn_transformer(tub_model_config *c) {
    baseline(c, TUB_FAMILY_CNN_TRANSFORMER);
    c->pooling = TUB_POOL_CLASS_TOKEN;
}
static void resnet(tub_model_config *c) {
    baseline(c, TUB_FAMILY_RESNET3D18);
}

/* The words of transformers' VivitImageProcessor. */
static const char signed_pixels[] =
    "{\"do_resize\": false, \"do_center_crop\": false, \"do_rescale\": true, \"rescale_factor\": "
    "0.00784313725490196, \"offset\": true, \"do_normalize\": false}";
static const char normalised[] =
    "{\"do_resize\": false, \"do_center_crop\": false, \"do_rescale\": true, \"rescale_factor\": "
    "0.003921568627450980, \"offset\": false, \"do_normalize\": true, \"image_mean\": [0.45, 0.5, "
    "0.4], \"image_std\": [0.225, 0.25, 0.2]}";
static const char bare_levels[] =
    "{\"do_resize\": false, \"do_center_crop\": false, \"do_rescale\": false, \"offset\": false, "
    "\"do_normalize\": "
    "true, \"image_mean\": [100.0, 110.0, 120.0], \"image_std\": [50.0, 60.0, 70.0]}";

const onnx_case onnx_cases[] = {
    {"joint", NULL, 0, 0, NULL},
    {"joint-erf-token-sinusoids", erf_token_sinusoids, 0, 0, NULL},
    {"joint-overlapping", overlapping, 0, 0, NULL},
    {"joint-token-learned", token_learned, 0, 1, NULL},
    {"joint-no-positions", no_positions, 0, 0, NULL},
    {"sampled-frames", sampled, 0, 0, NULL},
    {"sampled-all-frames", all_sampled, 0, 0, NULL},
    {"encoder-token", encoder_token, 0, 0, NULL},
    {"encoder-mean", encoder_mean, 0, 0, NULL},
    {"encoder-bare", encoder_bare, 0, 0, NULL},
    {"encoder-bare-token", encoder_bare_token, 0, 0, NULL},
    {"encoder-one-time", encoder_one_time, 0, 0, NULL},
    {"encoder-no-positions", encoder_none, 0, 0, NULL},
    {"self-attention-time-space", self_time, 0, 0, NULL},
    {"self-attention-space-time", self_space, 0, 1, NULL},
    {"self-attention-one-place", one_place, 0, 0, NULL},
    {"dot-product", dot_product, 0, 0, NULL},
    {"dot-product-one-place", dot_product_one_place, 0, 0, NULL},
    {"dot-product-one-time", dot_product_one_time, 0, 0, NULL},
    {"multi-label", labels, 0, 0, NULL},
    {"multi-head", heads, 0, 0, NULL},
    {"uint8", NULL, 1, 0, NULL},
    {"uint8-multiplied", multiplied, 1, 0, NULL},
    {"uint8-signed", NULL, 1, 0, signed_pixels},
    {"uint8-normalised", three_channels, 1, 1, normalised},
    {"uint8-levels", three_channels, 1, 0, bare_levels},
    {"cnn-frame", cnn_frame, 0, 0, NULL},
    {"cnn-rnn", cnn_rnn, 0, 0, NULL},
    {"cnn-rnn-sampled", cnn_rnn_sampled, 1, 0, NULL},
    {"cnn-transformer", cnn_transformer, 0, 0, NULL},
    {"resnet3d18", resnet, 0, 0, NULL},
};
const size_t onnx_case_count = sizeof onnx_cases / sizeof *onnx_cases;

/* Nothing divides evenly, and no two sizes are equal. */
tub_model_config onnx_case_config(const onnx_case *which) {
    tub_model_config c;
    if (tub_model_preset("vivit-tiny", &c, NULL) != TUB_OK) {
        abort();
    }
    c.frames = 7;
    c.height = 9;
    c.width = 13;
    c.tubelet[0] = 2;
    c.tubelet[1] = 4;
    c.tubelet[2] = 3;
    c.channels = 2;
    c.hidden = 24;
    c.heads = 4;
    c.layers = 2;
    c.mlp = 40;
    c.classes = 5;
    if (which->change != NULL) {
        which->change(&c);
    }
    return c;
}

/* ---- Numbers ---- */

/* Uniform in -1…1: the same for every machine. */
static float draw(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)(*state >> 40) / 8388608.0f - 1.0f;
}

static double size_of(const tub_parameter *p) {
    if (strstr(p->role, "tubelet") != NULL || strstr(p->role, "position") != NULL ||
        strstr(p->role, "token") != NULL) {
        return 0.003; /* tokens of little variance, so that epsilon counts */
    }
    return strstr(p->role, "MLP kernel") != NULL ? 0.5
                                                 : 0.3; /* wide enough to tell both GELUs apart */
}

static tub_status fill(tub_model *model, tub_error *err) {
    uint64_t state = 7;
    for (int64_t i = 0; i < tub_model_parameters(model); i++) {
        tub_parameter p;
        tub_status status = tub_model_parameter(model, i, &p, err);
        if (status != TUB_OK) {
            return status;
        }
        float *values = malloc((size_t)p.count * sizeof *values);
        const bool ones = strstr(p.role, "gamma") != NULL,
                   variance = strstr(p.role, "variance") != NULL;
        for (int64_t j = 0; j < p.count; j++) {
            const float x = (float)size_of(&p) * draw(&state);
            values[j] = variance ? 0.5f + x : ones ? 1.0f + x : x;
        }
        status = tub_model_set(model, i, values, err);
        free(values);
        if (status != TUB_OK) {
            return status;
        }
    }
    return TUB_OK;
}

static tub_status answer(tub_model *model, const onnx_case *c, onnx_sample *s, tub_error *err) {
    const tub_model_config *config = &s->config;
    const int64_t shape[4] = {config->frames, config->height, config->width, config->channels};
    uint64_t state = 11;
    s->voxels = (size_t)(shape[0] * shape[1] * shape[2] * shape[3]);
    s->clips = malloc(ONNX_SAMPLES * s->voxels * sizeof *s->clips);
    s->logits = malloc(ONNX_SAMPLES * (size_t)config->classes * sizeof *s->logits);
    s->probabilities = malloc(ONNX_SAMPLES * (size_t)config->classes * sizeof *s->probabilities);
    s->levels = c->uint8_input ? malloc(ONNX_SAMPLES * s->voxels) : NULL;
    for (size_t i = 0; i < ONNX_SAMPLES * s->voxels; i++) {
        s->clips[i] = 0.5f + 0.5f * draw(&state);
        if (s->levels != NULL) {
            s->levels[i] = (unsigned char)(s->clips[i] * 255.99f);
        }
    }
    if (s->levels != NULL) {
        const tub_status status =
            tub_model_prepare(model, ONNX_SAMPLES, shape, s->levels, s->clips, err);
        if (status != TUB_OK) {
            return status;
        }
    }
    return tub_model_forward(model, ONNX_SAMPLES, TUB_F32, s->clips, s->logits, s->probabilities,
                             err);
}

void onnx_sample_free(onnx_sample *s) {
    free(s->levels);
    free(s->clips);
    free(s->logits);
    free(s->probabilities);
    *s = (onnx_sample){0};
}

/* ---- Folders and files ---- */

static void replace_preprocessor(const onnx_case *c, const char *folder) {
    char path[600];
    if (c->preprocessor == NULL) {
        return;
    }
    snprintf(path, sizeof path, "%s/preprocessor_config.json", folder);
    FILE *f = fopen(path, "w");
    if (f == NULL || fputs(c->preprocessor, f) < 0 || fclose(f) != 0) {
        abort();
    }
}

static tub_status save(tub_context *ctx, const onnx_case *c, const tub_model_config *config,
                       bool fresh, const char *folder, tub_error *err) {
    static const char *const names[] = {"one", "two \"quoted\"", "drei\303\237ig", "four", "five"};
    tub_model *model;
    tub_status status = tub_model_create(ctx, config, 1, &model, err);
    if (status != TUB_OK) {
        return status;
    }
    status = fresh ? TUB_OK : fill(model, err);
    if (status == TUB_OK && !fresh) {
        status = tub_model_set_labels(model, names, config->classes, err);
    }
    if (status == TUB_OK) {
        status = tub_model_save(model, folder, err);
    }
    tub_model_close(model);
    if (status == TUB_OK) {
        replace_preprocessor(c, folder);
    }
    return status;
}

static tub_status make(tub_context *ctx, const onnx_case *c, const tub_model_config *config,
                       bool fresh, const char *folder, onnx_sample *out, tub_error *err) {
    tub_model *model;
    tub_status status = save(ctx, c, config, fresh, folder, err);
    if (status != TUB_OK || out == NULL) {
        return status;
    }
    *out = (onnx_sample){.config = *config};
    status = tub_model_open(ctx, folder, &model, err);
    if (status != TUB_OK) {
        return status;
    }
    status = answer(model, c, out, err);
    tub_model_close(model);
    return status;
}

tub_status onnx_case_make(tub_context *ctx, const onnx_case *c, const tub_model_config *config,
                          const char *folder, onnx_sample *out, tub_error *err) {
    return make(ctx, c, config, false, folder, out, err);
}

tub_status onnx_case_make_fresh(tub_context *ctx, const onnx_case *c,
                                const tub_model_config *config, const char *folder,
                                onnx_sample *out, tub_error *err) {
    return make(ctx, c, config, true, folder, out, err);
}

tub_status onnx_case_convert(tub_context *ctx, const onnx_case *c, const char *folder,
                             const char *file, tub_error *err) {
    tub_convert_options options = tub_convert_options_default();
    options.uint8_input = c->uint8_input;
    options.external_data = c->external_data;
    return tub_convert(ctx, folder, file, &options, NULL, err);
}
