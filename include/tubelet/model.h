/* SPDX-License-Identifier: Apache-2.0 */
/* Models: configuration, creation, model folders, and the forward pass. */
#ifndef TUBELET_MODEL_H
#define TUBELET_MODEL_H

#include <tubelet/context.h>
#include <tubelet/data.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tub_model tub_model;

typedef enum tub_gelu { TUB_GELU_TANH = 0, TUB_GELU_ERF } tub_gelu;
typedef enum tub_pooling {
    TUB_POOL_MEAN = 0,
    TUB_POOL_CLASS_TOKEN,
    TUB_POOL_MAX, /* of each column; its gradient is shared out equally among equal maxima */
    TUB_POOL_SUM
} tub_pooling;
typedef enum tub_attention_init { TUB_INIT_KERAS2022 = 0, TUB_INIT_GLOROT } tub_attention_init;
typedef enum tub_head_init { TUB_HEAD_GLOROT = 0, TUB_HEAD_ZEROS } tub_head_init;
typedef enum tub_input_scale { TUB_SCALE_DIVIDE = 0, TUB_SCALE_MULTIPLY } tub_input_scale;

/* What attends to what (docs/numerics.md section 2; Arnab et al. 2021, section 3.3). */
typedef enum tub_variant {
    TUB_VARIANT_JOINT = 0,                 /* 1: all tokens to each other */
    TUB_VARIANT_FACTORISED_ENCODER,        /* 2: each time index by itself, then time */
    TUB_VARIANT_FACTORISED_SELF_ATTENTION, /* 3: two attentions in each block, one per axis */
    TUB_VARIANT_FACTORISED_DOT_PRODUCT     /* 4: half of the heads over time, half over space */
} tub_variant;
typedef enum tub_attention_order {
    TUB_ORDER_TIME_SPACE = 0,
    TUB_ORDER_SPACE_TIME
} tub_attention_order;
typedef enum tub_positions {
    TUB_POSITIONS_LEARNED = 0,
    TUB_POSITIONS_SINUSOIDAL_1D, /* over the tokens in their order, class token included */
    TUB_POSITIONS_SINUSOIDAL_3D, /* a third of the width for each of time, column and row */
    TUB_POSITIONS_NONE
} tub_positions;

/* What kind of network it is: a vision transformer, or one of the baselines that show what that is
 * worth (docs/baselines.md). */
typedef enum tub_family {
    TUB_FAMILY_VIVIT = 0,
    TUB_FAMILY_CNN_FRAME,       /* convolutions over the middle frame alone */
    TUB_FAMILY_CNN_RNN,         /* over each frame, then a gated recurrent unit over time */
    TUB_FAMILY_CNN_TRANSFORMER, /* over each frame, then a transformer over time */
    TUB_FAMILY_RESNET3D18       /* a residual network of 3x3x3 convolutions with batch norm */
} tub_family;

enum { TUB_LABEL_LIMIT = 100000 };

/* A classifier of clips, by default a ViViT (docs/numerics.md section 1). Letters as in the paper: T H W C clip, D width,
 * A heads, L layers, K classes. */
typedef struct tub_model_config {
    size_t size;                             /* sizeof(tub_model_config) */
    int64_t frames, height, width, channels; /* T, H, W, C */
    int64_t tubelet[3];                      /* kernel (t, h, w) of the tubelet embedding */
    int64_t stride[3];                       /* 0: the kernel's */
    int64_t hidden;                          /* D */
    int64_t heads;                           /* A; divides D */
    int64_t layers;                          /* L */
    int64_t mlp;                             /* width of the MLP's hidden layer */
    int64_t classes;                         /* K */
    tub_task task;                           /* how the K numbers are read */
    int64_t head_classes[TUB_HEAD_LIMIT];    /* of multi_head only: they add up to K; 0 behind */
    tub_gelu gelu;
    int mlp_output_gelu; /* non-zero: GELU after the second dense layer too (the Keras example) */
    int qkv_bias;        /* non-zero: query, key and value have biases */
    tub_pooling pooling;
    double norm_epsilon;
    double attention_dropout; /* on the attention probabilities, training only */
    double dropout;           /* on the tokens, after positions and after attention; likewise */
    double mlp_dropout;       /* after each dense layer of the MLP; likewise */
    double drop_layer;        /* stochastic depth of the last block; likewise */
    int drop_layer_rescale;   /* non-zero: kept branches times 1 / (1 - their rate) */
    tub_attention_init attention_init;
    tub_input_scale input_scale; /* uint8 to [0,1]: x / 255 or x * float32(1/255) */
    tub_variant variant;
    int64_t
        temporal_layers; /* of the factorised encoder's temporal transformer; 0: mean over time */
    tub_attention_order attention_order; /* of factorised self-attention */
    int64_t sampled_frames; /* 0: every tubelet of the clip; else so many frames at equal distances,
                               each cut by itself: tubelet[0] is 1 then */
    tub_positions positions;
    tub_head_init head_init;
    int64_t representation; /* width of a dense layer with tanh before the classifier; 0: none */
    tub_family family; /* of others than ViViT nothing counts that is of tokens or blocks, but of
                               cnn-transformer's over time */
    int64_t filters;   /* of the first convolution, each stage having twice as many; 0: 32, of
                        resnet3d18 64 */
    int64_t stages; /* of convolutions, each halving the picture or volume; 0: 3, of resnet3d18 4 */
    int64_t units;  /* of the recurrent unit; 0: 128 */
} tub_model_config;

/* A preset, of variant 1: "vivit-tiny" (the Keras example), "vivit-b", "vivit-l" and "vivit-h" (ViViT
 * with tubelets of 16x16x2, Kinetics-400). Error: TUB_E_NOT_FOUND, with the names. */
TUB_API TUB_MUST_USE tub_status tub_model_preset(const char *name, tub_model_config *out,
                                                 tub_error *err);
/* Checks every value; the first wrong one is named in the sentence. Errors: TUB_E_RANGE,
 * TUB_E_ARGUMENT. */
TUB_API TUB_MUST_USE tub_status tub_model_config_check(const tub_model_config *config,
                                                       tub_error *err);

/* What a configuration costs; no memory is taken. */
typedef struct tub_model_cost {
    int64_t grid[3];         /* tubelets along t, h, w */
    int64_t tokens;          /* N, class token included; of all frames in the factorised encoder */
    int64_t temporal_tokens; /* of its temporal transformer, class token included; else 0 */
    int64_t parameters;
    int64_t arrays;        /* parameter arrays */
    double multiply_adds;  /* of one forward pass of one clip */
    size_t forward_bytes;  /* predicted memory of a batch-1 forward */
    size_t training_bytes; /* predicted memory of training with the given batch size */
    /* Of a baseline, with what settings that are 0 stand for; of a ViViT all 0. */
    int64_t convolutions, filters, stages;
    int64_t units;  /* of cnn-rnn */
    int64_t frames; /* that convolutions go over one by one, else 1 */
} tub_model_cost;
TUB_API TUB_MUST_USE tub_status tub_model_cost_of(const tub_model_config *config, int64_t batch,
                                                  tub_model_cost *out, tub_error *err);

/* A model with fresh parameters drawn by Keras' initialisers from seed. *out is the caller's. */
TUB_API TUB_MUST_USE tub_status tub_model_create(tub_context *ctx, const tub_model_config *config,
                                                 uint64_t seed, tub_model **out, tub_error *err);
/* The same parameters, for inference in the context's precision: as if that model had been saved and
 * opened again. Errors as tub_model_create, and TUB_E_UNSUPPORTED (sizes that bf16 and int8 have no
 * products for). */
TUB_API TUB_MUST_USE tub_status tub_model_create_for_inference(tub_context *ctx,
                                                               const tub_model_config *config,
                                                               uint64_t seed, tub_model **out,
                                                               tub_error *err);
/* Reads a model folder (config.json, model.safetensors, preprocessor_config.json) or a run folder,
 * for the context's precision. A folder of int8 weights in another precision is
 * TUB_E_UNSUPPORTED. */
TUB_API TUB_MUST_USE tub_status tub_model_open(tub_context *ctx, const char *folder,
                                               tub_model **out, tub_error *err);
/* Writes a model folder. A new one appears whole or not at all; in a folder that is there, files are
 * replaced one by one, each atomically. Of a model that was opened in int8, a folder of int8
 * weights. */
TUB_API TUB_MUST_USE tub_status tub_model_save(const tub_model *model, const char *folder,
                                               tub_error *err);
TUB_API void tub_model_close(tub_model *model); /* accepts NULL */

TUB_API const tub_model_config *tub_model_describe(const tub_model *model);
/* Class names [classes], or NULL. Valid until close or the next set. */
TUB_API const char *const *tub_model_labels(const tub_model *model);
TUB_API TUB_MUST_USE tub_status tub_model_set_labels(tub_model *model, const char *const *labels,
                                                     int64_t count, tub_error *err);

/* One parameter array as files hold it. */
typedef struct tub_parameter {
    const char *name; /* Hugging Face's name, as in model.safetensors */
    const char *role; /* "query kernel", for people */
    int64_t layer;    /* -1: none */
    int rank;
    int64_t shape[5]; /* as in model.safetensors: dense [out,in], convolution [D,C,t,h,w] */
    int64_t count;    /* elements */
    int decay;        /* weight decay applies by default */
} tub_parameter;
TUB_API int64_t tub_model_parameters(const tub_model *model);
/* index 0 … tub_model_parameters - 1; pointers stay valid until close. */
TUB_API TUB_MUST_USE tub_status tub_model_parameter(const tub_model *model, int64_t index,
                                                    tub_parameter *out, tub_error *err);
/* Copies an array out of or into the model, row-major in the shape above, count floats. Error:
 * TUB_E_ARGUMENT (index). */
TUB_API TUB_MUST_USE tub_status tub_model_get(const tub_model *model, int64_t index, float *out,
                                              tub_error *err);
TUB_API TUB_MUST_USE tub_status tub_model_set(tub_model *model, int64_t index, const float *values,
                                              tub_error *err);

/* Whether the model was read from a folder whose preprocessor_config.json asks for more than scaling
 * uint8 samples to 0…1: a size, a crop, an offset, a normalisation. 1: tub_model_forward refuses
 * uint8, which tub_model_prepare turns into what the model takes. */
TUB_API int tub_model_prepares(const tub_model *model);
/* Whether samples of a type and a shape (frames, height, width, channels) can become the model's
 * input: uint8 by tub_model_prepare, others as they are. Error: TUB_E_SHAPE, whose sentence has both
 * shapes; TUB_E_RANGE (pictures of more than 65536 pixels along an axis). */
TUB_API TUB_MUST_USE tub_status tub_model_accepts(const tub_model *model, tub_dtype dtype,
                                                  const int64_t shape[4], tub_error *err);
/* Prepares count samples of uint8, [count] + shape, as the model's folder says: resized, cropped or
 * padded, rescaled, moved and normalised, bit by bit as transformers' VivitImageProcessor (with
 * Pillow 13) does it; without such a folder only scaled. out: [count,T,H,W,C] of float32. Thread-safe.
 * Errors: those of tub_model_accepts, TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_model_prepare(const tub_model *model, int64_t count,
                                                  const int64_t shape[4],
                                                  const unsigned char *samples, float *out,
                                                  tub_error *err);

/* Forward pass without dropout. x: [batch,T,H,W,C], uint8 (scaled as input_scale says), float32
 * (taken as it is) or float64 (rounded to float32); logits and probabilities: [batch,K] each,
 * either may be NULL; probabilities are the task's: one softmax, sigmoids, or a softmax a head. A batch
 * of any size gives each sample the same bits. Not thread-safe for one context. Errors:
 * TUB_E_ARGUMENT (batch < 1, another type, uint8 for a model that prepares), TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_model_forward(tub_model *model, int64_t batch, tub_dtype dtype,
                                                  const void *x, float *logits,
                                                  float *probabilities, tub_error *err);

#ifdef __cplusplus
}
#endif
#endif
