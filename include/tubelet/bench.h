/* SPDX-License-Identifier: Apache-2.0 */
/* Measuring: the machine's multiply-add peak, single products and attentions, training steps and
 * forward passes, all of them as shares of that peak. */
#ifndef TUBELET_BENCH_H
#define TUBELET_BENCH_H

#include <tubelet/model.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { TUB_BENCH_REPEATS = 1000 }; /* the most that there may be */

/* What repeated measurements gave. */
typedef struct tub_spread {
    double median, least, most;
} tub_spread;

/* Measures the float32 multiply-add peak of the context's threads and instruction set, in GFLOP/s
 * (two operations per fused multiply-add), by `repeats` runs (9 is a good number). Error:
 * TUB_E_ARGUMENT (repeats outside 1 … TUB_BENCH_REPEATS). */
TUB_API TUB_MUST_USE tub_status tub_bench_peak(tub_context *ctx, int repeats, tub_spread *gflops,
                                               tub_error *err);
/* The same of the product kernel on weights that stream from the second cache: what loads leave of
 * the peak. 0.9 and more of it on a core of one's own; less where another program runs on the other
 * hardware thread of the core, which the peak alone does not show. */
TUB_API TUB_MUST_USE tub_status tub_bench_tile(tub_context *ctx, int repeats, tub_spread *gflops,
                                               tub_error *err);

typedef struct tub_bench_config {
    size_t size; /* sizeof(tub_bench_config) */
    int repeats; /* measurements, 1 … TUB_BENCH_REPEATS; some calls that are not measured come
                    before them */
    tub_precision precision; /* of products; tub_bench_predict takes the model's instead */
    double idle_seconds;     /* above 0: only measurements on an idle machine count, until there are
                            `repeats` of them or this time is over; else all of them do */
} tub_bench_config;

/* A machine counts as idle while tub_bench_tile reaches this share of the highest tub_bench_peak that
 * was seen: on cores that are shared, or whose other hardware thread works for someone else, it does
 * not. */
#define TUB_BENCH_IDLE 0.9

/* 30 measurements in float32, whatever else the machine does. */
TUB_API tub_bench_config tub_bench_config_default(void);

/* What every measurement tells. */
typedef struct tub_bench_result {
    tub_spread seconds; /* of one call */
    double operations;  /* of one call: two per multiply-add of products and attention */
    double peak;        /* operations per second: float32 multiply-add peak of the context, median
                              of what it was beside each measurement */
    double t_peak;      /* a measurement as a multiple of what its operations take at the peak right
                              before and after it: the median, which a processor whose speed changes
                              moves little */
    double tile, t_tile;   /* likewise of tub_bench_tile */
    int repeats, tried;    /* measurements that count, of so many */
    size_t resident_bytes; /* memory of the process while it measured; 0: not known */
} tub_bench_result;

/* ---- Products and attention alone, on operands that the caches know. ---- */

typedef enum tub_bench_kind {
    TUB_BENCH_FORWARD = 0,    /* y = x W + b */
    TUB_BENCH_INPUT_GRADIENT, /* dx = dy W^T */
    TUB_BENCH_WEIGHT_GRADIENT /* dW = x^T dy, and the bias' gradient */
} tub_bench_kind;

/* A product that gives [rows, columns] by sums over depth; each size is from 1 to 2^24. */
typedef struct tub_bench_product {
    tub_bench_kind kind;
    int64_t rows, depth, columns;
    int64_t group_rows; /* of weight gradients, fewer than 2^17 groups in depth: numbers that are
                           summed in one chain (those of four
                           samples, docs/numerics.md); 0: all */
    int64_t calls;      /* in one pass of a model; not looked at by tub_bench_gemm */
} tub_bench_product;

/* The most products of different shape that a model's training step has. */
enum { TUB_BENCH_PRODUCTS = 18 };
/* The products of a training step of `batch` samples: the forward pass' first, then the gradients.
 * Writes *count of them to out. Errors: those of tub_model_config_check; TUB_E_RANGE (a
 * batch outside 1 … 65536). */
TUB_API TUB_MUST_USE tub_status tub_bench_products(const tub_model_config *config, int64_t batch,
                                                   tub_bench_product out[TUB_BENCH_PRODUCTS],
                                                   size_t *count, tub_error *err);
/* Measures one product. int8 is for TUB_BENCH_FORWARD only. Errors: TUB_E_ARGUMENT (config, kind,
 * precision), TUB_E_RANGE (sizes; bf16 and int8 are for smaller depths), TUB_E_MEMORY,
 * TUB_E_UNSUPPORTED (the machine was never idle within idle_seconds). */
TUB_API TUB_MUST_USE tub_status tub_bench_gemm(tub_context *ctx, const tub_bench_product *product,
                                               const tub_bench_config *config,
                                               tub_bench_result *out, tub_error *err);

/* Attention of every token of a sample to every other. */
typedef struct tub_bench_attention_shape {
    int64_t tokens, heads; /* of a sample */
    int64_t head_width;    /* 1 … 256 */
    int64_t samples;
    double dropout; /* of the probabilities, 0 … below 1 */
    int backward;   /* non-zero: the gradients of query, key and value instead. Those are five
                       products, of which one makes the scores again */
} tub_bench_attention_shape;

/* Measures one attention, without the projections. Errors: TUB_E_ARGUMENT (config, int8),
 * TUB_E_RANGE (shape), TUB_E_MEMORY, TUB_E_UNSUPPORTED (never idle). */
TUB_API TUB_MUST_USE tub_status tub_bench_attention(tub_context *ctx,
                                                    const tub_bench_attention_shape *shape,
                                                    const tub_bench_config *config,
                                                    tub_bench_result *out, tub_error *err);

/* ---- Whole models, on generated samples. ---- */

typedef struct tub_bench_step_result {
    tub_bench_result whole; /* operations: forward pass and gradients, but for that of the input.
                               Attention's gradients count as four products: what is made again
                               is no work that a step asks for */
    tub_spread forward, backward, update; /* seconds of its parts; the loss is in backward, and the
                                             gradient's norm, which training looks at, in update */
} tub_bench_step_result;

/* Measures training steps of `batch` samples: forward pass with dropout, loss, backward pass and
 * Adam. The model's weights change, and with bf16 it computes in bf16 from then on. Errors:
 * TUB_E_ARGUMENT (config, int8, a model that was opened or measured in another precision),
 * TUB_E_RANGE (batch), TUB_E_UNSUPPORTED (sizes that bf16 has no products for; never idle),
 * TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_bench_step(tub_model *model, int64_t batch,
                                               const tub_bench_config *config,
                                               tub_bench_step_result *out, tub_error *err);
/* Measures forward passes of `batch` samples, logits included, in the precision of the model.
 * Errors: TUB_E_ARGUMENT (config), TUB_E_RANGE (batch), TUB_E_MEMORY, TUB_E_UNSUPPORTED (never
 * idle). */
TUB_API TUB_MUST_USE tub_status tub_bench_predict(tub_model *model, int64_t batch,
                                                  const tub_bench_config *config,
                                                  tub_bench_result *out, tub_error *err);

/* All calls of one operation with one shape. */
typedef struct tub_bench_operation {
    const char *name;             /* static storage */
    int64_t rows, depth, columns; /* of a product; elsewhere what there is, else 0 */
    double calls;                 /* in one pass */
    double seconds;               /* of all calls in one pass, mean over the repeats */
    double operations;            /* of those calls; 0 for what is neither product nor attention */
    double bytes;                 /* each operand counted once, as if caches had no end */
} tub_bench_operation;

/* Operations and shapes that are told apart; what comes after them is not counted. */
enum { TUB_BENCH_OPERATIONS = 128 };

typedef enum tub_bench_pass { TUB_BENCH_PREDICT = 0, TUB_BENCH_STEP } tub_bench_pass;

/* What a pass spends on each operation, each run by itself (alone, they take longer than together).
 * Writes *count of them to out, the costliest first. Errors as tub_bench_step and
 * tub_bench_predict. */
TUB_API TUB_MUST_USE tub_status tub_bench_profile(tub_model *model, tub_bench_pass pass,
                                                  int64_t batch, const tub_bench_config *config,
                                                  tub_bench_operation out[TUB_BENCH_OPERATIONS],
                                                  size_t *count, tub_error *err);

#ifdef __cplusplus
}
#endif
#endif
