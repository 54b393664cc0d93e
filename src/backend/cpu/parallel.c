/* SPDX-License-Identifier: Apache-2.0 */
/* The model's operations on the CPU, each cut into items that workers share. */
#include "backend/cpu/regions.h"

#include <assert.h>
#include <string.h>

/* A part function, whose operation is `op` of a type, and what it does with items [begin, end). */
#define PART(name, type, ...)                                                                      \
    static void name(const struct tub__kernels *k, const void *op_, size_t begin, size_t end,      \
                     void *scratch) {                                                              \
        const type *op = op_;                                                                      \
        (void)scratch;                                                                             \
        __VA_ARGS__;                                                                               \
    }

/* ---- products ---- */

/* The address of row `row` of rows that are ld apart; NULL stays NULL. */
static void *offset(const struct tub__kernels *k, const void *data, size_t row, size_t ld) {
    return data ? (char *)data + row * ld * k->real_size : NULL;
}

/* The same product with rows [begin, ..) of a, normalised into scratch. Only one of those who make
 * columns of the same rows may keep the statistics. */
static tub__k_product normalised(const struct tub__kernels *k, const tub__product_op *op,
                                 size_t begin, size_t end, bool keep, void *scratch) {
    tub__k_product p = op->p;
    tub__norm norm = op->norm;
    const size_t ld = tub__padded(op->cols);
    norm.x = (tub__mat){offset(k, p.a, begin, p.lda), end - begin, op->cols, p.lda};
    norm.y = (tub__mat){scratch, end - begin, op->cols, ld};
    norm.mean = keep ? offset(k, norm.mean, begin, 1) : NULL;
    norm.inverse = keep ? offset(k, norm.inverse, begin, 1) : NULL;
    k->norm(&norm, 0, end - begin);
    p.a = scratch, p.lda = ld;
    p.c = offset(k, p.c, begin, p.ldc);
    p.slope = offset(k, p.slope, begin, p.ldslope);
    return p;
}

static void part_of_product(const struct tub__kernels *k, const tub__k_product *p, size_t row0,
                            size_t row1, size_t panel0, size_t panel1, void *scratch) {
    if (!p->reduced) {
        k->product(p, row0, row1, panel0, panel1, scratch);
    } else if (p->format == TUB__INT8) {
        k->int8_product(p, row0, row1, panel0, panel1, scratch);
    } else {
        k->reduced_product(p, row0, row1, panel0, panel1, scratch);
    }
}

/* Reals of a worker's scratch that normalised rows may take: reduced products need some, too. */
static size_t room_for_norm(const tub__product_op *op) {
    return op->p.reduced ? TUB__K_SCRATCH / 2 : TUB__K_SCRATCH;
}

/* Rows [begin, end), as many at a time as fit scratch when they are normalised. */
static void rows_of_product(const struct tub__kernels *k, const tub__product_op *op, size_t begin,
                            size_t end, void *scratch) {
    const size_t room = room_for_norm(op), fit = room / tub__padded(op->cols);
    if (!op->norm.gamma) {
        tub__k_product p = op->p;
        p.next = op->next.data;
        p.scratch = TUB__K_SCRATCH;
        part_of_product(k, &p, begin, end, 0, op->panels, scratch);
        return;
    }
    for (size_t row = begin, stop; row < end; row = stop) {
        stop = tub__min(row + fit, end);
        tub__k_product p = normalised(k, op, row, stop, true, scratch);
        p.next = op->next.data;
        p.scratch = TUB__K_SCRATCH - room;
        part_of_product(k, &p, 0, stop - row, 0, op->panels, offset(k, scratch, room, 1));
    }
}

/* Most of these rows are in the caches of other workers, who made them a moment ago: they are asked
 * for all at once, not one by one as the tiles come upon them. More of them than that would push
 * each other out. */
static void ask_for_rows(const struct tub__kernels *k, const tub__product_op *op) {
    enum { LINE = 64, ENOUGH = 65536 };
    if (op->rows * op->cols * k->real_size > ENOUGH) {
        return;
    }
    for (size_t r = 0; r < op->rows; r++) {
        const char *row = offset(k, op->p.a, r, op->p.lda);
        for (size_t i = 0; i < op->cols * k->real_size; i += LINE) {
            __builtin_prefetch(row + i);
        }
    }
}

/* Panels [begin, end) of every matrix that lies in w. The next product will be shared out in about
 * the same way. */
static void panels_of_product(const struct tub__kernels *k, const tub__product_op *op, size_t begin,
                              size_t end, void *scratch) {
    const size_t each = op->panels / op->side;
    const size_t next_panel = begin * (tub__padded(op->next.cols) / TUB__PANEL) / each;
    tub__k_product p = op->p;
    if (begin == end) {
        return;
    }
    ask_for_rows(k, op);
    p.scratch = TUB__K_SCRATCH;
    if (op->norm.gamma) {
        p = normalised(k, op, 0, op->rows, begin == 0, scratch);
        p.scratch = TUB__K_SCRATCH - room_for_norm(op);
        scratch = offset(k, scratch, room_for_norm(op), 1);
    }
    for (size_t i = 0; i < op->side; i++) {
        const size_t first = i * each + begin;
        p.next = i + 1 < op->side
                     ? offset(k, p.w, (first + each) * p.k, TUB__PANEL)
                     : offset(k, op->next.data, next_panel * op->next.rows, TUB__PANEL);
        part_of_product(k, &p, 0, op->rows, first, i * each + end, scratch);
    }
}

PART(product_rows, tub__product_op, rows_of_product(k, op, begin, end, scratch))
PART(product_panels, tub__product_op, panels_of_product(k, op, begin, end, scratch))

/* Few rows are shared out by panels, if each worker can normalise all of them. */
static bool shared_by_panels(const tub__cpu *cpu, const tub__product_op *op) {
    return (cpu->taken.order == TUB__AT_ONCE || cpu->taken.order == TUB__IN_TURN) &&
           op->panels > 1 && tub__cpu_few_rows(cpu, op->rows) &&
           (!op->norm.gamma || op->rows * tub__padded(op->cols) <= room_for_norm(op));
}

static void product(tub__backend *be, tub__product_op *op) {
    const tub__cpu *cpu = tub__cpu_of(be);
    const bool by_panels = shared_by_panels(cpu, op);
    if (op->panels / op->side < (size_t)cpu->workers) {
        op->side = 1; /* work for everybody counts more */
    }
    tub__part_fn *part = by_panels ? product_panels : product_rows;
    const size_t count = by_panels ? op->panels / op->side : op->rows;
    if (!tub__cpu_take(be, part, op, sizeof *op, count, 1, NULL)) {
        tub__cpu_run(be, part, op, count);
    }
}

static void linear(tub__backend *be, const tub__linear *op) {
    tub__product_op p = {.p = {.a = op->x.data,
                               .lda = op->x.ld,
                               .k = op->w.rows,
                               .w = op->w.data,
                               .reduced = op->w.reduced,
                               .format = op->w.format,
                               .bias = op->bias,
                               .c = op->y.data,
                               .ldc = op->y.ld,
                               .activation = op->activation,
                               .slope = op->slope.data,
                               .ldslope = op->slope.ld,
                               .residual = op->residual.data,
                               .ldres = op->residual.ld,
                               .residual_rows = op->residual.rows},
                         .norm = op->norm,
                         .rows = op->x.rows,
                         .cols = op->x.cols,
                         .panels = tub__padded(op->w.cols) / TUB__PANEL,
                         .side = op->side ? op->side : 1,
                         .next = op->next};
    assert(!op->norm.gamma || (!op->residual.data && !op->norm.again));
    assert(p.panels % p.side == 0);
    product(be, &p);
}

static void linear_dx(tub__backend *be, const tub__linear_dx *op) {
    tub__product_op p = {.p = {.a = op->dy.data,
                               .lda = op->dy.ld,
                               .k = op->w.cols,
                               .w = op->w.data,
                               .transposed = true,
                               .columns = op->w.rows,
                               .reduced = op->w.transposed,
                               .c = op->dx.data,
                               .ldc = op->dx.ld,
                               .slope = op->slope.data,
                               .ldslope = op->slope.ld,
                               .multiply = op->slope.data != NULL},
                         .rows = op->dy.rows,
                         .cols = op->dy.cols,
                         .panels = tub__padded(op->w.rows) / TUB__PANEL,
                         .side = 1};
    product(be, &p);
}

PART(dw_part, tub__k_dw, k->dw(op, begin, end, scratch))
PART(reduced_dw_part, tub__k_dw, k->reduced_dw(op, begin, end, scratch))

static void linear_dw(tub__backend *be, const tub__linear_dw *op) {
    const tub__k_dw p = {.x = op->x.data,
                         .dy = op->dy.data,
                         .ldx = op->x.ld,
                         .ldy = op->dy.ld,
                         .rows = op->x.rows,
                         .group_rows = op->group_rows,
                         .k = op->dw.rows,
                         .panels = tub__padded(op->dw.cols) / TUB__PANEL,
                         .more = op->more,
                         .dw = op->dw.data,
                         .dbias = op->dbias};
    const struct tub__kernels *k = tub__cpu_of(be)->kernels;
    tub__part_fn *part = op->reduced ? reduced_dw_part : dw_part;
    const size_t tasks =
        op->reduced ? k->reduced_dw_tasks(p.k, p.panels) : k->dw_tasks(p.k, p.panels);
    if (!tub__cpu_take(be, part, &p, sizeof p, tasks, 1, NULL)) {
        tub__cpu_run(be, part, &p, tasks);
    }
}

/* ---- rows ---- */

PART(norm_part, tub__norm, k->norm(op, begin, end))

static void norm(tub__backend *be, const tub__norm *op) {
    if (!tub__cpu_take(be, norm_part, op, sizeof *op, op->x.rows, 1, NULL)) {
        tub__cpu_run_light(be, norm_part, op, op->x.rows, op->x.rows * op->x.ld);
    }
}

PART(norm_backward_part, tub__norm_backward, k->norm_backward(op, begin, end, op->workspace))

static size_t norm_groups(const tub__norm_backward *op) {
    return (op->x.rows + op->group_rows - 1) / op->group_rows;
}

/* The groups' sums to the gradients of gamma and beta. */
static void norm_backward_after(tub__backend *be, const void *op_) {
    const tub__norm_backward *op = op_;
    const struct tub__kernels *k = tub__cpu_of(be)->kernels;
    const size_t groups = norm_groups(op), padded = tub__padded(op->x.cols);
    k->tree(op->workspace, groups, 2 * padded, padded, op->dgamma);
    k->tree((char *)op->workspace + padded * be->real_size, groups, 2 * padded, padded, op->dbeta);
}

static void norm_backward(tub__backend *be, const tub__norm_backward *op) {
    if (!tub__cpu_take(be, norm_backward_part, op, sizeof *op, norm_groups(op), TUB__GROUP,
                       norm_backward_after)) {
        tub__cpu_run(be, norm_backward_part, op, norm_groups(op));
        norm_backward_after(be, op);
    }
}

PART(attention_part, tub__attention, k->attention(op, begin, end, scratch))
PART(attention_rows_part, tub__attention, k->attention_rows(op, begin, end, scratch))

static bool whole_sample(const tub__attention *op) {
    return op->samples == 1 && op->groups == 1 && op->length <= TUB__K_SMALL &&
           op->heads * op->head_width == op->o.cols && !op->stats && !op->probabilities &&
           op->dropout.rate == 0;
}

static size_t units(const tub__attention *op) {
    return op->samples * op->groups * op->heads;
}

static void attention(tub__backend *be, const tub__attention *op) {
    if (whole_sample(op)
            ? tub__cpu_take_gathering(be, attention_rows_part, op, sizeof *op, op->length)
            : tub__cpu_take_apart(be, attention_part, op, sizeof *op, units(op))) {
        return;
    }
    if (!tub__cpu_take(be, attention_part, op, sizeof *op, units(op), 1, NULL)) {
        tub__cpu_run(be, attention_part, op, units(op));
    }
}

PART(attention_backward_part, tub__attention_backward,
     k->attention_backward(op, begin, end, scratch))

static void attention_backward(tub__backend *be, const tub__attention_backward *op) {
    const size_t count = units(&op->forward);
    if (!tub__cpu_take(be, attention_backward_part, op, sizeof *op, count, 1, NULL)) {
        tub__cpu_run(be, attention_backward_part, op, count);
    }
}

PART(attention_dp_part, tub__attention_dp, k->attention_dp(op, begin, end, scratch))

static void attention_dp(tub__backend *be, const tub__attention_dp *op) {
    tub__cpu_run(be, attention_dp_part, op, units(&op->forward));
}

PART(drop_part, tub__drop, k->drop(op, begin, end))

static void drop(tub__backend *be, const tub__drop *op) {
    if (!tub__cpu_take(be, drop_part, op, sizeof *op, op->x.rows, 1, NULL)) {
        tub__cpu_run_light(be, drop_part, op, op->x.rows, op->x.rows * op->x.ld);
    }
}

PART(multiply_part, tub__multiply_op, k->multiply(op->x, op->y, op->z, begin, end))

static void multiply(tub__backend *be, tub__mat x, tub__mat y, tub__mat z) {
    const tub__multiply_op op = {x, y, z};
    if (!tub__cpu_take(be, multiply_part, &op, sizeof op, x.rows, 1, NULL)) {
        tub__cpu_run_light(be, multiply_part, &op, x.rows, x.rows * x.ld);
    }
}

/* ---- tokens ---- */

PART(cut_part, tub__tokens_op, k->cut(op->g, op->dtype, op->host, op->multiply, op->y, begin, end))

static void cut(tub__backend *be, const tub__geometry *g, tub_dtype dtype, const void *x,
                bool multiply, tub__mat rows) {
    const tub__tokens_op op = {.g = g, .dtype = dtype, .host = x, .multiply = multiply, .y = rows};
    if (!tub__cpu_take(be, cut_part, &op, sizeof op, rows.rows, 1, NULL)) {
        tub__cpu_run(be, cut_part, &op, rows.rows);
    }
}

PART(cut_backward_part, tub__tokens_op, k->cut_backward(op->g, op->x, op->data, begin, end))

static void cut_backward(tub__backend *be, const tub__geometry *g, size_t samples, tub__mat drows,
                         void *dx) {
    const tub__tokens_op op = {.g = g, .x = drows, .data = dx};
    tub__cpu_run(be, cut_backward_part, &op, samples);
}

PART(prepend_part, tub__tokens_op,
     k->prepend(op->x, op->host, op->position, op->y, begin, end, op->samples))

static void prepend(tub__backend *be, size_t samples, tub__mat x, const void *class_token,
                    tub__mat position, tub__mat y) {
    const tub__tokens_op op = {
        .samples = samples, .x = x, .host = class_token, .position = position, .y = y};
    tub__cpu_run(be, prepend_part, &op, samples);
}

PART(prepend_backward_part, tub__tokens_op,
     k->prepend_backward(op->x, op->y, begin, end, op->samples))

static void prepend_backward(tub__backend *be, size_t samples, tub__mat dy, tub__mat dx) {
    const tub__tokens_op op = {.samples = samples, .x = dy, .y = dx};
    tub__cpu_run(be, prepend_backward_part, &op, samples);
}

PART(sum_samples_part, tub__tokens_op,
     k->sum_samples(op->samples, op->group, op->more, op->x, op->y, begin, end))

static void sum_samples(tub__backend *be, size_t samples, size_t group, bool more, tub__mat x,
                        tub__mat sum) {
    const tub__tokens_op op = {.samples = samples, .group = group, .more = more, .x = x, .y = sum};
    tub__cpu_run(be, sum_samples_part, &op, sum.rows);
}

PART(pool_part, tub__tokens_op, k->pool(op->pooling, op->samples, op->x, op->y, begin, end))

static void pool(tub__backend *be, tub_pooling kind, size_t samples, tub__mat x, tub__mat y) {
    const tub__tokens_op op = {.samples = samples, .pooling = kind, .x = x, .y = y};
    tub__cpu_run_light(be, pool_part, &op, samples, x.rows * x.ld);
}

PART(pool_backward_part, tub__pool_backward, k->pool_backward(op, begin, end))

static void pool_backward(tub__backend *be, const tub__pool_backward *op) {
    tub__cpu_run(be, pool_backward_part, op, op->samples);
}

/* ---- loss: a few rows, not worth a region ---- */

static void probabilities(tub__backend *be, const tub__outputs *outputs, tub__mat logits,
                          tub__mat p) {
    tub__cpu_of(be)->kernels->probabilities(outputs, logits, p, 0, logits.rows);
}

static void loss(tub__backend *be, const tub__loss *op) {
    tub__cpu_of(be)->kernels->loss(op, 0, op->logits.rows);
}

/* ---- reduced weights: shared out in whole panels ---- */

PART(reduce_part, tub__weight, k->reduce(op->data, op->rows, begin, end, op->reduced))
PART(reduce_int8_part, tub__weight, k->reduce_int8(op->data, op->rows, begin, end, op->reduced))
PART(reduce_transposed_part, tub__weight,
     k->reduce_transposed(op->data, op->rows, op->cols, begin, end, op->transposed))

static void run_or_take(tub__backend *be, tub__part_fn *part, const tub__weight *w, size_t count) {
    if (!tub__cpu_take(be, part, w, sizeof *w, count, 1, NULL)) {
        tub__cpu_run(be, part, w, count);
    }
}

static void reduce(tub__backend *be, tub__weight w) {
    run_or_take(be, w.format == TUB__INT8 ? reduce_int8_part : reduce_part, &w,
                tub__padded(w.cols) / TUB__PANEL);
    if (w.transposed) {
        run_or_take(be, reduce_transposed_part, &w, tub__padded(w.rows) / TUB__PANEL);
    }
}

/* ---- slabs: shared out in whole panels ---- */

#define PANELS(n) ((n)*TUB__PANEL)

typedef struct add_op {
    void *to;
    const void *from;
} add_op;

PART(add_part, add_op, k->add(op->to, op->from, PANELS(begin), PANELS(end)))

static void add(tub__backend *be, void *to, const void *from, size_t elements) {
    const add_op op = {to, from};
    tub__cpu_run(be, add_part, &op, elements / TUB__PANEL);
}

typedef struct average_op {
    void *to;
    const void *from;
    double share;
} average_op;

PART(average_part, average_op, k->average(op->to, op->from, op->share, PANELS(begin), PANELS(end)))

static void average(tub__backend *be, void *to, const void *from, double share, size_t elements) {
    const average_op op = {to, from, share};
    tub__cpu_run(be, average_part, &op, elements / TUB__PANEL);
}

typedef struct square_op {
    const tub__weight *w;
    double *sums;
} square_op;

static void squares(const struct tub__kernels *k, const square_op *op, size_t begin, size_t end) {
    for (size_t i = begin; i < end; i++) {
        op->sums[i] = k->square_sum(op->w[i].data, op->w[i].rows, op->w[i].cols);
    }
}

PART(square_part, square_op, squares(k, op, begin, end))

static void square_sums(tub__backend *be, const tub__weight *w, size_t count, double *sums) {
    const square_op op = {w, sums};
    tub__cpu_run(be, square_part, &op, count);
}

PART(update_part, tub__update, k->update(op, PANELS(begin), PANELS(end)))

static void update(tub__backend *be, const tub__update *op) {
    tub__cpu_run(be, update_part, op,
                 op->segment_count ? op->segments[op->segment_count - 1].end / TUB__PANEL : 0);
}

void tub__cpu_model_ops(struct tub__backend_ops *ops) {
    ops->cut = cut;
    ops->cut_backward = cut_backward;
    ops->prepend = prepend;
    ops->prepend_backward = prepend_backward;
    ops->sum_samples = sum_samples;
    ops->pool = pool;
    ops->pool_backward = pool_backward;
    ops->blocks_begin = tub__cpu_blocks_begin;
    ops->blocks_end = tub__cpu_blocks_end;
    ops->linear = linear;
    ops->linear_dx = linear_dx;
    ops->linear_dw = linear_dw;
    ops->norm = norm;
    ops->norm_backward = norm_backward;
    ops->attention = attention;
    ops->attention_backward = attention_backward;
    ops->attention_dp = attention_dp;
    ops->drop = drop;
    ops->multiply = multiply;
    ops->probabilities = probabilities;
    ops->loss = loss;
    ops->add = add;
    ops->average = average;
    ops->square_sums = square_sums;
    ops->update = update;
    ops->reduce = reduce;
}

/* ---- how fast the machine is ---- */

typedef struct rounds_op {
    long rounds; /* of every worker */
} rounds_op;

PART(peak_part, rounds_op, (void)begin, (void)end, k->peak(op->rounds))

double tub__cpu_peak_run(tub__backend *be, long iterations) {
    const rounds_op op = {iterations};
    tub__cpu *cpu = tub__cpu_of(be);
    tub__cpu_run(be, peak_part, &op, (size_t)cpu->workers);
    return cpu->kernels->peak(0) +
           (double)iterations * (double)cpu->workers * cpu->kernels->peak(1);
}

/* A tile of rows and as many panels of such a depth as a thread's second cache holds well beside
 * what else is there: 11 KiB and 160 KiB with AVX-512. */
enum { TILE_DEPTH = 128, TILE_PANELS = 10 };

static void tile_products(const struct tub__kernels *k, long products, void *scratch) {
    const size_t rows = k->tile_rows;
    void *w = offset(k, scratch, rows, TILE_DEPTH),
         *c = offset(k, w, TILE_DEPTH, TILE_PANELS * TUB__PANEL);
    const tub__k_product p = {.a = scratch,
                              .lda = TILE_DEPTH,
                              .k = TILE_DEPTH,
                              .w = w,
                              .c = c,
                              .ldc = TILE_PANELS * TUB__PANEL};
    /* Any numbers but those that arithmetic is slow with: all bytes 0x3c make a small one
     * that is not subnormal, 0.01 in float32. */
    memset(scratch, 0x3c, (size_t)((char *)c - (char *)scratch));
    for (long i = 0; i < products; i++) {
        k->product(&p, 0, rows, 0, TILE_PANELS, NULL);
    }
}

PART(tile_part, rounds_op, (void)begin, (void)end, tile_products(k, op->rounds, scratch))

double tub__cpu_tile_run(tub__backend *be, long products) {
    const rounds_op op = {products};
    const tub__cpu *cpu = tub__cpu_of(be);
    tub__cpu_run(be, tile_part, &op, (size_t)cpu->workers);
    return 2.0 * (double)cpu->kernels->tile_rows * TILE_DEPTH * TILE_PANELS * TUB__PANEL *
           (double)products * (double)cpu->workers;
}
