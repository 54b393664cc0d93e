/* SPDX-License-Identifier: Apache-2.0 */
/* The products that a model's training step consists of. */
#include "base/error.h"
#include "bench/measure.h"
#include "model/model.h"

typedef struct list {
    tub_bench_product *out;
    size_t count;
} list;

/* Layers of equal shape are one product with more calls. */
static void append(list *l, const tub_bench_product *p) {
    for (size_t i = 0; i < l->count; i++) {
        tub_bench_product *q = &l->out[i];
        if (q->kind == p->kind && q->rows == p->rows && q->depth == p->depth &&
            q->columns == p->columns && q->group_rows == p->group_rows) {
            q->calls += p->calls;
            return;
        }
    }
    l->out[l->count++] = *p;
}

/* A dense layer: rows of x, its inputs and outputs. */
typedef struct layer {
    int64_t rows, inputs, outputs, calls;
    int64_t group_rows;
    bool first; /* its input is the data: nobody asks for the gradient */
} layer;

static tub_bench_product product_of(const layer *d, tub_bench_kind kind) {
    tub_bench_product p = {.kind = kind, .calls = d->calls};
    switch (kind) {
    case TUB_BENCH_FORWARD:
        p.rows = d->rows, p.depth = d->inputs, p.columns = d->outputs;
        break;
    case TUB_BENCH_INPUT_GRADIENT:
        p.rows = d->rows, p.depth = d->outputs, p.columns = d->inputs;
        break;
    case TUB_BENCH_WEIGHT_GRADIENT:
        p.rows = d->inputs, p.depth = d->rows, p.columns = d->outputs;
        p.group_rows = d->group_rows;
        break;
    }
    return p;
}

tub_status tub_bench_products(const tub_model_config *config, int64_t batch,
                              tub_bench_product out[TUB_BENCH_PRODUCTS], size_t *count,
                              tub_error *err) {
    TUB__TRY(tub_model_config_check(config, err));
    TUB__TRY(tub__in_range("batch", batch, 1, TUB__BENCH_BATCH, err));
    const tub__geometry g = tub__model_geometry(config);
    const int64_t bare = (int64_t)tub__geometry_tokens(&g), d = config->hidden, f = config->mlp;
    const int64_t tokens = bare + (config->pooling == TUB_POOL_CLASS_TOKEN), n = config->layers;
    const int64_t rows = batch * tokens, group = TUB__GROUP * tokens;
    const layer layers[] = {
        {batch * bare, (int64_t)tub__geometry_row(&g), d, 1, TUB__GROUP * bare, true},
        {rows, d, 3 * d, n, group, false}, /* query, key and value */
        {rows, d, d, n, group, false},
        {rows, d, f, n, group, false},
        {rows, f, d, n, group, false},
        {batch, d, config->classes, 1, TUB__GROUP, false}};
    list l = {.out = out};
    for (int kind = TUB_BENCH_FORWARD; kind <= TUB_BENCH_WEIGHT_GRADIENT; kind++) {
        for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
            if (kind != TUB_BENCH_INPUT_GRADIENT || !layers[i].first) {
                const tub_bench_product p = product_of(&layers[i], (tub_bench_kind)kind);
                append(&l, &p);
            }
        }
    }
    *count = l.count;
    return TUB_OK;
}
