/* SPDX-License-Identifier: Apache-2.0 */
/* Attention forward with bfloat16 factors by AMX: the blocks, maxima and sums of
 * attention_forward.c; queries, keys, values and the weights of values are rounded. For inference:
 * no dropout, nothing kept. */
#include "backend/cpu/amx.h"
#include "backend/cpu/attention.h"
#include "backend/cpu/reduced.h"

typedef struct buffers {
    uint16_t *q;       /* [QUERIES][depth], scaled */
    uint32_t *k;       /* [depth / 2][KEYS]: pairs of a key's columns */
    uint32_t *v;       /* [KEYS / 2][padded]: pairs of keys */
    real *o;           /* [QUERIES][padded] */
    real *scores;      /* [AMX_ROWS][KEYS] */
    uint16_t *weights; /* [AMX_ROWS][KEYS] */
    real *max, *sum;   /* [QUERIES] */
    size_t depth;      /* head width, padded to whole registers */
} buffers;

static buffers carve(void *scratch, const unit *u) {
    buffers b = {.q = scratch, .depth = tub__padded(u->width)};
    b.k = (uint32_t *)(b.q + QUERIES * b.depth);
    b.v = b.k + b.depth / 2 * KEYS;
    b.o = (real *)(b.v + KEYS / 2 * u->padded);
    b.scores = b.o + QUERIES * u->padded;
    b.weights = (uint16_t *)(b.scores + AMX_ROWS * KEYS);
    b.max = b.scores + AMX_ROWS * KEYS + AMX_ROWS * KEYS / 2;
    b.sum = b.max + QUERIES;
    return b;
}

/* Columns [c, c + 16) of a token, zero past the head's last. */
static vf columns_of(const unit *u, const tub__mat *m, size_t t, size_t c) {
    const real *from = token(u, m, t) + c;
    if (c >= u->width) {
        return vzero();
    }
    return u->width - c >= 16 ? vload(from) : vloadn(from, (int)(u->width - c), vzero());
}

static __m512i round_two(vf first, vf second) {
    return (__m512i)_mm512_cvtne2ps_pbh(second, first);
}

static void gather_queries(const unit *u, const buffers *b, size_t first, size_t rows) {
    const vf s = vset1((real)u->op->scale);
    for (size_t t = 0; t < rows; t++) {
        for (size_t c = 0; c < b->depth; c += 32) {
            const vf left = vmul(columns_of(u, &u->op->q, first + t, c), s);
            const vf right = vmul(columns_of(u, &u->op->q, first + t, c + 16), s);
            _mm512_storeu_si512(b->q + t * b->depth + c, round_two(left, right));
        }
    }
}

static void gather_keys(const unit *u, const buffers *b, size_t first, size_t rows) {
    for (size_t t = 0; t < KEYS; t += 16) {
        for (size_t c = 0; c < b->depth; c += 32) {
            vf r[16];
            UNROLL for (size_t i = 0; i < 16; i++) {
                r[i] = vzero();
                if (t + i < rows) {
                    const vf left = columns_of(u, &u->op->k, first + t + i, c);
                    const vf right = columns_of(u, &u->op->k, first + t + i, c + 16);
                    r[i] = _mm512_castsi512_ps(round_two(left, right));
                }
            }
            vtranspose(r);
            UNROLL for (size_t i = 0; i < 16; i++)
                vstore((real *)b->k + (c / 2 + i) * KEYS + t, r[i]);
        }
    }
}

static void gather_values(const unit *u, const buffers *b, size_t first, size_t rows) {
    for (size_t t = 0; t < KEYS; t += 2) {
        for (size_t c = 0; c < u->padded; c += 16) {
            const vf even = t < rows ? columns_of(u, &u->op->v, first + t, c) : vzero();
            const vf odd = t + 1 < rows ? columns_of(u, &u->op->v, first + t + 1, c) : vzero();
            vbf16_pairs(b->v + t / 2 * u->padded + c, vbf16(even), vbf16(odd));
        }
    }
}

/* Scores of 16 queries and KEYS keys. */
static void score(const buffers *b, const uint16_t *q) {
    enum { LINE = 4 * KEYS };
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t c = 0; c < b->depth; c += 32) {
        const uint32_t *k = b->k + c / 2 * KEYS;
        _tile_loadd(4, q + c, 2 * b->depth);
        _tile_loadd(5, k, LINE);
        _tile_dpbf16ps(0, 4, 5);
        _tile_loadd(6, k + 16, LINE);
        _tile_dpbf16ps(1, 4, 6);
        _tile_loadd(5, k + 32, LINE);
        _tile_dpbf16ps(2, 4, 5);
        _tile_loadd(6, k + 48, LINE);
        _tile_dpbf16ps(3, 4, 6);
    }
    _tile_stored(0, b->scores, LINE);
    _tile_stored(1, b->scores + 16, LINE);
    _tile_stored(2, b->scores + 32, LINE);
    _tile_stored(3, b->scores + 48, LINE);
}

/* o += weights v, 32 columns and then 16. */
static void add_values(const unit *u, const buffers *b, real *o) {
    const size_t line = 4 * u->padded;
    size_t c = 0;
    _tile_loadd(4, b->weights, 2 * KEYS);
    _tile_loadd(5, b->weights + 32, 2 * KEYS);
    for (; c + 32 <= u->padded; c += 32) {
        const uint32_t *v = b->v + c;
        _tile_loadd(0, o + c, line);
        _tile_loadd(1, o + c + 16, line);
        _tile_loadd(6, v, line);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, v + 16, line);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(6, v + 16 * u->padded, line);
        _tile_dpbf16ps(0, 5, 6);
        _tile_loadd(7, v + 16 * u->padded + 16, line);
        _tile_dpbf16ps(1, 5, 7);
        _tile_stored(0, o + c, line);
        _tile_stored(1, o + c + 16, line);
    }
    if (c < u->padded) {
        _tile_loadd(0, o + c, line);
        _tile_loadd(6, b->v + c, line);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, b->v + 16 * u->padded + c, line);
        _tile_dpbf16ps(0, 5, 7);
        _tile_stored(0, o + c, line);
    }
}

/* A row of scores to weights; carries the row's maximum and sum. */
static void weigh_row(const unit *u, const buffers *b, size_t row, size_t keys, const real *s,
                      uint16_t *weights) {
    const vf m =
        vset1(carry(u, b->o + row * u->padded, row_max(s, keys), &b->max[row], &b->sum[row]));
    vf e[KEYS / 16], z = vzero();
    UNROLL for (size_t j = 0; j < KEYS / 16; j++) {
        e[j] = vzero();
        if (16 * j < keys) {
            e[j] = vexp_first(vsub(vload(s + 16 * j), m), keys - 16 * j);
        }
        z = vadd(z, e[j]);
    }
    UNROLL for (size_t j = 0; j < KEYS / 16; j += 2)
        _mm512_storeu_si512(weights + 16 * j, round_two(e[j], e[j + 1]));
    b->sum[row] += vhsum(z);
}

static void key_block(const unit *u, const buffers *b, size_t queries, size_t key0) {
    const size_t keys = tub__min(u->length - key0, KEYS);
    gather_keys(u, b, key0, keys);
    gather_values(u, b, key0, keys);
    for (size_t r = 0; r < queries; r += AMX_ROWS) {
        score(b, b->q + r * b->depth);
        for (size_t i = 0; i < AMX_ROWS && r + i < queries; i++) {
            weigh_row(u, b, r + i, keys, b->scores + i * KEYS, b->weights + i * KEYS);
        }
        add_values(u, b, b->o + r * u->padded);
    }
}

static void query_block(const unit *u, const buffers *b, size_t query0) {
    const size_t queries = tub__min(u->length - query0, QUERIES);
    gather_queries(u, b, query0, queries);
    for (size_t i = 0; i < QUERIES; i++) {
        b->max[i] = -(real)INFINITY;
        b->sum[i] = 0;
    }
    for (size_t i = 0; i < QUERIES * u->padded; i += 16) {
        vstore(b->o + i, vzero());
    }
    for (size_t key0 = 0; key0 < u->length; key0 += KEYS) {
        key_block(u, b, queries, key0);
    }
    for (size_t i = 0; i < queries; i++) {
        finish_row(u, query0 + i, b->o + i * u->padded, 1 / b->sum[i]);
    }
}

void KERNEL(attention_amx)(const tub__attention *op, size_t unit0, size_t unit1, void *scratch) {
    if (!op->reduced || op->length <= TUB__K_SMALL || op->stats || op->probabilities ||
        op->dropout.rate > 0) {
        KERNEL(attention)(op, unit0, unit1, scratch);
        return;
    }
    amx_begin();
    for (size_t index = unit0; index < unit1; index++) {
        const unit u = unit_of(op, index);
        const buffers b = carve(scratch, &u);
        memset(scratch, 0, (size_t)((char *)(b.sum + QUERIES) - (char *)scratch));
        for (size_t query0 = 0; query0 < u.length; query0 += QUERIES) {
            query_block(&u, &b, query0);
        }
    }
    amx_end();
}
