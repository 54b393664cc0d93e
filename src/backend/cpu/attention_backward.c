/* SPDX-License-Identifier: Apache-2.0 */
/* Attention backward: probabilities recomputed block by block from the kept row maxima and sums.
 *
 * With s = scale q k^T, p = softmax(s), p' = dropped p, o = p' v:
 *   dv = p'^T do;  dp = mask(do v^T);  ds = p (dp - rowsum(do o));  dq = scale ds k;  dk = ds^T
 * (scale q). */
#include "backend/cpu/attention.h"

DEFINE_TILES(0)
DEFINE_TILES(1)

enum { ROWS = KEYS }; /* queries at once: the two [ROWS][KEYS] blocks stay in L1 */

typedef struct buffers {
    real *k_columns, *v_columns; /* [width][KEYS] */
    real *k;                     /* [KEYS][padded] */
    real *dk, *dv;               /* [KEYS][padded] */
    real *q, *d_o, *dq;          /* [ROWS][padded] */
    real *p, *ds;                /* [ROWS][KEYS]: dropped probabilities; gradient of the scores */
    real *delta;                 /* [ROWS] */
} buffers;

static buffers carve(real *scratch, size_t padded) {
    buffers b = {.k_columns = scratch};
    b.v_columns = b.k_columns + KEYS * padded;
    b.k = b.v_columns + KEYS * padded;
    b.dk = b.k + KEYS * padded;
    b.dv = b.dk + KEYS * padded;
    b.q = b.dv + KEYS * padded;
    b.d_o = b.q + ROWS * padded;
    b.dq = b.d_o + ROWS * padded;
    b.p = b.dq + ROWS * padded;
    b.ds = b.p + ROWS * KEYS;
    b.delta = b.ds + ROWS * KEYS;
    return b;
}

static void clear(real *p, size_t n) {
    for (size_t i = 0; i < n; i += 16) {
        vstore(p + i, vzero());
    }
}

/* out[rows][padded] times scale back to the head's columns of the tokens. */
static void scatter_rows(const unit *u, const tub__mat *m, size_t first, size_t rows, real scale,
                         const real *in) {
    const vf s = vset1(scale);
    for (size_t t = 0; t < rows; t++, in += u->padded) {
        real *to = token(u, m, first + t);
        for (size_t i = 0; i < u->width; i += 16) {
            vf v = vmul(vload(in + i), s);
            if (u->width - i >= 16) {
                vstore(to + i, v);
            } else {
                vstoren(to + i, (int)(u->width - i), v);
            }
        }
    }
}

/* delta[row] = sum over the head's columns of do o, in lanes and the tree. */
static void row_deltas(const unit *u, const buffers *b, size_t first, size_t rows) {
    for (size_t t = 0; t < rows; t++) {
        const real *o = token(u, &u->op->o, first + t), *d = b->d_o + t * u->padded;
        vf s = vzero();
        for (size_t i = 0; i < u->width; i += 16) {
            vf v = u->width - i >= 16 ? vload(o + i) : vloadn(o + i, (int)(u->width - i), vzero());
            s = vfma(v, vload(d + i), s);
        }
        b->delta[t] = vhsum(s);
    }
}

/* One row: scores in s and dp in g become dropped probabilities in s and the scores' gradient in g.
 */
static void score_gradient_row(const unit *u, const buffers *b, mask *drop, size_t row,
                               size_t in_block, size_t key0, size_t keys) {
    real *s = b->p + in_block * KEYS, *g = b->ds + in_block * KEYS;
    const real *stat = stats_of(u, row);
    const vf m = vset1(stat[0]), inverse = vset1(stat[1]), delta = vset1(b->delta[in_block]);
    for (size_t j = 0; j < keys; j += 16) {
        vf p = vmul(vweight_first(vsub(vload(s + j), m), keys - j), inverse), dp = vload(g + j);
        if (drop->on) {
            dp = mask_apply(drop, u, row, key0 + j, dp);
        }
        vstore(g + j, vmul(p, vsub(dp, delta)));
        vstore(s + j, drop->on ? mask_apply(drop, u, row, key0 + j, p) : p);
    }
}

static void score_gradients(const unit *u, const buffers *b, mask *drop, size_t query0, size_t rows,
                            size_t key0, size_t keys) {
    row_deltas(u, b, query0, rows);
    for (size_t t = 0; t < rows; t++) {
        score_gradient_row(u, b, drop, query0 + t, t, key0, keys);
    }
}

static void block(const unit *u, const tub__attention_backward *op, const buffers *b, mask *drop,
                  size_t query0, size_t rows, size_t key0, size_t keys) {
    const size_t padded = u->padded, key_cols = (keys + 15) & ~(size_t)15;
    const bool first = key0 == 0, last = key0 + keys == u->length;
    gather_rows(u, &u->op->q, query0, rows, (real)u->op->scale, b->q);
    gather_rows(u, &op->d_o, query0, rows, 1, b->d_o);
    small_product(tiles_0, rows, key_cols, u->width, b->q, padded, padded, b->k_columns, KEYS, b->p,
                  KEYS, false);
    small_product(tiles_0, rows, key_cols, u->width, b->d_o, padded, padded, b->v_columns, KEYS,
                  b->ds, KEYS, false);
    score_gradients(u, b, drop, query0, rows, key0, keys);
    small_product(tiles_1, keys, padded, rows, b->p, KEYS, 1, b->d_o, padded, b->dv, padded, true);
    small_product(tiles_1, keys, padded, rows, b->ds, KEYS, 1, b->q, padded, b->dk, padded, true);
    if (!first) { /* the chain over keys goes on from what the last block left */
        gather_rows(u, &op->dq, query0, rows, 1, b->dq);
    }
    small_product(tiles_0, rows, padded, keys, b->ds, KEYS, KEYS, b->k, padded, b->dq, padded,
                  !first);
    scatter_rows(u, &op->dq, query0, rows, last ? (real)u->op->scale : 1, b->dq);
}

void KERNEL(attention_backward)(const tub__attention_backward *op, size_t unit0, size_t unit1,
                                void *scratch) {
    if (op->forward.length <= TUB__K_SMALL) {
        KERNEL(attention_small_backward)(op, unit0, unit1, scratch);
        return;
    }
    for (size_t index = unit0; index < unit1; index++) {
        const unit u = unit_of(&op->forward, index);
        const buffers b = carve(scratch, u.padded);
        mask drop = mask_of(&u);
        for (size_t key0 = 0; key0 < u.length; key0 += KEYS) {
            const size_t keys = u.length - key0 < KEYS ? u.length - key0 : KEYS;
            gather_columns(&u, &op->forward.k, key0, keys, b.k_columns);
            gather_columns(&u, &op->forward.v, key0, keys, b.v_columns);
            gather_rows(&u, &op->forward.k, key0, keys, 1, b.k);
            clear(b.dk, keys * u.padded);
            clear(b.dv, keys * u.padded);
            for (size_t query0 = 0; query0 < u.length; query0 += ROWS) {
                const size_t rows = u.length - query0 < ROWS ? u.length - query0 : ROWS;
                block(&u, op, &b, &drop, query0, rows, key0, keys);
            }
            scatter_rows(&u, &op->dk, key0, keys, 1, b.dk);
            scatter_rows(&u, &op->dv, key0, keys, 1, b.dv);
        }
    }
}
