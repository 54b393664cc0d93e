/* SPDX-License-Identifier: Apache-2.0 */
/* What the attention kernels for short sequences share.
 *
 * All scores of a head lie in one block [key][query], with the queries in the lanes: maxima and
 * sums over the keys are then vertical, each sum one chain in increasing key, and nothing is ever
 * added up across lanes. Lanes past the last query compute on zeros and are written nowhere. */
#ifndef TUB__CPU_ATTENTION_SMALL_H
#define TUB__CPU_ATTENTION_SMALL_H

#include "backend/cpu/attention.h"

enum {
    LENGTH = TUB__K_SMALL,
    LANES = LENGTH,     /* from row to row of what has queries in its lanes: a constant, so that
                           tiles address their rows without index registers */
    MASKS = LANES / 16, /* vectors of a key */
    HEIGHT = VEC_MR     /* of a full tile */
};

/* A head's rows in whole vectors: in the matrix itself where the width allows it, else in a buffer
 * [LENGTH][padded]. */
typedef struct rows_view {
    real *at;
    size_t ld;
} rows_view;

INLINE rows_view view_rows(const unit *u, const tub__mat *m, real *buffer) {
    return u->width == u->padded ? (rows_view){token(u, m, 0), u->op->token_stride * m->ld}
                                 : (rows_view){buffer, u->padded};
}

INLINE rows_view read_rows(const unit *u, const tub__mat *m, real *buffer) {
    if (u->width != u->padded) {
        gather_rows(u, m, 0, u->length, 1, buffer);
    }
    return view_rows(u, m, buffer);
}

/* Brings what went into the buffer of view_rows home: the rows of the queries at hand. */
INLINE void put_rows(const unit *u, const tub__mat *m, const real *buffer) {
    if (u->width == u->padded) {
        return;
    }
    buffer += u->query0 * u->padded;
    for (size_t t = 0; t < u->queries; t++, buffer += u->padded) {
        real *to = token(u, m, u->query0 + t);
        for (size_t i = 0; i < u->width; i += 16) {
            vstoren(to + i, u->width - i < 16 ? (int)(u->width - i) : 16, vload(buffer + i));
        }
    }
}

/* Calls function(nv, drop, u, b, query) for all queries, 16 nv of them from `query` on at a time.
 * Where it is inlined, nv and drop are constants in it. */
#define ALL_QUERIES(function, u, b)                                                                \
    for (size_t query = 0; query < (u)->queries; query += WIDTH) {                                 \
        const bool wide = (u)->queries - query > 16, drop = (u)->op->dropout.rate > 0;             \
        if (wide && drop) {                                                                        \
            function(VEC_NV, true, u, b, query);                                                   \
        } else if (wide) {                                                                         \
            function(VEC_NV, false, u, b, query);                                                  \
        } else if (drop) {                                                                         \
            function(1, true, u, b, query);                                                        \
        } else {                                                                                   \
            function(1, false, u, b, query);                                                       \
        }                                                                                          \
    }

/* ---- products ---- */

/* c[i] = factor[i] sum over p of a(i, p) b[p], p in increasing order. a(i, p) is at i * lda + p, or
 * at p * lda + i where a is transposed; factor NULL: ones. */
typedef struct operands {
    const real *a, *b, *factor;
    real *c;
    size_t ldb, ldc, k;
} operands;

/* mr rows of 16 nv columns: the tile of tile.h, inlined, so that what the caller knows about its
 * sizes counts, and with the factors in its end. */
INLINE void small_tile(int mr, int nv, bool transposed, size_t lda, const operands *o, size_t row,
                       size_t col) {
    const real *a = o->a + (transposed ? row : row * lda), *b = o->b + col;
    const real *q[(VEC_MR + 3) / 4];
    vf acc[VEC_MR][VEC_NV], bv[VEC_NV];
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < nv; j++) acc[i][j] = vzero();
    UNROLL for (int i = 0; i < mr; i += 4) q[i / 4] = a + (size_t)i * (transposed ? 1 : lda);
    for (size_t p = 0; p < o->k; p++, b += o->ldb) {
        UNROLL for (int j = 0; j < nv; j++) bv[j] = vload(b + 16 * j);
        UNROLL for (int i = 0; i < mr; i++) {
            const vf s = vset1(q[i / 4][(size_t)(i % 4) * (transposed ? 1 : lda)]);
            UNROLL for (int j = 0; j < nv; j++) acc[i][j] = vfma(s, bv[j], acc[i][j]);
        }
        UNROLL for (int i = 0; i < mr; i += 4) q[i / 4] += transposed ? lda : 1;
    }
    real *c = o->c + row * o->ldc + col;
    UNROLL for (int i = 0; i < mr; i++, c += o->ldc) {
        UNROLL for (int j = 0; j < nv; j++) {
            const vf sum = acc[i][j];
            vstore(c + 16 * j, o->factor ? vmul(sum, vset1(o->factor[row + (size_t)i])) : sum);
        }
    }
}

/* At least mr rows by tiles of one height. Where the height does not divide them, the last tile
 * computes some rows again; one row less than a full tile is common enough (27 = 14 + 13) to have
 * its own. */
INLINE void tile_rows(int mr, int nv, bool transposed, size_t lda, const operands *o, size_t rows,
                      size_t col) {
    size_t row = 0;
    for (; rows - row >= (size_t)mr; row += (size_t)mr) {
        small_tile(mr, nv, transposed, lda, o, row, col);
    }
    if (mr == HEIGHT && mr > 2 && rows - row == (size_t)mr - 1) {
        small_tile(mr - 1, nv, transposed, lda, o, row, col);
    } else if (row < rows) {
        small_tile(mr, nv, transposed, lda, o, rows - (size_t)mr, col);
    }
}

INLINE void tile_columns(int nv, bool transposed, size_t lda, const operands *o, size_t rows,
                         size_t col) {
    enum { HALF = (HEIGHT + 1) / 2, QUARTER = (HALF + 1) / 2 };
    if (rows >= HEIGHT) {
        tile_rows(HEIGHT, nv, transposed, lda, o, rows, col);
    } else if (rows >= HALF) {
        tile_rows(HALF, nv, transposed, lda, o, rows, col);
    } else if (rows >= QUARTER) {
        tile_rows(QUARTER, nv, transposed, lda, o, rows, col);
    } else {
        tile_rows(1, nv, transposed, lda, o, rows, col);
    }
}

/* All rows and columns; whole vectors of columns. */
INLINE void multiply(bool transposed, size_t lda, const operands *o, size_t rows, size_t cols) {
    size_t col = 0;
    for (; cols - col >= WIDTH; col += WIDTH) {
        tile_columns(VEC_NV, transposed, lda, o, rows, col);
    }
    if (col < cols) { /* WIDTH is one or two vectors */
        tile_columns(1, transposed, lda, o, rows, col);
    }
}

/* The number of lanes that hold n queries. */
INLINE size_t lanes_of(size_t n) {
    return (n + 15) & ~(size_t)15;
}

/* st[key][LANES] = rows of m times qt[width][LANES]. */
static void scores(const unit *u, const tub__mat *m, const real *qt, real *st) {
    const operands o = {
        .a = token(u, m, 0), .b = qt, .c = st, .ldb = LANES, .ldc = LANES, .k = u->width};
    multiply(false, u->op->token_stride * m->ld, &o, u->length, lanes_of(u->queries));
}

/* ---- what is kept of the weights ---- */

/* Where the statistics of u lie: dropout's masks [length][MASKS] (1: kept), row maxima and 1 / row
 * sums. The masks save the backward pass the random numbers. */
typedef struct stats_view {
    uint16_t *masks;
    real *max, *inverse;
} stats_view;

INLINE stats_view small_stats(const unit *u) {
    real *at = (real *)u->op->stats + u->index * u->length * TUB__ATTENTION_STATS;
    return (stats_view){(uint16_t *)at, at + 2 * u->length, at + 3 * u->length};
}
_Static_assert(MASKS * sizeof(uint16_t) <= 2 * sizeof(float), "masks take the room of two reals");

#endif
