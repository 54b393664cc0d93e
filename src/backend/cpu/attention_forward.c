/* SPDX-License-Identifier: Apache-2.0 */
/* Attention forward: keys in blocks of 64, row maximum and sum carried, rescaled once per block; no
 * N x N matrix.
 *
 * Queries are in the lanes: the scores of a block of keys and some queries lie [key][query], so
 * that maxima and sums are made for sixteen queries at once, without waiting for each other. A
 * query's sum is that of a row of keys in vectors, summed across their lanes (vhsum): the same
 * additions, made vertically. */
#include "backend/cpu/attention_long.h"

DEFINE_TILES(0)
DEFINE_TILES(1)

enum { LANES = 4 * 16 }; /* queries whose scores are made at once */

/* What carve takes. */
#define ROOM_(queries, padded)                                                                     \
    (2 * (queries) * (padded) + 2 * KEYS * (padded) + KEYS * LANES + 2 * (queries))
ASSERT_ROOM(ROOM_);

typedef struct buffers {
    size_t queries;  /* of a block, at most */
    real *q;         /* [queries / LANES][padded][LANES], scaled */
    real *k, *v;     /* [KEYS][padded] */
    real *o;         /* [queries][padded] */
    real *scores;    /* [KEYS][LANES]; then weights of v */
    real *max, *sum; /* [queries] */
} buffers;

static buffers carve(real *scratch, size_t padded) {
    buffers b = {.queries = block_of_queries(padded), .q = scratch};
    b.k = b.q + b.queries * padded;
    b.v = b.k + KEYS * padded;
    b.o = b.v + KEYS * padded;
    b.scores = b.o + b.queries * padded;
    b.max = b.scores + KEYS * LANES;
    b.sum = b.max + b.queries;
    return b;
}

/* Some queries of a block against a block of keys. */
typedef struct meeting {
    size_t query, queries; /* the first in its block, and how many: at most LANES */
    size_t key0, keys;
} meeting;

/* scores[key][query] of the head's keys. */
static void score(const unit *u, const buffers *b, const meeting *m) {
    small_product(tiles_0, m->keys, (m->queries + 15) & ~(size_t)15, u->width, b->k, u->padded,
                  u->padded, b->q + m->query * u->padded, LANES, b->scores, LANES, false);
}

/* ---- dropout ---- */

/* For each of sixteen keys, which of sixteen queries' probabilities are kept; a word for each
 * query, whose highest bit is the last key's. */
typedef struct kept_keys {
    vu words[KEYS / 16];
} kept_keys;

/* row: of the first query; keys in whole vectors. */
static void draw(const unit *u, mask *drop, size_t row, size_t queries, size_t key0, size_t keys,
                 kept_keys *kept) {
    uint32_t words[KEYS / 16][16] = {{0}};
    for (size_t i = 0; i < queries; i++) {
        for (size_t j = 0; j < keys; j += 16) {
            words[j / 16][i] = vbits(mask_kept(drop, u, row + i, key0 + j)) << 16;
        }
    }
    for (size_t j = 0; j < KEYS / 16; j++) {
        kept->words[j] = vuload(words[j]);
    }
}

/* Zero for the weights of sixteen queries that are dropped. */
static void drop_weights(const kept_keys *kept, vf scale, size_t keys, real *weights) {
    for (size_t j = 0; j < keys; j += 16) {
        vu word = kept->words[j / 16];
        for (size_t key = tub__min(j + 16, KEYS); key-- > j; word = vuadd(word, word)) {
            real *w = weights + key * LANES;
            if (key < keys) {
                vstore(w, vsel(vuge(word, 0x80000000u), vmul(vload(w), scale), vzero()));
            }
        }
    }
}

/* ---- scores to weights of v, for sixteen queries ---- */

/* The weights of every sixteenth key from `key` on, and their sum. */
INLINE vf weigh_lane(real *s, size_t key, size_t keys, vf max) {
    vf sum = vzero();
    for (; key < keys; key += 16) {
        const vf w = vweight(vsub(vload(s + key * LANES), max));
        sum = vadd(sum, w);
        vstore(s + key * LANES, w);
    }
    return sum;
}
INLINE vf weigh_2(real *s, size_t key, size_t keys, vf max) {
    return vadd(weigh_lane(s, key, keys, max), weigh_lane(s, key + 8, keys, max));
}
INLINE vf weigh_4(real *s, size_t key, size_t keys, vf max) {
    return vadd(weigh_2(s, key, keys, max), weigh_2(s, key + 4, keys, max));
}
INLINE vf weigh_8(real *s, size_t key, size_t keys, vf max) {
    return vadd(weigh_4(s, key, keys, max), weigh_4(s, key + 2, keys, max));
}
static vf weigh(real *s, size_t keys, vf max) {
    return vadd(weigh_8(s, 0, keys, max), weigh_8(s, 1, keys, max));
}

static void weigh_all(const unit *u, const buffers *b, mask *drop, size_t query0,
                      const meeting *m) {
    for (size_t i = 0; i < m->queries; i += 16) {
        const size_t query = m->query + i, queries = tub__min(m->queries - i, 16);
        real *s = b->scores + i;
        const vf max = carry(u, m->key0 == 0, b->o + query * u->padded, queries,
                             largest(s, LANES, m->keys), b->max + query, b->sum + query);
        const vf sum = weigh(s, m->keys, max);
        vstore(b->sum + query, vadd(vload(b->sum + query), sum));
        if (drop->on) {
            kept_keys kept;
            draw(u, drop, query0 + query, queries, m->key0, m->keys, &kept);
            drop_weights(&kept, vset1(drop->kept), m->keys, s);
        }
    }
}

/* ---- blocks ---- */

static void key_block(const unit *u, const buffers *b, mask *drop, size_t query0, size_t queries,
                      size_t key0) {
    meeting m = {.key0 = key0, .keys = tub__min(u->length - key0, KEYS)};
    gather_rows(u, &u->op->k, key0, m.keys, 1, b->k);
    gather_rows(u, &u->op->v, key0, m.keys, 1, b->v);
    for (; m.query < queries; m.query += LANES) {
        m.queries = tub__min(queries - m.query, LANES);
        score(u, b, &m);
        weigh_all(u, b, drop, query0, &m);
        small_product(tiles_1, m.queries, u->padded, m.keys, b->scores, LANES, 1, b->v, u->padded,
                      b->o + m.query * u->padded, u->padded, true);
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

/* The probabilities of some queries to rows of out. */
static void scatter_probabilities(const unit *u, const buffers *b, const meeting *m, real *out) {
    for (size_t i = 0; i < m->queries; i += 16) {
        const vf max = vload(b->max + m->query + i),
                 inverse = vdiv(vset1(1), vload(b->sum + m->query + i));
        for (size_t key = 0; key < m->keys; key++) {
            real *s = b->scores + key * LANES + i;
            vstore(s, vmul(vweight(vsub(vload(s), max)), inverse));
            for (size_t j = 0; j < 16 && i + j < m->queries; j++) {
                out[(i + j) * u->length + m->key0 + key] = s[j];
            }
        }
    }
}

/* The probabilities themselves, for explanations: the scores once more, now that each row's maximum
 * and sum are known. */
static void write_probabilities(const unit *u, const buffers *b, size_t query0, size_t queries) {
    real *out = (real *)u->op->probabilities + (u->index * u->length + query0) * u->length;
    for (size_t key0 = 0; key0 < u->length; key0 += KEYS) {
        meeting m = {.key0 = key0, .keys = tub__min(u->length - key0, KEYS)};
        gather_rows(u, &u->op->k, key0, m.keys, 1, b->k);
        for (; m.query < queries; m.query += LANES) {
            m.queries = tub__min(queries - m.query, LANES);
            score(u, b, &m);
            scatter_probabilities(u, b, &m, out + m.query * u->length);
        }
    }
}

static void gather_block(const unit *u, const buffers *b, size_t query0, size_t queries) {
    for (size_t i = 0; i < queries; i += LANES) {
        unit some = *u;
        some.query0 = query0 + i, some.queries = tub__min(queries - i, LANES);
        gather_transposed(&some, &u->op->q, (real)u->op->scale, LANES, b->q + i * u->padded);
    }
    begin_queries(queries, u->padded, b->o, b->max, b->sum);
}

void KERNEL(attention)(const tub__attention *op, size_t unit0, size_t unit1, void *scratch) {
    if (op->length <= TUB__K_SMALL) {
        KERNEL(attention_small)(op, unit0, unit1, scratch);
        return;
    }
#ifndef VEC_REAL_IS_DOUBLE
    if (rounds_factors(op)) {
        KERNEL(attention_rounded)(op, unit0, unit1, scratch);
        return;
    }
#endif
    for (size_t index = unit0; index < unit1; index++) {
        const unit u = unit_of(op, index);
        const buffers b = carve(scratch, u.padded);
        mask drop = mask_of(&u);
        for (size_t query0 = 0; query0 < u.length; query0 += b.queries) {
            const size_t queries = tub__min(u.length - query0, b.queries);
            gather_block(&u, &b, query0, queries);
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
