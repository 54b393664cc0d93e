/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of a weight and its bias: x^T dy, chained within groups of rows, groups added in the
 * balanced tree.
 *
 * A task is one panel of 32 columns times a chunk of a few tiles of k. Its part of dy is packed
 * once per group into scratch (rows of dy lie far apart, which costs cache conflicts), the tiles'
 * partial sums of the tree wait in scratch too, so they stay in L1. */
#include "backend/cpu/entries.h"
#include "backend/cpu/tile.h"

DEFINE_TILES(1)

enum { WIDTH = 16 * VEC_NV, TILE_SIZE = VEC_MR * TUB__PANEL };

static size_t chunk_begin(size_t k, size_t chunk, size_t chunks) {
    return tile_count(k) * chunk / chunks;
}

size_t KERNEL(dw_chunks)(size_t k) {
    return (tile_count(k) + TUB__K_DW_TILES - 1) / TUB__K_DW_TILES;
}

/* Adds a finished group's sums into the tree kept in levels[level][size]; sums is destroyed. */
static void tree_push(real *levels, size_t stride, size_t size, size_t group, real *sums) {
    const int rise = tree_rise(group);
    for (int level = 0; level < rise; level++) {
        for (size_t i = 0; i < size; i += 16) {
            vstore(sums + i, vadd(vload(levels + (size_t)level * stride + i), vload(sums + i)));
        }
    }
    for (size_t i = 0; i < size; i += 16) {
        vstore(levels + (size_t)rise * stride + i, vload(sums + i));
    }
}

/* The tree's total after `groups` groups: the waiting sums, smallest first, each as the right
 * operand. */
static void tree_total(const real *levels, size_t stride, size_t size, size_t groups, real *out) {
    int level = __builtin_ctzll(groups);
    for (size_t i = 0; i < size; i += 16) {
        vf t = vload(levels + (size_t)level * stride + i);
        for (int l = level + 1; groups >> l; l++) {
            if (groups >> l & 1) {
                t = vadd(vload(levels + (size_t)l * stride + i), t);
            }
        }
        vstore(out + i, t);
    }
}

/* Copies rows of one panel of dy together; sums them into bias where given. */
static void pack_rows(const real *dy, size_t ldy, size_t rows, real *packed, real *bias) {
    vf b0 = vzero(), b1 = vzero();
    if (bias) {
        b0 = vload(bias), b1 = vload(bias + 16);
    }
    for (size_t r = 0; r < rows; r++, dy += ldy, packed += TUB__PANEL) {
        vf v0 = vload(dy), v1 = vload(dy + 16);
        vstore(packed, v0), vstore(packed + 16, v1);
        b0 = vadd(b0, v0), b1 = vadd(b1, v1);
    }
    if (bias) {
        vstore(bias, b0), vstore(bias + 16, b1);
    }
}

typedef struct task {
    size_t panel, tile0, tile1; /* tiles of k */
    bool bias;                  /* this task also sums the bias */
} task;

typedef struct work {
    real *packed; /* [TUB__K_GROUP_BLOCK][32] */
    real *sums;   /* [TUB__K_DW_TILES][VEC_MR][32]: the group's sums */
    real *levels; /* [TREE_LEVELS][TUB__K_DW_TILES][VEC_MR][32] */
    real *bias;   /* [1 + TREE_LEVELS][32] */
} work;

/* One group: its rows in blocks that fit the packed buffer, the chains continued from block to
 * block. */
static void group_sums(const tub__k_dw *p, const task *t, const work *w, size_t row, size_t end) {
    for (size_t r = row; r < end; r += TUB__K_GROUP_BLOCK) {
        const size_t rows = end - r < TUB__K_GROUP_BLOCK ? end - r : TUB__K_GROUP_BLOCK;
        const real *dy = (const real *)p->dy + r * p->ldy + t->panel * TUB__PANEL;
        pack_rows(dy, p->ldy, rows, w->packed, t->bias ? w->bias : NULL);
        for (size_t i = t->tile0; i < t->tile1; i++) {
            const size_t k0 = tile_begin(p->k, i), n = tile_begin(p->k, i + 1) - k0;
            const real *x = (const real *)p->x + r * p->ldx + k0;
            for (size_t j = 0; j < TUB__PANEL; j += WIDTH) {
                real *c = w->sums + (i - t->tile0) * TILE_SIZE + j;
                tiles_1[VEC_NV - 1][n - 1](rows, x, p->ldx, w->packed + j, TUB__PANEL,
                                           r > row ? c : NULL, TUB__PANEL, c, TUB__PANEL);
            }
        }
    }
}

static void run_task(const tub__k_dw *p, const task *t, const work *w) {
    const size_t tiles = t->tile1 - t->tile0, stride = TUB__K_DW_TILES * TILE_SIZE;
    size_t group = 0;
    for (size_t row = 0; row < p->rows; row += p->group_rows, group++) {
        const size_t end = p->rows - row < p->group_rows ? p->rows : row + p->group_rows;
        vstore(w->bias, vzero()), vstore(w->bias + 16, vzero());
        group_sums(p, t, w, row, end);
        for (size_t i = 0; i < tiles; i++) {
            const size_t n = tile_begin(p->k, t->tile0 + i + 1) - tile_begin(p->k, t->tile0 + i);
            tree_push(w->levels + i * TILE_SIZE, stride, n * TUB__PANEL, group,
                      w->sums + i * TILE_SIZE);
        }
        if (t->bias) {
            tree_push(w->bias + TUB__PANEL, TUB__PANEL, TUB__PANEL, group, w->bias);
        }
    }
    for (size_t i = 0; i < tiles; i++) {
        const size_t k0 = tile_begin(p->k, t->tile0 + i),
                     n = tile_begin(p->k, t->tile0 + i + 1) - k0;
        tree_total(w->levels + i * TILE_SIZE, stride, n * TUB__PANEL, group,
                   (real *)p->dw + (t->panel * p->k + k0) * TUB__PANEL);
    }
    if (t->bias) {
        tree_total(w->bias + TUB__PANEL, TUB__PANEL, TUB__PANEL, group,
                   (real *)p->dbias + t->panel * TUB__PANEL);
    }
}

void KERNEL(dw)(const tub__k_dw *p, size_t task0, size_t task1, void *scratch) {
    work w = {.packed = scratch};
    w.sums = w.packed + TUB__K_GROUP_BLOCK * TUB__PANEL;
    w.bias = w.sums + TUB__K_DW_TILES * TILE_SIZE;
    w.levels = w.bias + (1 + TREE_LEVELS) * TUB__PANEL;
    const size_t chunks = KERNEL(dw_chunks)(p->k);
    for (size_t i = task0; i < task1; i++) {
        const size_t chunk = i % chunks;
        const task t = {.panel = i / chunks,
                        .tile0 = chunk_begin(p->k, chunk, chunks),
                        .tile1 = chunk_begin(p->k, chunk + 1, chunks),
                        .bias = p->dbias && chunk == 0};
        run_task(p, &t, &w);
    }
}

void KERNEL(tree)(void *partial_, size_t groups, size_t stride, size_t width, void *out_) {
    real *partial = partial_, *out = out_;
    for (size_t step = 1; step < groups; step *= 2) {
        for (size_t g = 0; g + step < groups; g += 2 * step) {
            for (size_t i = 0; i < width; i += 16) {
                real *left = partial + g * stride + i;
                vstore(left, vadd(vload(left), vload(left + step * stride)));
            }
        }
    }
    for (size_t i = 0; i < width; i += 16) {
        vstore(out + i, vload(partial + i));
    }
}
