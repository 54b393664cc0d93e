/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel table: what one instruction set offers. Every function does one worker's part;
 * parallel.c decides the parts.
 *
 * Pointers are to the build's real type (float; double in the checking build). Sizes are in
 * elements. */
#ifndef TUB__CPU_KERNELS_H
#define TUB__CPU_KERNELS_H

#include "backend/backend.h"

/* c = epilogue(a w + bias). Rows of a and c are lda and ldc apart; w is packed panels of k rows. */
typedef struct tub__k_product {
    const void *a;
    size_t lda, k;
    const void *w;
    bool transposed;  /* w is the packed [columns of c, k] matrix, and its transpose is meant */
    size_t columns;   /* of c; for a transposed w only */
    const void *bias; /* NULL: chains start at 0 */
    void *c;
    size_t ldc;
    tub__activation activation;
    void *slope; /* NULL, or where activation'(a w + bias) goes; with multiply: what the product is
                    multiplied by */
    size_t ldslope;
    bool multiply;
    const void *residual; /* added last; row r takes row r % residual_rows */
    size_t ldres, residual_rows;
    const void *reduced; /* NULL, or w rounded: what is meant instead of w (cpu/reduced.h) */
    tub__format format;  /* of reduced */
    size_t scratch;      /* reals of scratch for a reduced product */
    const void *next;    /* the panels that are wanted after those of this call, or NULL */
} tub__k_product;

typedef struct tub__k_dw {
    const void *x, *dy;
    size_t ldx, ldy, rows, group_rows, k, panels;
    bool more; /* tub__linear_dw's */
    void *dw, *dbias;
} tub__k_dw;

/* Sizes that kernels and their callers agree on. */
enum {
    TUB__K_SMALL = TUB__SHORT, /* longest sequence for attention_small: of the definition, too */
    TUB__K_KEYS = 64,     /* keys in a block of attention: part of the definition of the result */
    TUB__K_QUERIES = 256, /* queries in a block, and twice that of narrow heads: not */
    TUB__K_HEAD_LIMIT = 256,  /* widest head */
    TUB__K_REDUCED_ROWS = 32, /* most rows in a tile of a reduced product */
    TUB__K_CONV_ROWS = 84,    /* that a convolution makes at once */
    TUB__K_SCRATCH = 262144   /* reals of scratch for one worker */
};

struct tub__kernels {
    const char *name;
    size_t real_size;
    size_t tile_rows; /* rows of the micro-kernel */

    /* scratch: for a transposed w only. */
    void (*product)(const tub__k_product *p, size_t row0, size_t row1, size_t panel0, size_t panel1,
                    void *scratch);
    /* The same of rounded factors, p->reduced, as bfloat16 and as int8. */
    void (*reduced_product)(const tub__k_product *p, size_t row0, size_t row1, size_t panel0,
                            size_t panel1, void *scratch);
    void (*int8_product)(const tub__k_product *p, size_t row0, size_t row1, size_t panel0,
                         size_t panel1, void *scratch);
    /* Rounds panels of a packed weight of `depth` rows. */
    void (*reduce)(const void *w, size_t depth, size_t panel0, size_t panel1, void *reduced);
    void (*reduce_int8)(const void *w, size_t depth, size_t panel0, size_t panel1, void *reduced);
    /* The same of the transposed weight, whose panels are of 32 rows of w; columns: of w. */
    void (*reduce_transposed)(const void *w, size_t depth, size_t columns, size_t panel0,
                              size_t panel1, void *reduced);
    /* As dw_tasks and dw, of factors rounded to bfloat16, all rows in one chain. */
    size_t (*reduced_dw_tasks)(size_t k, size_t panels);
    void (*reduced_dw)(const tub__k_dw *p, size_t task0, size_t task1, void *scratch);
    /* How many tasks a weight gradient falls into. */
    size_t (*dw_tasks)(size_t k, size_t panels);
    void (*dw)(const tub__k_dw *p, size_t task0, size_t task1, void *scratch);

    void (*norm)(const tub__norm *op, size_t row0, size_t row1);
    /* Groups [group0, group1): partial sums of gamma and beta go to partial[group][2][padded cols].
     */
    void (*norm_backward)(const tub__norm_backward *op, size_t group0, size_t group1,
                          void *partial);
    /* out[0 … width) = tree sum of partial[group * stride …]; destroys partial. */
    void (*tree)(void *partial, size_t groups, size_t stride, size_t width, void *out);

    void (*attention)(const tub__attention *op, size_t unit0, size_t unit1,
                      void *scratch); /* unit: (sample * groups + group) * heads + head */
    /* Queries [row0, row1) of all heads of the only group of the only sample, at most TUB__K_SMALL
     * tokens; no dropout, and nothing is kept. */
    void (*attention_rows)(const tub__attention *op, size_t row0, size_t row1, void *scratch);
    void (*attention_backward)(const tub__attention_backward *op, size_t unit0, size_t unit1,
                               void *scratch);
    void (*attention_dp)(const tub__attention_dp *op, size_t unit0, size_t unit1, void *scratch);

    void (*cut)(const tub__geometry *g, tub_dtype dtype, const void *x, bool multiply,
                tub__mat rows, size_t row0, size_t row1);
    void (*cut_backward)(const tub__geometry *g, tub__mat drows, void *dx, size_t sample0,
                         size_t sample1);
    void (*prepend)(tub__mat x, const void *token, tub__mat position, tub__mat y, size_t sample0,
                    size_t sample1, size_t samples);
    void (*prepend_backward)(tub__mat dy, tub__mat dx, size_t sample0, size_t sample1,
                             size_t samples);
    void (*sum_samples)(size_t samples, size_t group, bool more, tub__mat x, tub__mat sum,
                        size_t row0, size_t row1);
    void (*pool)(tub_pooling kind, size_t samples, tub__mat x, tub__mat y, size_t sample0,
                 size_t sample1);
    void (*pool_backward)(const tub__pool_backward *op, size_t sample0, size_t sample1);

    /* Convolutions: blocks of TUB__K_CONV_ROWS rows, and their columns in `parts`, are items. The
     * gradient of the input first turns the weight, tap by tap. */
    void (*conv)(const tub__conv *op, size_t parts, size_t item0, size_t item1, void *scratch);
    size_t (*conv_dx_items)(const tub__conv_dx *op, size_t parts);
    void (*conv_turn)(const tub__conv_dx *op, size_t tap0, size_t tap1);
    void (*conv_dx)(const tub__conv_dx *op, size_t parts, size_t item0, size_t item1,
                    void *scratch);
    size_t (*conv_dw_tasks)(const tub__conv_dw *op);
    void (*conv_dw)(const tub__conv_dw *op, size_t task0, size_t task1, void *scratch);
    void (*max_pool)(const tub__max_pool *op, size_t row0, size_t row1);
    void (*max_pool_backward)(const tub__max_pool *op, size_t sample0, size_t sample1);
    void (*batch_norm_sums)(const tub__batch_norm *op, bool squares, size_t block0, size_t block1);
    void (*batch_norm_mean)(const tub__batch_norm *op);
    void (*batch_norm_inverse)(const tub__batch_norm *op);
    void (*batch_norm_moving)(const tub__batch_norm *op);
    void (*batch_norm)(const tub__batch_norm *op, size_t row0, size_t row1);
    void (*batch_norm_backward_sums)(const tub__batch_norm_backward *op, size_t block0,
                                     size_t block1);
    void (*batch_norm_backward)(const tub__batch_norm_backward *op, size_t row0, size_t row1);
    void (*gru)(const tub__gru *op, size_t row0, size_t row1);
    void (*gru_backward)(const tub__gru_backward *op, size_t row0, size_t row1);

    void (*drop)(const tub__drop *op, size_t row0, size_t row1);
    void (*multiply)(tub__mat x, tub__mat y, tub__mat z, size_t row0, size_t row1);
    void (*probabilities)(const tub__outputs *outputs, tub__mat logits, tub__mat probabilities,
                          size_t row0, size_t row1);
    void (*loss)(const tub__loss *op, size_t row0, size_t row1);
    void (*add)(void *to, const void *from, size_t begin, size_t end);
    void (*average)(void *to, const void *from, double share, size_t begin, size_t end);
    double (*square_sum)(const void *w, size_t rows, size_t cols);
    void (*update)(const tub__update *op, size_t begin, size_t end);
    double (*peak)(long iterations); /* operations done */

    /* Element functions on rows, for tests: which is the index in TUB__K_MATH. */
    void (*math)(int which, size_t n, const void *x, void *y);
    void (*random)(const uint32_t key[2], const uint32_t counter[4],
                   uint32_t *out); /* 64 words, as attention draws them */
};

enum {
    TUB__K_EXP,
    TUB__K_TANH,
    TUB__K_ERF,
    TUB__K_GELU_TANH,
    TUB__K_GELU_ERF,
    TUB__K_GELU_TANH_GRAD,
    TUB__K_GELU_ERF_GRAD,
    TUB__K_MATH
};

extern const struct tub__kernels tub__kernels_portable;
#if defined __x86_64__
extern const struct tub__kernels tub__kernels_avx2;
extern const struct tub__kernels tub__kernels_avx512;
extern const struct tub__kernels tub__kernels_avx512_bf16; /* other reduced products only */
extern const struct tub__kernels tub__kernels_amx;         /* likewise */
#elif defined __aarch64__
extern const struct tub__kernels tub__kernels_neon;
#endif
extern const struct tub__kernels tub__kernels_f64; /* in the checking library only */

/* A backend over a given kernel table. */
TUB_MUST_USE tub_status tub__cpu_backend_make(const tub_allocator *a, tub__pool *pool,
                                              const struct tub__kernels *k, tub__backend **out,
                                              tub_error *err);

#endif
