/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of a weight from factors rounded to bfloat16, by AMX: all rows of an element in one
 * chain. The bias is summed in float32.
 *
 * A task is 32 rows of the weight times a few panels. A worker goes over the rows of x and dy slice by
 * slice: of each it rounds and pairs the panels of dy, then for each of its tasks 32 columns of x,
 * transposed. Sums wait in dw from slice to slice. */
#include "backend/cpu/amx.h"
#include "backend/cpu/entries.h"

enum {
    CHUNK = 2 * AMX_ROWS,              /* rows of the weight in a task */
    PANELS = 4,                        /* in a task */
    ROWS = 448,                        /* of a slice, at most */
    LINE = 4 * TUB__PANEL,             /* bytes of a row of a panel */
    PANEL_SIZE = ROWS / 2 * TUB__PANEL /* words of a packed panel of dy */
};
_Static_assert(ROWS % 32 == 0, "whole steps of AMX");
_Static_assert(PANELS *PANEL_SIZE + CHUNK * ROWS / 2 + CHUNK * TUB__PANEL <= TUB__K_SCRATCH,
               "a slice fits the scratch");

static size_t chunks_of(size_t k) {
    return (k + CHUNK - 1) / CHUNK;
}

size_t KERNEL(dw_tasks_amx)(size_t k, size_t panels) {
    return chunks_of(k) * ((panels + PANELS - 1) / PANELS);
}

typedef struct work {
    uint32_t *dy;            /* [PANELS][ROWS / 2][32] pairs of rows */
    uint16_t *x;             /* [CHUNK][ROWS] */
    real *corner;            /* [CHUNK][32]: sums that dw has no room for, past its last row */
    size_t row, rows, steps; /* of the slice; steps of 32 rows, the last padded with zeros */
} work;

/* Sixteen columns of two rows, rounded, in pairs. */
static vf pair_rows(const real *first, const real *second) {
    static const ALIGNED uint16_t order[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                               21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                               11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(second ? vload(second) : vzero(),
                                                      first ? vload(first) : vzero());
    return _mm512_castsi512_ps(_mm512_permutexvar_epi16(_mm512_load_si512(order), both));
}

/* Row r of a slice at column c; NULL past the last. */
static const real *at(const work *w, const void *data, size_t ld, size_t r, size_t c) {
    return r < w->rows ? (const real *)data + (w->row + r) * ld + c : NULL;
}

static void pack_panel(const tub__k_dw *p, const work *w, size_t panel, uint32_t *to) {
    for (size_t r = 0; r < 32 * w->steps; r += 2, to += TUB__PANEL) {
        for (size_t c = 0; c < TUB__PANEL; c += 16) {
            const size_t col = panel * TUB__PANEL + c;
            vstore((real *)to + c,
                   pair_rows(at(w, p->dy, p->ldy, r, col), at(w, p->dy, p->ldy, r + 1, col)));
        }
    }
}

/* Columns [k, k + 32) of x as rows; x is padded to whole panels. */
static void pack_chunk(const tub__k_dw *p, const work *w, size_t k) {
    for (size_t r = 0; r < 32 * w->steps; r += 32) {
        for (size_t c = 0; c < CHUNK; c += 16) {
            vf t[16];
            UNROLL for (size_t i = 0; i < 16; i++) t[i] = pair_rows(
                at(w, p->x, p->ldx, r + 2 * i, k + c), at(w, p->x, p->ldx, r + 2 * i + 1, k + c));
            vtranspose(t);
            UNROLL for (size_t i = 0; i < 16; i++)
                vstore((real *)(w->x + (c + i) * ROWS + r), t[i]);
        }
    }
}

/* sums [CHUNK][32] (+)= x dy. */
static void chunk_sums(const work *w, const uint32_t *dy, bool first, real *sums) {
    real *lower = sums + AMX_ROWS * TUB__PANEL;
    if (first) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    } else {
        _tile_loadd(0, sums, LINE);
        _tile_loadd(1, sums + 16, LINE);
        _tile_loadd(2, lower, LINE);
        _tile_loadd(3, lower + 16, LINE);
    }
    const uint16_t *x = w->x;
    for (size_t i = 0; i < w->steps; i++, x += 32, dy += 16 * TUB__PANEL) {
        _tile_loadd(4, x, 2 * ROWS);
        _tile_loadd(6, dy, LINE);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, dy + 16, LINE);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, x + AMX_ROWS * ROWS, 2 * ROWS);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, sums, LINE);
    _tile_stored(1, sums + 16, LINE);
    _tile_stored(2, lower, LINE);
    _tile_stored(3, lower + 16, LINE);
}

/* Rows of dw from k on are fewer than a chunk: they go through the corner. */
static void last_chunk_sums(const tub__k_dw *p, const work *w, const uint32_t *dy, bool first,
                            size_t k, real *sums) {
    const size_t bytes = (p->k - k) * TUB__PANEL * sizeof *sums;
    memcpy(w->corner, sums, bytes);
    chunk_sums(w, dy, first, w->corner);
    memcpy(sums, w->corner, bytes);
}

static void add_bias(const tub__k_dw *p, const work *w, size_t panel) {
    real *bias = (real *)p->dbias + panel * TUB__PANEL;
    vf b0 = w->row > 0 ? vload(bias) : vzero(), b1 = w->row > 0 ? vload(bias + 16) : vzero();
    for (size_t r = 0; r < w->rows; r++) {
        const real *dy = at(w, p->dy, p->ldy, r, panel * TUB__PANEL);
        b0 = vadd(b0, vload(dy)), b1 = vadd(b1, vload(dy + 16));
    }
    vstore(bias, b0), vstore(bias + 16, b1);
}

/* Tasks [task0, task1) for the slice at hand. */
static void slice_tasks(const tub__k_dw *p, const work *w, size_t task0, size_t task1) {
    const size_t chunks = chunks_of(p->k);
    size_t packed = SIZE_MAX;
    for (size_t i = task0; i < task1; i++) {
        const size_t k = i % chunks * CHUNK, panel0 = i / chunks * PANELS,
                     panels = tub__min(p->panels - panel0, PANELS);
        for (size_t j = 0; j < panels; j++) {
            if (panel0 != packed) {
                pack_panel(p, w, panel0 + j, w->dy + j * PANEL_SIZE);
            }
            if (p->dbias && k == 0) {
                add_bias(p, w, panel0 + j);
            }
        }
        packed = panel0;
        pack_chunk(p, w, k);
        for (size_t j = 0; j < panels; j++) {
            const uint32_t *dy = w->dy + j * PANEL_SIZE;
            real *sums = (real *)p->dw + ((panel0 + j) * p->k + k) * TUB__PANEL;
            if (p->k - k >= CHUNK) {
                chunk_sums(w, dy, w->row == 0, sums);
            } else {
                last_chunk_sums(p, w, dy, w->row == 0, k, sums);
            }
        }
    }
}

void KERNEL(dw_amx)(const tub__k_dw *p, size_t task0, size_t task1, void *scratch) {
    work w = {.dy = scratch};
    w.x = (uint16_t *)(w.dy + PANELS * PANEL_SIZE);
    w.corner = (real *)(w.x + CHUNK * ROWS);
    amx_begin();
    for (w.row = 0; w.row < p->rows; w.row += w.rows) {
        w.rows = tub__min(p->rows - w.row, ROWS);
        w.steps = (w.rows + 31) / 32;
        slice_tasks(p, &w, task0, task1);
    }
    amx_end();
}
