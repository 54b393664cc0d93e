/* SPDX-License-Identifier: Apache-2.0 */
/* Weight gradients of factors rounded to bfloat16: what the ways to multiply them share. */
#ifndef TUB__CPU_WEIGHT_GRADIENT_BF16_H
#define TUB__CPU_WEIGHT_GRADIENT_BF16_H

#include "backend/cpu/kernels.h"
#include "backend/cpu/pairs.h"
#include "backend/cpu/tile.h"

enum {
    DW_PANELS = 4, /* in a task */
    DW_ROWS = 448, /* of a slice, at most */
    DW_STEP = 32,  /* rows of a slice may be padded to whole steps, with zeros */
    DW_TILES = 5,  /* in a chunk, where an engine has no other */
    DW_WIDTH = (DW_TILES * VEC_MR + 15) / 16 * 16 /* columns of x in a chunk, at most */
};

/* Rows of x and dy that are packed at once. */
typedef struct dw_slice {
    size_t row, rows;
    bool more;    /* there are sums of earlier rows */
    void *dy;     /* [DW_PANELS] of panels as the engine packs them */
    void *x;      /* a chunk's columns, likewise */
    real *corner; /* [DW_WIDTH][32] for the engine */
} dw_slice;

/* One way to multiply. */
typedef struct dw_engine {
    size_t rows;        /* of a slice, at most; whole steps */
    size_t factor_size; /* bytes of a factor that was packed */
    size_t chunk; /* rows of the weight in one; 0: DW_TILES tiles, all of nearly the same height */
    void (*begin)(void);
    void (*end)(void); /* NULL: nothing to do before and after, on one thread */
    void (*pack_dy)(const tub__k_dw *p, const dw_slice *s, size_t panel, void *to);
    void (*pack_x)(const tub__k_dw *p, const dw_slice *s, size_t k0, size_t k1); /* columns */
    /* sums [rows][32] (+)= x dy, of one panel; adds where there is more. */
    void (*multiply)(const dw_slice *s, const void *dy, size_t rows, real *sums);
} dw_engine;

/* The float32 tile of `rows` rows of the weight, a transposed: of weight_gradient.c. */
tile_fn *KERNEL(dw_tile)(size_t rows);

size_t KERNEL(dw_bf16_tasks)(const dw_engine *e, size_t k, size_t panels);
void KERNEL(dw_bf16_run)(const dw_engine *e, const tub__k_dw *p, size_t task0, size_t task1,
                         void *scratch);

/* Row r of a slice at column c; NULL past the last. */
INLINE const real *dw_at(const dw_slice *s, const void *data, size_t ld, size_t r, size_t c) {
    return r < s->rows ? (const real *)data + (s->row + r) * ld + c : NULL;
}

/* Asks for columns [c0, c1), in whole lines, of a row that will be packed some rows after r: they lie
 * too far apart for the processor to guess. */
INLINE void dw_ask(const dw_slice *s, const void *data, size_t ld, size_t r, size_t c0, size_t c1) {
    enum { AHEAD = 16, LINE = 16 };
    const real *row = dw_at(s, data, ld, r + AHEAD, 0);
    for (size_t c = c0 / LINE * LINE; row && c < c1; c += LINE) {
        vprefetch(row + c);
    }
}

#if defined VEC_ENGINES && defined __AVX512BF16__

/* The first n <= 16 columns of two rows, rounded, in pairs; a row may be NULL: zero. */
INLINE vf dw_pair(const real *first, const real *second, size_t n) {
    return _mm512_castsi512_ps(round_pairs(first ? vloadn(first, (int)n, vzero()) : vzero(),
                                           second ? vloadn(second, (int)n, vzero()) : vzero()));
}

/* Panel of dy: [rows / 2, padded to a whole step][32] pairs of rows. */
INLINE void dw_pair_panel(const tub__k_dw *p, const dw_slice *s, size_t panel, void *to_) {
    real *to = to_;
    for (size_t r = 0; r < tub__round_up(s->rows, DW_STEP); r += 2, to += TUB__PANEL) {
        dw_ask(s, p->dy, p->ldy, r, panel * TUB__PANEL, (panel + 1) * TUB__PANEL);
        dw_ask(s, p->dy, p->ldy, r + 1, panel * TUB__PANEL, (panel + 1) * TUB__PANEL);
        for (size_t c = 0; c < TUB__PANEL; c += 16) {
            const size_t col = panel * TUB__PANEL + c;
            vstore(to + c, dw_pair(dw_at(s, p->dy, p->ldy, r, col),
                                   dw_at(s, p->dy, p->ldy, r + 1, col), 16));
        }
    }
}
#endif

#endif
