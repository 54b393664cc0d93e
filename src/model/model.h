/* SPDX-License-Identifier: Apache-2.0 */
/* A model's insides, for the layers that read, write and train it. */
#ifndef TUB__MODEL_MODEL_H
#define TUB__MODEL_MODEL_H

#include "base/context.h"
#include "model/params.h"

typedef struct tub__pass tub__pass;

struct tub_model {
    tub_context *context;
    tub__backend *backend; /* the context's, or a test's */
    tub_model_config config;
    tub__geometry geometry;
    tub__params params;
    void *weights;      /* slab of parameters */
    void *sinusoids;    /* slab of the towers' tables of positions, or NULL: there are none */
    void *reduced;      /* slab of reduced weights, or NULL: products take those */
    void *transposed;   /* likewise, transposed: for training */
    bool only_reduced;  /* there are no others */
    bool reduced_stale; /* weights have changed since reduced was made of them */
    char **labels;      /* [classes], or NULL */
    /* What its folder says of samples (convert/prepare.h); all are freed with the model. */
    struct tub__preprocessing *preprocessing; /* NULL: uint8 is scaled, and that is all */
    struct tub__clip_rule *clip;              /* of files, or NULL: nothing is known of them */
    char *preprocessor_text;                  /* the folder's file, or NULL */
    tub__pass *inference;                     /* made on first use by tub_model_forward */
    size_t inference_batch;
};

/* The geometry that a checked configuration means. */
tub__geometry tub__model_geometry(const tub_model_config *config);
/* Tokens of a sample in the first transformer, class tokens included. */
size_t tub__model_tokens(const tub_model_config *config);
/* How a checked configuration's logits are read. */
tub__outputs tub__model_outputs(const tub_model_config *config);
/* Whether it has transformer blocks: others have nothing that is decayed or frozen layer by layer. */
bool tub__model_has_blocks(const tub_model_config *config);
/* Multiply-adds of one clip's forward pass, or of its forward and backward pass in training. */
double tub__model_multiply_adds(const tub_model_config *config, bool training);
/* What training does more where blocks are computed again. */
double tub__model_again_multiply_adds(const tub_model_config *config);

/* A model without memory, for tub__pass_measure and its table of parameters. It must stay where it
 * was made. */
typedef struct tub__outline {
    tub__backend backend; /* has no operations */
    tub_model model;
} tub__outline;
/* Error: those of tub_model_config_check. */
TUB_MUST_USE tub_status tub__outline_create(const tub_model_config *config, tub__outline *out,
                                            tub_error *err);
void tub__outline_destroy(tub__outline *o);

/* The tables of positions that are computed, not learned: bytes of all towers; their slab, filled;
 * and the view of one tower's (TUB__NO_MAT's data where it has none). */
size_t tub__sinusoids_bytes(const tub_model_config *config, size_t real_size);
TUB_MUST_USE tub_status tub__sinusoids_create(tub_model *model, tub_error *err);
tub__mat tub__model_sinusoids(const tub_model *model, size_t tower);

/* A model whose parameters are all zero, on a backend. tub_model_create is this plus the initial
 * values. */
TUB_MUST_USE tub_status tub__model_create_empty(tub_context *ctx, tub__backend *be,
                                                const tub_model_config *config, tub_model **out,
                                                tub_error *err);
/* The same for inference in a precision: factors of products have only their reduced form. */
TUB_MUST_USE tub_status tub__model_create_for(tub_context *ctx, tub__backend *be,
                                              const tub_model_config *config,
                                              tub_precision precision, tub_model **out,
                                              tub_error *err);
/* From now on products take weights reduced to a format, made anew when the weights have changed
 * (reduced_stale). training: with bfloat16 only. */
TUB_MUST_USE tub_status tub__model_reduce(tub_model *model, tub__format format, bool training,
                                          tub_error *err);
/* Whether the model has an array, or any, as whole numbers only. */
bool tub__model_is_int8(const tub_model *model, const tub__param *p);
bool tub__model_has_int8(const tub_model *model);
/* The factor of a product that an array is, or begins: query, key and value kernels are one. False for
 * arrays that are none, or only a later part of one. */
bool tub__model_factor(const tub_model *model, const tub__param *p, tub__weight *out);
/* Makes the reduced weights of the present ones, where there are both. */
void tub__model_refresh(tub_model *model);

/* One array to or from host memory in the file's layout, as tub__param_read and tub__param_write do. */
TUB_MUST_USE tub_status tub__model_read(const tub_model *model, const tub__param *p, tub_dtype host,
                                        void *out, void *scratch, tub_error *err);
TUB_MUST_USE tub_status tub__model_write(tub_model *model, const tub__param *p, tub_dtype host,
                                         const void *values, void *scratch, tub_error *err);
/* The same of an array that the model has as whole numbers: those, and a scale for each output
 * channel (the first axis in the file). */
void tub__model_read_int8(const tub_model *model, const tub__param *p, int8_t *out, float *scales);
void tub__model_write_int8(tub_model *model, const tub__param *p, const int8_t *values,
                           const float *scales);

/* Draws the initial values of every array from (seed, array). */
TUB_MUST_USE tub_status tub__model_initialise(tub_model *model, uint64_t seed, tub_error *err);

/* ---- One forward and backward pass, with the memory it needs. ---- */

typedef struct tub__pass_config {
    size_t batch;        /* most samples at once */
    bool training;       /* keep what backward needs, and hold gradients */
    bool recompute;      /* of a block keep only what enters it; backward computes the rest again */
    bool input_gradient; /* backward also computes the gradient of the input */
    bool
        frozen; /* training, but of nothing: the parameters' gradients are not computed, and batch norms
                    take their moving statistics, as in inference */
    bool watch; /* training: room for tub__pass_heads */
} tub__pass_config;

/* Bytes that tub__pass_create would take (slab and arena), by a measuring pass. */
TUB_MUST_USE tub_status tub__pass_measure(const tub_model *model, const tub__pass_config *config,
                                          size_t *bytes, tub_error *err);
TUB_MUST_USE tub_status tub__pass_create(tub_model *model, const tub__pass_config *config,
                                         tub__pass **out, tub_error *err);
void tub__pass_destroy(tub__pass *pass); /* accepts NULL */

/* Forward: x is host memory [samples,T,H,W,C] uint8, float32 or float64 (checking build). dropout:
 * NULL in evaluation; its rate is of attention probabilities, other rates are the configuration's,
 * and its layer is filled in here. */
void tub__pass_forward(tub__pass *pass, size_t samples, tub_dtype dtype, const void *x,
                       const tub__dropout *dropout);

typedef struct tub__targets {
    const int32_t *labels;     /* [samples, tub__outputs_columns] */
    const float *class_weight; /* [K] or NULL; of one softmax only */
    const int32_t *second;     /* [samples] or NULL; of one softmax only: another label, */
    const float *share;        /* [samples] and its share of the target (tub__loss) */
    double smoothing;
    size_t global_batch; /* the loss is a mean over this many samples */
} tub__targets;

/* Told of a layer of the model when what its attentions made is there. */
typedef void tub__layer_fn(void *user, size_t layer);
typedef struct tub__watch {
    tub__layer_fn *fn; /* NULL: nobody looks */
    void *user;
} tub__watch;

/* Loss after forward: per-sample losses into losses (host [samples], may be NULL); prepares the
 * gradient of the logits when training. */
void tub__pass_loss(tub__pass *pass, const tub__targets *targets, double *losses);
/* Backward after loss: the gradients of the mean loss overwrite the gradient slab. The samples are
 * whole groups of 4 of the global batch, except perhaps the last; or, with `more`, go on with the
 * group whose earlier samples the last call had: the slab then holds the gradients of both. */
void tub__pass_backward(tub__pass *pass, bool more);

/* Results, host memory, float32 or float64, row-major without padding. */
void tub__pass_logits(tub__pass *pass, tub_dtype host, void *out);        /* [samples, K] */
void tub__pass_probabilities(tub__pass *pass, tub_dtype host, void *out); /* [samples, K] */
void *tub__pass_gradients(tub__pass *pass); /* slab; layout of model->params */
void tub__pass_input_gradient(tub__pass *pass, tub_dtype host, void *out); /* [samples,T,H,W,C] */
/* Tokens entering layer l of all layers (l = layers: leaving the last), [samples, N, D] of its
 * transformer; training passes only. */
void tub__pass_tokens(tub__pass *pass, size_t layer, tub_dtype host, void *out);
/* Probabilities of one attention of a layer, recomputed; training passes only. Joint attention and the
 * factorised encoder have number 0: [samples, sequences, A, N, N]. Factorised self-attention has 0 and
 * 1 in their order, [samples, groups, A, length, length]; factorised dot product has 0 over time and 1
 * over space, of half the heads each. Where blocks are computed again: of the last layer only. */
TUB_MUST_USE tub_status tub__pass_attention(tub__pass *pass, size_t layer, size_t number,
                                            tub_dtype host, void *out, tub_error *err);

/* ---- Looking into a pass whose configuration says so (watch), after its forward pass: watch.c ---- */

/* Prepares backward, instead of tub__pass_loss: the gradient is to be that of one column's logits, the
 * sum of the samples' ones. */
void tub__pass_aim(tub__pass *pass, size_t column);
/* Tells of every layer, from the last one to the first: of attentions alone, or with their gradients,
 * which runs tub__pass_backward. */
void tub__pass_watch(tub__pass *pass, bool gradients, tub__watch watch);

/* Heads of an attention of a layer; number as in tub__pass_attention, heads counted within it. */
typedef struct tub__head_range {
    size_t number, first, count;
} tub__head_range;
/* Numbers that this can be at most, of any layer. */
size_t tub__pass_heads_room(const tub__pass *pass);
/* Of the layer that is told of: probabilities, or their gradients, into host memory, [samples, groups,
 * count, length, length]. At most so many heads at once. */
size_t tub__pass_heads_most(tub__pass *pass, size_t layer, size_t number);
void tub__pass_heads(tub__pass *pass, size_t layer, const tub__head_range *range, bool gradients,
                     tub_dtype host, void *out);
/* The gradient of the sum of what a tower pools in each column, with respect to what it is pooled from:
 * host [samples, N, D] of its transformer. Before the layers are told of; not of a tower without
 * layers. */
void tub__pass_pooling(tub__pass *pass, size_t tower, tub_dtype host, void *out);

#endif
