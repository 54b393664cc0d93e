/* SPDX-License-Identifier: Apache-2.0 */
/* Attention forward: keys in blocks of 64, row maximum and sum carried, rescaled once per block; no
 * N x N matrix. */
#include "backend/cpu/attention.h"

DEFINE_TILES(0)

/* Queries in a block, whose keys and values are gathered once: more of them for narrow heads. */
INLINE size_t block_of_queries(size_t padded) {
    return padded <= TUB__K_HEAD_LIMIT / 2 ? 2 * QUERIES : QUERIES;
}

#define FITS_(queries, padded)                                                                     \
    _Static_assert(2 * (queries) * (padded) + 2 * KEYS * (padded) + VEC_MR * KEYS +                \
                           2 * (queries) <=                                                        \
                       TUB__K_SCRATCH,                                                             \
                   "a block of queries fits the scratch")
FITS_(2 * QUERIES, TUB__K_HEAD_LIMIT / 2);
FITS_(QUERIES, TUB__K_HEAD_LIMIT);
#undef FITS_

typedef struct buffers {
    size_t queries;  /* of a block, at most */
    real *q;         /* [queries][padded], scaled */
    real *k;         /* [width][KEYS], transposed */
    real *v;         /* [KEYS][padded] */
    real *o;         /* [queries][padded] */
    real *scores;    /* [VEC_MR][KEYS] */
    real *max, *sum; /* [queries] */
} buffers;

static buffers carve(real *scratch, size_t padded) {
    buffers b = {.queries = block_of_queries(padded), .q = scratch};
    b.k = b.q + b.queries * padded;
    b.v = b.k + KEYS * padded;
    b.o = b.v + KEYS * padded;
    b.scores = b.o + b.queries * padded;
    b.max = b.scores + VEC_MR * KEYS;
    b.sum = b.max + b.queries;
    return b;
}

/* One row against one block of keys: scores to weights of v; carries the row's maximum and sum,
 * rescales o when the maximum grew. */
static void weigh_row(const unit *u, const buffers *b, mask *drop, size_t row, size_t in_block,
                      size_t key0, size_t keys, real *s) {
    const vf m = vset1(carry(u, b->o + in_block * u->padded, row_max(s, keys), &b->max[in_block],
                             &b->sum[in_block]));
    vf z = vzero();
    for (size_t j = 0; j < keys; j += 16) {
        vf e = vweight_first(vsub(vload(s + j), m), keys - j);
        z = vadd(z, e);
        vstore(s + j, drop->on ? mask_apply(drop, u, row, key0 + j, e) : e);
    }
    b->sum[in_block] += vhsum(z);
}

static void key_block(const unit *u, const buffers *b, mask *drop, size_t query0, size_t queries,
                      size_t key0) {
    const size_t keys = u->length - key0 < KEYS ? u->length - key0 : KEYS;
    gather_columns(u, &u->op->k, key0, keys, b->k);
    gather_rows(u, &u->op->v, key0, keys, 1, b->v);
    for (size_t t = 0; t < tile_count(queries); t++) {
        const size_t r = tile_begin(queries, t), n = tile_begin(queries, t + 1) - r;
        small_product(tiles_0, n, (keys + 15) & ~(size_t)15, u->width, b->q + r * u->padded,
                      u->padded, u->padded, b->k, KEYS, b->scores, KEYS, false);
        for (size_t i = 0; i < n; i++) {
            weigh_row(u, b, drop, query0 + r + i, r + i, key0, keys, b->scores + i * KEYS);
        }
        small_product(tiles_0, n, u->padded, keys, b->scores, KEYS, KEYS, b->v, u->padded,
                      b->o + r * u->padded, u->padded, true);
    }
}

static void finish_rows(const unit *u, const buffers *b, size_t query0, size_t queries) {
    for (size_t i = 0; i < queries; i++) {
        const real inverse = 1 / b->sum[i];
        finish_row(u, query0 + i, b->o + i * u->padded, inverse);
        if (u->op->stats) {
            real *s = stats_of(u, query0 + i);
            s[0] = b->max[i];
            s[1] = inverse;
        }
    }
}

/* The probabilities themselves, for explanations: the scores once more, now that each row's maximum
 * and sum are known. */
static void write_probabilities(const unit *u, const buffers *b, size_t query0, size_t queries) {
    real *out = (real *)u->op->probabilities + u->index * u->length * u->length;
    for (size_t key0 = 0; key0 < u->length; key0 += KEYS) {
        const size_t keys = u->length - key0 < KEYS ? u->length - key0 : KEYS;
        gather_columns(u, &u->op->k, key0, keys, b->k);
        for (size_t i = 0; i < queries; i++) {
            small_product(tiles_0, 1, (keys + 15) & ~(size_t)15, u->width, b->q + i * u->padded,
                          u->padded, u->padded, b->k, KEYS, b->scores, KEYS, false);
            const vf m = vset1(b->max[i]), inverse = vset1(1 / b->sum[i]);
            real *to = out + (query0 + i) * u->length + key0;
            for (size_t j = 0; j < keys; j += 16) {
                vf p = vmul(vweight(vsub(vload(b->scores + j), m)), inverse);
                vstoren(to + j, keys - j < 16 ? (int)(keys - j) : 16, p);
            }
        }
    }
}

void KERNEL(attention)(const tub__attention *op, size_t unit0, size_t unit1, void *scratch) {
    if (op->length <= TUB__K_SMALL) {
        KERNEL(attention_small)(op, unit0, unit1, scratch);
        return;
    }
    for (size_t index = unit0; index < unit1; index++) {
        const unit u = unit_of(op, index);
        const buffers b = carve(scratch, u.padded);
        mask drop = mask_of(&u);
        for (size_t query0 = 0; query0 < u.length; query0 += b.queries) {
            const size_t queries = tub__min(u.length - query0, b.queries);
            gather_rows(&u, &op->q, query0, queries, (real)op->scale, b.q);
            for (size_t i = 0; i < queries; i++) {
                b.max[i] = -(real)INFINITY;
                b.sum[i] = 0;
            }
            for (size_t i = 0; i < queries * u.padded; i += 16) {
                vstore(b.o + i, vzero());
            }
            for (size_t key0 = 0; key0 < u.length; key0 += KEYS) {
                key_block(&u, &b, &drop, query0, queries, key0);
            }
            finish_rows(&u, &b, query0, queries);
            if (op->probabilities) {
                write_probabilities(&u, &b, query0, queries);
            }
        }
    }
}
