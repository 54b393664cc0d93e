/* SPDX-License-Identifier: Apache-2.0 */
/* Attention forward with bfloat16 factors by AMX: queries, keys, values and the weights of values
 * are rounded. For inference: no dropout, nothing kept.
 *
 * Everything is transposed: a lane is a query, so that maxima and sums need no horizontal step.
 * Sixteen queries (a group) meet 64 keys (a block) in one step of three stages, the scores, their
 * weights, and the values weighed, and a stage's work of AMX lies between another's of the vector
 * units: run() takes the three stages of three successive steps in turn. */
#include "backend/cpu/amx.h"
#include "backend/cpu/attention_bf16.h"
#include "backend/cpu/reduced.h"

enum { GROUP = AMX_ROWS, SCORES = KEYS * GROUP, STEPS = 4 /* at work at a time */ };

typedef struct buffers {
    uint32_t *q;       /* [QUERIES / GROUP][depth / 2][GROUP]: pairs of a query's columns, scaled */
    real *o;           /* [QUERIES / GROUP][padded][GROUP] */
    real *rows;        /* [GROUP][padded] */
    real *scores;      /* [2][KEYS][GROUP] */
    uint32_t *weights; /* [2][KEYS / 2][GROUP]: pairs of keys */
    real *max, *sum;   /* [QUERIES] */
    uint16_t *blocks;  /* [slots] of keys [KEYS][depth] and values [padded][KEYS] */
    size_t slots, slot; /* slot: length of one */
    size_t depth;       /* head width, padded to whole registers */
} buffers;

/* A group of queries and a block of keys. */
typedef struct step {
    const uint16_t *k, *v;
    size_t keys; /* 0: no step */
    size_t group;
    real *scores;
    uint32_t *weights;
} step;

static buffers carve(void *scratch, const unit *u) {
    buffers b = {.q = scratch, .depth = tub__padded(u->width)};
    b.o = (real *)(b.q + QUERIES * b.depth / 2);
    b.rows = b.o + QUERIES * u->padded;
    b.scores = b.rows + GROUP * u->padded;
    b.weights = (uint32_t *)(b.scores + STEPS * SCORES);
    b.max = (real *)(b.weights + STEPS * SCORES / 2);
    b.sum = b.max + QUERIES;
    b.blocks = (uint16_t *)(b.sum + QUERIES);
    b.slot = KEYS * (b.depth + u->padded);
    b.slots = (TUB__K_SCRATCH - (size_t)(b.sum + QUERIES - (real *)scratch)) * 2 / b.slot;
    return b;
}

/* Queries first ... of groups whole groups. */
static void gather_queries(const unit *u, const buffers *b, size_t first, size_t groups) {
    const vf s = vset1((real)u->op->scale);
    for (size_t t = 0; t < groups * GROUP; t += GROUP) {
        for (size_t i = 0; i < GROUP; i++) {
            prefetch_token(u, &u->op->q, first + t + GROUP + i);
        }
        for (size_t c = 0; c < b->depth; c += 32) {
            vf r[16];
            UNROLL for (size_t i = 0; i < 16; i++) {
                const vf left = vmul(columns_of(u, &u->op->q, first + t + i, c), s);
                const vf right = vmul(columns_of(u, &u->op->q, first + t + i, c + 16), s);
                r[i] = _mm512_castsi512_ps(round_two(left, right));
            }
            vtranspose(r);
            real *to = (real *)b->q + (t * b->depth + c * GROUP) / 2;
            UNROLL for (size_t i = 0; i < 16; i++) vstore(to + i * GROUP, r[i]);
        }
    }
}

static void gather_keys(const unit *u, const buffers *b, size_t first, uint16_t *to) {
    for (size_t t = 0; t < KEYS; t++) {
        prefetch_token(u, &u->op->k, first + KEYS + t);
        prefetch_token(u, &u->op->v, first + KEYS + t);
        for (size_t c = 0; c < b->depth; c += 32) {
            const vf left = columns_of(u, &u->op->k, first + t, c);
            const vf right = columns_of(u, &u->op->k, first + t, c + 16);
            _mm512_storeu_si512(to + t * b->depth + c, round_two(left, right));
        }
    }
}

static void gather_values(const unit *u, size_t first, uint16_t *to) {
    for (size_t t = 0; t < KEYS; t += 32) {
        for (size_t c = 0; c < u->padded; c += 16) {
            vf r[16];
            UNROLL for (size_t i = 0; i < 16; i++) {
                const size_t key = first + t + 2 * i;
                r[i] = _mm512_castsi512_ps(round_pairs(columns_of(u, &u->op->v, key, c),
                                                       columns_of(u, &u->op->v, key + 1, c)));
            }
            vtranspose(r);
            UNROLL for (size_t i = 0; i < 16; i++) vstore((real *)(to + (c + i) * KEYS + t), r[i]);
        }
    }
}

/* The keys and values of block n. As many as there are slots stay for the head's other queries; the
 * last two slots serve the blocks beyond in turn. */
static const uint16_t *block_of(const unit *u, const buffers *b, size_t n, bool first_queries) {
    const bool fits = n * KEYS + 2 * KEYS < b->slots * KEYS || u->length <= b->slots * KEYS;
    uint16_t *block = b->blocks + b->slot * (fits ? n : b->slots - 2 + n % 2);
    if (first_queries || !fits) {
        gather_keys(u, b, n * KEYS, block);
        gather_values(u, n * KEYS, block + KEYS * b->depth);
    }
    return block;
}

/* Scores of keys [t, t + 16). */
static void score(const buffers *b, const step *s, size_t t) {
    const uint32_t *q = b->q + s->group * b->depth / 2 * GROUP;
    const uint16_t *k = s->k + t * b->depth;
    _tile_zero(0);
    for (size_t c = 0; c < b->depth; c += 32) {
        _tile_loadd(4, k + c, 2 * b->depth);
        _tile_loadd(5, q + c / 2 * GROUP, 4 * GROUP);
        _tile_dpbf16ps(0, 4, 5);
    }
    _tile_stored(0, s->scores + t * GROUP, 4 * GROUP);
    for (size_t i = t > s->keys ? t : s->keys; i < t + 16; i++) {
        vstore(s->scores + i * GROUP, vset1(-(real)INFINITY));
    }
}

/* The maxima meet a block's scores: sums and outputs are scaled down where a maximum grows. */
static void raise_maxima(const unit *u, const buffers *b, const step *s) {
    real *max = b->max + s->group * GROUP, *sum = b->sum + s->group * GROUP;
    const vf old = vload(max);
    vf m[4] = {old, old, old, old};
    for (size_t t = 0; t < s->keys; t += 4) {
        UNROLL for (size_t i = 0; i < 4; i++) m[i] = vmax(m[i], vload(s->scores + (t + i) * GROUP));
    }
    const vf top = vmax(vmax(m[0], m[1]), vmax(m[2], m[3]));
    if (_mm512_cmp_ps_mask(top, old, _CMP_NEQ_UQ) == 0) {
        return;
    }
    const vf fix = weight_of(old, top);
    real *o = b->o + s->group * u->padded * GROUP;
    vstore(max, top);
    vstore(sum, vmul(vload(sum), fix));
    for (size_t c = 0; c < u->padded; c++) {
        vstore(o + c * GROUP, vmul(vload(o + c * GROUP), fix));
    }
}

/* Weights of keys [t, t + 16). */
static void weigh(const buffers *b, const step *s, size_t t) {
    const vf max = vload(b->max + s->group * GROUP);
    vf sums[2] = {vload(b->sum + s->group * GROUP), vzero()};
    UNROLL for (size_t i = 0; i < 16; i += 2) {
        const real *from = s->scores + (t + i) * GROUP;
        const vf even = weight_of(vload(from), max);
        const vf odd = weight_of(vload(from + GROUP), max);
        sums[0] = vadd(sums[0], even);
        sums[1] = vadd(sums[1], odd);
        _mm512_storeu_si512(s->weights + (t + i) / 2 * GROUP, round_pairs(even, odd));
    }
    vstore(b->sum + s->group * GROUP, vadd(sums[0], sums[1]));
}

/* Weighed values into columns [c, c + 16); registers 2 and 3 keep the weights. */
static void add_values(const unit *u, const buffers *b, const step *s, size_t c) {
    const uint16_t *v = s->v + c * KEYS;
    real *o = b->o + (s->group * u->padded + c) * GROUP;
    _tile_loadd(1, o, 4 * GROUP);
    _tile_loadd(6, v, 2 * KEYS);
    _tile_dpbf16ps(1, 6, 2);
    _tile_loadd(7, v + 32, 2 * KEYS);
    _tile_dpbf16ps(1, 7, 3);
    _tile_stored(1, o, 4 * GROUP);
}

/* Scores of `next`, weights of `now`, values of `last`. Between the first two lies a step, for tiles
 * that were just stored are slow to read. */
static void run(const unit *u, const buffers *b, const step *next, const step *now,
                const step *last) {
    if (now->keys > 0) {
        raise_maxima(u, b, now);
    }
    if (last->keys > 0) {
        _tile_loadd(2, last->weights, 4 * GROUP);
        _tile_loadd(3, last->weights + 16 * GROUP, 4 * GROUP);
    }
    for (size_t t = 0; t < KEYS; t += 16) {
        if (next->keys > 0) {
            score(b, next, t);
        }
        if (now->keys > 0) {
            weigh(b, now, t);
        }
        for (size_t c = t; last->keys > 0 && c < u->padded; c += KEYS) {
            add_values(u, b, last, c);
        }
    }
}

static void finish(const unit *u, const buffers *b, size_t query0, size_t group) {
    const vf inverse = vdiv(vset1(1), vload(b->sum + group * GROUP));
    for (size_t c = 0; c < u->padded; c += 16) {
        const real *o = b->o + (group * u->padded + c) * GROUP;
        vf r[16];
        UNROLL for (size_t i = 0; i < 16; i++) r[i] = vmul(vload(o + i * GROUP), inverse);
        vtranspose(r);
        UNROLL for (size_t i = 0; i < 16; i++) vstore(b->rows + i * u->padded + c, r[i]);
    }
    for (size_t i = 0, query = query0 + group * GROUP; i < GROUP && query < u->length; i++) {
        finish_row(u, query++, b->rows + i * u->padded, 1);
    }
}

static void query_block(const unit *u, const buffers *b, size_t query0) {
    const size_t queries = tub__min(u->length - query0, QUERIES);
    /* Three at least: what a step needs of its group and block stays until its last stage. */
    const size_t groups = queries <= 2 * GROUP ? 3 : (queries + GROUP - 1) / GROUP;
    gather_queries(u, b, query0, groups);
    for (size_t i = 0; i < groups * GROUP; i++) {
        b->max[i] = -(real)INFINITY;
        b->sum[i] = 0;
    }
    for (size_t i = 0; i < groups * GROUP * u->padded; i += 16) {
        vstore(b->o + i, vzero());
    }
    step s[STEPS] = {{0}}, next = {0};
    const size_t blocks = (u->length + KEYS - 1) / KEYS, count = blocks * groups;
    for (size_t i = 0; i < count + STEPS - 1; i++) {
        next.group = i % groups;
        if (next.group == 0 && i < count) {
            next.k = block_of(u, b, i / groups, query0 == 0);
            next.v = next.k + KEYS * b->depth;
        }
        next.keys = i < count ? tub__min(u->length - i / groups * KEYS, KEYS) : 0;
        next.scores = b->scores + i % STEPS * SCORES;
        next.weights = b->weights + i % STEPS * SCORES / 2;
        s[i % STEPS] = next;
        run(u, b, &s[i % STEPS], &s[(i + 2) % STEPS], &s[(i + 1) % STEPS]);
    }
    for (size_t g = 0; g * GROUP < queries; g++) {
        finish(u, b, query0, g);
    }
}

void KERNEL(attention_amx)(const tub__attention *op, size_t unit0, size_t unit1, void *scratch) {
    if (!rounds_factors(op)) {
        KERNEL(attention)(op, unit0, unit1, scratch);
        return;
    }
    amx_begin();
    for (size_t index = unit0; index < unit1; index++) {
        const unit u = unit_of(op, index);
        const buffers b = carve(scratch, &u);
        for (size_t query0 = 0; query0 < u.length; query0 += QUERIES) {
            query_block(&u, &b, query0);
        }
    }
    amx_end();
}
