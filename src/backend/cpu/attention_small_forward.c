/* SPDX-License-Identifier: Apache-2.0 */
/* Attention forward over at most 64 tokens: all scores of a head at once, queries in the lanes. */
#include "backend/cpu/attention_small.h"

/* Blocks of random numbers drawn side by side: one alone waits for its own products. */
enum { DRAWN = VEC_MR >= 14 ? 4 : 1 };

typedef struct buffers {
    real *qt;            /* [width][LANES], scaled */
    real *st;            /* [LENGTH][LANES]: scores, then weights of v */
    real *v, *o;         /* [LENGTH][padded] */
    real *max, *inverse; /* [LANES]; 1 / sum */
    real *factor;        /* [LANES]: of the output's rows */
    uint32_t *words;     /* [LENGTH * LENGTH] random numbers */
    uint16_t *masks;     /* [LENGTH][MASKS] */
} buffers;

static buffers carve(real *scratch, size_t padded) {
    buffers b = {.qt = scratch};
    b.st = b.qt + LANES * padded;
    b.v = b.st + LENGTH * LANES;
    b.o = b.v + LENGTH * padded;
    b.max = b.o + LENGTH * padded;
    b.inverse = b.max + LANES;
    b.factor = b.inverse + LANES;
    b.words = (uint32_t *)(b.factor + LANES);
    /* The last block drawn may be past the last element, and so may the last vector read. */
    b.masks = (uint16_t *)(b.words + LENGTH * LENGTH + DRAWN * 32);
    return b;
}

/* ---- dropout ---- */

/* The words of one unit: length^2 elements, element = key * length + query; eight counters make the
 * words of 32 elements. A counter stays in its pair of lanes from beginning to end, because moving
 * the halves of the products about costs as much as making them; so element e of the 32 is decided
 * by counter e % 16 / 2 of the eight, word e / 16 * 2 + 1 - e % 2.
 *
 * Counters differ in word 0 only: half of the first two rounds is the same for all. Names follow
 * Philox: a, b, c, d are the counter's words. */
typedef struct stream {
    uint32_t key[2][10];
    vu c1, a2, c2, d2;
} stream;

INLINE stream stream_of(const unit *u) {
    const tub__dropout *drop = &u->op->dropout;
    stream s;
    for (uint32_t i = 0; i < 10; i++) {
        s.key[0][i] = drop->key.word[0] + i * 0x9E3779B9u;
        s.key[1][i] = drop->key.word[1] + i * 0xBB67AE85u;
    }
    const uint64_t high = (uint64_t)0xCD9E8D57u * drop->layer,
                   low =
                       (uint64_t)0xD2511F53u * ((uint32_t)(high >> 32) ^ u->position ^ s.key[0][0]);
    s.c1 = vuset1(drop->epoch ^ s.key[1][0]);
    s.a2 = vuset1((uint32_t)high ^ s.key[0][1]);
    s.c2 = vuset1((uint32_t)(low >> 32) ^ s.key[1][1]);
    s.d2 = vuset1((uint32_t)low);
    return s;
}

/* DRAWN blocks of 32 words from the counters on, which move on to the next. */
INLINE void draw_blocks(const stream *s, vu counter[DRAWN], uint32_t *words) {
    const vu by0 = vuset1(0xD2511F53u), by1 = vuset1(0xCD9E8D57u);
    vu a[DRAWN], b[DRAWN], c[DRAWN], d[DRAWN], low[DRAWN], high[DRAWN];
    UNROLL for (int j = 0; j < DRAWN; j++) {
        low[j] = vuwide(by0, counter[j]);
        high[j] = vuwide(by1, vuxor(vuodd(low[j]), s->c1));
        a[j] = vuxor(vuodd(high[j]), s->a2), b[j] = high[j];
        c[j] = vuxor(low[j], s->c2), d[j] = s->d2;
        counter[j] = vuadd(counter[j], vuset1(8 * DRAWN));
    }
    UNROLL for (int round = 2; round < 9; round++) {
        UNROLL for (int j = 0; j < DRAWN; j++) {
            low[j] = vuwide(by0, a[j]), high[j] = vuwide(by1, c[j]);
            a[j] = vuxor3(vuodd(high[j]), b[j], vuset1(s->key[0][round]));
            c[j] = vuxor3(vuodd(low[j]), d[j], vuset1(s->key[1][round]));
            b[j] = high[j], d[j] = low[j];
        }
    }
    UNROLL for (int j = 0; j < DRAWN; j++, words += 32) { /* b | a, then d | c */
        low[j] = vuwide(by0, a[j]), high[j] = vuwide(by1, c[j]);
        vustore(words, vuxor3(high[j], vueven(b[j]), vueven(vuset1(s->key[0][9]))));
        vustore(words + 16, vuxor3(low[j], vueven(d[j]), vueven(vuset1(s->key[1][9]))));
    }
}

static void draw(const unit *u, uint32_t *words) {
    const stream s = stream_of(u);
    const size_t blocks = (u->length * u->length + 31) / 32, first = u->base / u->length * blocks;
    vu counter[DRAWN];
    UNROLL for (size_t j = 0; j < DRAWN; j++) {
        counter[j] = vupairs((uint32_t)(first + j) * 8);
    }
    size_t i = 0;
    for (; i < blocks; i += DRAWN) {
        draw_blocks(&s, counter, words + 32 * i);
    }
    /* The last key's lanes past the last query are compared, too: nothing that they give is
     * used, and it is the same each time. */
    vustore(words + 32 * i, vuset1(0));
}

/* ---- scores to weights ---- */

/* The largest score of each of 16 nv queries: four chains, because a maximum takes longer than its
 * load. */
INLINE void largest(int nv, const real *s, size_t n, vf *max) {
    vf m[4][VEC_NV];
    UNROLL for (size_t i = 0; i < 4; i++) {
        UNROLL for (int j = 0; j < nv; j++) {
            m[i][j] = vload(s + (i < n ? i : 0) * LANES + 16 * j);
        }
    }
    for (size_t key = 4; key < n; key += 4) {
        UNROLL for (size_t i = 0; i < 4; i++) {
            const real *from = s + (key + i < n ? key + i : 0) * LANES;
            UNROLL for (int j = 0; j < nv; j++) m[i][j] = vmax(m[i][j], vload(from + 16 * j));
        }
    }
    UNROLL for (int j = 0; j < nv; j++) {
        max[j] = vmax(vmax(m[0][j], m[1][j]), vmax(m[2][j], m[3][j]));
    }
}

/* Scores to weights in st, for the 16 nv queries from `query` on. */
INLINE void weigh(int nv, bool drop, const unit *u, const buffers *b, size_t query) {
    const size_t n = u->length;
    const double rate = drop ? u->op->dropout.rate : 0;
    const uint32_t threshold = (uint32_t)(rate * 4294967296.0), *words = b->words + query;
    volatile uint16_t *masks = b->masks + query / 16; /* else gathered in a vector, to be stored */
    real *s = b->st + query;
    vf m[VEC_NV], sum[VEC_NV];
    largest(nv, s, n, m);
    UNROLL for (int j = 0; j < nv; j++) sum[j] = vzero();
    for (size_t key = 0; key < n; key++, s += LANES, words += n, masks += MASKS) {
        UNROLL for (int j = 0; j < nv; j++) {
            const vf w = vweight(vsub(vload(s + 16 * j), m[j]));
            sum[j] = vadd(sum[j], w);
            if (drop) {
                const vm kept = vuge(vuload(words + 16 * j), threshold);
                masks[j] = (uint16_t)vbits(kept);
                vstore(s + 16 * j, vsel(kept, w, vzero()));
            } else {
                vstore(s + 16 * j, w);
            }
        }
    }
    UNROLL for (int j = 0; j < nv; j++) {
        const size_t at = query + 16 * (size_t)j;
        const vf inverse = vdiv(vset1(1), sum[j]);
        vstore(b->max + at, m[j]);
        vstore(b->inverse + at, inverse);
        vstore(b->factor + at, drop ? vmul(inverse, vset1((real)(1 / (1 - rate)))) : inverse);
    }
}

static void weigh_all(const unit *u, const buffers *b) {
    ALL_QUERIES(weigh, u, b);
}

/* ---- one head ---- */

/* The output's padding columns, which the last head clears. */
static void clear_padding(const unit *u) {
    const tub__mat *o = &u->op->o;
    for (size_t t = 0; t < u->queries; t++) {
        for (size_t c = o->cols; c < tub__padded(o->cols); c++) {
            token(u, o, u->query0 + t)[u->width + c - o->cols] = 0;
        }
    }
}

/* o = weights v / sum. */
static void weighted_sum(const unit *u, const buffers *b) {
    const rows_view v = read_rows(u, &u->op->v, b->v), o_rows = view_rows(u, &u->op->o, b->o);
    const operands o = {.a = b->st,
                        .b = v.at,
                        .factor = b->factor,
                        .c = o_rows.at + u->query0 * o_rows.ld,
                        .ldb = v.ld,
                        .ldc = o_rows.ld,
                        .k = u->length};
    multiply(true, LANES, &o, u->queries, u->padded);
    put_rows(u, &u->op->o, b->o);
    if ((u->head + 1) * u->width == u->op->o.cols) {
        clear_padding(u);
    }
}

/* The probabilities themselves, for explanations: the scores once more, now that each row's maximum
 * and sum are known. */
static void write_probabilities(const unit *u, const buffers *b) {
    const size_t n = u->length;
    real *out = (real *)u->op->probabilities + u->index * n * n;
    scores(u, &u->op->k, b->qt, b->st);
    for (size_t key = 0; key < n; key++) {
        real *s = b->st + key * LANES;
        for (size_t j = 0; j < n; j += 16) {
            const vf w = vweight(vsub(vload(s + j), vload(b->max + j)));
            vstore(s + j, vmul(w, vload(b->inverse + j)));
        }
        for (size_t query = 0; query < n; query++) {
            out[query * n + key] = s[query];
        }
    }
}

static void attend(const unit *u, void *scratch) {
    const tub__attention *op = u->op;
    const stats_view stats = op->stats ? small_stats(u) : (stats_view){0};
    buffers b = carve(scratch, u->padded);
    b.masks = op->stats ? stats.masks : b.masks;
    if (op->dropout.rate > 0) {
        draw(u, b.words);
    }
    gather_transposed(u, &op->q, (real)op->scale, LANES, b.qt);
    scores(u, &op->k, b.qt, b.st);
    weigh_all(u, &b);
    weighted_sum(u, &b);
    if (op->stats) {
        memcpy(stats.max, b.max, u->length * sizeof(real));
        memcpy(stats.inverse, b.inverse, u->length * sizeof(real));
    }
    if (op->probabilities) {
        write_probabilities(u, &b);
    }
}

void KERNEL(attention_small)(const tub__attention *op, size_t unit0, size_t unit1, void *scratch) {
    for (size_t index = unit0; index < unit1; index++) {
        const unit u = unit_of(op, index);
        attend(&u, scratch);
    }
}

/* Keys and values of the rows that other workers made a moment ago are in their caches: they are
 * asked for all at once, which takes less time than head by head. */
static void ask_for_others(const tub__attention *op, size_t row0, size_t row1) {
    const unit u = unit_of(op, 0);
    for (size_t t = 0; t < op->length; t++) {
        for (size_t i = 0; (t < row0 || t >= row1) && i < op->k.cols; i += 16) {
            vnear(token(&u, &op->k, t) + i);
            vnear(token(&u, &op->v, t) + i);
        }
    }
}

void KERNEL(attention_rows)(const tub__attention *op, size_t row0, size_t row1, void *scratch) {
    ask_for_others(op, row0, row1);
    for (size_t index = 0; row0 < row1 && index < op->heads; index++) {
        unit u = unit_of(op, index);
        u.query0 = row0, u.queries = row1 - row0;
        attend(&u, scratch);
    }
}
