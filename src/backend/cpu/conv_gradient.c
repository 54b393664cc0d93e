/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of a convolution's weight and bias: gathered rows, transposed, times dy.
 *
 * A task is one tap, some channels of x and two panels of columns. A worker goes over the rows slice
 * by slice and does for each as many tasks as have room for their sums: the panels of dy are packed
 * once for them, and what neighbouring taps gather is near. Rows are chained within groups of
 * samples, and the groups' sums are added in the balanced tree. */
#include <assert.h>

#include "backend/cpu/conv.h"
#include "backend/cpu/sum_tree.h"
#include "backend/cpu/tile.h"

DEFINE_TILES(1)

enum {
    WIDTH = 16 * VEC_NV,
    ROWS = 256,     /* of a slice, at most */
    CHANNELS = 128, /* of a task, at most */
    PANELS = 2,
    SPARE = 16,
    DY_SIZE = PANELS * ROWS * TUB__PANEL,
    GATHER_SIZE = ROWS * (CHANNELS + SPARE),
    BIAS_SIZE = PANELS * TUB__PANEL,
    SUMS = TUB__K_SCRATCH - DY_SIZE - GATHER_SIZE
};
_Static_assert((2 + TREE_LEVELS) * PANELS * TUB__PANEL * (CHANNELS + 1) <= SUMS,
               "a task's sums fit the scratch");

typedef struct conv_task {
    size_t tap, channel, channels, panel, panels;
    bool bias;
    real *open; /* sums of the group at hand, then those of its bias, then the levels */
} conv_task;

typedef struct conv_sums {
    const tub__conv_dw *op;
    conv_source source;
    size_t taps, chunks, chunk; /* chunk: channels of a task but the last */
    size_t unit, depth;         /* reals of a task's sums of one group, and how many of those */
    real *dy, *gathered, *sums;
    conv_place place[ROWS];
} conv_sums;

static size_t chunks_of(size_t channels) {
    return (channels + CHANNELS - 1) / CHANNELS;
}

size_t KERNEL(conv_dw_tasks)(const tub__conv_dw *op) {
    const size_t panels = tub__padded(op->dw.cols) / TUB__PANEL;
    return (panels + PANELS - 1) / PANELS * tub__window_taps(&op->window) * chunks_of(op->x.cols);
}

static conv_task task_of(const conv_sums *s, size_t number, size_t place) {
    const size_t panels = tub__padded(s->op->dw.cols) / TUB__PANEL, each = s->taps * s->chunks;
    const size_t tap = number % each / s->chunks, chunk = number % s->chunks;
    conv_task t = {.tap = tap,
                   .channel = chunk * s->chunk,
                   .panel = number / each * PANELS,
                   .bias = s->op->dbias && tap == 0 && chunk == 0,
                   .open = s->sums + place * s->unit * s->depth};
    t.channels = tub__min(s->chunk, s->op->x.cols - t.channel);
    t.panels = tub__min(PANELS, panels - t.panel);
    return t;
}

/* Where a task's sums are in the end. */
static real *dw_of(const conv_sums *s, const conv_task *t, size_t panel) {
    return (real *)s->op->dw.data +
           ((t->panel + panel) * s->op->dw.rows + t->tap * s->op->x.cols + t->channel) * TUB__PANEL;
}

static void copy_sums(const real *from, size_t n, real *to) {
    for (size_t i = 0; i < n; i += 16) {
        vstore(to + i, from ? vload(from + i) : vzero());
    }
}

/* A group begins, or goes on from the last call. */
static void open_group(const conv_sums *s, const conv_task *t) {
    const size_t size = t->channels * TUB__PANEL;
    for (size_t p = 0; p < t->panels; p++) {
        copy_sums(s->op->more ? dw_of(s, t, p) : NULL, size, t->open + p * size);
    }
    if (t->bias) {
        const real *before = (const real *)s->op->dbias + t->panel * TUB__PANEL;
        copy_sums(s->op->more ? before : NULL, t->panels * TUB__PANEL, t->open + t->panels * size);
    }
}

static size_t size_of(const conv_task *t) {
    return t->panels * TUB__PANEL * (t->channels + (t->bias ? 1 : 0));
}

static sum_tree tree_of(const conv_sums *s, real *first, size_t size) {
    return (sum_tree){.far = first + s->unit, .far_stride = s->unit, .size = size};
}

static void close_group(const conv_sums *s, const conv_task *t, size_t group) {
    const sum_tree tree = tree_of(s, t->open, size_of(t));
    tree_push(&tree, group, t->open);
}

static void pack_dy(const conv_sums *s, const conv_task *t, size_t row, size_t rows) {
    for (size_t p = 0; p < t->panels; p++) {
        for (size_t r = 0; r < rows; r++) {
            const real *from = row_of(s->op->dy, row + r) + (t->panel + p) * TUB__PANEL;
            real *to = s->dy + (p * ROWS + r) * TUB__PANEL;
            for (size_t i = 0; i < TUB__PANEL; i += 16) {
                vstore(to + i, vload(from + i));
            }
        }
    }
}

static void add_bias(const conv_sums *s, const conv_task *t, size_t rows) {
    for (size_t p = 0; p < t->panels; p++) {
        for (size_t i = 0; i < TUB__PANEL; i += 16) {
            real *to = t->open + t->panels * TUB__PANEL * t->channels + p * TUB__PANEL + i;
            vf sum = vload(to);
            for (size_t r = 0; r < rows; r++) {
                sum = vadd(sum, vload(s->dy + (p * ROWS + r) * TUB__PANEL + i));
            }
            vstore(to, sum);
        }
    }
}

static void gather(const conv_sums *s, const conv_task *t, size_t rows) {
    const tub__window *g = &s->op->window;
    const conv_tap tap = {{(ptrdiff_t)(t->tap / (g->kernel[1] * g->kernel[2])),
                           (ptrdiff_t)(t->tap / g->kernel[2] % g->kernel[1]),
                           (ptrdiff_t)(t->tap % g->kernel[2])},
                          t->tap};
    for (size_t r = 0; r < rows; r++) {
        const real *from = conv_row(&s->source, &s->place[r], &tap);
        conv_copy(from ? from + t->channel : NULL, t->channels,
                  s->gathered + r * (t->channels + SPARE));
    }
}

/* The slice's part of every chain of a task. */
static void multiply(const conv_sums *s, const conv_task *t, size_t rows) {
    const size_t tiles = tile_count(t->channels), ld = t->channels + SPARE;
    for (size_t p = 0; p < t->panels; p++) {
        const size_t first = (t->panel + p) * TUB__PANEL; /* the padding stays zero */
        for (size_t col = 0; col < TUB__PANEL && first + col < s->op->dw.cols; col += WIDTH) {
            for (size_t i = 0; i < tiles; i++) {
                const size_t k = tile_begin(t->channels, i), n = tile_begin(t->channels, i + 1) - k;
                real *c = t->open + (p * t->channels + k) * TUB__PANEL + col;
                tiles_1[VEC_NV - 1][n - 1](rows, s->gathered + k, ld,
                                           s->dy + p * ROWS * TUB__PANEL + col, TUB__PANEL, c,
                                           TUB__PANEL, c, TUB__PANEL);
            }
        }
    }
}

static void slice(conv_sums *s, size_t row, size_t rows, size_t task0, size_t task1) {
    const tub__window *g = &s->op->window;
    size_t packed = SIZE_MAX;
    const ptrdiff_t from[3] = {-(ptrdiff_t)g->pad[0], -(ptrdiff_t)g->pad[1], -(ptrdiff_t)g->pad[2]};
    for (size_t r = 0; r < rows; r++) {
        s->place[r] = conv_place_of(row + r, g->out, g->stride, from, tub__window_in(g));
    }
    for (size_t i = task0; i < task1; i++) {
        const conv_task t = task_of(s, i, i - task0);
        if (t.panel != packed) {
            pack_dy(s, &t, row, rows);
            packed = t.panel;
        }
        if (t.bias) {
            add_bias(s, &t, rows);
        }
        gather(s, &t, rows);
        multiply(s, &t, rows);
    }
}

static void write_totals(const conv_sums *s, const conv_task *t, size_t groups) {
    const size_t size = t->channels * TUB__PANEL;
    for (size_t p = 0; p < t->panels; p++) {
        const sum_tree tree = tree_of(s, t->open + p * size, size);
        tree_total(&tree, groups, 0, tree_height(groups), NULL, dw_of(s, t, p));
    }
    if (t->bias) {
        const sum_tree tree = tree_of(s, t->open + t->panels * size, t->panels * TUB__PANEL);
        tree_total(&tree, groups, 0, tree_height(groups), NULL,
                   (real *)s->op->dbias + t->panel * TUB__PANEL);
    }
}

static void run_tasks(conv_sums *s, size_t task0, size_t task1) {
    const size_t places = tub__window_out(&s->op->window), rows = s->op->samples * places,
                 whole = s->op->group * places;
    size_t group = 0;
    for (size_t begin = 0; begin < rows; begin += whole, group++) {
        const size_t end = tub__min(begin + whole, rows);
        for (size_t i = task0; i < task1; i++) {
            const conv_task t = task_of(s, i, i - task0);
            open_group(s, &t);
        }
        for (size_t row = begin; row < end; row += ROWS) {
            slice(s, row, tub__min(end - row, ROWS), task0, task1);
        }
        for (size_t i = task0; i < task1; i++) {
            const conv_task t = task_of(s, i, i - task0);
            close_group(s, &t, group);
        }
    }
    for (size_t i = task0; i < task1; i++) {
        const conv_task t = task_of(s, i, i - task0);
        write_totals(s, &t, group);
    }
}

void KERNEL(conv_dw)(const tub__conv_dw *op, size_t task0, size_t task1, void *scratch) {
    const tub__window *g = &op->window;
    const size_t groups = (op->samples + op->group - 1) / op->group;
    conv_sums s = {.op = op,
                   .source = {op->x, {g->in[0], g->in[1], g->in[2]}},
                   .taps = tub__window_taps(g),
                   .chunks = chunks_of(op->x.cols),
                   .depth = 1 + (size_t)tree_height(groups),
                   .dy = scratch,
                   .gathered = (real *)scratch + DY_SIZE,
                   .sums = (real *)scratch + DY_SIZE + GATHER_SIZE};
    s.chunk = (op->x.cols + s.chunks - 1) / s.chunks;
    s.unit = PANELS * TUB__PANEL * (s.chunk + 1);
    const size_t room = SUMS / (s.unit * s.depth);
    assert(room > 0 && groups <= TUB__GROUPS_LIMIT && (!op->more || groups == 1));
    for (size_t i = task0; i < task1; i += room) {
        run_tasks(&s, i, tub__min(i + room, task1));
    }
}
