/* SPDX-License-Identifier: Apache-2.0 */
/* What the forward and the backward attention kernels share: gathering heads into packed blocks,
 * and the dropout mask. */
#ifndef TUB__CPU_ATTENTION_H
#define TUB__CPU_ATTENTION_H

#include "backend/cpu/entries.h"
#include "backend/cpu/tile.h"
#include "backend/cpu/vmath.h"

enum { KEYS = TUB__K_KEYS, QUERIES = TUB__K_QUERIES, WIDTH = 16 * VEC_NV };

/* One (sample, group, head) of the work. */
typedef struct unit {
    const tub__attention *op;
    size_t index, head, row0; /* head: of the matrices; row0: of token 0 */
    size_t width, padded;     /* head width, and rounded up to vectors */
    size_t length;
    size_t query0, queries; /* those at hand: all of them, but for attention_rows */
    size_t base;       /* number of this unit's first row among the sample's attention rows: counts
                          dropout */
    uint32_t position; /* of the sample in the epoch's order */
} unit;

INLINE unit unit_of(const tub__attention *op, size_t index) {
    const size_t of_sample = op->groups * op->heads, sample = index / of_sample,
                 rest = index % of_sample;
    return (unit){.op = op,
                  .index = index,
                  .head = op->first_head + rest % op->heads,
                  .row0 = sample * op->sample_stride + rest / op->heads * op->group_stride,
                  .width = op->head_width,
                  .padded = (op->head_width + 15) & ~(size_t)15,
                  .length = op->length,
                  .queries = op->length,
                  .base = rest * op->length,
                  .position = op->dropout.position + (uint32_t)sample};
}

INLINE real *token(const unit *u, const tub__mat *m, size_t t) {
    return (real *)m->data + (u->row0 + t * u->op->token_stride) * m->ld + u->head * u->width;
}

/* out[rows][padded] = the head's columns of tokens first … first + rows - 1, times scale, zero
 * padded. */
INLINE void gather_rows(const unit *u, const tub__mat *m, size_t first, size_t rows, real scale,
                        real *out) {
    const vf s = vset1(scale);
    for (size_t t = 0; t < rows; t++, out += u->padded) {
        const real *from = token(u, m, first + t);
        for (size_t i = 0; i < u->padded; i += 16) {
            vf v = u->width - i >= 16 ? vload(from + i)
                                      : vloadn(from + i, (int)(u->width - i), vzero());
            vstore(out + i, vmul(v, s));
        }
    }
}

/* out[width][KEYS] = the head's columns of up to KEYS tokens, transposed; columns up to the next
 * multiple of 16 tokens are written, zero past the last. */
INLINE void gather_columns(const unit *u, const tub__mat *m, size_t first, size_t rows, real *out) {
    for (size_t t = 0; t < rows; t += 16) {
        for (size_t c = 0; c < u->width; c += 16) {
            const size_t cols = u->width - c < 16 ? u->width - c : 16;
            vf r[16];
            UNROLL for (size_t i = 0; i < 16; i++) {
                r[i] = vzero();
                if (t + i < rows) {
                    const real *from = token(u, m, first + t + i) + c;
                    r[i] = cols == 16 ? vload(from) : vloadn(from, (int)cols, vzero());
                }
            }
            vtranspose(r);
            UNROLL for (size_t i = 0; i < 16; i++) {
                if (i < cols) {
                    vstore(out + (c + i) * KEYS + t, r[i]);
                }
            }
        }
    }
}

/* out[width][lanes] = scale times the head's columns of the queries' tokens, transposed; whole
 * vectors of queries are written, zero past the last. */
INLINE void gather_transposed(const unit *u, const tub__mat *m, real scale, size_t lanes,
                              real *out) {
    const size_t step = u->op->token_stride * m->ld;
    const vf s = vset1(scale);
    for (size_t c = 0; c < u->width; c += 16) {
        const size_t cols = u->width - c < 16 ? u->width - c : 16;
        for (size_t t = 0; t < u->queries; t += 16) {
            const real *from = token(u, m, u->query0 + t) + c;
            vf r[16];
            UNROLL for (size_t i = 0; i < 16; i++, from += step) {
                r[i] = vzero();
                if (t + i < u->queries) {
                    r[i] = vmul(s, cols == 16 ? vload(from) : vloadn(from, (int)cols, vzero()));
                }
            }
            vtranspose(r);
            UNROLL for (size_t i = 0; i < 16; i++) {
                if (i < cols) {
                    vstore(out + (c + i) * lanes + t, r[i]);
                }
            }
        }
    }
}

/* c[rows][cols] = start + a[rows][k] b[k][cols] over row-major buffers; cols in whole vectors.
 * start is c or NULL. */
INLINE void small_product(tile_fn *const tiles[VEC_NV][VEC_MR], size_t rows, size_t cols, size_t k,
                          const real *a, size_t lda, size_t step, const real *b, size_t ldb,
                          real *c, size_t ldc, bool load) {
    for (size_t t = 0; t < tile_count(rows); t++) {
        const size_t r = tile_begin(rows, t), n = tile_begin(rows, t + 1) - r;
        for (size_t j = 0, w; j < cols; j += 16 * w) {
            w = cols - j < WIDTH ? 1 : VEC_NV;
            tiles[w - 1][n - 1](k, a + r * step, lda, b + j, ldb, load ? c + r * ldc + j : NULL,
                                ldc, c + r * ldc + j, ldc);
        }
    }
}

/* from [padded] times inverse into the output's row; its padding columns are zeroed by the last
 * head. */
INLINE void finish_row(const unit *u, size_t query, const real *from, real inverse) {
    const tub__mat *o = &u->op->o;
    real *to = token(u, o, query);
    for (size_t j = 0; j < u->width; j += 16) {
        vf v = vmul(vload(from + j), vset1(inverse));
        if (u->width - j >= 16) {
            vstore(to + j, v);
        } else {
            vstoren(to + j, (int)(u->width - j), v);
        }
    }
    if ((u->head + 1) * u->width == o->cols) {
        for (size_t c = o->cols; c < tub__padded(o->cols); c++) {
            to[u->width + c - o->cols] = 0;
        }
    }
}

/* Dropout: element (row, key) of a sample is word number row * length rounded up to 16 + key of its
 * stream; sixteen counters at once give 64 words, kept until another block is asked for. */
typedef struct mask {
    bool on;
    uint32_t threshold;
    real kept; /* 1 / (1 - rate) */
    uint32_t rest[3];
    const uint32_t *key;
    size_t block;
    vu word[4];
} mask;

INLINE mask mask_of(const unit *u) {
    const tub__dropout *d = &u->op->dropout;
    mask m = {.on = d->rate > 0};
    if (m.on) {
        m.threshold = (uint32_t)(d->rate * 4294967296.0);
        m.kept = (real)(1 / (1 - d->rate));
        m.rest[0] = u->position, m.rest[1] = d->layer, m.rest[2] = d->epoch;
        m.key = d->key.word;
        m.block = (size_t)-1;
    }
    return m;
}

/* Which of the sixteen keys from `key` of attention row `row` are kept. */
INLINE vm mask_kept(mask *m, const unit *u, size_t row, size_t key) {
    const size_t vector = (u->base + row) * ((u->length + 15) / 16) + key / 16, block = vector / 4;
    if (block != m->block) {
        vphilox(m->key, (uint32_t)(block * 16), m->rest, m->word);
        m->block = block;
    }
    return vuge(m->word[vector % 4], m->threshold);
}

/* Their x with the dropped lanes zero and the kept ones scaled. */
INLINE vf mask_apply(mask *m, const unit *u, size_t row, size_t key, vf x) {
    return vsel(mask_kept(m, u, row, key), vmul(x, vset1(m->kept)), vzero());
}

/* Where u's statistics of row t lie: maximum, then 1 / sum. */
INLINE real *stats_of(const unit *u, size_t t) {
    return (real *)u->op->stats + (u->index * u->length + t) * TUB__ATTENTION_STATS;
}

#endif
