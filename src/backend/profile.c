/* SPDX-License-Identifier: Apache-2.0 */
/* Account of a backend's operations: one line for each operation and shape. */
#include "backend/profile.h"

#include "base/clock.h"
#include "base/error.h"
#include <string.h>

typedef struct profile {
    tub__backend base; /* first: a tub__backend * is one of these */
    tub__backend *inner;
    tub__profile_line lines[TUB__PROFILE_LINES];
    size_t count;
} profile;

static profile *profile_of(tub__backend *be) {
    return (profile *)be;
}

static void account(profile *p, const tub__profile_line *seen) {
    size_t i = 0;
    while (i < p->count &&
           (strcmp(p->lines[i].operation, seen->operation) != 0 || p->lines[i].rows != seen->rows ||
            p->lines[i].depth != seen->depth || p->lines[i].columns != seen->columns)) {
        i++;
    }
    if (i == TUB__PROFILE_LINES) {
        return;
    }
    tub__profile_line *line = &p->lines[i];
    if (i == p->count) {
        p->count++;
        *line = *seen;
        line->calls = 0, line->seconds = 0, line->flop = 0, line->bytes = 0;
    }
    line->calls++;
    line->seconds += seen->seconds;
    line->flop += seen->flop;
    line->bytes += seen->bytes;
}

/* Runs one operation of the inner backend between two looks at the clock. */
#define TIMED(call_, ...)                                                                          \
    do {                                                                                           \
        profile *p_ = profile_of(be);                                                              \
        be = p_->inner;                                                                            \
        const double start_ = tub__seconds();                                                      \
        be->ops->call_;                                                                            \
        tub__profile_line line_ = {__VA_ARGS__};                                                   \
        line_.seconds = tub__seconds() - start_;                                                   \
        account(p_, &line_);                                                                       \
    } while (0)

static double reals(const tub__backend *be, double n) {
    return n * (double)be->real_size;
}

/* Of a weight, or of its transpose, as a product takes it. */
static double weight_bytes(const tub__backend *be, const tub__weight *w, const void *reduced) {
    const double full = reals(be, (double)w->rows * (double)w->cols);
    return reduced == NULL ? full : full * (w->format == TUB__INT8 ? 0.25 : 0.5);
}

/* The inner backend never hears of blocks: every operation runs, and counts, by itself. */
static void blocks_begin(tub__backend *be, const tub__blocks *blocks) {
    (void)be, (void)blocks;
}
static void blocks_end(tub__backend *be) {
    (void)be;
}
static void linear(tub__backend *be, const tub__linear *op) {
    const double m = (double)op->x.rows, k = (double)op->x.cols, n = (double)op->w.cols;
    TIMED(linear(be, op), .operation = op->norm.gamma ? "norm, product" : "product",
          .rows = op->x.rows, .depth = op->x.cols, .columns = op->w.cols, .flop = 2 * m * k * n,
          .bytes = reals(be, m * k + m * n * (1 + !!op->slope.data + !!op->residual.data)) +
                   weight_bytes(be, &op->w, op->w.reduced));
}
static void linear_dx(tub__backend *be, const tub__linear_dx *op) {
    const double m = (double)op->dy.rows, k = (double)op->dy.cols, n = (double)op->w.rows;
    TIMED(linear_dx(be, op), .operation = "input gradient", .rows = op->dy.rows,
          .depth = op->dy.cols, .columns = op->w.rows, .flop = 2 * m * k * n,
          .bytes = reals(be, m * k + m * n * (1 + !!op->slope.data)) +
                   weight_bytes(be, &op->w, op->w.transposed));
}
static void linear_dw(tub__backend *be, const tub__linear_dw *op) {
    const double m = (double)op->x.rows, k = (double)op->x.cols, n = (double)op->dw.cols;
    TIMED(linear_dw(be, op), .operation = "weight gradient", .rows = op->x.cols,
          .depth = op->x.rows, .columns = op->dw.cols, .flop = 2 * m * k * n,
          .bytes = reals(be, m * k + k * n + m * n));
}
static void norm(tub__backend *be, const tub__norm *op) {
    TIMED(norm(be, op), .operation = "layer norm", .rows = op->x.rows, .columns = op->x.cols,
          .bytes = reals(be, 2.0 * (double)op->x.rows * (double)op->x.cols));
}
static void norm_backward(tub__backend *be, const tub__norm_backward *op) {
    TIMED(norm_backward(be, op), .operation = "layer norm gradient", .rows = op->x.rows,
          .columns = op->x.cols,
          .bytes = reals(be, (3.0 + !!op->add.data) * (double)op->x.rows * (double)op->x.cols));
}

/* Multiply-adds of one of attention's products over all samples, groups and heads. */
static double attention_pairs(const tub__attention *op) {
    return (double)op->samples * (double)op->groups * (double)op->heads * (double)op->length *
           (double)op->length * (double)op->head_width;
}
static void attention(tub__backend *be, const tub__attention *op) {
    TIMED(attention(be, op), .operation = "attention", .rows = op->samples * op->groups,
          .depth = op->length, .columns = op->heads * op->head_width,
          .flop = 4 * attention_pairs(op),
          .bytes = reals(be, 4.0 * (double)op->samples * (double)op->groups * (double)op->length *
                                 (double)op->heads * (double)op->head_width));
}
static void attention_backward(tub__backend *be, const tub__attention_backward *op) {
    const tub__attention *f = &op->forward;
    TIMED(attention_backward(be, op), .operation = "attention gradient",
          .rows = f->samples * f->groups, .depth = f->length, .columns = f->heads * f->head_width,
          .flop = 10 * attention_pairs(f),
          .bytes = reals(be, 8.0 * (double)f->samples * (double)f->groups * (double)f->length *
                                 (double)f->heads * (double)f->head_width));
}
static void attention_dp(tub__backend *be, const tub__attention_dp *op) {
    const tub__attention *f = &op->forward;
    TIMED(attention_dp(be, op), .operation = "probability gradient", .rows = f->samples * f->groups,
          .depth = f->length, .columns = f->heads * f->head_width, .flop = 2 * attention_pairs(f));
}
static void drop(tub__backend *be, const tub__drop *op) {
    TIMED(drop(be, op), .operation = "dropout", .rows = op->x.rows, .columns = op->x.cols,
          .bytes = reals(be, (op->add.data ? 3.0 : 2.0) * (double)op->x.rows * (double)op->x.cols));
}
static void multiply(tub__backend *be, tub__mat x, tub__mat y, tub__mat z) {
    TIMED(multiply(be, x, y, z), .operation = "activation gradient", .rows = x.rows,
          .columns = x.cols, .bytes = reals(be, 3.0 * (double)x.rows * (double)x.cols));
}
static void cut(tub__backend *be, const tub__geometry *g, tub_dtype dtype, const void *x,
                bool multiply_, tub__mat rows) {
    TIMED(cut(be, g, dtype, x, multiply_, rows), .operation = "cut", .rows = rows.rows,
          .columns = rows.cols, .bytes = reals(be, (double)rows.rows * (double)rows.cols));
}
static void cut_backward(tub__backend *be, const tub__geometry *g, size_t samples, tub__mat drows,
                         void *dx) {
    TIMED(cut_backward(be, g, samples, drows, dx), .operation = "cut gradient", .rows = drows.rows,
          .columns = drows.cols, .bytes = reals(be, 2.0 * (double)drows.rows * (double)drows.cols));
}
static void prepend(tub__backend *be, size_t samples, tub__mat x, const void *class_token,
                    tub__mat position, tub__mat y) {
    TIMED(prepend(be, samples, x, class_token, position, y), .operation = "class token",
          .rows = y.rows, .columns = y.cols);
}
static void prepend_backward(tub__backend *be, size_t samples, tub__mat dy, tub__mat dx) {
    TIMED(prepend_backward(be, samples, dy, dx), .operation = "class token gradient",
          .rows = dy.rows, .columns = dy.cols);
}
static void sum_samples(tub__backend *be, size_t samples, size_t group, bool more, tub__mat x,
                        tub__mat sum) {
    TIMED(sum_samples(be, samples, group, more, x, sum), .operation = "position gradient",
          .rows = x.rows, .columns = x.cols, .bytes = reals(be, (double)x.rows * (double)x.cols));
}
static void pool(tub__backend *be, tub_pooling kind, size_t samples, tub__mat x, tub__mat y) {
    TIMED(pool(be, kind, samples, x, y), .operation = "pooling", .rows = x.rows, .columns = x.cols,
          .bytes = reals(be, (double)x.rows * (double)x.cols));
}
static void pool_backward(tub__backend *be, const tub__pool_backward *op) {
    TIMED(pool_backward(be, op), .operation = "pooling gradient", .rows = op->dx.rows,
          .columns = op->dx.cols, .bytes = reals(be, (double)op->dx.rows * (double)op->dx.cols));
}
/* Multiply-adds of a convolution over all its places, those outside counted too, as it makes them. */
static double conv_pairs(const tub__window *g, size_t rows, size_t in, size_t out) {
    return (double)rows * (double)tub__window_taps(g) * (double)in * (double)out;
}
static void conv(tub__backend *be, const tub__conv *op) {
    const double x = (double)op->x.rows * (double)op->x.cols,
                 y = (double)op->y.rows * (double)op->y.cols;
    TIMED(conv(be, op), .operation = "convolution", .rows = op->y.rows, .depth = op->w.rows,
          .columns = op->y.cols,
          .flop = 2 * conv_pairs(&op->window, op->y.rows, op->x.cols, op->y.cols),
          .bytes = reals(be, x + y) + weight_bytes(be, &op->w, NULL));
}
static void conv_dx(tub__backend *be, const tub__conv_dx *op) {
    const double x = (double)op->dx.rows * (double)op->dx.cols,
                 y = (double)op->dy.rows * (double)op->dy.cols;
    TIMED(conv_dx(be, op), .operation = "convolution input gradient", .rows = op->dy.rows,
          .depth = op->w.rows, .columns = op->dy.cols,
          .flop = 2 * conv_pairs(&op->window, op->dy.rows, op->dx.cols, op->dy.cols),
          .bytes = reals(be, x + y) + 3 * weight_bytes(be, &op->w, NULL));
}
static void conv_dw(tub__backend *be, const tub__conv_dw *op) {
    const double x = (double)op->x.rows * (double)op->x.cols,
                 y = (double)op->dy.rows * (double)op->dy.cols;
    TIMED(conv_dw(be, op), .operation = "convolution weight gradient", .rows = op->dy.rows,
          .depth = op->dw.rows, .columns = op->dy.cols,
          .flop = 2 * conv_pairs(&op->window, op->dy.rows, op->x.cols, op->dy.cols),
          .bytes = reals(be, x + y) + weight_bytes(be, &op->dw, NULL));
}
static void max_pool(tub__backend *be, const tub__max_pool *op) {
    TIMED(max_pool(be, op), .operation = "max pooling", .rows = op->x.rows, .columns = op->x.cols,
          .bytes = reals(be, (double)(op->x.rows + op->y.rows) * (double)op->x.cols));
}
static void max_pool_backward(tub__backend *be, const tub__max_pool *op) {
    TIMED(max_pool_backward(be, op), .operation = "max pooling gradient", .rows = op->x.rows,
          .columns = op->x.cols,
          .bytes = reals(be, 2.0 * (double)(op->x.rows + op->y.rows) * (double)op->x.cols));
}
static void batch_norm(tub__backend *be, const tub__batch_norm *op) {
    const double passes = (op->mode == TUB__BATCH_STATISTICS ? 4.0 : 2.0) + !!op->add.data;
    TIMED(batch_norm(be, op), .operation = "batch norm", .rows = op->x.rows, .columns = op->x.cols,
          .bytes = reals(be, passes * (double)op->x.rows * (double)op->x.cols));
}
static void batch_norm_backward(tub__backend *be, const tub__batch_norm_backward *op) {
    const double passes = 5.0 + 2.0 * !!op->y.data;
    TIMED(batch_norm_backward(be, op), .operation = "batch norm gradient", .rows = op->x.rows,
          .columns = op->x.cols,
          .bytes = reals(be, passes * (double)op->x.rows * (double)op->x.cols));
}
static void gru(tub__backend *be, const tub__gru *op) {
    TIMED(gru(be, op), .operation = "recurrent unit", .rows = op->x.rows, .columns = op->units,
          .bytes = reals(be, 8.0 * (double)op->x.rows * (double)op->units));
}
static void gru_backward(tub__backend *be, const tub__gru_backward *op) {
    TIMED(gru_backward(be, op), .operation = "recurrent unit gradient", .rows = op->forward.x.rows,
          .columns = op->forward.units,
          .bytes = reals(be, 16.0 * (double)op->forward.x.rows * (double)op->forward.units));
}
static void probabilities(tub__backend *be, const tub__outputs *outputs, tub__mat logits,
                          tub__mat p) {
    TIMED(probabilities(be, outputs, logits, p), .operation = "softmax", .rows = logits.rows,
          .columns = logits.cols);
}
static void loss(tub__backend *be, const tub__loss *op) {
    TIMED(loss(be, op), .operation = "loss", .rows = op->logits.rows, .columns = op->logits.cols);
}
static void add(tub__backend *be, void *to, const void *from, size_t elements) {
    TIMED(add(be, to, from, elements), .operation = "sum of slabs", .columns = elements,
          .bytes = reals(be, 3.0 * (double)elements));
}
static void average(tub__backend *be, void *to, const void *from, double share, size_t elements) {
    TIMED(average(be, to, from, share, elements), .operation = "average of weights",
          .columns = elements, .bytes = reals(be, 3.0 * (double)elements));
}
static void square_sums(tub__backend *be, const tub__weight *w, size_t count, double *sums) {
    double n = 0;
    for (size_t i = 0; i < count; i++) {
        n += (double)w[i].rows * (double)w[i].cols;
    }
    TIMED(square_sums(be, w, count, sums), .operation = "norm of gradients", .rows = count,
          .bytes = reals(be, n));
}
static void update(tub__backend *be, const tub__update *op) {
    const size_t n = op->segment_count ? op->segments[op->segment_count - 1].end : 0;
    TIMED(update(be, op), .operation = "update", .columns = n,
          .bytes = reals(be, (op->v ? 7.0 : 5.0) * (double)n));
}

/* Moving memory is not timed. */
static tub_status slab_create(tub__backend *be, size_t bytes, void **out, tub_error *err) {
    be = profile_of(be)->inner;
    return be->ops->slab_create(be, bytes, out, err);
}
static void slab_destroy(tub__backend *be, void *slab) {
    be = profile_of(be)->inner;
    be->ops->slab_destroy(be, slab);
}
static void clear(tub__backend *be, void *data, size_t elements) {
    be = profile_of(be)->inner;
    be->ops->clear(be, data, elements);
}
static void copy(tub__backend *be, void *to, const void *from, size_t elements) {
    be = profile_of(be)->inner;
    be->ops->copy(be, to, from, elements);
}
static void mat_in(tub__backend *be, tub__mat to, tub_dtype host, const void *from, size_t row,
                   size_t column) {
    be = profile_of(be)->inner;
    be->ops->mat_in(be, to, host, from, row, column);
}
static void mat_out(tub__backend *be, tub_dtype host, void *to, size_t row, size_t column,
                    tub__mat from) {
    be = profile_of(be)->inner;
    be->ops->mat_out(be, host, to, row, column, from);
}
static void pack(tub__backend *be, tub__weight to, tub_dtype host, const void *from, size_t row,
                 size_t column) {
    be = profile_of(be)->inner;
    be->ops->pack(be, to, host, from, row, column);
}
static void unpack(tub__backend *be, tub_dtype host, void *to, size_t row, size_t column,
                   tub__weight from) {
    be = profile_of(be)->inner;
    be->ops->unpack(be, host, to, row, column, from);
}

static void reduce(tub__backend *be, tub__weight w) {
    const double n = (double)w.rows * (double)w.cols;
    TIMED(reduce(be, w), .operation = "rounding of weights",
          .bytes = reals(be, w.transposed ? 3 * n : 1.5 * n));
}
static void expand(tub__backend *be, tub__weight w) {
    be = profile_of(be)->inner;
    be->ops->expand(be, w);
}
static void pack_int8(tub__backend *be, tub__weight to, const int8_t *from, size_t row,
                      size_t column, const float *scales) {
    be = profile_of(be)->inner;
    be->ops->pack_int8(be, to, from, row, column, scales);
}
static void unpack_int8(tub__backend *be, int8_t *to, size_t row, size_t column, float *scales,
                        tub__weight from) {
    be = profile_of(be)->inner;
    be->ops->unpack_int8(be, to, row, column, scales, from);
}

static const struct tub__backend_ops operations = {
    .slab_create = slab_create,
    .slab_destroy = slab_destroy,
    .clear = clear,
    .copy = copy,
    .mat_in = mat_in,
    .mat_out = mat_out,
    .pack = pack,
    .unpack = unpack,
    .reduce = reduce,
    .expand = expand,
    .pack_int8 = pack_int8,
    .unpack_int8 = unpack_int8,
    .cut = cut,
    .cut_backward = cut_backward,
    .prepend = prepend,
    .prepend_backward = prepend_backward,
    .sum_samples = sum_samples,
    .pool = pool,
    .pool_backward = pool_backward,
    .blocks_begin = blocks_begin,
    .blocks_end = blocks_end,
    .linear = linear,
    .linear_dx = linear_dx,
    .linear_dw = linear_dw,
    .norm = norm,
    .norm_backward = norm_backward,
    .attention = attention,
    .attention_backward = attention_backward,
    .attention_dp = attention_dp,
    .drop = drop,
    .multiply = multiply,
    .conv = conv,
    .conv_dx = conv_dx,
    .conv_dw = conv_dw,
    .max_pool = max_pool,
    .max_pool_backward = max_pool_backward,
    .batch_norm = batch_norm,
    .batch_norm_backward = batch_norm_backward,
    .gru = gru,
    .gru_backward = gru_backward,
    .probabilities = probabilities,
    .loss = loss,
    .add = add,
    .average = average,
    .square_sums = square_sums,
    .update = update,
};

tub_status tub__profile_create(tub__backend *inner, tub__backend **out, tub_error *err) {
    profile *p;
    TUB__TRY(tub__alloc_array(&inner->allocator, 1, sizeof *p, (void **)&p, err));
    p->base = *inner;
    p->base.ops = &operations;
    p->inner = inner;
    *out = &p->base;
    return TUB_OK;
}

void tub__profile_destroy(tub__backend *be) {
    if (be) {
        const tub_allocator a = be->allocator;
        tub__free(&a, be);
    }
}

const tub__profile_line *tub__profile_lines(const tub__backend *be, size_t *count) {
    const profile *p = (const profile *)be;
    *count = p->count;
    return p->lines;
}

void tub__profile_clear(tub__backend *be) {
    profile_of(be)->count = 0;
}
