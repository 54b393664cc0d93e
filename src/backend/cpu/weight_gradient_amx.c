/* SPDX-License-Identifier: Apache-2.0 */
/* Weight gradients of rounded factors by AMX: chunks are 32 rows of the weight, x is transposed. */
#include "backend/cpu/amx.h"
#include "backend/cpu/entries.h"
#include "backend/cpu/weight_gradient_bf16.h"

enum {
    CHUNK = 2 * AMX_ROWS,
    LINE = 4 * TUB__PANEL /* bytes of a row of a panel */
};
_Static_assert((int)CHUNK <= (int)DW_WIDTH && DW_STEP == 32, "what the scratch has room for");

/* Columns as rows; x is padded to whole panels, of which the chunks are. */
static void pack_x(const tub__k_dw *p, const dw_slice *s, size_t k0, size_t k1) {
    (void)k1;
    for (size_t r = 0; r < s->rows; r += DW_STEP) {
        for (size_t c = 0; c < CHUNK; c += 16) {
            vf t[16];
            UNROLL for (size_t i = 0; i < 16; i++) t[i] =
                dw_pair(dw_at(s, p->x, p->ldx, r + 2 * i, k0 + c),
                        dw_at(s, p->x, p->ldx, r + 2 * i + 1, k0 + c), 16);
            vtranspose(t);
            UNROLL for (size_t i = 0; i < 16; i++)
                vstore((real *)((uint16_t *)s->x + (c + i) * DW_ROWS + r), t[i]);
        }
    }
}

/* sums [CHUNK][32] (+)= x dy. */
static void chunk_sums(const dw_slice *s, const uint32_t *dy, real *sums) {
    const size_t steps = tub__round_up(s->rows, DW_STEP) / DW_STEP;
    real *lower = sums + AMX_ROWS * TUB__PANEL;
    if (!s->more) {
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
    const uint16_t *x = s->x;
    for (size_t i = 0; i < steps; i++, x += 32, dy += 16 * TUB__PANEL) {
        _tile_loadd(4, x, 2 * DW_ROWS);
        _tile_loadd(6, dy, LINE);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, dy + 16, LINE);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, x + AMX_ROWS * DW_ROWS, 2 * DW_ROWS);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, sums, LINE);
    _tile_stored(1, sums + 16, LINE);
    _tile_stored(2, lower, LINE);
    _tile_stored(3, lower + 16, LINE);
}

/* Sums of fewer rows than a chunk have no room in dw: they go through the corner. */
static void multiply(const dw_slice *s, const void *dy, size_t rows, real *sums) {
    const size_t bytes = rows * TUB__PANEL * sizeof *sums;
    if (rows == CHUNK) {
        chunk_sums(s, dy, sums);
        return;
    }
    memcpy(s->corner, sums, bytes);
    chunk_sums(s, dy, s->corner);
    memcpy(sums, s->corner, bytes);
}

static const dw_engine engine = {.rows = DW_ROWS,
                                 .factor_size = sizeof(uint16_t),
                                 .chunk = CHUNK,
                                 .begin = amx_begin,
                                 .end = amx_end,
                                 .pack_dy = dw_pair_panel,
                                 .pack_x = pack_x,
                                 .multiply = multiply};

size_t KERNEL(dw_tasks_amx)(size_t k, size_t panels) {
    return KERNEL(dw_bf16_tasks)(&engine, k, panels);
}

void KERNEL(dw_amx)(const tub__k_dw *p, size_t task0, size_t task1, void *scratch) {
    KERNEL(dw_bf16_run)(&engine, p, task0, task1, scratch);
}
