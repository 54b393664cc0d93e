/* SPDX-License-Identifier: Apache-2.0 */
/* The model's operations on the CPU: each is one region of the pool, split so that a worker meets
 * the same rows again and again.
 *
 * How the work is split changes no bit: every output element is computed whole by one worker, and
 * sums over samples follow the groups and the tree of docs/numerics.md. */
#include "backend/cpu/cpu.h"

#include "base/fpenv.h"

/* One region: the backend and the operation's own arguments. */
typedef struct region {
    const struct tub__kernels *k;
    void **scratch;
    const void *op;
    size_t count; /* items to share out */
} region;

static void share_out(tub__backend *be, tub__pool_fn *fn, const void *op, size_t count,
                      bool alone) {
    tub__cpu *cpu = tub__cpu_of(be);
    region r = {.k = cpu->kernels, .scratch = cpu->scratch, .op = op, .count = count};
    if (!alone) {
        tub__pool_run(be->pool, fn, &r);
        return;
    }
    const tub__fpenv saved = tub__fpenv_enter();
    fn(&r, 0, 1);
    tub__fpenv_leave(saved);
}

static void run(tub__backend *be, tub__pool_fn *fn, const void *op, size_t count) {
    share_out(be, fn, op, count, count == 1);
}

/* As run, for an operation that goes over its elements once: a few thousand are done before another
 * thread has heard of them. */
static void run_light(tub__backend *be, tub__pool_fn *fn, const void *op, size_t count,
                      size_t elements) {
    enum { WORTH_SHARING = 8192 };
    share_out(be, fn, op, count, elements < WORTH_SHARING);
}

/* Begins a worker's part: [begin, end) of the region's items; the operation is `op`. */
#define SHARE(type)                                                                                \
    const region *r = argument;                                                                    \
    const type *op = r->op;                                                                        \
    size_t begin, end;                                                                             \
    tub__share(r->count, worker, workers, &begin, &end);                                           \
    (void)op

/* ---- products ---- */

typedef struct product_op {
    tub__k_product p;
    size_t rows, panels;
    bool by_panel; /* few rows: every worker takes all of them for its panels */
} product_op;

static void product_part(void *argument, int worker, int workers) {
    SHARE(product_op);
    if (op->by_panel) {
        r->k->product(&op->p, 0, op->rows, begin, end, r->scratch[worker]);
    } else {
        r->k->product(&op->p, begin, end, 0, op->panels, r->scratch[worker]);
    }
}

static void product(tub__backend *be, product_op *op) {
    const tub__cpu *cpu = tub__cpu_of(be);
    op->by_panel = op->rows < (size_t)cpu->workers * cpu->kernels->tile_rows && op->panels > 1;
    run(be, product_part, op, op->by_panel ? op->panels : op->rows);
}

static void linear(tub__backend *be, const tub__linear *op) {
    product_op p = {.p = {.a = op->x.data,
                          .lda = op->x.ld,
                          .k = op->w.rows,
                          .w = op->w.data,
                          .bias = op->bias,
                          .c = op->y.data,
                          .ldc = op->y.ld,
                          .activation = op->activation,
                          .slope = op->slope.data,
                          .ldslope = op->slope.ld,
                          .residual = op->residual.data,
                          .ldres = op->residual.ld,
                          .residual_rows = op->residual.rows,
                          .next = op->next.data,
                          .next_k = op->next.rows,
                          .next_panels = tub__padded(op->next.cols) / TUB__PANEL,
                          .panels = tub__padded(op->w.cols) / TUB__PANEL},
                    .rows = op->x.rows,
                    .panels = tub__padded(op->w.cols) / TUB__PANEL};
    product(be, &p);
}

static void linear_dx(tub__backend *be, const tub__linear_dx *op) {
    product_op p = {.p = {.a = op->dy.data,
                          .lda = op->dy.ld,
                          .k = op->w.cols,
                          .w = op->w.data,
                          .transposed = true,
                          .columns = op->w.rows,
                          .c = op->dx.data,
                          .ldc = op->dx.ld,
                          .slope = op->slope.data,
                          .ldslope = op->slope.ld,
                          .multiply = op->slope.data != NULL},
                    .rows = op->dy.rows,
                    .panels = tub__padded(op->w.rows) / TUB__PANEL};
    product(be, &p);
}

static void dw_part(void *argument, int worker, int workers) {
    SHARE(tub__k_dw);
    r->k->dw(op, begin, end, r->scratch[worker]);
}

static void linear_dw(tub__backend *be, const tub__linear_dw *op) {
    const tub__k_dw p = {.x = op->x.data,
                         .dy = op->dy.data,
                         .ldx = op->x.ld,
                         .ldy = op->dy.ld,
                         .rows = op->x.rows,
                         .group_rows = op->group_rows,
                         .k = op->dw.rows,
                         .panels = tub__padded(op->dw.cols) / TUB__PANEL,
                         .dw = op->dw.data,
                         .dbias = op->dbias};
    run(be, dw_part, &p, tub__cpu_of(be)->kernels->dw_tasks(p.k, p.panels));
}

/* ---- rows ---- */

static void norm_part(void *argument, int worker, int workers) {
    SHARE(tub__norm);
    r->k->norm(op, begin, end);
}

static void norm(tub__backend *be, const tub__norm *op) {
    run_light(be, norm_part, op, op->x.rows, op->x.rows * op->x.ld);
}

static void norm_backward_part(void *argument, int worker, int workers) {
    SHARE(tub__norm_backward);
    r->k->norm_backward(op, begin, end, op->workspace);
}

static void norm_backward(tub__backend *be, const tub__norm_backward *op) {
    const struct tub__kernels *k = tub__cpu_of(be)->kernels;
    const size_t groups = (op->x.rows + op->group_rows - 1) / op->group_rows,
                 padded = tub__padded(op->x.cols);
    run(be, norm_backward_part, op, groups);
    k->tree(op->workspace, groups, 2 * padded, padded, op->dgamma);
    k->tree((char *)op->workspace + padded * be->real_size, groups, 2 * padded, padded, op->dbeta);
}

static void attention_part(void *argument, int worker, int workers) {
    SHARE(tub__attention);
    r->k->attention(op, begin, end, r->scratch[worker]);
}

static size_t units(const tub__attention *op) {
    return op->samples * op->groups * op->heads;
}

static void attention(tub__backend *be, const tub__attention *op) {
    run(be, attention_part, op, units(op));
}

static void attention_backward_part(void *argument, int worker, int workers) {
    SHARE(tub__attention_backward);
    r->k->attention_backward(op, begin, end, r->scratch[worker]);
}

static void attention_backward(tub__backend *be, const tub__attention_backward *op) {
    run(be, attention_backward_part, op, units(&op->forward));
}

typedef struct multiply_op {
    tub__mat x, y, z;
} multiply_op;

static void multiply_part(void *argument, int worker, int workers) {
    SHARE(multiply_op);
    r->k->multiply(op->x, op->y, op->z, begin, end);
}

static void multiply(tub__backend *be, tub__mat x, tub__mat y, tub__mat z) {
    const multiply_op op = {x, y, z};
    run_light(be, multiply_part, &op, x.rows, x.rows * x.ld);
}

/* ---- tokens ---- */

/* Arguments of all the operations that go sample by sample. */
typedef struct tokens_op {
    const tub__geometry *g;
    size_t samples;
    tub_dtype dtype;
    const void *host;
    bool multiply;
    tub_pooling pooling;
    tub__mat x, y, position;
    void *data;
} tokens_op;

static void cut_part(void *argument, int worker, int workers) {
    SHARE(tokens_op);
    r->k->cut(op->g, op->dtype, op->host, op->multiply, op->y, begin, end);
}

static void cut(tub__backend *be, const tub__geometry *g, size_t samples, tub_dtype dtype,
                const void *x, bool multiply, tub__mat rows) {
    const tokens_op op = {.g = g, .dtype = dtype, .host = x, .multiply = multiply, .y = rows};
    run(be, cut_part, &op, samples);
}

static void cut_backward_part(void *argument, int worker, int workers) {
    SHARE(tokens_op);
    r->k->cut_backward(op->g, op->x, op->data, begin, end);
}

static void cut_backward(tub__backend *be, const tub__geometry *g, size_t samples, tub__mat drows,
                         void *dx) {
    const tokens_op op = {.g = g, .x = drows, .data = dx};
    run(be, cut_backward_part, &op, samples);
}

static void prepend_part(void *argument, int worker, int workers) {
    SHARE(tokens_op);
    r->k->prepend(op->x, op->host, op->position, op->y, begin, end);
}

static void prepend(tub__backend *be, size_t samples, tub__mat x, const void *class_token,
                    tub__mat position, tub__mat y) {
    const tokens_op op = {.x = x, .host = class_token, .position = position, .y = y};
    run(be, prepend_part, &op, samples);
}

static void prepend_backward_part(void *argument, int worker, int workers) {
    SHARE(tokens_op);
    r->k->prepend_backward(op->x, op->y, begin, end, op->samples);
}

static void prepend_backward(tub__backend *be, size_t samples, tub__mat dy, tub__mat dx) {
    const tokens_op op = {.samples = samples, .x = dy, .y = dx};
    run(be, prepend_backward_part, &op, samples);
}

static void sum_samples_part(void *argument, int worker, int workers) {
    SHARE(tokens_op);
    r->k->sum_samples(op->samples, op->x, op->y, begin, end);
}

static void sum_samples(tub__backend *be, size_t samples, tub__mat x, tub__mat sum) {
    const tokens_op op = {.samples = samples, .x = x, .y = sum};
    run(be, sum_samples_part, &op, sum.rows);
}

static void pool_part(void *argument, int worker, int workers) {
    SHARE(tokens_op);
    r->k->pool(op->pooling, op->samples, op->x, op->y, begin, end);
}

static void pool(tub__backend *be, tub_pooling kind, size_t samples, tub__mat x, tub__mat y) {
    const tokens_op op = {.samples = samples, .pooling = kind, .x = x, .y = y};
    run_light(be, pool_part, &op, samples, x.rows * x.ld);
}

static void pool_backward_part(void *argument, int worker, int workers) {
    SHARE(tokens_op);
    r->k->pool_backward(op->pooling, op->samples, op->x, op->y, begin, end);
}

static void pool_backward(tub__backend *be, tub_pooling kind, size_t samples, tub__mat dy,
                          tub__mat dx) {
    const tokens_op op = {.samples = samples, .pooling = kind, .x = dy, .y = dx};
    run(be, pool_backward_part, &op, samples);
}

/* ---- loss: a few rows, not worth a region ---- */

static void softmax(tub__backend *be, tub__mat logits, tub__mat probabilities) {
    tub__cpu_of(be)->kernels->softmax(logits, probabilities, 0, logits.rows);
}

static void loss(tub__backend *be, const tub__loss *op) {
    tub__cpu_of(be)->kernels->loss(op, 0, op->logits.rows);
}

/* ---- slabs: shared out in whole panels ---- */

typedef struct add_op {
    void *to;
    const void *from;
} add_op;

static void add_part(void *argument, int worker, int workers) {
    SHARE(add_op);
    r->k->add(op->to, op->from, begin * TUB__PANEL, end * TUB__PANEL);
}

static void add(tub__backend *be, void *to, const void *from, size_t elements) {
    const add_op op = {to, from};
    run(be, add_part, &op, elements / TUB__PANEL);
}

typedef struct square_op {
    const tub__weight *w;
    double *sums;
} square_op;

static void square_part(void *argument, int worker, int workers) {
    SHARE(square_op);
    for (size_t i = begin; i < end; i++) {
        op->sums[i] = r->k->square_sum(op->w[i].data, op->w[i].rows, op->w[i].cols);
    }
}

static void square_sums(tub__backend *be, const tub__weight *w, size_t count, double *sums) {
    const square_op op = {w, sums};
    run(be, square_part, &op, count);
}

static void update_part(void *argument, int worker, int workers) {
    SHARE(tub__update);
    r->k->update(op, begin * TUB__PANEL, end * TUB__PANEL);
}

static void update(tub__backend *be, const tub__update *op) {
    run(be, update_part, op,
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
    ops->linear = linear;
    ops->linear_dx = linear_dx;
    ops->linear_dw = linear_dw;
    ops->norm = norm;
    ops->norm_backward = norm_backward;
    ops->attention = attention;
    ops->attention_backward = attention_backward;
    ops->multiply = multiply;
    ops->softmax = softmax;
    ops->loss = loss;
    ops->add = add;
    ops->square_sums = square_sums;
    ops->update = update;
}

/* ---- how fast the machine is ---- */

typedef struct peak_op {
    long iterations;
} peak_op;

static void peak_part(void *argument, int worker, int workers) {
    const region *r = argument;
    (void)worker;
    (void)workers;
    r->k->peak(((const peak_op *)r->op)->iterations);
}

double tub__cpu_peak_run(tub__backend *be, long iterations) {
    const peak_op op = {iterations};
    tub__cpu *cpu = tub__cpu_of(be);
    run(be, peak_part, &op, (size_t)cpu->workers);
    return cpu->kernels->peak(0) +
           (double)iterations * (double)cpu->workers * cpu->kernels->peak(1);
}
