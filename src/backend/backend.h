/* SPDX-License-Identifier: Apache-2.0 */
/* The operations that a model needs, as one table of functions over a backend's own memory.
 *
 * Nothing above this line touches a number: nn/ and model/ hand tub__mat and tub__weight views
 * down, and a backend may keep the data anywhere. Every operation works on the whole batch, splits
 * itself over the backend's threads, and gives bits that do not depend on that split
 * (docs/numerics.md section 3). Shapes are the caller's duty: a mismatch is a broken invariant, not
 * an error. */
#ifndef TUB__BACKEND_BACKEND_H
#define TUB__BACKEND_BACKEND_H

#include "backend/group.h"
#include "base/alloc.h"
#include "base/philox.h"
#include "base/pool.h"
#include "base/ratio.h"
#include "tensor/mat.h"
#include <stdbool.h>
#include <stdint.h>
#include <tubelet/model.h>

typedef struct tub__backend tub__backend;

typedef enum tub__activation {
    TUB__LINEAR = 0,
    TUB__GELU_TANH,
    TUB__GELU_ERF,
    TUB__TANH
} tub__activation;

/* How a clip is cut into tubelets: [T,H,W,C] into N = grid[0] grid[1] grid[2] rows of kernel[0]
 * kernel[1] kernel[2] C. */
typedef struct tub__geometry {
    size_t frames, height, width, channels;
    size_t kernel[3], stride[3], grid[3];
    bool
        sampled; /* the grid's grid[0] times are frames at equal distances; the stride has no say */
} tub__geometry;

/* The first frame of the tubelets at time index t: of n sampled frames, number k = t + 1 is k T / (n
 * + 1) rounded to the nearest, ties to even, and all of them are taken where n is T. */
static inline size_t tub__geometry_frame(const tub__geometry *g, size_t t) {
    const size_t n = g->grid[0] + 1;
    return !g->sampled || n > g->frames ? t * g->stride[0]
                                        : (size_t)tub__divide_even((t + 1) * g->frames, n);
}

static inline size_t tub__geometry_tokens(const tub__geometry *g) {
    return g->grid[0] * g->grid[1] * g->grid[2];
}
static inline size_t tub__geometry_row(const tub__geometry *g) {
    return g->kernel[0] * g->kernel[1] * g->kernel[2] * g->channels;
}
static inline size_t tub__geometry_voxels(const tub__geometry *g) {
    return g->frames * g->height * g->width * g->channels;
}

typedef struct tub__norm {
    tub__mat x;               /* [M, D] */
    const void *gamma, *beta; /* [padded D] */
    double epsilon;
    void *mean, *inverse; /* [M] each: kept for the backward pass; NULL: not kept */
    bool again;           /* mean and inverse are there from the last time: y as then */
    tub__mat y;           /* [M, D]; may be x */
} tub__norm;

/* y = activation(norm(x) W + b) + residual. */
typedef struct tub__linear {
    tub__mat x;       /* [M, K] */
    tub__norm norm;   /* gamma NULL: x is taken as it is; else its rows are normalised on the way
                         (norm.x and norm.y are not looked at), not again, and there is no
                         residual */
    tub__weight w;    /* [K, N] */
    size_t side;      /* matrices of equal width that lie side by side in w, each in whole panels;
                         0 is 1. Who makes some columns of one makes the same of the others: query,
                         key and value of a head */
    const void *bias; /* [padded N], or NULL */
    tub__activation activation;
    tub__mat slope;    /* [M, N]: activation'(x W + b), kept for the backward pass; data NULL: not
                          kept. The one buffer whose padding is not zero: it meets zeros only */
    tub__mat residual; /* data NULL: none; row r of y gets row r % residual.rows; may be y itself
                          when rows are equal */
    tub__mat y;        /* [M, N]; not x */
    tub__weight next;  /* of the next product (the first of those side by side), to be brought near
                          meanwhile; data NULL: unknown */
} tub__linear;

/* dx = (dy W^T) * slope. */
typedef struct tub__linear_dx {
    tub__mat dy;    /* [M, N] */
    tub__weight w;  /* [K, N] */
    tub__mat slope; /* [M, K] of the activation that made x; data NULL: none */
    tub__mat dx;    /* [M, K] */
} tub__linear_dx;

/* dW = x^T dy and db = column sums of dy. Rows are chained within groups of group_rows (the last
 * may be shorter), groups are added in the balanced tree. Overwrites, or goes on: here and wherever
 * sums over samples are made, `more` says that there is one group only, and that its earlier rows
 * were summed by the call before, whose results are where this call's will be. */
typedef struct tub__linear_dw {
    tub__mat x;  /* [M, K] */
    tub__mat dy; /* [M, N] */
    size_t group_rows;
    tub__weight dw; /* [K, N] */
    bool more;
    bool reduced; /* factors may be rounded to bfloat16, and rows chained in one */
    void *dbias;  /* [padded N], or NULL */
} tub__linear_dw;

typedef struct tub__norm_backward {
    tub__mat dy, x; /* [M, D] */
    const void *gamma, *mean, *inverse;
    size_t group_rows;
    bool more;    /* of dgamma and dbeta */
    tub__mat add; /* dx = add + …, may be dx itself; data NULL: nothing is added */
    tub__mat dx;
    void *dgamma, *dbeta; /* [padded D] */
    void *workspace;      /* [groups, 2, padded D] reals */
} tub__norm_backward;

/* What a random drop is of: a part of "same seed, same bits" (docs/numerics.md section 3). */
typedef enum tub__drop_site {
    TUB__DROP_PROBABILITIES,    /* of attention */
    TUB__DROP_TOKENS,           /* after the positions */
    TUB__DROP_ATTENTION,        /* what attention's output projection gave */
    TUB__DROP_HIDDEN,           /* inside the MLP */
    TUB__DROP_MLP,              /* what the MLP gave */
    TUB__DROP_ATTENTION_BRANCH, /* all of one sample: stochastic depth */
    TUB__DROP_MLP_BRANCH
} tub__drop_site;

/* Word 2 of the counter: a layer and what in it. */
static inline uint32_t tub__drop_place(uint32_t layer, tub__drop_site site) {
    return layer | (uint32_t)site << 16;
}

/* Random drop of elements, keyed by what the element is, not by who computes it. */
typedef struct tub__dropout {
    double rate; /* 0: off */
    tub__key key;
    uint32_t epoch, layer; /* layer: tub__drop_place */
    uint32_t position;     /* of the batch's first sample in the epoch's order */
    /* Host memory [.., 2, samples], or NULL: by layer, attention before MLP, what a sample's branch
     * is multiplied by, instead of what would be drawn. */
    const float *branches;
} tub__dropout;

/* z = add + factor * x where x is kept, and add where it is dropped, element by element or all of a
 * sample. */
typedef struct tub__drop {
    tub__mat x, add, z;   /* [M, D]; add.data NULL: zero; z may be x */
    size_t samples;       /* equal parts of the M rows */
    tub__dropout dropout; /* of elements, the kept ones times 1 / (1 - rate); branches: unused */
    double sample_rate;   /* share of samples that are dropped whole */
    double sample_kept;   /* what the others are multiplied by */
    uint32_t branch;      /* tub__drop_place of the samples' draw */
    const float *given;   /* host memory [samples], or NULL: drawn already */
} tub__drop;

/* Reals per token and head: row maximum, 1 / row sum, and room for one bit per element of 64 x 64.
 */
enum { TUB__ATTENTION_STATS = 4 };

/* softmax(scale q k^T) v per (sample, group, head). Token t of group g of sample s is row s *
 * sample_stride + g * group_stride + t * token_stride of q, k, v and o; head a is columns (first_head +
 * a) * head_width … of each: other heads of the same matrices may have another pattern. So joint, spatial and temporal attention are the same operation with other
 * strides. Probabilities are never stored. */
typedef struct tub__attention {
    size_t samples, groups;                           /* groups of each sample */
    size_t length;                                    /* tokens of a group */
    size_t sample_stride, group_stride, token_stride; /* rows */
    size_t first_head, heads, head_width;
    double scale;     /* on q, before the product */
    tub__mat q, k, v; /* views into one buffer are fine */
    tub__mat o;
    void *stats; /* [samples, groups, heads, length, TUB__ATTENTION_STATS]: what the forward pass
                    keeps for backward, in an order of its own; NULL: not kept */
    tub__dropout dropout;
    bool reduced; /* factors are rounded to bfloat16 where length > TUB__SHORT, nothing is kept and
                     nothing is dropped */
    void *probabilities; /* NULL, or [samples, groups, heads, length, length] reals to fill (before
                            dropout) */
} tub__attention;

typedef struct tub__attention_backward {
    tub__attention forward; /* as in the forward pass, stats kept */
    tub__mat d_o;
    tub__mat dq, dk, dv; /* overwritten; the padding columns between them are the caller's */
} tub__attention_backward;

/* The gradient of the probabilities, dp = do v^T, as if nothing were dropped: for explanations. */
typedef struct tub__attention_dp {
    tub__attention forward; /* as in the forward pass; of its matrices only v counts */
    tub__mat d_o;
    void *dp; /* [samples, groups, heads, length, length] reals */
} tub__attention_dp;

/* Gradient of pooling. That of a maximum is shared out equally among the tokens that have it. */
typedef struct tub__pool_backward {
    tub_pooling kind;
    size_t samples;
    tub__mat x, y; /* of the forward pass; for TUB_POOL_MAX only */
    tub__mat dy, dx;
} tub__pool_backward;

/* A window that slides over a grid of (time, row, column), with zeros around it: place o of the
 * output sees places o * stride - pad + [0, kernel) of the input, axis by axis. */
typedef struct tub__window {
    size_t in[3], out[3], kernel[3], stride[3], pad[3];
} tub__window;
/* Places that a window sees at once, at most. */
enum { TUB__WINDOW_LIMIT = 27 };

static inline size_t tub__window_taps(const tub__window *w) {
    return w->kernel[0] * w->kernel[1] * w->kernel[2];
}
static inline size_t tub__window_in(const tub__window *w) {
    return w->in[0] * w->in[1] * w->in[2];
}
static inline size_t tub__window_out(const tub__window *w) {
    return w->out[0] * w->out[1] * w->out[2];
}

/* y = x * W + b: rows are places of samples. Row (tap, c) of W is what channel c of the place under
 * tap (t, h, w) of the window is multiplied by; an element is one chain of those in order, those
 * outside the grid being zero. Channels are at most TUB__CHANNEL_LIMIT. */
enum { TUB__CHANNEL_LIMIT = 1024 };
typedef struct tub__conv {
    tub__window window;
    tub__mat x;       /* [samples * in, C] */
    tub__weight w;    /* [taps * C, N] */
    const void *bias; /* [padded N], or NULL */
    tub__mat y;       /* [samples * out, N] */
} tub__conv;

/* The gradient of x. An element is one chain in increasing (tap, n) of those taps that see it. */
typedef struct tub__conv_dx {
    tub__window window;
    tub__mat dy;     /* [samples * out, N] */
    tub__weight w;   /* [taps * C, N] */
    void *workspace; /* [taps * N * padded C] reals */
    bool more;       /* chains begin at what dx holds */
    tub__mat dx;     /* [samples * in, C] */
} tub__conv_dx;

/* dW and db: rows are chained within groups of samples, which are added in the tree, and go on with
 * `more`, all as in tub__linear_dw. */
typedef struct tub__conv_dw {
    tub__window window;
    size_t samples, group;
    tub__mat x, dy;
    bool more;
    tub__weight dw;
    void *dbias; /* [padded N], or NULL */
} tub__conv_dw;

/* The largest of each window, column by column, and at least zero; windows do not overlap and lie
 * inside. Its gradient goes to the first of the largest, or nowhere where that is not above zero. */
typedef struct tub__max_pool {
    tub__window window;
    tub__mat x, y;   /* [samples * in, C], [samples * out, C] */
    tub__mat dy, dx; /* of backward */
} tub__max_pool;

/* Rows of a batch norm's sums that are chained: the sums of so many rows are added in the tree. */
enum { TUB__BATCH_ROWS = 256 };

/* y = (x - mean) inverse gamma + beta, column by column, plus `add`, at least zero with `relu`. */
typedef struct tub__batch_norm {
    enum {
        TUB__BATCH_STATISTICS, /* mean and variance of all rows, which the moving ones follow */
        TUB__BATCH_MOVING,     /* the moving ones */
        TUB__BATCH_AGAIN       /* mean and inverse are there from the last time */
    } mode;
    tub__mat x;               /* [M, C] */
    const void *gamma, *beta; /* [padded C] each, as all that follow */
    void *moving_mean, *moving_variance;
    double epsilon,
        momentum; /* moving = (1 - momentum) moving + momentum new, variance over M - 1 */
    void *mean, *inverse;
    tub__mat add; /* data NULL: none */
    bool relu;
    tub__mat y;      /* may be x, where that is not needed any more */
    void *workspace; /* [tub__batch_blocks(M) * 2 * padded C] reals */
} tub__batch_norm;

static inline size_t tub__batch_blocks(size_t rows) {
    return (rows + TUB__BATCH_ROWS - 1) / TUB__BATCH_ROWS;
}

/* Of TUB__BATCH_STATISTICS; or with `moving` of TUB__BATCH_MOVING, where mean and inverse do not depend
 * on x, and dgamma and dbeta come out as zero. Writes over dy where y is zero: with relu, dy is then the
 * gradient of what was added. */
typedef struct tub__batch_norm_backward {
    bool moving;
    tub__mat dy, x, y; /* y.data NULL: without relu */
    const void *gamma, *mean, *inverse;
    tub__mat dx;          /* may be dy */
    void *dgamma, *dbeta; /* [padded C] */
    void *workspace;      /* as forward */
} tub__batch_norm_backward;

/* One step of a gated recurrent unit over B samples, as Keras has it with reset_after: of x W + b and
 * h R + c, both [B, 3 U] with the columns of gate z, r and candidate,
 *   z = sigmoid(x_z + h_z), r = sigmoid(x_r + h_r), n = tanh(x_n + r h_n), next = z h + (1 - z) n. */
typedef struct tub__gru {
    size_t units;
    tub__mat x, inner; /* [B, 3 U] */
    tub__mat h, next;  /* [B, U] */
    tub__mat gates;    /* [B, 3 U]: z, r, n, kept for backward; data NULL: not */
} tub__gru;

/* From the gradient of next, which is the sum of those of up to three places, to those of x and inner,
 * and to what h gets past the gates. */
typedef struct tub__gru_backward {
    tub__gru forward;    /* gates kept */
    tub__mat dnext[3];   /* data NULL: none */
    tub__mat dx, dinner; /* [B, 3 U] */
    tub__mat dh;         /* [B, U]: z dnext; may be one of dnext */
} tub__gru_backward;

/* How the K columns of logits are read; all zero: one softmax over all of them. */
typedef struct tub__outputs {
    tub_task task;
    size_t heads, head_classes[TUB_HEAD_LIMIT]; /* of multi_head */
} tub__outputs;

/* Softmaxes side by side; 1 unless multi_head. */
static inline size_t tub__outputs_heads(const tub__outputs *o) {
    return o->task == TUB_TASK_MULTI_HEAD ? o->heads : 1;
}
/* Numbers in the labels of a sample. */
static inline size_t tub__outputs_columns(const tub__outputs *o, size_t classes) {
    return o->task == TUB_TASK_MULTI_LABEL ? classes : tub__outputs_heads(o);
}

/* Cross-entropy of logits [B, K]: of one softmax; the mean of those of several heads; or the mean of
 * the labels' binary ones. */
typedef struct tub__loss {
    tub__outputs outputs;
    tub__mat logits;           /* [B, K] */
    const int32_t *labels;     /* host memory [B, tub__outputs_columns] */
    const float *class_weight; /* host memory [K], or NULL; of one softmax only */
    /* Host memory [B], or NULL; of one softmax only: the target of a row is a mixture, and so is its
     * loss: 1 - share of that of labels, share of that of second, each with its class's weight. */
    const int32_t *second;
    const float *share;     /* with second */
    double smoothing;       /* label smoothing: (1 - s) target + s / classes, of a label s / 2 */
    double scale;           /* of the gradient: 1 / batch (global) */
    tub__mat dlogits;       /* [B, K]; data NULL: not wanted */
    tub__mat probabilities; /* [B, K]; data NULL: not wanted */
    void *loss;             /* [B] losses of the samples, weighted, not scaled */
} tub__loss;

/* One run of equal settings in the parameter slab. */
typedef struct tub__segment {
    size_t begin, end; /* elements */
    double decay;      /* w -= lr * rate * decay * w before the update; 0: none */
    double rate;       /* times the update's rate and lr; 1: as they are */
} tub__segment;

typedef enum tub__update_kind {
    TUB__ADAM_KERAS,
    TUB__ADAM_PYTORCH,
    TUB__SGD_KERAS,
    TUB__SGD_PYTORCH
} tub__update_kind;

/* An optimiser step over slabs. Scalars are computed in double by the trainer and rounded once
 * here. ADAM_KERAS: m += (g-m)(1-b1); v += (g*g-v)(1-b2); w -= m*rate / (sqrt(v)+eps), rate = lr
 * sqrt(1-b2^t)/(1-b1^t). ADAM_PYTORCH: same moments; w -= m*rate / (sqrt(v)*v_scale+eps), rate =
 * lr/(1-b1^t), v_scale = 1/sqrt(1-b2^t). SGD_KERAS: m = momentum*m - rate*g; w += m.  SGD_PYTORCH:
 * m = momentum*m + g; w -= rate*m. */
typedef struct tub__update {
    tub__update_kind kind;
    double rate, lr, beta1, beta2, epsilon, v_scale, momentum;
    double gradient_scale; /* clipping: g is multiplied by it first; 1: untouched */
    const tub__segment *segments;
    size_t segment_count;
    void *w, *g, *m, *v; /* slabs; v NULL for SGD */
} tub__update;

/* Longest sequence whose attention a backend may share out by tokens, so that a block's keys and
 * values are still read when the next block begins (see TUB__BY_ROWS in cpu/cpu.h). */
enum { TUB__SHORT = 64 };

/* Operations that belong together: all their rows are those of `samples` samples in order. */
typedef struct tub__blocks {
    size_t samples;
    size_t block;     /* samples done together; a multiple of TUB__GROUP */
    size_t rows;      /* of a sample */
    size_t weights;   /* elements of all the products' weights in one transformer block */
    bool inference;   /* nothing is kept or dropped */
    bool independent; /* none of the operations, linear_dw or reduce, reads what another writes;
                         nothing else here counts then */
} tub__blocks;

/* What the kernels' scratch is made for. Of rounded factors, half of it holds some rows of such
 * depth in any format (cpu/reduced.c), where the other half holds normalised rows; and all of it
 * those of an input's gradient, whose depth are the weight's columns. */
enum { TUB__HEAD_WIDTH_LIMIT = 256, TUB__REDUCED_DEPTH = 6144, TUB__REDUCED_COLUMNS = 15360 };

struct tub__backend_ops {
    /* Memory. Slabs are cleared. */
    tub_status (*slab_create)(tub__backend *be, size_t bytes, void **out, tub_error *err);
    void (*slab_destroy)(tub__backend *be, void *slab);
    void (*clear)(tub__backend *be, void *data, size_t elements);
    void (*copy)(tub__backend *be, void *to, const void *from, size_t elements);
    /* Host (row-major) to and from the backend. float and double hosts; the backend converts. host
     * element (r, c) is at r * row + c * column. */
    void (*mat_in)(tub__backend *be, tub__mat to, tub_dtype host, const void *from, size_t row,
                   size_t column);
    void (*mat_out)(tub__backend *be, tub_dtype host, void *to, size_t row, size_t column,
                    tub__mat from);
    void (*pack)(tub__backend *be, tub__weight to, tub_dtype host, const void *from, size_t row,
                 size_t column);
    void (*unpack)(tub__backend *be, tub_dtype host, void *to, size_t row, size_t column,
                   tub__weight from);
    /* Makes w.reduced, and w.transposed where that is not NULL, of w.data. NULL: this backend's
     * numbers can't be reduced. */
    void (*reduce)(tub__backend *be, tub__weight w);
    /* w.data of w.reduced. */
    void (*expand)(tub__backend *be, tub__weight w);
    /* The whole numbers of an int8 w.reduced, from and to the host, with a scale for each
     * column; host element (r, c) is at r * row + c * column. */
    void (*pack_int8)(tub__backend *be, tub__weight to, const int8_t *from, size_t row,
                      size_t column, const float *scales);
    void (*unpack_int8)(tub__backend *be, int8_t *to, size_t row, size_t column, float *scales,
                        tub__weight from);

    /* Tokens: rows [samples * N, row] of x, host memory [samples, T,H,W,C] of uint8 (scaled) or
     * float32/float64. */
    void (*cut)(tub__backend *be, const tub__geometry *g, tub_dtype dtype, const void *x,
                bool multiply, tub__mat rows);
    /* The transpose of cut: drows [samples * N, row] to the input's gradient dx [samples, T,H,W,C]
     * (backend memory, no padding). */
    void (*cut_backward)(tub__backend *be, const tub__geometry *g, size_t samples, tub__mat drows,
                         void *dx);
    /* y[(s, 0)] = class + position 0; y[(s, 1 + t)] = x[(s, t)] + position 1 + t.  x [samples * N,
     * D], y [samples * (N+1), D]. class_token NULL: none, and y[(s, t)] = x[(s, t)] + position t;
     * position.data NULL: nothing is added. */
    void (*prepend)(tub__backend *be, size_t samples, tub__mat x, const void *class_token,
                    tub__mat position, tub__mat y);
    /* The rows of prepend's y that came from x. */
    void (*prepend_backward)(tub__backend *be, size_t samples, tub__mat dy, tub__mat dx);
    /* sum[r] = sum over samples s of x[s * sum.rows + r], chained within groups of so many samples
     * (the last may be smaller), which are added in the tree. */
    void (*sum_samples)(tub__backend *be, size_t samples, size_t group, bool more, tub__mat x,
                        tub__mat sum);
    /* Mean, maximum or sum over the tokens of each sample, column by column, or token 0. */
    void (*pool)(tub__backend *be, tub_pooling kind, size_t samples, tub__mat x, tub__mat y);
    void (*pool_backward)(tub__backend *be, const tub__pool_backward *op);

    /* Between these two, operations on rows (linear, linear_dx, norm, norm_backward, attention,
     * attention_backward, drop, multiply) may wait for the end, which then does all of them for
     * `block` samples, and then for the next ones: what one operation leaves in a cache, the
     * next finds there, and workers meet only at the end. Of few rows, all operations run on all
     * of them, but the workers are called together only once. Independent operations
     * wait for nothing. Nothing else may be asked for in between, but of a single sample also cut.
     * Of one of at most TUB__SHORT rows, where an attention is over all of them, those of its keys and
     * values may not be written again before the next attention. */
    void (*blocks_begin)(tub__backend *be, const tub__blocks *blocks);
    void (*blocks_end)(tub__backend *be);
    void (*linear)(tub__backend *be, const tub__linear *op);
    void (*linear_dx)(tub__backend *be, const tub__linear_dx *op);
    void (*linear_dw)(tub__backend *be, const tub__linear_dw *op);
    void (*norm)(tub__backend *be, const tub__norm *op);
    void (*norm_backward)(tub__backend *be, const tub__norm_backward *op);
    void (*attention)(tub__backend *be, const tub__attention *op);
    void (*attention_backward)(tub__backend *be, const tub__attention_backward *op);
    void (*attention_dp)(tub__backend *be, const tub__attention_dp *op);
    void (*drop)(tub__backend *be, const tub__drop *op);
    /* z = x * y, element by element. */
    void (*multiply)(tub__backend *be, tub__mat x, tub__mat y, tub__mat z);
    void (*conv)(tub__backend *be, const tub__conv *op);
    void (*conv_dx)(tub__backend *be, const tub__conv_dx *op);
    void (*conv_dw)(tub__backend *be, const tub__conv_dw *op);
    void (*max_pool)(tub__backend *be, const tub__max_pool *op);
    void (*max_pool_backward)(tub__backend *be, const tub__max_pool *op);
    void (*batch_norm)(tub__backend *be, const tub__batch_norm *op);
    void (*batch_norm_backward)(tub__backend *be, const tub__batch_norm_backward *op);
    void (*gru)(tub__backend *be, const tub__gru *op);
    void (*gru_backward)(tub__backend *be, const tub__gru_backward *op);
    void (*probabilities)(tub__backend *be, const tub__outputs *outputs, tub__mat logits,
                          tub__mat probabilities);
    void (*loss)(tub__backend *be, const tub__loss *op);

    /* Slabs. */
    void (*add)(tub__backend *be, void *to, const void *from, size_t elements); /* to = to + from */
    /* to = to + (from - to) * share, which is rounded once. */
    void (*average)(tub__backend *be, void *to, const void *from, double share, size_t elements);
    /* sums[i] = sum of squares of w[i], in row-major order over sixteen lanes and the tree, in
     * double; host memory. */
    void (*square_sums)(tub__backend *be, const tub__weight *w, size_t count, double *sums);
    void (*update)(tub__backend *be, const tub__update *op);
};

struct tub__backend {
    const struct tub__backend_ops *ops;
    const char *name; /* "portable", "neon", "avx2", "avx512" */
    tub_dtype real;   /* TUB_F32; TUB_F64 in the checking build */
    size_t real_size;
    tub_allocator allocator;
    tub__pool *pool; /* the context's */
};

#endif
