/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of a weight and its bias: x^T dy, chained within groups of rows, groups added in the
 * balanced tree.
 *
 * A task is a chunk of a few tiles of k times a few panels of 32 columns. A worker goes over the
 * rows slice by slice and does all its tasks for a slice before the next, so that x and dy come
 * from memory in order; the tasks' partial sums wait in scratch. Tasks whose sums have no room
 * there are done afterwards, from the first row again. Of a slice, the panels of dy that a task
 * needs are packed: its rows lie far apart, which costs cache conflicts, and all tiles use them. A
 * tile's columns of x are used once for every panel and come as they are. While one task is at
 * work, what the next one reads is asked for.
 *
 * A slice is 1, 2 or 4 whole groups, whose sums meet in near memory, or part of a group. The sums of
 * an only group may go on from what dw and dbias hold. */
#include <assert.h>

#include "backend/cpu/entries.h"
#include "backend/cpu/sum_tree.h"
#include "backend/cpu/tile.h"
#include "backend/cpu/weight_gradient_bf16.h"

DEFINE_TILES(1)
DEFINE_AHEAD_TILES(1)

enum {
    WIDTH = 16 * VEC_NV,
    TILES = 5,  /* in a chunk */
    PANELS = 2, /* in a task: so many find a slice's x in L2 */
    ROWS = 432, /* of a slice, at most */
    NEAR = 2,   /* levels of the tree within a slice, at most */
    LINE = 16,
    TILE_SIZE = VEC_MR * TUB__PANEL,
    PANEL_SIZE = ROWS * TUB__PANEL,
    TILES_SIZE = TILES * PANELS * TILE_SIZE,
    BIAS_SIZE = PANELS * TUB__PANEL,
    LEVEL_SIZE = TILES_SIZE + BIAS_SIZE, /* of a task's sums, and those of its bias */
    NEAR_SIZE = TILES * NEAR * TILE_SIZE,
    TREES = TUB__K_SCRATCH - PANELS * PANEL_SIZE - TILE_SIZE - NEAR_SIZE - (1 + NEAR) * BIAS_SIZE
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

/* The first column in the same line of memory, rows beginning with one. */
INLINE size_t line_of(size_t column) {
    return column & ~(size_t)(LINE - 1);
}

/* Copies rows of one panel of dy together; adds them to bias where given. */
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

/* A part of a matrix that will be read soon. Every tile asks for one line of some of its rows,
 * one a step: all at once would wait for each other. */
typedef struct ahead {
    const real *at;
    size_t ld, lines, rows; /* lines of a row that are left, and rows */
    size_t row;             /* of the line at hand */
} ahead;

/* What a tile of `steps` steps asks for; at NULL: nothing is left. */
static tile_ahead next_ahead(ahead *a, size_t steps) {
    if (a->lines == 0 || a->rows == 0) {
        return (tile_ahead){NULL, 0};
    }
    const tile_ahead t = {a->at + a->row * a->ld, a->ld};
    a->row += steps;
    if (a->row >= a->rows) {
        a->row = 0, a->at += LINE, a->lines--;
    }
    return t;
}

typedef struct task {
    size_t tile0, tile1; /* tiles of k */
    size_t panel0, panel1;
    bool bias;    /* this task also sums the bias */
    real *open;   /* [LEVEL_SIZE]: the sums of a group that does not end with its slice; at last,
                     what the near levels came to */
    real *levels; /* the far levels, LEVEL_SIZE each */
} task;

/* Rows that are packed at once. */
typedef struct slice {
    size_t row, rows;
    size_t group, groups; /* number of the first, and how many */
    bool first, last;     /* of the group, which more than one always begin and end */
} slice;

typedef struct work {
    real *dy;               /* [PANELS][ROWS][32] */
    real *sums;             /* [VEC_MR][32]: a tile's sums over one group */
    real *bias;             /* [BIAS_SIZE]: likewise */
    real *near, *near_bias; /* [TILES][NEAR][VEC_MR][32], [NEAR][BIAS_SIZE] */
    real *trees;            /* of the tasks at hand */
    size_t depth;           /* of a tree: far levels + 1 */
    int near_levels;
    ahead x_ahead, dy_ahead; /* of the next task */
} work;

/* Groups that some rows from the beginning of one make; the last may be shorter. */
static size_t groups_of(const tub__k_dw *p, size_t rows) {
    return (rows + p->group_rows - 1) / p->group_rows;
}

static work carve(const tub__k_dw *p, real *scratch) {
    work w = {.dy = scratch};
    w.sums = w.dy + PANELS * PANEL_SIZE;
    w.bias = w.sums + TILE_SIZE;
    w.near = w.bias + BIAS_SIZE;
    w.near_bias = w.near + NEAR_SIZE;
    w.trees = w.near_bias + NEAR * BIAS_SIZE;
    while (w.near_levels < NEAR && p->group_rows << (w.near_levels + 1) <= ROWS) {
        w.near_levels++;
    }
    w.depth = 1 + (size_t)tree_height(groups_of(p, p->rows) >> w.near_levels);
    return w;
}

/* Task number i, whose sums lie in tree number `tree`. */
static task task_of(const tub__k_dw *p, const work *w, size_t i, size_t tree) {
    const size_t chunks = chunks_of(p->k), tiles = tile_count(p->k);
    const size_t chunk = i % chunks, panel = i / chunks * PANELS;
    real *open = w->trees + tree * w->depth * LEVEL_SIZE;
    return (task){.tile0 = tiles * chunk / chunks,
                  .tile1 = tiles * (chunk + 1) / chunks,
                  .panel0 = panel,
                  .panel1 = tub__min(panel + PANELS, p->panels),
                  .bias = p->dbias && chunk == 0,
                  .open = open,
                  .levels = open + LEVEL_SIZE};
}

/* Where the sums of a tile lie in a level; tile and panel count from the task's first. */
INLINE size_t place_of(size_t tile, size_t panel) {
    return (panel * TILES + tile) * TILE_SIZE;
}

static sum_tree tree_of_tile(const tub__k_dw *p, const task *t, const work *w, size_t tile,
                             size_t panel) {
    const size_t k0 = tile_begin(p->k, t->tile0 + tile), k1 = tile_begin(p->k, t->tile0 + tile + 1);
    return (sum_tree){.near = w->near + tile * NEAR * TILE_SIZE,
                      .near_stride = TILE_SIZE,
                      .near_levels = w->near_levels,
                      .far = t->levels + place_of(tile, panel),
                      .far_stride = LEVEL_SIZE,
                      .size = (k1 - k0) * TUB__PANEL};
}

static sum_tree tree_of_bias(const task *t, const work *w) {
    return (sum_tree){.near = w->near_bias,
                      .near_stride = BIAS_SIZE,
                      .near_levels = w->near_levels,
                      .far = t->levels + TILES_SIZE,
                      .far_stride = LEVEL_SIZE,
                      .size = (t->panel1 - t->panel0) * TUB__PANEL};
}

/* Groups that did not come to a whole slice leave the near levels: they are added up for the
 * total. */
static void close_near(const sum_tree *t, size_t groups, real *open) {
    const size_t left = tree_near(groups, t->near_levels);
    if (left > 0) {
        tree_total(t, left, 0, t->near_levels, NULL, open);
    }
}

/* Rows of group number g of a slice. */
INLINE size_t rows_of_group(const tub__k_dw *p, const slice *s, size_t g) {
    return tub__min(p->group_rows, s->rows - g * p->group_rows);
}

/* Where a tile's sums go in the end; tile and panel count from the task's first. */
INLINE real *dw_of(const tub__k_dw *p, const task *t, size_t tile, size_t panel) {
    const size_t row = (t->panel0 + panel) * p->k + tile_begin(p->k, t->tile0 + tile);
    return (real *)p->dw + row * TUB__PANEL;
}

/* A tile over group g of a slice, and if the group ends with it, into the tile's tree. */
static void tile_sums(const tub__k_dw *p, const task *t, work *w, const slice *s, size_t tile,
                      size_t panel, size_t g) {
    const sum_tree tree = tree_of_tile(p, t, w, tile, panel);
    const size_t n = tree.size / TUB__PANEL, row = g * p->group_rows, rows = rows_of_group(p, s, g);
    const real *x =
                   (const real *)p->x + (s->row + row) * p->ldx + tile_begin(p->k, t->tile0 + tile),
               *dy = w->dy + panel * PANEL_SIZE + row * TUB__PANEL;
    real *open = t->open + place_of(tile, panel);
    const real *before = !s->first ? open : p->more ? dw_of(p, t, tile, panel) : NULL;
    const bool straight = tree_rise(s->group + g) == 0; /* nothing to add: it is level 0 */
    real *c = !s->last ? open : straight ? tree_level(&tree, 0) : w->sums;
    for (size_t j = 0; j < TUB__PANEL; j += WIDTH) {
        const real *start = before ? before + j : NULL;
        tile_ahead soon = next_ahead(&w->x_ahead, rows);
        soon = soon.at ? soon : next_ahead(&w->dy_ahead, rows);
        if (soon.at) {
            tiles_ahead_1[n - 1](rows, x, p->ldx, dy + j, TUB__PANEL, start, TUB__PANEL, c + j,
                                 TUB__PANEL, soon);
        } else {
            tiles_1[VEC_NV - 1][n - 1](rows, x, p->ldx, dy + j, TUB__PANEL, start, TUB__PANEL,
                                       c + j, TUB__PANEL);
        }
    }
    if (s->last && !straight) {
        tree_push(&tree, s->group + g, w->sums);
    }
    if (s->last && g + 1 == s->groups) {
        close_near(&tree, s->group + s->groups, open);
    }
}

/* The task's panels of dy, and the sums of its bias on the way. */
static void pack_panels(const tub__k_dw *p, const task *t, const work *w, const slice *s) {
    const sum_tree tree = tree_of_bias(t, w);
    real *open = t->open + TILES_SIZE;
    for (size_t g = 0; g < s->groups; g++) {
        const size_t row = g * p->group_rows, rows = rows_of_group(p, s, g);
        real *bias = t->bias ? s->last && s->first ? w->bias : open : NULL;
        for (size_t i = 0; bias && s->first && i < tree.size; i += 16) {
            const real *before = (const real *)p->dbias + t->panel0 * TUB__PANEL + i;
            vstore(bias + i, p->more ? vload(before) : vzero());
        }
        for (size_t panel = 0; panel < t->panel1 - t->panel0; panel++) {
            const size_t col = panel * TUB__PANEL;
            pack_rows((const real *)p->dy + (s->row + row) * p->ldy + t->panel0 * TUB__PANEL + col,
                      p->ldy, rows, w->dy + panel * PANEL_SIZE + row * TUB__PANEL,
                      bias ? bias + col : NULL);
        }
        if (bias && s->last) {
            tree_push(&tree, s->group + g, bias);
        }
    }
    if (t->bias && s->last) {
        close_near(&tree, s->group + s->groups, open);
    }
}

/* What a task will read of the rows [row, row + rows). */
static void look_ahead(const tub__k_dw *p, const task *t, size_t row, size_t rows, bool panels,
                       work *w) {
    const size_t k0 = line_of(tile_begin(p->k, t->tile0)), k1 = tile_begin(p->k, t->tile1);
    w->x_ahead = (ahead){.at = (const real *)p->x + row * p->ldx + k0,
                         .ld = p->ldx,
                         .lines = (k1 - k0 + LINE - 1) / LINE,
                         .rows = rows};
    w->dy_ahead = (ahead){.at = (const real *)p->dy + row * p->ldy + t->panel0 * TUB__PANEL,
                          .ld = p->ldy,
                          .lines = (t->panel1 - t->panel0) * (TUB__PANEL / LINE),
                          .rows = panels ? rows : 0};
}

/* Of a panel, a group's rows stay in L1 while the tiles pass by. */
static void task_slice(const tub__k_dw *p, const task *t, work *w, const slice *s) {
    const size_t tiles = t->tile1 - t->tile0, panels = t->panel1 - t->panel0;
    for (size_t panel = 0; panel < panels; panel++) {
        for (size_t g = 0; g < s->groups; g++) {
            for (size_t tile = 0; tile < tiles; tile++) {
                tile_sums(p, t, w, s, tile, panel, g);
            }
        }
    }
}

/* Tasks of the same panels follow each other, the one that sums their bias first. */
static void tasks_slice(const tub__k_dw *p, work *w, const slice *s, size_t task0, size_t task1) {
    size_t packed = SIZE_MAX;
    for (size_t i = task0; i < task1; i++) {
        const task t = task_of(p, w, i, i - task0);
        if (t.panel0 != packed) {
            pack_panels(p, &t, w, s);
            packed = t.panel0;
        }
        if (i + 1 < task1) {
            const task next = task_of(p, w, i + 1, i + 1 - task0);
            look_ahead(p, &next, s->row, s->rows, next.panel0 != packed, w);
        } else {
            const task next = task_of(p, w, task0, 0);
            const size_t row = s->row + s->rows;
            look_ahead(p, &next, row, tub__min(ROWS, p->rows - row), true, w);
        }
        task_slice(p, &t, w, s);
    }
}

static void write_totals(const tub__k_dw *p, const task *t, const work *w) {
    const size_t groups = groups_of(p, p->rows);
    const bool rest = tree_near(groups, w->near_levels) > 0;
    for (size_t panel = 0; panel < t->panel1 - t->panel0; panel++) {
        for (size_t tile = 0; tile < t->tile1 - t->tile0; tile++) {
            const sum_tree tree = tree_of_tile(p, t, w, tile, panel);
            tree_total(&tree, groups, w->near_levels, tree_height(groups),
                       rest ? t->open + place_of(tile, panel) : NULL, dw_of(p, t, tile, panel));
        }
    }
    if (t->bias) {
        const sum_tree tree = tree_of_bias(t, w);
        tree_total(&tree, groups, w->near_levels, tree_height(groups),
                   rest ? t->open + TILES_SIZE : NULL, (real *)p->dbias + t->panel0 * TUB__PANEL);
    }
}

/* As many tasks as have room for their sums. */
static void run_tasks(const tub__k_dw *p, work *w, size_t task0, size_t task1) {
    const size_t whole = p->group_rows << w->near_levels; /* rows of a slice of whole groups */
    slice s = {.group = 0};
    for (size_t row = 0; row < p->rows; row += whole, s.group += s.groups) {
        const size_t end = tub__min(row + whole, p->rows);
        s.groups = groups_of(p, end - row);
        for (s.row = row; s.row < end; s.row += ROWS) {
            s.rows = tub__min(end - s.row, ROWS);
            s.first = s.row == row;
            s.last = s.row + s.rows == end;
            tasks_slice(p, w, &s, task0, task1);
        }
    }
    for (size_t i = task0; i < task1; i++) {
        const task t = task_of(p, w, i, i - task0);
        write_totals(p, &t, w);
    }
}

void KERNEL(dw)(const tub__k_dw *p, size_t task0, size_t task1, void *scratch) {
    work w = carve(p, scratch);
    const size_t room = TREES / (w.depth * LEVEL_SIZE);
    assert(room > 0 && groups_of(p, p->rows) <= TUB__GROUPS_LIMIT);
    assert(!p->more || groups_of(p, p->rows) == 1);
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
