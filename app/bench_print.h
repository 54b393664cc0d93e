/* SPDX-License-Identifier: Apache-2.0 */
/* Measurements as tables and as JSON. */
#ifndef APP_BENCH_PRINT_H
#define APP_BENCH_PRINT_H

#include "output.h"

/* One measurement and what it is of. */
typedef struct bench_line {
    const char *bench; /* "gemm", "attention", "step" or "predict" */
    const char *cpu;
    int threads;
    tub_precision precision;
    const tub_bench_result *result;
    const tub_bench_product *product;           /* of gemm; else NULL */
    const tub_bench_attention_shape *attention; /* of attention; else NULL */
    const char *model;                          /* its name, of step and predict; else NULL */
    const tub_model_config *config;             /* of the model */
    int64_t batch, tokens;
    const tub_bench_step_result *step; /* of step; else NULL */
} bench_line;

/* NULL: no memory. */
json_t *bench_peak_json(const tub_context *ctx, const tub_spread *peak, const tub_spread *tile);
json_t *bench_line_json(const bench_line *line);
/* peak: operations per second. */
json_t *bench_operation_json(const tub_bench_operation *operation, double peak);

/* The line above a table: the machine, the precision and the columns. */
void bench_print_products_head(const bench_line *line);
void bench_print_attentions_head(const bench_line *line);
/* One product or attention of such a table. */
void bench_print_line(const bench_line *line);
/* A step or a forward pass. */
void bench_print_model(const bench_line *line);
void bench_print_profile(const tub_bench_operation *operations, size_t count, double peak);

#endif
