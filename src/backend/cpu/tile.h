/* SPDX-License-Identifier: Apache-2.0 */
/* The register tile: c[rows][16 nv] = start + a b, every output one chain of fused multiply-adds in
 * increasing k.
 *
 * One function for each tile height, so that all accumulators stay in registers; heights, widths
 * and the orientation of a are constants wherever the body is inlined. Without the unrolling
 * pragmas the compilers leave the accumulators in memory. */
#ifndef TUB__CPU_TILE_H
#define TUB__CPU_TILE_H

#include "backend/cpu/vec.h"
#include "tensor/mat.h"

/* a: element (i, p) at i * lda + p, or p * lda + i in the transposed tiles. b: row p at p * ldb.
 * start: c's first values, rows lds apart (0: the same row for all, a bias); NULL: zero. */
typedef void tile_fn(size_t k, const real *a, size_t lda, const real *b, size_t ldb,
                     const real *start, size_t lds, real *c, size_t ldc);

/* A tile that also asks for memory that will be needed soon: one line every step of k, `ahead` and
 * then every `stride` elements from it. */
typedef struct tile_ahead {
    const real *at;
    size_t stride;
} tile_ahead;
typedef void tile_ahead_fn(size_t k, const real *a, size_t lda, const real *b, size_t ldb,
                           const real *start, size_t lds, real *c, size_t ldc, tile_ahead ahead);

/* A tile of few rows reads b as fast as memory brings it: it asks for what it, or the next tile,
 * needs some steps later, and so keeps memory busy without a pause. `ahead` and what follows it
 * for `steps` steps, an even number, and then `then`. */
typedef struct tile_stream {
    const real *ahead;
    size_t steps;
    const real *then;
} tile_stream;
typedef void tile_stream_fn(size_t k, const real *a, size_t lda, const real *b, size_t ldb,
                            const real *start, size_t lds, real *c, size_t ldc,
                            const tile_stream *stream);

/* What a tile asks memory for, if anything. */
typedef enum tile_asks { ASKS_NOTHING, ASKS_LINES, ASKS_STREAM } tile_asks;

/* Where a tile stands: rows of a, a row of b, and what to ask memory for. */
typedef struct tile_at {
    const real
        *q[(VEC_MR + 3) / 4]; /* one pointer for four rows of a: the rest of the address is an
                                        index register; transposed: q[0] alone */
    const real *b, *soon;
} tile_at;

/* Step u after where the pointers stand. */
INLINE void tile_step(int mr, int nv, int transposed, int u, const tile_at *at, size_t lda,
                      size_t ldb, vf acc[VEC_MR][VEC_NV]) {
    vf bv[VEC_NV];
    const real *row = at->q[0] + (size_t)u * lda; /* of a transposed a */
    if (transposed) {
        TUB__OPAQUE(row); /* else gcc keeps lda + i in a register, or on the stack, for every i */
    }
    UNROLL for (int j = 0; j < nv; j++) bv[j] = vload(at->b + (size_t)u * ldb + 16 * j);
    UNROLL for (int i = 0; i < mr; i++) {
        const real *a = transposed ? row + i : at->q[i / 4] + (size_t)(i % 4) * lda + u;
        vf s = vset1(*a);
        UNROLL for (int j = 0; j < nv; j++) acc[i][j] = vfma(s, bv[j], acc[i][j]);
    }
}

/* `steps` steps at once, and the pointers beyond them. */
INLINE void tile_steps(int mr, int nv, int transposed, int steps, tile_at *at, size_t lda,
                       size_t ldb, tile_asks asks, size_t stride, vf acc[VEC_MR][VEC_NV]) {
    UNROLL for (int u = 0; u < steps; u++) {
        if (asks == ASKS_LINES) {
            vprefetch(at->soon), at->soon += stride;
        } else if (asks == ASKS_STREAM) {
            UNROLL for (int j = 0; j < TUB__PANEL; j += 16) vnear(at->soon + j);
            at->soon += TUB__PANEL;
        }
        tile_step(mr, nv, transposed, u, at, lda, ldb, acc);
    }
    at->b += (size_t)steps * ldb;
    if (transposed) {
        at->q[0] += (size_t)steps * lda;
    } else {
        UNROLL for (int i = 0; i < mr; i += 4) at->q[i / 4] += steps;
    }
}

INLINE void tile_body(int mr, int nv, int transposed, size_t k, const real *a, size_t lda,
                      const real *b, size_t ldb, const real *start, size_t lds, real *c, size_t ldc,
                      tile_asks asks, const tile_ahead *ahead, const tile_stream *stream) {
    enum { STEPS = 2 };
    vf acc[VEC_MR][VEC_NV];
    const size_t stride = asks == ASKS_LINES ? ahead->stride : 0;
    tile_at at = {.b = b};
    if (asks != ASKS_NOTHING) {
        at.soon = asks == ASKS_LINES ? ahead->at : stream->ahead;
    }
    UNROLL for (int i = 0; i < mr; i += 4) at.q[i / 4] = a + (size_t)i * lda;
    at.q[0] = a;
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < nv; j++) acc[i][j] = vzero();
    if (start) {
        UNROLL for (int i = 0; i < mr; i++, start += lds) UNROLL for (int j = 0; j < nv; j++)
            acc[i][j] = vload(start + 16 * j);
    }
    size_t p = k;
    if (asks == ASKS_STREAM) {
        for (size_t left = stream->steps; left >= STEPS; left -= STEPS, p -= STEPS) {
            tile_steps(mr, nv, transposed, STEPS, &at, lda, ldb, asks, stride, acc);
        }
        at.soon = stream->then;
    }
    for (; p >= STEPS; p -= STEPS) {
        tile_steps(mr, nv, transposed, STEPS, &at, lda, ldb, asks, stride, acc);
    }
    if (p > 0) {
        tile_steps(mr, nv, transposed, 1, &at, lda, ldb, asks, stride, acc);
    }
    /* The pointer moves from row to row: indexing it by row made gcc spill some twenty addresses
     * around the loop. */
    UNROLL for (int i = 0; i < mr; i++, c += ldc) UNROLL for (int j = 0; j < nv; j++)
        vstore(c + 16 * j, acc[i][j]);
}

#define TILE_(mr, nv, tr)                                                                          \
    static void tile_##mr##_##nv##_##tr(size_t k, const real *a, size_t lda, const real *b,        \
                                        size_t ldb, const real *start, size_t lds, real *c,        \
                                        size_t ldc) {                                              \
        tile_body(mr, nv, tr, k, a, lda, b, ldb, start, lds, c, ldc, ASKS_NOTHING, NULL, NULL);    \
    }
#define TILE_STREAM_(mr, nv, tr)                                                                   \
    static void tile_stream_##mr(size_t k, const real *a, size_t lda, const real *b, size_t ldb,   \
                                 const real *start, size_t lds, real *c, size_t ldc,               \
                                 const tile_stream *stream) {                                      \
        tile_body(mr, nv, tr, k, a, lda, b, ldb, start, lds, c, ldc, ASKS_STREAM, NULL, stream);   \
    }
#define TILE_STREAM_NAME_(mr, nv, tr) tile_stream_##mr,
#define TILE_AHEAD_(mr, nv, tr)                                                                    \
    static void tile_ahead_##mr##_##nv##_##tr(size_t k, const real *a, size_t lda, const real *b,  \
                                              size_t ldb, const real *start, size_t lds, real *c,  \
                                              size_t ldc, tile_ahead ahead) {                      \
        tile_body(mr, nv, tr, k, a, lda, b, ldb, start, lds, c, ldc, ASKS_LINES, &ahead, NULL);    \
    }
#define TILE_AHEAD_NAME_(mr, nv, tr) tile_ahead_##mr##_##nv##_##tr,
#define TILE_NAME_(mr, nv, tr)       tile_##mr##_##nv##_##tr,
#if VEC_MR == 14
#define TILE_ROWS_(F, nv, tr)                                                                      \
    F(1, nv, tr)                                                                                   \
    F(2, nv, tr)                                                                                   \
    F(3, nv, tr)                                                                                   \
    F(4, nv, tr)                                                                                   \
    F(5, nv, tr)                                                                                   \
    F(6, nv, tr)                                                                                   \
    F(7, nv, tr)                                                                                   \
    F(8, nv, tr) F(9, nv, tr) F(10, nv, tr) F(11, nv, tr) F(12, nv, tr) F(13, nv, tr) F(14, nv, tr)
#elif VEC_MR == 6
#define TILE_ROWS_(F, nv, tr)                                                                      \
    F(1, nv, tr) F(2, nv, tr) F(3, nv, tr) F(4, nv, tr) F(5, nv, tr) F(6, nv, tr)
#else
#define TILE_ROWS_(F, nv, tr) F(1, nv, tr) F(2, nv, tr)
#endif

/* DEFINE_TILES(0) makes the tiles for row-major a, DEFINE_TILES(1) those for transposed a:
 * tiles_0[nv - 1][rows - 1]. DEFINE_AHEAD_TILES makes those that ask for memory, of full width
 * only: tiles_ahead_0[rows - 1]. */
#if VEC_NV == 2
#define DEFINE_TILES(tr)                                                                           \
    TILE_ROWS_(TILE_, 1, tr)                                                                       \
    TILE_ROWS_(TILE_, 2, tr)                                                                       \
    static tile_fn *const tiles_##tr[2][VEC_MR] = {{TILE_ROWS_(TILE_NAME_, 1, tr)},                \
                                                   {TILE_ROWS_(TILE_NAME_, 2, tr)}};
#else
#define DEFINE_TILES(tr)                                                                           \
    TILE_ROWS_(TILE_, 1, tr)                                                                       \
    static tile_fn *const tiles_##tr[1][VEC_MR] = {{TILE_ROWS_(TILE_NAME_, 1, tr)}};
#endif

#define DEFINE_AHEAD_TILES(tr)                                                                     \
    TILE_ROWS_(TILE_AHEAD_, VEC_NV, tr)                                                            \
    static tile_ahead_fn *const tiles_ahead_##tr[VEC_MR] = {                                       \
        TILE_ROWS_(TILE_AHEAD_NAME_, VEC_NV, tr)};

/* Of row-major a and full width: tiles_stream[rows - 1]. */
#define DEFINE_STREAM_TILES                                                                        \
    TILE_ROWS_(TILE_STREAM_, VEC_NV, 0)                                                            \
    static tile_stream_fn *const tiles_stream[VEC_MR] = {TILE_ROWS_(TILE_STREAM_NAME_, VEC_NV, 0)};

#ifndef VEC_REAL_IS_DOUBLE
/* The tile of reduced.h in float32: rows of a hold the pairs' factors, the second before the first.
 */
typedef void pair_tile_fn(size_t depth, const real *a, size_t lda, const uint32_t *w,
                          const real *bias, real *c);

INLINE void pair_body(int mr, size_t depth, const real *a, size_t lda, const uint32_t *w,
                      const real *bias, real *c) {
    vf acc[VEC_MR][VEC_NV], bv[VEC_NV];
    const real *q[(VEC_MR + 3) / 4];
    UNROLL for (int i = 0; i < mr; i += 4) q[i / 4] = a + (size_t)i * lda;
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < VEC_NV; j++) acc[i][j] =
        bias ? vload(bias + 16 * j) : vzero();
    for (size_t p = 0; p < depth; p += 2, w += TUB__PANEL) {
        UNROLL for (int half = 0; half < 2; half++) {
            UNROLL for (int j = 0; j < VEC_NV; j++) bv[j] =
                half ? vbf16_first(w + 16 * j) : vbf16_second(w + 16 * j);
            UNROLL for (int i = 0; i < mr; i++) {
                vf s = vset1(q[i / 4][(size_t)(i % 4) * lda + (size_t)half]);
                UNROLL for (int j = 0; j < VEC_NV; j++) acc[i][j] = vfma(s, bv[j], acc[i][j]);
            }
        }
        UNROLL for (int i = 0; i < mr; i += 4) q[i / 4] += 2;
    }
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < VEC_NV; j++, c += 16)
        vstore(c, acc[i][j]);
}

#define PAIR_TILE_(mr, nv, tr)                                                                     \
    static void pair_tile_##mr(size_t depth, const real *a, size_t lda, const uint32_t *w,         \
                               const real *bias, real *c) {                                        \
        pair_body(mr, depth, a, lda, w, bias, c);                                                  \
    }
#define PAIR_TILE_NAME_(mr, nv, tr) pair_tile_##mr,
/* pair_tiles[rows - 1]. */
#define DEFINE_PAIR_TILES                                                                          \
    TILE_ROWS_(PAIR_TILE_, VEC_NV, 0)                                                              \
    static pair_tile_fn *const pair_tiles[VEC_MR] = {TILE_ROWS_(PAIR_TILE_NAME_, VEC_NV, 0)};
#endif

/* Rows are shared out evenly among tiles: 27 is 14 + 13. Tile t of n rows begins at tile_begin(n,
 * t). */
INLINE size_t tile_count(size_t n) {
    return (n + VEC_MR - 1) / VEC_MR;
}
INLINE size_t tile_begin(size_t n, size_t t) {
    return n * t / tile_count(n);
}

#endif
