/* SPDX-License-Identifier: Apache-2.0 */
/* What was asked of tubelet bench, and its benchmarks. */
#ifndef APP_BENCH_H
#define APP_BENCH_H

#include "cli.h"
#include "settings.h"

typedef enum bench_name {
    BENCH_PEAK = 0,
    BENCH_GEMM,
    BENCH_ATTENTION,
    BENCH_STEP,
    BENCH_PREDICT,
    BENCH_NAMES
} bench_name;

/* Whole numbers that options give. */
typedef enum bench_number {
    BENCH_ROWS = 0,
    BENCH_DEPTH,
    BENCH_COLUMNS,
    BENCH_TOKENS,
    BENCH_HEAD_WIDTH,
    BENCH_SAMPLES,
    BENCH_BATCH,
    BENCH_REPEATS,
    BENCH_IDLE,
    BENCH_NUMBERS
} bench_number;

typedef struct bench_options {
    cli_common common; /* its precision is that of models that are read */
    const char *word;  /* as the name was given */
    bench_name name;
    const char *model;          /* NULL: the reference model */
    tub_precision precision;    /* of what is measured */
    long number[BENCH_NUMBERS]; /* 0: not given */
    bool profile;
    settings settings; /* of the model, or heads and dropout of attention */
} bench_options;

/* The library's configuration for the options. */
tub_bench_config bench_config(const bench_options *o);

/* The benchmarks; each returns the exit code. */
int bench_peak(const cli_command *self, tub_context *ctx, const bench_options *o);
int bench_gemm(const cli_command *self, tub_context *ctx, const bench_options *o);
int bench_attention(const cli_command *self, tub_context *ctx, const bench_options *o);
int bench_model(const cli_command *self, tub_context *ctx, const bench_options *o);

#endif
