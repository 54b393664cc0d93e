/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of a weight from factors rounded to bfloat16: all rows of an element in one chain, pair
 * after pair of them, the second of a pair before the first. The bias is summed in float32.
 *
 * A task is a chunk of the weight's rows times a few panels. A worker goes over the rows of x and dy
 * slice by slice: of each it packs the panels of dy, then for each of its tasks the chunk's columns of
 * x. Sums wait in dw from slice to slice. */
#include "backend/cpu/weight_gradient_bf16.h"

#include "backend/cpu/entries.h"

#include <assert.h>

#ifndef VEC_REAL_IS_DOUBLE

_Static_assert(DW_ROWS % DW_STEP == 0, "whole steps");

/* ---- the engine in float32 ---- */

enum { ROWS = 128 };

/* The rounded number of row r of a slice; zero past the last. */
INLINE vf rounded(const real *row, size_t n) {
    return row ? vbf16(vloadn(row, (int)n, vzero())) : vzero();
}

/* Row r of what is packed holds row r ^ 1: a pair's second before its first. */
static void plain_dy(const tub__k_dw *p, const dw_slice *s, size_t panel, void *to_) {
    real *to = to_;
    for (size_t r = 0; r < tub__round_up(s->rows, 2); r++, to += TUB__PANEL) {
        for (size_t c = 0; c < TUB__PANEL; c += 16) {
            vstore(to + c, rounded(dw_at(s, p->dy, p->ldy, r ^ 1, panel * TUB__PANEL + c), 16));
        }
    }
}

static void plain_x(const tub__k_dw *p, const dw_slice *s, size_t k0, size_t k1) {
    real *to = s->x;
    for (size_t r = 0; r < tub__round_up(s->rows, 2); r++, to += DW_WIDTH) {
        for (size_t c = k0; c < k1; c += 16) {
            vstore(to + c - k0, rounded(dw_at(s, p->x, p->ldx, r ^ 1, c), tub__min(k1 - c, 16)));
        }
    }
}

static void plain_multiply(const dw_slice *s, const void *dy_, size_t rows, real *sums) {
    const real *dy = dy_;
    for (size_t t = 0; t < tile_count(rows); t++) {
        const size_t begin = tile_begin(rows, t), n = tile_begin(rows, t + 1) - begin;
        real *c = sums + begin * TUB__PANEL;
        for (size_t j = 0; j < TUB__PANEL; j += 16 * VEC_NV) {
            KERNEL(dw_tile)
            (n)(tub__round_up(s->rows, 2), (const real *)s->x + begin, DW_WIDTH, dy + j, TUB__PANEL,
                s->more ? c + j : NULL, TUB__PANEL, c + j, TUB__PANEL);
        }
    }
}

static const dw_engine plain = {.rows = ROWS,
                                .factor_size = sizeof(real),
                                .pack_dy = plain_dy,
                                .pack_x = plain_x,
                                .multiply = plain_multiply};

size_t KERNEL(dw_tasks_bf16)(size_t k, size_t panels) {
    return KERNEL(dw_bf16_tasks)(&plain, k, panels);
}

void KERNEL(dw_bf16)(const tub__k_dw *p, size_t task0, size_t task1, void *scratch) {
    KERNEL(dw_bf16_run)(&plain, p, task0, task1, scratch);
}

/* ---- the loops ---- */

static size_t chunks_of(const dw_engine *e, size_t k) {
    return e->chunk ? (k + e->chunk - 1) / e->chunk : (tile_count(k) + DW_TILES - 1) / DW_TILES;
}

/* The first row of the weight in a chunk. */
static size_t chunk_begin(const dw_engine *e, size_t k, size_t chunk) {
    return e->chunk ? tub__min(chunk * e->chunk, k)
                    : tile_begin(k, tile_count(k) * chunk / chunks_of(e, k));
}

size_t KERNEL(dw_bf16_tasks)(const dw_engine *e, size_t k, size_t panels) {
    return chunks_of(e, k) * ((panels + DW_PANELS - 1) / DW_PANELS);
}

static void add_bias(const tub__k_dw *p, const dw_slice *s, size_t panel) {
    real *bias = (real *)p->dbias + panel * TUB__PANEL;
    for (size_t j = 0; j < TUB__PANEL; j += 16) {
        const real *dy = (const real *)p->dy + s->row * p->ldy + panel * TUB__PANEL + j;
        vf b = s->more ? vload(bias + j) : vzero();
        for (size_t r = 0; r < s->rows; r++, dy += p->ldy) {
            b = vadd(b, vload(dy));
        }
        vstore(bias + j, b);
    }
}

/* Tasks [task0, task1) for the slice at hand; those of the same panels follow each other. */
static void slice_tasks(const dw_engine *e, const tub__k_dw *p, const dw_slice *s, size_t task0,
                        size_t task1) {
    const size_t chunks = chunks_of(e, p->k), panel_bytes = e->rows * TUB__PANEL * e->factor_size;
    size_t packed = SIZE_MAX;
    for (size_t i = task0; i < task1; i++) {
        const size_t chunk = i % chunks, panel0 = i / chunks * DW_PANELS,
                     panels = tub__min(p->panels - panel0, DW_PANELS);
        for (size_t j = 0; j < panels; j++) {
            if (panel0 != packed) {
                e->pack_dy(p, s, panel0 + j, (char *)s->dy + j * panel_bytes);
            }
            if (p->dbias && chunk == 0) {
                add_bias(p, s, panel0 + j);
            }
        }
        packed = panel0;
        const size_t k0 = chunk_begin(e, p->k, chunk), k1 = chunk_begin(e, p->k, chunk + 1);
        e->pack_x(p, s, k0, k1);
        for (size_t j = 0; j < panels; j++) {
            e->multiply(s, (char *)s->dy + j * panel_bytes, k1 - k0,
                        (real *)p->dw + ((panel0 + j) * p->k + k0) * TUB__PANEL);
        }
    }
}

void KERNEL(dw_bf16_run)(const dw_engine *e, const tub__k_dw *p, size_t task0, size_t task1,
                         void *scratch) {
    const size_t dy_bytes = DW_PANELS * e->rows * TUB__PANEL * e->factor_size,
                 x_bytes = tub__round_up(e->rows * DW_WIDTH * e->factor_size, 64);
    dw_slice s = {.dy = scratch, .x = (char *)scratch + dy_bytes};
    s.corner = (real *)((char *)s.x + x_bytes);
    assert(dy_bytes + x_bytes + DW_WIDTH * TUB__PANEL * sizeof(real) <=
           TUB__K_SCRATCH * sizeof(real));
    if (e->begin) {
        e->begin();
    }
    for (s.row = 0; s.row < p->rows; s.row += s.rows) {
        s.rows = tub__min(p->rows - s.row, e->rows);
        s.more = p->more || s.row > 0;
        slice_tasks(e, p, &s, task0, task1);
    }
    if (e->end) {
        e->end();
    }
}

#endif
