/* SPDX-License-Identifier: Apache-2.0 */
/* Weight gradients of rounded factors by vdpbf16ps. */
#include "backend/cpu/dot.h"
#include "backend/cpu/entries.h"
#include "backend/cpu/weight_gradient_bf16.h"

enum { ROWS = 256 }; /* of a slice: a panel of dy and a tile's columns of x fit L1 together */
_Static_assert((int)ROWS <= (int)DW_ROWS, "what the scratch has room for");

/* Pairs of rows, DW_WIDTH apart. */
static void pack_x(const tub__k_dw *p, const dw_slice *s, size_t k0, size_t k1) {
    real *to = s->x;
    for (size_t r = 0; r < s->rows; r += 2, to += DW_WIDTH) {
        dw_ask(s, p->x, p->ldx, r, k0, k1);
        dw_ask(s, p->x, p->ldx, r + 1, k0, k1);
        for (size_t c = k0; c < k1; c += 16) {
            vstore(to + c - k0, dw_pair(dw_at(s, p->x, p->ldx, r, c),
                                        dw_at(s, p->x, p->ldx, r + 1, c), tub__min(k1 - c, 16)));
        }
    }
}

INLINE void dot_body(int mr, size_t pairs, const real *x, const real *dy, bool first, real *sums) {
    vf acc[VEC_MR][VEC_NV];
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < VEC_NV; j++) acc[i][j] =
        first ? vzero() : vload(sums + i * TUB__PANEL + 16 * j);
    for (size_t r = 0; r < pairs; r++, x += DW_WIDTH, dy += TUB__PANEL) {
        vf d[VEC_NV];
        UNROLL for (int j = 0; j < VEC_NV; j++) d[j] = vload(dy + 16 * j);
        UNROLL for (int i = 0; i < mr; i++) {
            const vf a = vset1(x[i]);
            UNROLL for (int j = 0; j < VEC_NV; j++) acc[i][j] = dot_bf16(acc[i][j], a, d[j]);
        }
    }
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < VEC_NV; j++)
        vstore(sums + i * TUB__PANEL + 16 * j, acc[i][j]);
}

typedef void dot_fn(size_t pairs, const real *x, const real *dy, bool first, real *sums);
#define DOT_(mr, nv, tr)                                                                           \
    static void dot_##mr(size_t pairs, const real *x, const real *dy, bool first, real *sums) {    \
        dot_body(mr, pairs, x, dy, first, sums);                                                   \
    }
#define DOT_NAME_(mr, nv, tr) dot_##mr,
TILE_ROWS_(DOT_, VEC_NV, 1)

static void multiply(const dw_slice *s, const void *dy, size_t rows, real *sums) {
    static dot_fn *const tiles[VEC_MR] = {TILE_ROWS_(DOT_NAME_, VEC_NV, 1)};
    const real *x = s->x;
    for (size_t t = 0; t < tile_count(rows); t++) {
        const size_t begin = tile_begin(rows, t), n = tile_begin(rows, t + 1) - begin;
        tiles[n - 1]((s->rows + 1) / 2, x + begin, dy, !s->more, sums + begin * TUB__PANEL);
    }
}

static const dw_engine engine = {.rows = ROWS,
                                 .factor_size = sizeof(uint16_t),
                                 .pack_dy = dw_pair_panel,
                                 .pack_x = pack_x,
                                 .multiply = multiply};

size_t KERNEL(dw_tasks_dot)(size_t k, size_t panels) {
    return KERNEL(dw_bf16_tasks)(&engine, k, panels);
}

void KERNEL(dw_dot)(const tub__k_dw *p, size_t task0, size_t task1, void *scratch) {
    KERNEL(dw_bf16_run)(&engine, p, task0, task1, scratch);
}
