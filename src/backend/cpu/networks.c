/* SPDX-License-Identifier: Apache-2.0 */
/* Operations of convolutional and recurrent networks on the CPU, each cut into items that workers
 * share. */
#include "backend/cpu/regions.h"

#include <assert.h>

/* As in parallel.c. */
#define PART(name, type, ...)                                                                      \
    static void name(const struct tub__kernels *k, const void *op_, size_t begin, size_t end,      \
                     void *scratch) {                                                              \
        const type *op = op_;                                                                      \
        (void)scratch;                                                                             \
        __VA_ARGS__;                                                                               \
    }

/* ---- convolutions ---- */

typedef struct conv_op {
    const void *op;
    size_t parts;
} conv_op;

static size_t blocks_of(size_t rows) {
    return (rows + TUB__K_CONV_ROWS - 1) / TUB__K_CONV_ROWS;
}

/* Few blocks of rows are shared out by columns, too: every part gathers the rows for itself. */
static size_t parts_of(tub__backend *be, size_t rows, size_t cols) {
    const size_t wanted = 4 * (size_t)tub__cpu_of(be)->workers, blocks = blocks_of(rows),
                 panels = tub__padded(cols) / TUB__PANEL;
    const size_t parts = tub__cpu_of(be)->workers > 1 ? (wanted + blocks - 1) / blocks : 1;
    return tub__min(parts, panels);
}

static void check_window(const tub__window *g, size_t samples, size_t in, size_t out) {
    (void)g, (void)samples, (void)in, (void)out;
    assert(in == samples * tub__window_in(g) && out == samples * tub__window_out(g));
    assert(tub__window_taps(g) <= TUB__WINDOW_LIMIT);
}

PART(conv_part, conv_op, k->conv(op->op, op->parts, begin, end, scratch))

static void conv(tub__backend *be, const tub__conv *op) {
    const conv_op p = {op, parts_of(be, op->y.rows, op->y.cols)};
    check_window(&op->window, op->x.rows / tub__window_in(&op->window), op->x.rows, op->y.rows);
    tub__cpu_run(be, conv_part, &p, blocks_of(op->y.rows) * p.parts);
}

PART(turn_part, tub__conv_dx, k->conv_turn(op, begin, end))
PART(conv_dx_part, conv_op, k->conv_dx(op->op, op->parts, begin, end, scratch))

static void conv_dx(tub__backend *be, const tub__conv_dx *op) {
    const conv_op p = {op, parts_of(be, op->dx.rows, op->dx.cols)};
    check_window(&op->window, op->dx.rows / tub__window_in(&op->window), op->dx.rows, op->dy.rows);
    tub__cpu_run(be, turn_part, op, tub__window_taps(&op->window));
    tub__cpu_run(be, conv_dx_part, &p, tub__cpu_of(be)->kernels->conv_dx_items(op, p.parts));
}

PART(conv_dw_part, tub__conv_dw, k->conv_dw(op, begin, end, scratch))

static void conv_dw(tub__backend *be, const tub__conv_dw *op) {
    check_window(&op->window, op->samples, op->x.rows, op->dy.rows);
    tub__cpu_run(be, conv_dw_part, op, tub__cpu_of(be)->kernels->conv_dw_tasks(op));
}

/* ---- max pooling ---- */

PART(max_pool_part, tub__max_pool, k->max_pool(op, begin, end))

static void max_pool(tub__backend *be, const tub__max_pool *op) {
    tub__cpu_run_light(be, max_pool_part, op, op->y.rows, op->x.rows * op->x.ld);
}

PART(max_pool_backward_part, tub__max_pool, k->max_pool_backward(op, begin, end))

static void max_pool_backward(tub__backend *be, const tub__max_pool *op) {
    const tub__window *g = &op->window;
    assert(g->stride[0] >= g->kernel[0] && g->stride[1] >= g->kernel[1] &&
           g->stride[2] >= g->kernel[2]);
    tub__cpu_run(be, max_pool_backward_part, op, op->x.rows / tub__window_in(g));
}

/* ---- batch norm ---- */

PART(sums_part, tub__batch_norm, k->batch_norm_sums(op, false, begin, end))
PART(squares_part, tub__batch_norm, k->batch_norm_sums(op, true, begin, end))
PART(batch_norm_part, tub__batch_norm, k->batch_norm(op, begin, end))

static void batch_norm(tub__backend *be, const tub__batch_norm *op) {
    const struct tub__kernels *k = tub__cpu_of(be)->kernels;
    const size_t blocks = tub__batch_blocks(op->x.rows), padded = tub__padded(op->x.cols);
    if (op->mode == TUB__BATCH_STATISTICS) {
        tub__cpu_run(be, sums_part, op, blocks);
        k->tree(op->workspace, blocks, padded, padded, op->mean);
        k->batch_norm_mean(op);
        tub__cpu_run(be, squares_part, op, blocks);
        k->tree(op->workspace, blocks, padded, padded, op->inverse);
        k->batch_norm_inverse(op);
    } else if (op->mode == TUB__BATCH_MOVING) {
        k->batch_norm_moving(op);
    }
    tub__cpu_run_light(be, batch_norm_part, op, op->x.rows, op->x.rows * op->x.ld);
}

PART(backward_sums_part, tub__batch_norm_backward, k->batch_norm_backward_sums(op, begin, end))
PART(batch_norm_backward_part, tub__batch_norm_backward, k->batch_norm_backward(op, begin, end))

static void batch_norm_backward(tub__backend *be, const tub__batch_norm_backward *op) {
    const struct tub__kernels *k = tub__cpu_of(be)->kernels;
    const size_t blocks = tub__batch_blocks(op->x.rows), padded = tub__padded(op->x.cols);
    tub__cpu_run(be, backward_sums_part, op, blocks);
    k->tree(op->workspace, blocks, 2 * padded, padded, op->dgamma);
    k->tree((char *)op->workspace + padded * be->real_size, blocks, 2 * padded, padded, op->dbeta);
    if (op->moving) { /* the sums are how dx depends on the statistics */
        be->ops->clear(be, op->dgamma, padded);
        be->ops->clear(be, op->dbeta, padded);
    }
    tub__cpu_run(be, batch_norm_backward_part, op, op->x.rows);
}

/* ---- gated recurrent units ---- */

PART(gru_part, tub__gru, k->gru(op, begin, end))
PART(gru_backward_part, tub__gru_backward, k->gru_backward(op, begin, end))

static void gru(tub__backend *be, const tub__gru *op) {
    tub__cpu_run_light(be, gru_part, op, op->x.rows, op->x.rows * op->x.cols * 8);
}

static void gru_backward(tub__backend *be, const tub__gru_backward *op) {
    const tub__mat x = op->forward.inner;
    tub__cpu_run_light(be, gru_backward_part, op, x.rows, x.rows * x.cols * 8);
}

void tub__cpu_network_ops(struct tub__backend_ops *ops) {
    ops->conv = conv;
    ops->conv_dx = conv_dx;
    ops->conv_dw = conv_dw;
    ops->max_pool = max_pool;
    ops->max_pool_backward = max_pool_backward;
    ops->batch_norm = batch_norm;
    ops->batch_norm_backward = batch_norm_backward;
    ops->gru = gru;
    ops->gru_backward = gru_backward;
}
