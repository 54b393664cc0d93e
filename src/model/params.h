/* SPDX-License-Identifier: Apache-2.0 */
/* The parameter table: the one list of a model's arrays. Allocation, initial values, optimiser
 * groups, file names, counts and tests read it. */
#ifndef TUB__MODEL_PARAMS_H
#define TUB__MODEL_PARAMS_H

#include "backend/backend.h"

typedef enum tub__role {
    TUB__EMBED_KERNEL,
    TUB__EMBED_BIAS,
    TUB__CLASS_TOKEN,
    TUB__POSITION,
    TUB__NORM1_GAMMA,
    TUB__NORM1_BETA,
    TUB__QUERY_KERNEL,
    TUB__QUERY_BIAS,
    TUB__KEY_KERNEL,
    TUB__KEY_BIAS,
    TUB__VALUE_KERNEL,
    TUB__VALUE_BIAS,
    TUB__OUT_KERNEL,
    TUB__OUT_BIAS,
    TUB__NORM2_GAMMA,
    TUB__NORM2_BETA,
    TUB__MLP1_KERNEL,
    TUB__MLP1_BIAS,
    TUB__MLP2_KERNEL,
    TUB__MLP2_BIAS,
    TUB__NORM_GAMMA,
    TUB__NORM_BETA,
    TUB__HEAD_KERNEL,
    TUB__HEAD_BIAS,
    /* Factorised encoder: the temporal transformer's own. Its layers have the roles above and the
     * numbers after the spatial transformer's. */
    TUB__TEMPORAL_CLASS_TOKEN,
    TUB__TEMPORAL_POSITION,
    TUB__TEMPORAL_NORM_GAMMA,
    TUB__TEMPORAL_NORM_BETA,
    /* Factorised self-attention: those over time; the ones over space have the roles above. */
    TUB__TIME_NORM_GAMMA,
    TUB__TIME_NORM_BETA,
    TUB__TIME_QUERY_KERNEL,
    TUB__TIME_QUERY_BIAS,
    TUB__TIME_KEY_KERNEL,
    TUB__TIME_KEY_BIAS,
    TUB__TIME_VALUE_KERNEL,
    TUB__TIME_VALUE_BIAS,
    TUB__TIME_OUT_KERNEL,
    TUB__TIME_OUT_BIAS,
    TUB__REPRESENTATION_KERNEL,
    TUB__REPRESENTATION_BIAS,
    /* Baselines: convolutions have layers of their own, counted from 0. */
    TUB__CONV_KERNEL,
    TUB__CONV_BIAS,
    TUB__BATCH_GAMMA,
    TUB__BATCH_BETA,
    TUB__BATCH_MEAN, /* buffers: the moving statistics */
    TUB__BATCH_VARIANCE,
    TUB__PROJECT_KERNEL,
    TUB__PROJECT_BIAS,
    TUB__GRU_KERNEL,
    TUB__GRU_BIAS,
    TUB__GRU_RECURRENT,
    TUB__GRU_RECURRENT_BIAS,
    TUB__ROLES
} tub__role;

typedef enum tub__initial {
    TUB__INIT_ZEROS,
    TUB__INIT_ONES,
    TUB__INIT_UNIFORM,
    TUB__INIT_ORTHOGONAL /* orthonormal rows: the matrix has no more of them than columns */
} tub__initial;

/* How the file's array maps to the matrix [rows, cols] that the layers use. */
typedef enum tub__file_layout {
    TUB__FILE_PLAIN,      /* same order: vectors, position tables */
    TUB__FILE_TRANSPOSED, /* dense: the file has [out, in] */
    TUB__FILE_CONV3D      /* the file has [D, C, t, h, w], the matrix rows run (t, h, w, c) */
} tub__file_layout;

typedef struct tub__param {
    char name[96];     /* in model.safetensors: Hugging Face's where it has such an array */
    char keras[96];    /* path in the Keras example's weight file; "" where it has no such array */
    const char *title; /* "query kernel" */
    tub__role role;
    int layer;   /* -1: none */
    int group;   /* 0 the embedding, 1 to L the transformer blocks, L + 1 what is above */
    bool packed; /* true: a tub__weight; false: [rows, padded cols] */
    size_t rows, cols;
    size_t offset, elements; /* in each slab, padding included */
    bool reducible;          /* the factor of a product worth it, in the table's format */
    tub__format format;      /* the table's */
    size_t reduced_offset;   /* bytes, in the slab of reduced weights */
    tub__file_layout file;
    int rank;
    size_t shape[5]; /* in the file */
    tub__initial initial;
    double limit; /* uniform in [-limit, limit) */
    bool decay;   /* a kernel: weight decay applies by default */
    bool buffer;  /* moving statistics, written by forward passes in training: no gradient (zeros in
                     its slab), no part of its norm, no decay, no update */
} tub__param;

/* Offsets of the arrays that one layer of the stack needs, found once. */
typedef struct tub__params {
    tub__param *list;
    size_t count;
    int layers;           /* of all towers, or convolutions where those are more */
    size_t elements;      /* of a slab */
    size_t reduced_bytes; /* of a slab of reduced weights */
    size_t numbers;       /* of all arrays, without padding */
    size_t trained;       /* of those, but for buffers: the parameter count */
    const tub_allocator *allocator;
} tub__params;

/* Fills the table for a checked configuration. only: NULL, or the format of arrays that are reducible:
 * then they get no place in the slabs of reals. */
TUB_MUST_USE tub_status tub__params_create(const tub_allocator *a, const tub_model_config *config,
                                           const tub__format *only, tub__params *out,
                                           tub_error *err);
/* Says which arrays are reducible in a format, and where they lie in a slab of reduced weights. */
void tub__params_reduce(tub__params *p, tub__format format);
void tub__params_destroy(tub__params *p);
/* The entry of a role in a layer (-1 for those without); NULL when the model has none. */
const tub__param *tub__params_find(const tub__params *p, tub__role role, int layer);
/* The roles of an attention's arrays: of query's kernel, and of the norm before it. */
typedef struct tub__attention_roles {
    tub__role query, norm;
} tub__attention_roles;
/* Of attention number i of a block. Those over time are arrays of their own only where there are two
 * attentions. */
tub__attention_roles tub__params_attention(const tub_model_config *config, size_t i);
const tub__param *tub__params_named(const tub__params *p, const char *name);
/* Numbers of one array, without padding: as many as its array in the file has. */
static inline size_t tub__param_elements(const tub__param *p) {
    return p->rows * p->cols;
}
/* Those of the largest array. */
size_t tub__params_largest(const tub__params *p);
/* Where an array begins when all lie one after another without padding, in the table's order. */
size_t tub__params_place(const tub__params *p, size_t index);
/* Views into slabs of the backend. reduced: NULL, or the slab of reduced weights. */
tub__weight tub__param_weight(const tub__backend *be, const tub__param *p, void *slab,
                              void *reduced);
tub__mat tub__param_mat(const tub__backend *be, const tub__param *p, void *slab);

/* Copies one array between a slab and host memory in the file's layout (row-major, shape as in the
 * file), host float32 or float64. scratch: elements of the same size for a convolution kernel's
 * reordering. */
void tub__param_read(tub__backend *be, const tub__param *p, void *slab, tub_dtype host, void *out,
                     void *scratch);
void tub__param_write(tub__backend *be, const tub__param *p, void *slab, tub_dtype host,
                      const void *values, void *scratch);

#endif
