/* SPDX-License-Identifier: Apache-2.0 */
/* One product alone: y = x W + b, or one of its gradients. */
#include "base/context.h"
#include "base/error.h"
#include "bench/measure.h"

/* Operands under their forward names: the input's gradient reads x for dy and writes y for dx, the
 * weight's reads y for dy and writes w and bias. */
typedef struct gemm {
    tub__backend *be;
    tub_bench_kind kind;
    tub__mat x, y;
    tub__weight w;
    void *bias;
    size_t group_rows;
    bool reduced;
} gemm;

enum { SIZE_LIMIT = 1 << 24 }; /* of two such sizes, the bytes of a matrix fit 64 bits */

/* How deep a product may be. */
static int64_t depth_limit(const tub_bench_product *p, tub_precision precision) {
    return precision == TUB_PRECISION_F32 || p->kind == TUB_BENCH_WEIGHT_GRADIENT ? SIZE_LIMIT
           : p->kind == TUB_BENCH_FORWARD ? TUB__REDUCED_DEPTH
                                          : TUB__REDUCED_COLUMNS;
}

static tub_status check(const tub_bench_product *p, tub_precision precision, tub_error *err) {
    if (p->kind < TUB_BENCH_FORWARD || p->kind > TUB_BENCH_WEIGHT_GRADIENT) {
        return tub__fail(err, TUB_E_ARGUMENT, "tub_bench_product: %d is no kind", (int)p->kind);
    }
    TUB__TRY(tub__in_range("rows", p->rows, 1, SIZE_LIMIT, err));
    TUB__TRY(tub__in_range("depth", p->depth, 1, depth_limit(p, precision), err));
    TUB__TRY(tub__in_range("columns", p->columns, 1, SIZE_LIMIT, err));
    TUB__TRY(tub__in_range("group_rows", p->group_rows, 0, SIZE_LIMIT, err));
    if (p->group_rows > 0) {
        const int64_t groups = (p->depth + p->group_rows - 1) / p->group_rows;
        TUB__TRY(tub__in_range("groups of group_rows", groups, 1, TUB__GROUPS_LIMIT, err));
    }
    return precision == TUB_PRECISION_INT8 && p->kind != TUB_BENCH_FORWARD
               ? tub__fail(err, TUB_E_ARGUMENT, "int8 has no gradients: measure forward only")
               : TUB_OK;
}

static tub__mat shape(size_t rows, size_t cols) {
    return (tub__mat){NULL, rows, cols, tub__padded(cols)};
}

static gemm shapes_of(tub__backend *be, const tub_bench_product *p) {
    const size_t rows = (size_t)p->rows, depth = (size_t)p->depth, columns = (size_t)p->columns;
    gemm g = {.be = be, .kind = p->kind};
    switch (p->kind) {
    case TUB_BENCH_FORWARD:
        g.x = shape(rows, depth), g.y = shape(rows, columns);
        g.w.rows = depth, g.w.cols = columns;
        break;
    case TUB_BENCH_INPUT_GRADIENT:
        g.x = shape(rows, depth), g.y = shape(rows, columns);
        g.w.rows = columns, g.w.cols = depth;
        break;
    case TUB_BENCH_WEIGHT_GRADIENT:
        g.x = shape(depth, rows), g.y = shape(depth, columns);
        g.w.rows = rows, g.w.cols = columns;
        g.group_rows = p->group_rows > 0 ? (size_t)p->group_rows : depth;
        break;
    }
    return g;
}

static tub_status take(const gemm *g, size_t elements, void **out, tub_error *err) {
    return g->be->ops->slab_create(g->be, elements * g->be->real_size, out, err);
}

/* The weight as the precision has it; the float32 one stays beside it. */
static tub_status reduce(gemm *g, tub_precision precision, tub_error *err) {
    tub__backend *be = g->be;
    tub__weight *w = &g->w;
    g->reduced = precision != TUB_PRECISION_F32;
    if (!g->reduced || g->kind == TUB_BENCH_WEIGHT_GRADIENT) {
        return TUB_OK;
    }
    w->format = precision == TUB_PRECISION_INT8 ? TUB__INT8 : TUB__BF16;
    TUB__TRY(be->ops->slab_create(be, tub__reduced_bytes(w->format, w->rows, w->cols), &w->reduced,
                                  err));
    if (g->kind == TUB_BENCH_INPUT_GRADIENT) {
        TUB__TRY(be->ops->slab_create(be, tub__reduced_bytes(w->format, w->cols, w->rows),
                                      &w->transposed, err));
    }
    be->ops->reduce(be, *w);
    return TUB_OK;
}

static tub_status fill(gemm *g, tub_precision precision, tub_error *err) {
    TUB__TRY(take(g, g->x.rows * g->x.ld, &g->x.data, err));
    TUB__TRY(take(g, g->y.rows * g->y.ld, &g->y.data, err));
    TUB__TRY(take(g, tub__weight_elements(g->w.rows, g->w.cols), &g->w.data, err));
    TUB__TRY(take(g, tub__padded(g->w.cols), &g->bias, err));
    TUB__TRY(tub__bench_fill(g->be, g->x, err));
    TUB__TRY(g->kind == TUB_BENCH_WEIGHT_GRADIENT ? tub__bench_fill(g->be, g->y, err)
                                                  : tub__bench_fill_weight(g->be, g->w, err));
    return reduce(g, precision, err);
}

static void drop(gemm *g) {
    void *const slabs[] = {g->x.data, g->y.data, g->w.data, g->w.reduced, g->w.transposed, g->bias};
    for (size_t i = 0; i < sizeof slabs / sizeof *slabs; i++) {
        g->be->ops->slab_destroy(g->be, slabs[i]);
    }
}

static void run(void *user) {
    const gemm *g = user;
    const struct tub__backend_ops *ops = g->be->ops;
    switch (g->kind) {
    case TUB_BENCH_FORWARD:
        ops->linear(g->be, &(tub__linear){.x = g->x, .w = g->w, .bias = g->bias, .y = g->y});
        break;
    case TUB_BENCH_INPUT_GRADIENT:
        ops->linear_dx(g->be, &(tub__linear_dx){.dy = g->x, .w = g->w, .dx = g->y});
        break;
    case TUB_BENCH_WEIGHT_GRADIENT:
        ops->linear_dw(g->be, &(tub__linear_dw){.x = g->x,
                                                .dy = g->y,
                                                .group_rows = g->group_rows,
                                                .dw = g->w,
                                                .reduced = g->reduced,
                                                .dbias = g->bias});
        break;
    }
}

tub_status tub_bench_gemm(tub_context *ctx, const tub_bench_product *product,
                          const tub_bench_config *config, tub_bench_result *out, tub_error *err) {
    tub_bench_config c;
    TUB__TRY(tub__bench_read_config(config, &c, err));
    TUB__TRY(check(product, c.precision, err));
    gemm g = shapes_of(ctx->backend, product);
    tub_status status = fill(&g, c.precision, err);
    if (status == TUB_OK) {
        const tub__bench_work work = {.run = run,
                                      .user = &g,
                                      .operations = 2 * (double)product->rows *
                                                    (double)product->depth *
                                                    (double)product->columns};
        status = tub__bench_measure(g.be, &work, &c, out, err);
    }
    drop(&g);
    return status;
}
