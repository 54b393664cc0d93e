/* SPDX-License-Identifier: Apache-2.0 */
/* Attention forward with bfloat16 factors: queries, keys, values and the weights of values are
 * rounded. For inference: no dropout, nothing kept. The same bits with every engine, but for
 * subnormal factors and sums.
 *
 * The scores of a block of keys and some queries lie [key][query], as in attention_forward.c.
 * Factors stand in pairs that are multiplied one after the other, the second first: of a query's or
 * a key's columns in scores, of neighbouring keys in the sums over values.
 *
 * A template: an engine is the file that includes it, so that its tiles and its rounding are inlined
 * in the loops. Before, it defines
 *   PAIR            reals that a pair of a tile's rows takes; that of a vector is one word
 *   pairs_of_row    the pairs of 32 columns, in two vectors
 *   pairs_of_two    sixteen pairs of one number of each vector
 *   store_row, store_two   the same to a tile's row, whose second reals are so far behind the first
 *   pair_tile       as tile_body in tile.h, over pairs */
#ifndef TUB__CPU_ATTENTION_ROUNDED_H
#define TUB__CPU_ATTENTION_ROUNDED_H

#include "backend/cpu/attention_bf16.h"

enum {
    LANES = 32,     /* queries whose scores are made at once */
    SOME_KEYS = 128 /* in a block: a tile's sums are fetched and stored once for them */
};

/* What carve takes. */
#define ROOM_(queries, padded)                                                                     \
    ((queries) * (padded) / 2 + SOME_KEYS * (padded) / 2 * PAIR + SOME_KEYS / 2 * (padded) +       \
     (queries) * (padded) + SOME_KEYS * LANES + SOME_KEYS / 2 * LANES * PAIR + 2 * (queries))
ASSERT_ROOM(ROOM_);

typedef struct buffers {
    size_t queries, depth; /* of a block, at most; head width, padded to whole vectors of pairs */
    real *q;               /* [queries / LANES][depth / 2][LANES] pairs, scaled */
    real *k;               /* [SOME_KEYS][depth / 2] pairs of a tile's rows */
    real *v;               /* [SOME_KEYS / 2][padded] pairs */
    real *o;               /* [queries][padded] */
    real *scores;          /* [SOME_KEYS][LANES] */
    real *weights;         /* [SOME_KEYS / 2][LANES] pairs of a tile's rows */
    real *max, *sum;       /* [queries] */
} buffers;

static buffers carve(real *scratch, const unit *u) {
    buffers b = {
        .queries = block_of_queries(u->padded), .depth = tub__padded(u->width), .q = scratch};
    b.k = b.q + b.queries * b.depth / 2;
    b.v = b.k + SOME_KEYS * b.depth / 2 * PAIR;
    b.o = b.v + SOME_KEYS / 2 * u->padded;
    b.scores = b.o + b.queries * u->padded;
    b.weights = b.scores + SOME_KEYS * LANES;
    b.max = b.weights + SOME_KEYS / 2 * LANES * PAIR;
    b.sum = b.max + b.queries;
    return b;
}

/* ---- tiles of pairs ---- */

#define PAIR_(mr, nv, tr)                                                                          \
    static void pair_##mr##_##nv##_##tr(size_t k, const real *a, size_t lda, const real *b,        \
                                        size_t ldb, const real *start, size_t lds, real *c,        \
                                        size_t ldc) {                                              \
        pair_tile(mr, nv, tr, k, a, lda, b, ldb, start, lds, c, ldc);                              \
    }
#define PAIR_NAME_(mr, nv, tr) pair_##mr##_##nv##_##tr,
TILE_ROWS_(PAIR_, 1, 0)
TILE_ROWS_(PAIR_, 1, 1)
#if VEC_NV == 2
TILE_ROWS_(PAIR_, 2, 0)
TILE_ROWS_(PAIR_, 2, 1)
#define PAIRS_OF_(tr)                                                                              \
    {                                                                                              \
        {TILE_ROWS_(PAIR_NAME_, 1, tr)}, {                                                         \
            TILE_ROWS_(PAIR_NAME_, 2, tr)                                                          \
        }                                                                                          \
    }
#else
#define PAIRS_OF_(tr)                                                                              \
    {                                                                                              \
        { TILE_ROWS_(PAIR_NAME_, 1, tr) }                                                          \
    }
#endif
/* Of row-major and of transposed rows. */
static tile_fn *const pair_tiles_0[VEC_NV][VEC_MR] = PAIRS_OF_(0);
static tile_fn *const pair_tiles_1[VEC_NV][VEC_MR] = PAIRS_OF_(1);

/* ---- rounded rows ---- */

/* LANES queries from `first` on, zero past the last. */
static void gather_queries(const unit *u, const buffers *b, size_t first, real *to) {
    const vf s = vset1((real)u->op->scale);
    for (size_t t = 0; t < LANES; t += 16) {
        for (size_t c = 0; c < b->depth; c += 32) {
            vf r[16];
            UNROLL for (size_t i = 0; i < 16; i++) {
                const vf left = vmul(columns_of(u, &u->op->q, first + t + i, c), s);
                const vf right = vmul(columns_of(u, &u->op->q, first + t + i, c + 16), s);
                r[i] = pairs_of_row(left, right);
            }
            vtranspose(r);
            UNROLL for (size_t i = 0; i < 16; i++) vstore(to + (c / 2 + i) * LANES + t, r[i]);
        }
    }
}

static void gather_keys(const unit *u, const buffers *b, size_t first, size_t keys) {
    for (size_t t = 0; t < keys; t++) {
        prefetch_token(u, &u->op->k, first + keys + t);
        for (size_t c = 0; c < b->depth; c += 32) {
            const vf left = columns_of(u, &u->op->k, first + t, c);
            const vf right = columns_of(u, &u->op->k, first + t, c + 16);
            store_row(b->k + t * b->depth / 2 * PAIR + c / 2, b->depth / 2, left, right);
        }
    }
}

static void gather_values(const unit *u, const buffers *b, size_t first, size_t keys) {
    for (size_t t = 0; t < keys; t += 2) {
        prefetch_token(u, &u->op->v, first + keys + t);
        prefetch_token(u, &u->op->v, first + keys + t + 1);
        for (size_t c = 0; c < u->padded; c += 16) {
            const vf even = columns_of(u, &u->op->v, first + t, c);
            const vf odd = columns_of(u, &u->op->v, first + t + 1, c);
            vstore(b->v + t / 2 * u->padded + c, pairs_of_two(even, odd));
        }
    }
}

/* ---- blocks ---- */

/* The weights of `keys` keys for sixteen queries, and their sum. */
static vf weigh(const real *scores, size_t keys, vf max, real *weights) {
    vf sums[2] = {vzero(), vzero()};
    for (size_t key = 0; key < keys; key += 2, scores += 2 * LANES, weights += LANES * PAIR) {
        const vf even = weight_of(vload(scores), max);
        const vf odd = key + 1 < keys ? weight_of(vload(scores + LANES), max) : vzero();
        sums[0] = vadd(sums[0], even);
        sums[1] = vadd(sums[1], odd);
        store_two(weights, LANES, even, odd);
    }
    return vadd(sums[0], sums[1]);
}

/* Queries [query, query + queries) of the block, at most LANES, meet a block of keys. */
static void meet(const unit *u, const buffers *b, size_t query, size_t queries, size_t keys,
                 bool first) {
    const size_t lanes = (queries + 15) & ~(size_t)15;
    real *o = b->o + query * u->padded;
    small_product(pair_tiles_0, keys, lanes, b->depth / 2, b->k, b->depth / 2 * PAIR,
                  b->depth / 2 * PAIR, b->q + query * b->depth / 2, LANES, b->scores, LANES, false);
    for (size_t i = 0; i < lanes; i += 16) {
        real *sum = b->sum + query + i;
        const vf max = carry(u, first, o + i * u->padded, tub__min(queries - i, 16),
                             largest(b->scores + i, LANES, keys), b->max + query + i, sum);
        vstore(sum, vadd(vload(sum), weigh(b->scores + i, keys, max, b->weights + i)));
    }
    small_product(pair_tiles_1, queries, u->padded, (keys + 1) / 2, b->weights, LANES * PAIR, 1,
                  b->v, u->padded, o, u->padded, true);
}

static void query_block(const unit *u, const buffers *b, size_t query0, size_t queries) {
    for (size_t i = 0; i < queries; i += LANES) {
        gather_queries(u, b, query0 + i, b->q + i * b->depth / 2);
    }
    begin_queries(queries, u->padded, b->o, b->max, b->sum);
    for (size_t key0 = 0; key0 < u->length; key0 += SOME_KEYS) {
        const size_t keys = tub__min(u->length - key0, SOME_KEYS);
        gather_keys(u, b, key0, keys);
        gather_values(u, b, key0, keys);
        for (size_t i = 0; i < queries; i += LANES) {
            meet(u, b, i, tub__min(queries - i, LANES), keys, key0 == 0);
        }
    }
    for (size_t i = 0; i < queries; i++) {
        finish_row(u, query0 + i, b->o + i * u->padded, 1 / b->sum[i]);
    }
}

/* Units [unit0, unit1) of an operation of which rounds_factors is true. */
static void attend_rounded(const tub__attention *op, size_t unit0, size_t unit1, void *scratch) {
    for (size_t index = unit0; index < unit1; index++) {
        const unit u = unit_of(op, index);
        const buffers b = carve(scratch, &u);
        for (size_t query0 = 0; query0 < u.length; query0 += b.queries) {
            query_block(&u, &b, query0, tub__min(u.length - query0, b.queries));
        }
    }
}

#endif
