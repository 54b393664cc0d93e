/* SPDX-License-Identifier: Apache-2.0 */
/* The layers that every ViViT variant is wired from: forward and backward beside each other, one
 * file each.
 *
 * A layer is a plain struct of views: parameters, their gradients, and what the forward pass keeps
 * for the backward pass. It owns nothing and never looks at a number. Matrices are made for the
 * largest batch; a call uses the first rows. */
#ifndef TUB__NN_NN_H
#define TUB__NN_NN_H

#include "backend/backend.h"

/* A call's setting: how many samples, and how many rows each has. */
typedef struct tub__call {
    tub__backend *be;
    size_t samples;
    bool training; /* keep what backward needs */
    bool frozen; /* training: parameters are given. There are no gradients of them, and batch norms
                      take their moving statistics */
    bool more;   /* backward: the parameters' gradients go on, as in tub__linear_dw */
    const tub__dropout *dropout; /* NULL: none */
} tub__call;

/* The first `rows` rows of a view. */
static inline tub__mat tub__first_rows(tub__mat m, size_t rows) {
    m.rows = rows;
    return m;
}
/* Columns [from, from + cols) of a view; from is a multiple of TUB__PANEL. */
static inline tub__mat tub__columns(const tub__backend *be, tub__mat m, size_t from, size_t cols) {
    return (tub__mat){(char *)m.data + from * be->real_size, m.rows, cols, m.ld};
}
static const tub__mat TUB__NO_MAT = {NULL, 0, 0, 0};

/* ---- what training leaves out at random ---- */

/* Of a branch of a block, or of the tokens: shares that are dropped. All zero: none. */
typedef struct tub__drops {
    double rate;       /* of elements; kept ones times 1 / (1 - rate) */
    double layer_rate; /* of whole samples: stochastic depth (Huang et al. 2016) */
    bool rescale;      /* kept samples times 1 / (1 - layer_rate) */
    uint32_t block;    /* number of the block: counts stochastic depth */
} tub__drops;

/* Whether this call drops any. */
bool tub__drops_any(const tub__call *call, const tub__drops *drops);
/* z = add + what is kept of x, at a site of a layer; the same is kept however often it is asked. add:
 * TUB__NO_MAT adds nothing. Stochastic depth is of the sites that end a branch. */
void tub__drops_apply(const tub__call *call, const tub__drops *drops, tub__drop_site site,
                      uint32_t layer, tub__mat x, tub__mat add, tub__mat z);

/* ---- dense: y = x W + b ---- */

typedef struct tub__dense {
    tub__weight w, dw; /* dw: training only */
    const void *bias;  /* NULL: none */
    void *dbias;
} tub__dense;

/* op: all but the weight and its bias. */
void tub__dense_forward(const tub__call *call, const tub__dense *layer, const tub__linear *op);
/* Gradients of W and b from x and dy. */
void tub__dense_gradients(const tub__call *call, const tub__dense *layer, tub__mat x, tub__mat dy);
/* dx = dy W^T, times the slope of the activation that made x (TUB__NO_MAT: none). */
void tub__dense_backward(const tub__call *call, const tub__dense *layer, tub__mat dy,
                         tub__mat slope, tub__mat dx);

/* ---- layer norm ---- */

typedef struct tub__layer_norm {
    const void *gamma, *beta;
    void *dgamma, *dbeta;
    double epsilon;
    void *mean, *inverse; /* kept rows */
    void *workspace;      /* for backward */
} tub__layer_norm;

void tub__layer_norm_forward(const tub__call *call, const tub__layer_norm *layer, tub__mat x,
                             tub__mat y);
/* The same as the beginning of a dense layer, for tub__linear.norm. */
tub__norm tub__layer_norm_within(const tub__call *call, const tub__layer_norm *layer);
/* The output of the last forward pass once more, from the kept rows: cheaper to make than to keep.
 */
void tub__layer_norm_again(const tub__call *call, const tub__layer_norm *layer, tub__mat x,
                           tub__mat y);
/* dx = add + the gradient of x; add: TUB__NO_MAT, dx or another matrix. */
void tub__layer_norm_backward(const tub__call *call, const tub__layer_norm *layer, tub__mat x,
                              tub__mat dy, tub__mat add, tub__mat dx);

/* ---- multi-head attention ---- */

/* Which tokens meet: joint attention has one group of all tokens of a sample. */
typedef struct tub__pattern {
    size_t groups, length, group_stride, token_stride;
} tub__pattern;

typedef struct tub__attention_layer {
    tub__dense qkv; /* [D, 3 padded D]: query, key and value side by side */
    tub__dense out;
    size_t width, heads;
    const tub__pattern *patterns; /* [parts]: of equal shares of the heads, in order */
    size_t parts;
    uint32_t number;    /* of the first part: counts dropout, the next part has the next number */
    tub__drops drops;   /* of what the output projection gives */
    tub__mat qkv_rows;  /* [M, 3 padded D], kept */
    tub__mat o;         /* [M, D], kept; in inference shared by all layers */
    void *stats;        /* of the parts, one after the other */
    tub__mat dqkv, d_o; /* scratch of backward; the padding of dqkv is zero */
    tub__mat dout;      /* [M, D] likewise: with drops only */
} tub__attention_layer;

/* y = x + drops(attention(norm(x)) W + b). next: the weight of the product that follows, as in
 * tub__linear. */
void tub__attention_layer_forward(const tub__call *call, const tub__attention_layer *layer,
                                  const tub__layer_norm *norm, tub__mat x, tub__mat y,
                                  tub__weight next);
/* The weight of its first product, for the layer before. */
tub__weight tub__attention_layer_first(const tub__attention_layer *layer);
void tub__attention_layer_backward(const tub__call *call, const tub__attention_layer *layer,
                                   tub__mat dy, tub__mat dx);
/* The weights' gradients, after backward, whose dy it takes; x: of the forward pass. */
void tub__attention_layer_gradients(const tub__call *call, const tub__attention_layer *layer,
                                    tub__mat x, tub__mat dy);
/* Some heads of one part, counted within it. */
typedef struct tub__heads {
    size_t part, first, count;
} tub__heads;
/* Their attention probabilities, of the rows kept by the last forward pass, into backend memory:
 * [samples, groups, count, length, length]. */
void tub__attention_layer_probabilities(const tub__call *call, const tub__attention_layer *layer,
                                        const tub__heads *heads, tub__mat scratch_o,
                                        void *probabilities);
/* The gradients of these, likewise, after the backward pass, which left d_o. */
void tub__attention_layer_dp(const tub__call *call, const tub__attention_layer *layer,
                             const tub__heads *heads, size_t rows, void *dp);

/* ---- MLP: drops(gelu?(drop(gelu(x W1 + b1)) W2 + b2)) ---- */

typedef struct tub__mlp {
    tub__dense first, second;
    tub__activation activation;
    bool output_activation;
    tub__mat hidden;                     /* [M, F], kept */
    tub__mat hidden_slope, output_slope; /* [M, F], [M, D]: kept; the second only with
                                            output_activation */
    uint32_t number;                     /* of the layer: counts dropout */
    tub__drops drops;       /* of what it gives; its hidden numbers are dropped at the same rate */
    tub__mat dhidden, dout; /* scratch of backward; dout with output_activation or drops only */
} tub__mlp;

/* y = x + MLP(norm(x)). next: the weight of the product that follows, as in tub__linear. */
void tub__mlp_forward(const tub__call *call, const tub__mlp *layer, const tub__layer_norm *norm,
                      tub__mat x, tub__mat y, tub__weight next);
/* What backward needs of the forward pass once more; scratch: [M, D]. */
void tub__mlp_again(const tub__call *call, const tub__mlp *layer, const tub__layer_norm *norm,
                    tub__mat x, tub__mat scratch);
void tub__mlp_backward(const tub__call *call, const tub__mlp *layer, tub__mat dy, tub__mat dx);
/* The weights' gradients, after backward, whose dy it takes; x: of the forward pass. */
void tub__mlp_gradients(const tub__call *call, const tub__mlp *layer, tub__mat x, tub__mat dy);

/* ---- positions: what stands before the blocks of a transformer ---- */

typedef struct tub__positions {
    size_t sequences;        /* of a sample */
    tub__mat position;       /* [N, D]; data NULL: none */
    void *dposition;         /* NULL: not learned, or not wanted */
    const void *class_token; /* stands first in every sequence; NULL: none */
    void *dclass_token;      /* NULL: not wanted */
    tub__drops drops;        /* of all tokens, when they have their positions */
    uint32_t number;         /* of the transformer: counts dropout */
} tub__positions;

/* y = x with the class token before it, plus the positions. x: [sequences * N, D] without class
 * token. */
void tub__positions_forward(const tub__call *call, const tub__positions *layer, tub__mat x,
                            tub__mat y);
/* What training drops of y, or of its gradient, in place; a part of the two around it. */
void tub__positions_drop(const tub__call *call, const tub__positions *layer, tub__mat y);
/* Writes over dy. Gradients of the table and of the class token, and dx of what x was. Without class token dx is dy:
 * then it is not written, and may be TUB__NO_MAT. */
void tub__positions_backward(const tub__call *call, const tub__positions *layer, tub__mat dy,
                             tub__mat dx);

/* ---- tubelet embedding: tokens from clips ---- */

typedef struct tub__embedding {
    tub__geometry geometry;
    bool multiply; /* uint8 scaling by float32(1/255) instead of division */
    tub__dense projection;
    tub__positions positions;
    tub__mat rows;        /* [samples * grid, tubelet], kept */
    tub__mat bare, dbare; /* [samples * grid, D]: with a class token only */
    tub__mat drows;       /* scratch, for the input's gradient only */
    void *dinput;         /* [samples, T,H,W,C], or NULL */
} tub__embedding;

void tub__embedding_forward(const tub__call *call, const tub__embedding *layer, tub_dtype dtype,
                            const void *x, tub__mat y);
/* Writes over dy. */
void tub__embedding_backward(const tub__call *call, const tub__embedding *layer, tub__mat dy);

/* ---- pooler: norm and pooling, from sequences to one row each ---- */

typedef struct tub__pooler {
    tub__layer_norm norm;
    bool bare; /* there is no norm */
    tub_pooling pooling;
    size_t sequences;         /* of a sample */
    tub__mat normed, dnormed; /* scratch of all rows; the first is kept */
    tub__mat pooled, dpooled; /* [samples * sequences, D] */
} tub__pooler;

void tub__pooler_forward(const tub__call *call, const tub__pooler *layer, tub__mat x);
/* From dpooled to the gradient of x. */
void tub__pooler_backward(const tub__call *call, const tub__pooler *layer, tub__mat x, tub__mat dx);

/* ---- convolution: y = x * W + b over a grid of places ---- */

typedef struct tub__conv_layer {
    tub__window window;
    size_t grids;     /* of a sample: the frames that are gone over one by one, or 1 */
    tub__dense dense; /* rows of the weight are (tap, channel) */
    void *workspace;  /* for backward: the turned weight */
} tub__conv_layer;

/* Rows of all samples before and behind the layer. */
size_t tub__conv_rows_in(const tub__call *call, const tub__conv_layer *layer);
size_t tub__conv_rows_out(const tub__call *call, const tub__conv_layer *layer);
void tub__conv_forward(const tub__call *call, const tub__conv_layer *layer, tub__mat x, tub__mat y);
/* Gradients of W and b from x and dy. */
void tub__conv_gradients(const tub__call *call, const tub__conv_layer *layer, tub__mat x,
                         tub__mat dy);
/* The gradient of x into dx; more: onto what dx holds. */
void tub__conv_backward(const tub__call *call, const tub__conv_layer *layer, tub__mat dy, bool more,
                        tub__mat dx);

/* Max pooling behind a convolution, with a floor of zero: what ReLU and pooling come to. */
void tub__relu_pool_forward(const tub__call *call, const tub__window *window, tub__mat x,
                            tub__mat y);
void tub__relu_pool_backward(const tub__call *call, const tub__window *window, tub__mat x,
                             tub__mat y, tub__mat dy, tub__mat dx);

/* ---- batch norm: in training by the batch's statistics, else by the moving ones ---- */

typedef struct tub__batch_norm_layer {
    const void *gamma, *beta;
    void *dgamma, *dbeta;
    void *moving_mean, *moving_variance; /* parameters that are no weights */
    double epsilon, momentum;
    void *mean, *inverse; /* of the last forward pass */
    void *workspace;
} tub__batch_norm_layer;

/* y = norm(x) + add (TUB__NO_MAT: none), at least zero with relu; y may be x in inference. */
void tub__batch_norm_forward(const tub__call *call, const tub__batch_norm_layer *layer, tub__mat x,
                             tub__mat add, bool relu, tub__mat y);
/* The output of the last forward pass, without anything added, once more. */
void tub__batch_norm_again(const tub__call *call, const tub__batch_norm_layer *layer, tub__mat x,
                           bool relu, tub__mat y);
/* y: what forward gave with relu, where dy is then cleared of what it held back; else TUB__NO_MAT. */
void tub__batch_norm_gradient(const tub__call *call, const tub__batch_norm_layer *layer, tub__mat x,
                              tub__mat y, tub__mat dy, tub__mat dx);

/* ---- gated recurrent unit over the frames of a sample ---- */

typedef struct tub__gru_layer {
    size_t units, frames;        /* U, T */
    tub__dense input, recurrent; /* [F, 3 U], [U, 3 U]: gates z, r and the candidate, as Keras */
    /* Rows of sample s: T or T + 1 from s T or s (T + 1) on. State 0 and the gradient of the products
     * after the last state are zero, and never written. */
    tub__mat x_gates;       /* [B T, 3 U] */
    tub__mat inner;         /* [B (T + 1), 3 U] */
    tub__mat states;        /* [B (T + 1), U] */
    tub__mat gates;         /* [B T, 3 U], kept; training only, as all that follow */
    tub__mat dx_gates;      /* [B T, 3 U] */
    tub__mat dinner;        /* [B (T + 1), 3 U] */
    tub__mat dstate, dkept; /* [B, U] */
} tub__gru_layer;

/* x: [B T, F]. Returns the last states, [B, U], rows far apart. */
tub__mat tub__gru_layer_forward(const tub__call *call, const tub__gru_layer *layer, tub__mat x);
/* The last states again. */
tub__mat tub__gru_layer_last(const tub__call *call, const tub__gru_layer *layer);
/* From the gradient of the last states to all gradients, and dx of x. */
void tub__gru_layer_backward(const tub__call *call, const tub__gru_layer *layer, tub__mat x,
                             tub__mat dlast, tub__mat dx);

/* ---- head: representation, if any, and classifier ---- */

typedef struct tub__head {
    tub__dense representation;                 /* tanh(x W + b); w.rows 0: none */
    tub__mat represented, drepresented, slope; /* [samples, R] */
    tub__dense classifier;
    tub__mat logits, dlogits;
} tub__head;

/* x: [samples, D] as pooled. */
void tub__head_forward(const tub__call *call, const tub__head *layer, tub__mat x);
void tub__head_backward(const tub__call *call, const tub__head *layer, tub__mat x, tub__mat dx);

#endif
