/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of a weight and its bias: x^T dy, chained within groups of rows, groups added in the
 * balanced tree.
 *
 * A task is a chunk of a few tiles of k times a few panels of 32 columns. A worker goes over the
 * rows slice by slice and does all its tasks for a slice before the next, so that x and dy come from
 * memory in order; the tasks' partial sums wait in scratch. Tasks whose sums have no room there are
 * done afterwards, from the first row again. Of a slice, the panels of dy and the columns of x that a task needs are packed:
 * in the matrices the rows lie far apart, which costs cache conflicts. */
#include "backend/cpu/entries.h"
#include "backend/cpu/tile.h"
#include "backend/cpu/weight_gradient_bf16.h"

DEFINE_TILES(1)

enum {
    WIDTH = 16 * VEC_NV,
    TILES = 5,  /* in a chunk */
    PANELS = 4, /* in a task: packing x is shared by so many */
    ROWS = 128, /* of a slice, at most */
    X_STRIDE = (TILES * VEC_MR + 15) / 16 * 16,
    TILE_SIZE = VEC_MR * TUB__PANEL,
    PANEL_SIZE = ROWS * TUB__PANEL,
    TILES_SIZE = TILES * PANELS * TILE_SIZE,
    LEVEL_SIZE = TILES_SIZE + PANELS * TUB__PANEL, /* of a task's sums, and those of its bias */
    TREES = TUB__K_SCRATCH - ROWS * X_STRIDE - PANELS * PANEL_SIZE - TILE_SIZE
};
_Static_assert((1 + TREE_LEVELS) * LEVEL_SIZE <= TREES, "a task's sums fit the scratch");

/* How the work falls into tasks: every task is some neighbouring tiles of k times some panels. */
static size_t chunks_of(size_t k) {
    return (tile_count(k) + TILES - 1) / TILES;
}

tile_fn *KERNEL(dw_tile)(size_t rows) {
    return tiles_1[VEC_NV - 1][rows - 1];
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
    bool bias;    /* this task also sums the bias */
    real *levels; /* [levels + 1] of LEVEL_SIZE: the tree; the last is the group's sums so far, for
                     groups of several slices, and for the bias always */
} task;

/* Rows of one group that are packed at once. */
typedef struct slice {
    size_t row, rows, group;
    bool first, last; /* of the group */
} slice;

typedef struct work {
    real *x;      /* [ROWS][X_STRIDE] */
    real *dy;     /* [PANELS][ROWS][32] */
    real *sums;   /* [VEC_MR][32]: a tile's sums over one group */
    real *trees;  /* of the tasks at hand */
    size_t depth; /* of a tree: levels + 1 */
} work;

static work carve(const tub__k_dw *p, real *scratch) {
    const size_t groups = (p->rows + p->group_rows - 1) / p->group_rows;
    work w = {.x = scratch, .depth = 2};
    w.dy = w.x + ROWS * X_STRIDE;
    w.sums = w.dy + PANELS * PANEL_SIZE;
    w.trees = w.sums + TILE_SIZE;
    for (; groups >> (w.depth - 1); w.depth++) {
    }
    return w;
}

/* Task number i, whose sums lie in tree number `tree`. */
static task task_of(const tub__k_dw *p, const work *w, size_t i, size_t tree) {
    const size_t chunks = chunks_of(p->k), tiles = tile_count(p->k);
    const size_t chunk = i % chunks, panel = i / chunks * PANELS;
    return (task){.tile0 = tiles * chunk / chunks,
                  .tile1 = tiles * (chunk + 1) / chunks,
                  .panel0 = panel,
                  .panel1 = tub__min(panel + PANELS, p->panels),
                  .bias = p->dbias && chunk == 0,
                  .levels = w->trees + tree * w->depth * LEVEL_SIZE};
}

INLINE real *open_level(const task *t, const work *w) {
    return t->levels + (w->depth - 1) * LEVEL_SIZE;
}

/* Where the sums of a tile lie in a level; tile and panel count from the task's first. */
INLINE size_t place_of(size_t tile, size_t panel) {
    return (panel * TILES + tile) * TILE_SIZE;
}

/* One tile over a slice, then, when the group ends with it, into its tree. */
static void tile_sums(const tub__k_dw *p, const task *t, const work *w, const slice *s, size_t tile,
                      size_t panel) {
    const size_t k0 = tile_begin(p->k, t->tile0 + tile),
                 n = tile_begin(p->k, t->tile0 + tile + 1) - k0;
    const real *x = w->x + k0 - tile_begin(p->k, t->tile0), *dy = w->dy + panel * PANEL_SIZE;
    real *tree = t->levels + place_of(tile, panel),
         *open = open_level(t, w) + place_of(tile, panel);
    const bool straight = s->last && tree_rise(s->group) == 0; /* nothing to add: it is level 0 */
    real *c = straight ? tree : s->last ? w->sums : open;
    for (size_t j = 0; j < TUB__PANEL; j += WIDTH) {
        tiles_1[VEC_NV - 1][n - 1](s->rows, x, X_STRIDE, dy + j, TUB__PANEL,
                                   s->first ? NULL : open + j, TUB__PANEL, c + j, TUB__PANEL);
    }
    if (s->last && !straight) {
        tree_push(tree, LEVEL_SIZE, n * TUB__PANEL, s->group, w->sums);
    }
}

/* The task's panels of dy, and the sums of its bias on the way. */
static void pack_panels(const tub__k_dw *p, const task *t, const work *w, const slice *s) {
    real *bias = t->bias ? open_level(t, w) + TILES_SIZE : NULL;
    const size_t size = (t->panel1 - t->panel0) * TUB__PANEL;
    for (size_t i = 0; bias && s->first && i < size; i += 16) {
        vstore(bias + i, vzero());
    }
    for (size_t panel = 0; panel < t->panel1 - t->panel0; panel++) {
        const real *dy = (const real *)p->dy + s->row * p->ldy + (t->panel0 + panel) * TUB__PANEL;
        pack_rows(dy, p->ldy, s->rows, w->dy + panel * PANEL_SIZE,
                  bias ? bias + panel * TUB__PANEL : NULL);
    }
    if (bias && s->last) {
        tree_push(t->levels + TILES_SIZE, LEVEL_SIZE, size, s->group, bias);
    }
}

static void task_slice(const tub__k_dw *p, const task *t, const work *w, const slice *s) {
    const size_t k0 = tile_begin(p->k, t->tile0), cols = tile_begin(p->k, t->tile1) - k0;
    pack_columns((const real *)p->x + s->row * p->ldx + k0, p->ldx, s->rows, cols, w->x);
    for (size_t panel = 0; panel < t->panel1 - t->panel0; panel++) {
        for (size_t tile = 0; tile < t->tile1 - t->tile0; tile++) {
            tile_sums(p, t, w, s, tile, panel);
        }
    }
}

/* Tasks of the same panels follow each other, the one that sums their bias first. */
static void tasks_slice(const tub__k_dw *p, const work *w, const slice *s, size_t task0,
                        size_t task1) {
    size_t packed = SIZE_MAX;
    for (size_t i = task0; i < task1; i++) {
        const task t = task_of(p, w, i, i - task0);
        if (t.panel0 != packed) {
            pack_panels(p, &t, w, s);
            packed = t.panel0;
        }
        task_slice(p, &t, w, s);
    }
}

static void write_totals(const tub__k_dw *p, const task *t, size_t groups) {
    for (size_t panel = t->panel0; panel < t->panel1; panel++) {
        for (size_t tile = t->tile0; tile < t->tile1; tile++) {
            const size_t k0 = tile_begin(p->k, tile), n = tile_begin(p->k, tile + 1) - k0;
            tree_total(t->levels + place_of(tile - t->tile0, panel - t->panel0), LEVEL_SIZE,
                       n * TUB__PANEL, groups, (real *)p->dw + (panel * p->k + k0) * TUB__PANEL);
        }
    }
    if (t->bias) {
        tree_total(t->levels + TILES_SIZE, LEVEL_SIZE, (t->panel1 - t->panel0) * TUB__PANEL, groups,
                   (real *)p->dbias + t->panel0 * TUB__PANEL);
    }
}

/* As many tasks as have room for their sums. */
static void run_tasks(const tub__k_dw *p, const work *w, size_t task0, size_t task1) {
    slice s = {.group = 0};
    for (size_t row = 0; row < p->rows; row += p->group_rows, s.group++) {
        const size_t end = tub__min(row + p->group_rows, p->rows);
        for (s.row = row; s.row < end; s.row += ROWS) {
            s.rows = tub__min(end - s.row, ROWS);
            s.first = s.row == row;
            s.last = s.row + s.rows == end;
            tasks_slice(p, w, &s, task0, task1);
        }
    }
    for (size_t i = task0; i < task1; i++) {
        const task t = task_of(p, w, i, i - task0);
        write_totals(p, &t, s.group);
    }
}

void KERNEL(dw)(const tub__k_dw *p, size_t task0, size_t task1, void *scratch) {
    const work w = carve(p, scratch);
    const size_t room = TREES / (w.depth * LEVEL_SIZE);
    for (size_t i = task0; i < task1; i += room) {
        run_tasks(p, &w, i, tub__min(i + room, task1));
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
