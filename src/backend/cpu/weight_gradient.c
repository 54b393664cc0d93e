/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of a weight and its bias: x^T dy, chained within groups of rows, groups added in the
 * balanced tree.
 *
 * A task is a chunk of a few tiles of k times a few panels of 32 columns. Group by group its
 * columns of x and, panel by panel, of dy are packed into scratch: in the matrices the rows lie far
 * apart, which costs cache conflicts; packed, a group's parts stay in L1. The partial sums of the
 * tree wait in scratch too. */
#include "backend/cpu/entries.h"
#include "backend/cpu/tile.h"

DEFINE_TILES(1)

enum {
    WIDTH = 16 * VEC_NV,
    TILES = 5,  /* in a chunk */
    PANELS = 4, /* in a task: packing x is shared by so many */
    ROWS = 256, /* packed at once */
    X_STRIDE = (TILES * VEC_MR + 15) / 16 * 16,
    TILE_SIZE = VEC_MR * TUB__PANEL,
    LEVEL_SIZE = TILES * PANELS * TILE_SIZE
};
_Static_assert(ROWS *(X_STRIDE + TUB__PANEL) + TILE_SIZE + (1 + TREE_LEVELS) * PANELS * TUB__PANEL +
                       TREE_LEVELS * LEVEL_SIZE <=
                   TUB__K_SCRATCH,
               "the task's buffers fit the scratch");

/* How the work falls into tasks: every task is some neighbouring tiles of k times some panels. */
static size_t chunks_of(size_t k) {
    return (tile_count(k) + TILES - 1) / TILES;
}

size_t KERNEL(dw_tasks)(size_t k, size_t panels) {
    return chunks_of(k) * ((panels + PANELS - 1) / PANELS);
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

/* Copies `cols` columns of x together, X_STRIDE apart. */
static void pack_columns(const real *x, size_t ldx, size_t rows, size_t cols, real *packed) {
    for (size_t r = 0; r < rows; r++, x += ldx, packed += X_STRIDE) {
        for (size_t c = 0; c < cols; c += 16) {
            const bool whole = cols - c >= 16;
            vstore(packed + c, whole ? vload(x + c) : vloadn(x + c, (int)(cols - c), vzero()));
        }
    }
}

typedef struct task {
    size_t tile0, tile1; /* tiles of k */
    size_t panel0, panel1;
    bool bias; /* this task also sums the bias */
} task;

typedef struct work {
    real *x;      /* [ROWS][X_STRIDE] */
    real *dy;     /* [ROWS][32] */
    real *sums;   /* [VEC_MR][32]: a tile's sums over one group */
    real *bias;   /* [1 + TREE_LEVELS][PANELS][32]: the group's sums, then the tree */
    real *levels; /* [TREE_LEVELS][PANELS][TILES][VEC_MR][32] */
} work;

static work carve(real *scratch) {
    work w = {.x = scratch};
    w.dy = w.x + ROWS * X_STRIDE;
    w.sums = w.dy + ROWS * TUB__PANEL;
    w.bias = w.sums + TILE_SIZE;
    w.levels = w.bias + (1 + TREE_LEVELS) * PANELS * TUB__PANEL;
    return w;
}

/* Where the tree of a tile begins; tile and panel count from the task's first. */
INLINE real *tree_of(const work *w, size_t tile, size_t panel) {
    return w->levels + (panel * TILES + tile) * TILE_SIZE;
}

/* One tile over packed rows of one group, then, when the group ends with them, into its tree. A
 * group of more than ROWS rows goes on from the sums that wait at level 0 of a tree of its own: the
 * last level. */
static void tile_sums(const tub__k_dw *p, const task *t, const work *w, size_t tile, size_t panel,
                      size_t rows, bool first, bool last, size_t group) {
    const size_t k0 = tile_begin(p->k, t->tile0 + tile),
                 n = tile_begin(p->k, t->tile0 + tile + 1) - k0;
    const real *x = w->x + k0 - tile_begin(p->k, t->tile0);
    real *tree = tree_of(w, tile, panel), *open = tree + (TREE_LEVELS - 1) * LEVEL_SIZE;
    const bool straight = last && tree_rise(group) == 0; /* nothing to add: the sums are level 0 */
    real *c = straight ? tree : last ? w->sums : open;
    for (size_t j = 0; j < TUB__PANEL; j += WIDTH) {
        tiles_1[VEC_NV - 1][n - 1](rows, x, X_STRIDE, w->dy + j, TUB__PANEL,
                                   first ? NULL : open + j, TUB__PANEL, c + j, TUB__PANEL);
    }
    if (last && !straight) {
        tree_push(tree, LEVEL_SIZE, n * TUB__PANEL, group, w->sums);
    }
}

static void group_sums(const tub__k_dw *p, const task *t, const work *w, size_t row, size_t end,
                       size_t group) {
    const size_t k0 = tile_begin(p->k, t->tile0), cols = tile_begin(p->k, t->tile1) - k0;
    for (size_t r = row; r < end; r += ROWS) {
        const size_t rows = end - r < ROWS ? end - r : ROWS;
        pack_columns((const real *)p->x + r * p->ldx + k0, p->ldx, rows, cols, w->x);
        for (size_t panel = 0; panel < t->panel1 - t->panel0; panel++) {
            const real *dy = (const real *)p->dy + r * p->ldy + (t->panel0 + panel) * TUB__PANEL;
            pack_rows(dy, p->ldy, rows, w->dy, t->bias ? w->bias + panel * TUB__PANEL : NULL);
            for (size_t tile = 0; tile < t->tile1 - t->tile0; tile++) {
                tile_sums(p, t, w, tile, panel, rows, r == row, r + rows == end, group);
            }
        }
    }
}

static void write_totals(const tub__k_dw *p, const task *t, const work *w, size_t groups) {
    for (size_t panel = t->panel0; panel < t->panel1; panel++) {
        for (size_t tile = t->tile0; tile < t->tile1; tile++) {
            const size_t k0 = tile_begin(p->k, tile), n = tile_begin(p->k, tile + 1) - k0;
            tree_total(tree_of(w, tile - t->tile0, panel - t->panel0), LEVEL_SIZE, n * TUB__PANEL,
                       groups, (real *)p->dw + (panel * p->k + k0) * TUB__PANEL);
        }
    }
    if (t->bias) {
        tree_total(w->bias + PANELS * TUB__PANEL, PANELS * TUB__PANEL,
                   (t->panel1 - t->panel0) * TUB__PANEL, groups,
                   (real *)p->dbias + t->panel0 * TUB__PANEL);
    }
}

static void run_task(const tub__k_dw *p, const task *t, const work *w) {
    const size_t bias_size = (t->panel1 - t->panel0) * TUB__PANEL;
    size_t group = 0;
    for (size_t row = 0; row < p->rows; row += p->group_rows, group++) {
        const size_t end = p->rows - row < p->group_rows ? p->rows : row + p->group_rows;
        for (size_t i = 0; t->bias && i < bias_size; i += 16) {
            vstore(w->bias + i, vzero());
        }
        group_sums(p, t, w, row, end, group);
        if (t->bias) {
            tree_push(w->bias + PANELS * TUB__PANEL, PANELS * TUB__PANEL, bias_size, group,
                      w->bias);
        }
    }
    write_totals(p, t, w, group);
}

void KERNEL(dw)(const tub__k_dw *p, size_t task0, size_t task1, void *scratch) {
    const work w = carve(scratch);
    const size_t chunks = chunks_of(p->k), tiles = tile_count(p->k);
    for (size_t i = task0; i < task1; i++) {
        const size_t chunk = i % chunks, panel = i / chunks * PANELS;
        const task t = {.tile0 = tiles * chunk / chunks,
                        .tile1 = tiles * (chunk + 1) / chunks,
                        .panel0 = panel,
                        .panel1 = panel + PANELS < p->panels ? panel + PANELS : p->panels,
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
