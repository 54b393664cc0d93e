/* SPDX-License-Identifier: Apache-2.0 */
/* Attention backward over at most 64 tokens: the formulas of attention_backward.c, all scores of a
 * head at once, queries in the lanes. */
#include "backend/cpu/attention_small.h"

typedef struct buffers {
    real *qt, *dt;      /* [width][LANES]: q and d_o, scaled */
    real *pt, *st;      /* [LENGTH][LANES]: dropped probabilities; gradient of the scores */
    real *kept;         /* [LENGTH][LANES]: probabilities */
    real *q, *k, *d_o;  /* [LENGTH][padded] */
    real *dq, *dk, *dv; /* [LENGTH][padded] */
} buffers;

static buffers carve(real *scratch, size_t padded) {
    buffers b = {.qt = scratch};
    b.dt = b.qt + LANES * padded;
    b.pt = b.dt + LANES * padded;
    b.st = b.pt + LENGTH * LANES;
    b.kept = b.st + LENGTH * LANES;
    b.q = b.kept + LENGTH * LANES;
    b.k = b.q + LENGTH * padded;
    b.d_o = b.k + LENGTH * padded;
    b.dq = b.d_o + LENGTH * padded;
    b.dk = b.dq + LENGTH * padded;
    b.dv = b.dk + LENGTH * padded;
    return b;
}

/* The 16 nv queries from `query` on: scores in pt and dp in st become dropped probabilities in pt
 * and the scores' gradient p (dp - delta) in st, delta being the sum of p dp over the keys.
 *
 * delta is summed relative to the first dp: dp often hardly varies from key to key, and its
 * differences are what query and key gradients are made of. Subtracting a neighbour first is exact
 * or nearly so, where p (dp - rowsum(do o)) would lose what the rounding of rowsum(p) and of delta
 * costs. */
INLINE void score_gradients(int nv, bool drop, const unit *u, const buffers *b, size_t query) {
    const size_t n = u->length;
    const stats_view stats = small_stats(u);
    const uint16_t *masks = stats.masks + query / 16;
    const vf scale = vset1((real)(1 / (1 - (drop ? u->op->dropout.rate : 0))));
    real *s = b->pt + query, *g = b->st + query, *kept = b->kept + query;
    vf m[VEC_NV], inverse[VEC_NV], delta[VEC_NV], reference[VEC_NV];
    UNROLL for (int j = 0; j < nv; j++) {
        const size_t at = query + 16 * (size_t)j;
        const int left = n - at < 16 ? (int)(n - at) : 16;
        m[j] = vloadn(stats.max + at, left, vzero());
        inverse[j] = vloadn(stats.inverse + at, left, vzero());
        reference[j] = vload(g + 16 * j);
        reference[j] = drop ? vsel(vmask(masks[j]), reference[j], vzero()) : reference[j];
        delta[j] = vzero();
    }
    for (size_t key = 0; key < n; key++, masks += MASKS) {
        UNROLL for (int j = 0; j < nv; j++) {
            const size_t at = key * LANES + 16 * (size_t)j;
            const vf p = vmul(vweight(vsub(vload(s + at), m[j])), inverse[j]);
            vf dp = vload(g + at), dropped = p;
            if (drop) {
                const vm keep = vmask(masks[j]);
                dp = vsel(keep, dp, vzero());
                dropped = vsel(keep, vmul(p, scale), vzero());
            }
            dp = vsub(dp, reference[j]);
            delta[j] = vfma(p, dp, delta[j]);
            vstore(kept + at, p);
            vstore(s + at, dropped);
            vstore(g + at, dp);
        }
    }
    for (size_t at = 0; at < n * LANES; at += LANES) {
        UNROLL for (int j = 0; j < nv; j++) {
            real *to = g + at + 16 * j;
            vstore(to, vmul(vload(kept + at + 16 * j), vsub(vload(to), delta[j])));
        }
    }
}

static void all_score_gradients(const unit *u, const buffers *b) {
    ALL_QUERIES(score_gradients, u, b);
}

/* c[key] = sum over the queries of a[key][query] b[query]. */
static void over_queries(const unit *u, const real *a, rows_view b, rows_view c) {
    const operands o = {.a = a, .b = b.at, .c = c.at, .ldb = b.ld, .ldc = c.ld, .k = u->length};
    multiply(false, LANES, &o, u->length, u->padded);
}

/* c[query] = sum over the keys of a[key][query] b[key]. */
static void over_keys(const unit *u, const real *a, rows_view b, rows_view c) {
    const operands o = {.a = a, .b = b.at, .c = c.at, .ldb = b.ld, .ldc = c.ld, .k = u->length};
    multiply(true, LANES, &o, u->length, u->padded);
}

static void backward_unit(const unit *u, const tub__attention_backward *op, const buffers *b) {
    const tub__attention *f = &op->forward;
    /* What scales the scores, and what dropout leaves larger, goes into dp from the beginning: it
     * then is in the gradient of the scores, too. */
    const real dp_scale = (real)(f->scale / (1 - f->dropout.rate));
    gather_transposed(u, &f->q, (real)f->scale, LANES, b->qt);
    scores(u, &f->k, b->qt, b->pt);
    gather_transposed(u, &op->d_o, dp_scale, LANES, b->dt);
    scores(u, &f->v, b->dt, b->st);
    all_score_gradients(u, b);
    over_queries(u, b->pt, read_rows(u, &op->d_o, b->d_o), view_rows(u, &op->dv, b->dv));
    over_queries(u, b->st, read_rows(u, &f->q, b->q), view_rows(u, &op->dk, b->dk));
    over_keys(u, b->st, read_rows(u, &f->k, b->k), view_rows(u, &op->dq, b->dq));
    put_rows(u, &op->dv, b->dv);
    put_rows(u, &op->dk, b->dk);
    put_rows(u, &op->dq, b->dq);
}

/* The rows of a head that the forward pass kept are far away by now. */
static void ask_for_rows(const unit *u, const tub__mat *m) {
    for (size_t t = 0; t < u->length; t++) {
        const real *row = token(u, m, t);
        for (size_t i = 0; i < u->width; i += 16) {
            vprefetch(row + i);
        }
    }
}

void KERNEL(attention_small_backward)(const tub__attention_backward *op, size_t unit0, size_t unit1,
                                      void *scratch) {
    for (size_t index = unit0; index < unit1; index++) {
        const unit u = unit_of(&op->forward, index);
        const buffers b = carve(scratch, u.padded);
        if (index + 1 < unit1) {
            const unit next = unit_of(&op->forward, index + 1);
            ask_for_rows(&next, &op->forward.q);
            ask_for_rows(&next, &op->forward.k);
            ask_for_rows(&next, &op->forward.v);
        }
        backward_unit(&u, op, &b);
    }
}
