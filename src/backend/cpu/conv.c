/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions forward, and the gradient of their input, as products with gathered rows.
 *
 * A block of rows is made at a time: of as many taps as fit, what they see is gathered into scratch,
 * and the tiles of the matrix products go over that; the chains go on in the output from tap to tap.
 * The gradient of the input is the same with the weight turned: of the places of the input, those
 * that the same taps see (a class: with stride 2 every other one along an axis) are done together. */
#include "backend/cpu/conv.h"
#include "backend/cpu/tile.h"

DEFINE_TILES(0)

enum {
    WIDTH = 16 * VEC_NV,
    ROWS = TUB__K_CONV_ROWS,
    GATHERED = 32768, /* reals that are gathered at once, if that is more than one tap */
    WEIGHTS = 49152,  /* of a weight that pass by at once */
    SPARE = 16,       /* between gathered rows: a power of two would share few places of a cache */
    GATHER_ROOM = GATHERED + ROWS * (TUB__CHANNEL_LIMIT + SPARE),
    OUT_ROOM = ROWS * TUB__CHANNEL_LIMIT
};
_Static_assert((int)GATHER_ROOM + (int)OUT_ROOM <= (int)TUB__K_SCRATCH,
               "gathered and made rows fit the scratch");

/* One kind of places, all seen by the same taps. */
typedef struct conv_class {
    conv_tap tap[TUB__WINDOW_LIMIT];
    size_t taps;
    size_t grid[3], step[3]; /* the places that are made, and how far windows move between them */
    ptrdiff_t from[3];       /* where the first window stands */
    size_t out_step[3], out_from[3], out_grid[3]; /* places in the output */
    bool dense;                                   /* which are all places in order */
} conv_class;

typedef struct conv_work {
    const conv_class *class;
    conv_source source;
    size_t channels;    /* of the source */
    const real *weight; /* packed panels of `depth` rows, `channels` for each tap number */
    size_t depth;
    const real *bias;
    bool more;
    tub__mat out;
    size_t used; /* columns of out in whole tiles: of the padding behind them nothing is computed */
    real *gathered, *made;
    size_t ldgathered;
    conv_place place[ROWS];
} conv_work;

static size_t out_row(const conv_class *c, size_t index) {
    const size_t places = c->grid[0] * c->grid[1] * c->grid[2], p = index % places;
    const size_t at[3] = {p / (c->grid[1] * c->grid[2]), p / c->grid[2] % c->grid[1],
                          p % c->grid[2]};
    size_t row = index / places;
    for (int i = 0; i < 3; i++) {
        row = row * c->out_grid[i] + at[i] * c->out_step[i] + c->out_from[i];
    }
    return row;
}

static void gather(conv_work *w, size_t rows, size_t tap0, size_t tap1) {
    for (size_t r = 0; r < rows; r++) {
        real *to = w->gathered + r * w->ldgathered;
        for (size_t t = tap0; t < tap1; t++, to += w->channels) {
            conv_copy(conv_row(&w->source, &w->place[r], &w->class->tap[t]), w->channels, to);
        }
    }
}

/* Taps [tap0, tap1), whose numbers follow each other, are at `a`: their part of every chain. */
static void multiply(const conv_work *w, const real *a, size_t rows, size_t tap0, size_t tap1,
                     size_t panel0, size_t panel1, bool fresh, real *c, size_t ldc) {
    const size_t k = (tap1 - tap0) * w->channels,
                 first = w->class->tap[tap0].number * w->channels * TUB__PANEL;
    const size_t fit = WEIGHTS / (k * TUB__PANEL), step = fit > 1 ? fit : 1;
    const size_t tiles = tile_count(rows);
    for (size_t p0 = panel0; p0 < panel1; p0 += step) {
        const size_t p1 = tub__min(p0 + step, panel1);
        for (size_t t = 0; t < tiles; t++) {
            const size_t row = tile_begin(rows, t), n = tile_begin(rows, t + 1) - row;
            for (size_t col = p0 * TUB__PANEL; col < tub__min(p1 * TUB__PANEL, w->used);
                 col += WIDTH) {
                const real *b =
                    w->weight + col / TUB__PANEL * w->depth * TUB__PANEL + first + col % TUB__PANEL;
                real *to = c + row * ldc + col;
                const real *start = !fresh ? to : w->bias ? w->bias + col : NULL;
                tiles_0[VEC_NV - 1][n - 1](k, a + row * w->ldgathered, w->ldgathered, b, TUB__PANEL,
                                           start, fresh ? 0 : ldc, to, ldc);
            }
        }
    }
}

static void copy_columns(const real *from, real *to, size_t panel0, size_t panel1) {
    for (size_t i = panel0 * TUB__PANEL; i < panel1 * TUB__PANEL; i += 16) {
        vstore(to + i, from ? vload(from + i) : vzero());
    }
}

/* Places [index, index + rows) of the class. */
static void make_block(conv_work *w, size_t index, size_t rows, size_t panel0, size_t panel1) {
    const conv_class *c = w->class;
    const bool direct = c->dense && c->taps > 0;
    real *to = direct ? row_of(w->out, index) : w->made;
    const size_t ld = direct ? w->out.ld : TUB__CHANNEL_LIMIT;
    bool fresh = !w->more;
    for (size_t r = 0; r < rows; r++) {
        w->place[r] = conv_place_of(index + r, c->grid, c->step, c->from,
                                    w->source.grid[0] * w->source.grid[1] * w->source.grid[2]);
        if (!direct && (w->more || c->taps == 0)) {
            copy_columns(w->more ? row_of(w->out, out_row(c, index + r)) : NULL, to + r * ld,
                         panel0, panel1);
        }
    }
    const size_t fit = GATHERED / (rows * w->channels), step = fit > 1 ? fit : 1;
    for (size_t t0 = 0; t0 < c->taps; t0 += step) {
        const size_t t1 = tub__min(t0 + step, c->taps);
        w->ldgathered = (t1 - t0) * w->channels + SPARE;
        gather(w, rows, t0, t1);
        for (size_t a = t0, b; a < t1; a = b, fresh = false) {
            for (b = a + 1; b < t1 && c->tap[b].number == c->tap[b - 1].number + 1;) {
                b++;
            }
            multiply(w, w->gathered + (a - t0) * w->channels, rows, a, b, panel0, panel1, fresh, to,
                     ld);
        }
    }
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = w->used; i < panel1 * TUB__PANEL; i += 16) {
            vstore(to + r * ld + i, vzero());
        }
    }
    for (size_t r = 0; r < rows && !direct; r++) {
        copy_columns(to + r * ld, row_of(w->out, out_row(c, index + r)), panel0, panel1);
    }
}

/* Columns are shared out in `parts`, items count through blocks of rows in each. */
static void make_item(conv_work *w, size_t places, size_t item, size_t parts) {
    const size_t block = item / parts, part = item % parts;
    const size_t panels = tub__padded(w->out.cols) / TUB__PANEL;
    const size_t begin = block * ROWS, end = tub__min(begin + ROWS, places);
    make_block(w, begin, end - begin, panels * part / parts, panels * (part + 1) / parts);
}

void KERNEL(conv)(const tub__conv *op, size_t parts, size_t item0, size_t item1, void *scratch) {
    const tub__window *g = &op->window;
    conv_class c = {.dense = true};
    for (int i = 0; i < 3; i++) {
        c.grid[i] = c.out_grid[i] = g->out[i];
        c.step[i] = g->stride[i];
        c.out_step[i] = 1;
        c.from[i] = -(ptrdiff_t)g->pad[i];
    }
    for (; c.taps < tub__window_taps(g); c.taps++) {
        const size_t t = c.taps, plane = g->kernel[1] * g->kernel[2];
        c.tap[t] = (conv_tap){{(ptrdiff_t)(t / plane), (ptrdiff_t)(t / g->kernel[2] % g->kernel[1]),
                               (ptrdiff_t)(t % g->kernel[2])},
                              t};
    }
    conv_work w = {.class = &c,
                   .source = {op->x, {g->in[0], g->in[1], g->in[2]}},
                   .channels = op->x.cols,
                   .weight = op->w.data,
                   .depth = op->w.rows,
                   .bias = op->bias,
                   .out = op->y,
                   .used = (op->y.cols + WIDTH - 1) / WIDTH * WIDTH,
                   .gathered = scratch,
                   .made = (real *)scratch + GATHER_ROOM};
    for (size_t i = item0; i < item1; i++) {
        make_item(&w, op->y.rows, i, parts);
    }
}

/* ---- the gradient of the input ---- */

/* Class number `number` of the places of the input, of which there are as many as strides. Place
 * class + stride j is seen under tap k from place j + (class + pad - k) / stride, where that is
 * whole. */
static void class_of(const tub__window *g, size_t number, conv_class *c) {
    const size_t at[3] = {number / (g->stride[1] * g->stride[2]),
                          number / g->stride[2] % g->stride[1], number % g->stride[2]};
    *c = (conv_class){.dense = g->stride[0] * g->stride[1] * g->stride[2] == 1};
    for (int i = 0; i < 3; i++) {
        c->grid[i] = (g->in[i] + g->stride[i] - 1 - at[i]) / g->stride[i];
        c->step[i] = 1;
        c->out_step[i] = g->stride[i];
        c->out_from[i] = at[i];
        c->out_grid[i] = g->in[i];
    }
    for (size_t t = 0; t < tub__window_taps(g); t++) {
        const size_t k[3] = {t / (g->kernel[1] * g->kernel[2]), t / g->kernel[2] % g->kernel[1],
                             t % g->kernel[2]};
        conv_tap tap = {.number = t};
        bool sees = true;
        for (int i = 0; i < 3; i++) {
            const ptrdiff_t far = (ptrdiff_t)(at[i] + g->pad[i]) - (ptrdiff_t)k[i],
                            stride = (ptrdiff_t)g->stride[i];
            sees = sees && far % stride == 0;
            tap.away[i] = far / stride;
        }
        if (sees) {
            c->tap[c->taps++] = tap;
        }
    }
}

static size_t class_places(const conv_class *c, size_t samples) {
    return samples * c->grid[0] * c->grid[1] * c->grid[2];
}

static size_t classes_of(const tub__window *g) {
    return g->stride[0] * g->stride[1] * g->stride[2];
}

size_t KERNEL(conv_dx_items)(const tub__conv_dx *op, size_t parts) {
    size_t items = 0;
    for (size_t i = 0; i < classes_of(&op->window); i++) {
        conv_class c;
        class_of(&op->window, i, &c);
        items +=
            (class_places(&c, op->dx.rows / tub__window_in(&op->window)) + ROWS - 1) / ROWS * parts;
    }
    return items;
}

void KERNEL(conv_dx)(const tub__conv_dx *op, size_t parts, size_t item0, size_t item1,
                     void *scratch) {
    const tub__window *g = &op->window;
    conv_class c;
    conv_work w = {.class = &c,
                   .source = {op->dy, {g->out[0], g->out[1], g->out[2]}},
                   .channels = op->dy.cols,
                   .weight = op->workspace,
                   .depth = tub__window_taps(g) * op->dy.cols,
                   .more = op->more,
                   .out = op->dx,
                   .used = (op->dx.cols + WIDTH - 1) / WIDTH * WIDTH,
                   .gathered = scratch,
                   .made = (real *)scratch + GATHER_ROOM};
    for (size_t i = 0, first = 0; i < classes_of(g) && first < item1; i++) {
        class_of(g, i, &c);
        const size_t places = class_places(&c, op->dx.rows / tub__window_in(g)),
                     items = (places + ROWS - 1) / ROWS * parts;
        for (size_t j = item0 > first ? item0 - first : 0; j < items && first + j < item1; j++) {
            make_item(&w, places, j, parts);
        }
        first += items;
    }
}

/* Sixteen rows (channels of x) of sixteen columns (those of dy) of one tap. */
static void turn_block(const tub__conv_dx *op, size_t tap, size_t row, size_t col) {
    const size_t channels = op->dx.cols, columns = op->dy.cols,
                 depth = tub__window_taps(&op->window) * columns;
    const size_t rows = tub__min(channels - row, 16), cols = tub__min(columns - col, 16);
    const real *from = (const real *)op->w.data +
                       (col / TUB__PANEL * op->w.rows + tap * channels + row) * TUB__PANEL +
                       col % TUB__PANEL;
    real *to = (real *)op->workspace +
               (row / TUB__PANEL * depth + tap * columns + col) * TUB__PANEL + row % TUB__PANEL;
    vf r[16];
    UNROLL for (size_t i = 0; i < 16; i++) r[i] = i < rows ? vload(from + i * TUB__PANEL) : vzero();
    vtranspose(r);
    UNROLL for (size_t i = 0; i < 16; i++) {
        if (i < cols) {
            vstore(to + i * TUB__PANEL, r[i]);
        }
    }
}

void KERNEL(conv_turn)(const tub__conv_dx *op, size_t tap0, size_t tap1) {
    for (size_t tap = tap0; tap < tap1; tap++) {
        for (size_t row = 0; row < tub__padded(op->dx.cols); row += 16) {
            for (size_t col = 0; col < op->dy.cols; col += 16) {
                if (row < op->dx.cols) {
                    turn_block(op, tap, row, col);
                } else { /* the padding of the last panel */
                    for (size_t i = col; i < tub__min(col + 16, op->dy.cols); i++) {
                        const size_t depth = tub__window_taps(&op->window) * op->dy.cols;
                        vstore((real *)op->workspace +
                                   (row / TUB__PANEL * depth + tap * op->dy.cols + i) * TUB__PANEL +
                                   row % TUB__PANEL,
                               vzero());
                    }
                }
            }
        }
    }
}
