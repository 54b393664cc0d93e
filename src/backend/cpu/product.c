/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix product with a packed weight. */
#include "backend/cpu/entries.h"
#include "backend/cpu/finish.h"
#include "backend/cpu/tile.h"

DEFINE_TILES(0)
DEFINE_AHEAD_TILES(0)
DEFINE_STREAM_TILES

enum {
    WIDTH = TILE_COLUMNS,
    L2_ELEMENTS = 131072, /* of a weight that pass by at once: half a megabyte of floats */
    PARTS = 262144,
    STRETCH = 1024
};
_Static_assert((int)L2_ELEMENTS <= (int)TUB__K_SCRATCH,
               "a part of a transposed weight fits the scratch");

/* A stretch of the chains over k, and where the weight's rows for it lie. */
typedef struct stretch {
    size_t k0, k1;
    const real *w;     /* row k0 of the first panel */
    size_t panel_size; /* from one panel to the next */
} stretch;

/* What a tile asks memory for meanwhile: one of the two, or nothing where both addresses are
 * NULL. */
typedef struct asking {
    tile_ahead ahead;
    tile_stream stream;
} asking;

/* One tile of rows times one tile of columns; col counts from panel0, the stretch's first. */
static void tile_product(const tub__k_product *p, const stretch *s, tub__finish_fn *finish,
                         size_t row, size_t rows, size_t panel0, size_t col, const asking *asks) {
    ALIGNED real sums[VEC_MR * WIDTH];
    const size_t to = panel0 * TUB__PANEL + col, k = s->k1 - s->k0;
    const real *a = (const real *)p->a + row * p->lda + s->k0;
    const real *w = s->w + col / TUB__PANEL * s->panel_size + col % TUB__PANEL;
    real *c = (real *)p->c + row * p->ldc + to;
    /* The chains go on from what the last stretch left. */
    const real *start = s->k0 > 0 ? c : p->bias ? (const real *)p->bias + to : NULL;
    const size_t lds = s->k0 > 0 ? p->ldc : 0;
    tub__finish_fn *end = s->k1 == p->k ? finish : NULL;
    real *out = end ? sums : c;
    const size_t ldout = end ? WIDTH : p->ldc;
    if (asks->stream.ahead) {
        tiles_stream[rows - 1](k, a, p->lda, w, TUB__PANEL, start, lds, out, ldout, &asks->stream);
    } else if (asks->ahead.at) {
        tiles_ahead_0[rows - 1](k, a, p->lda, w, TUB__PANEL, start, lds, out, ldout, asks->ahead);
    } else {
        tiles_0[VEC_NV - 1][rows - 1](k, a, p->lda, w, TUB__PANEL, start, lds, out, ldout);
    }
    if (end) {
        end(p, row, rows, to, sums);
    }
}

/* Steps [k0, k1) of panels from `panel` on. */
static stretch chains(const tub__k_product *p, size_t panel, size_t k0, size_t k1) {
    const size_t panel_size = p->k * TUB__PANEL;
    return (stretch){k0, k1, (const real *)p->w + panel * panel_size + k0 * TUB__PANEL, panel_size};
}

/* Asks for the rows of panel w some steps before they are needed, at last for the first of
 * `next`. */
static tile_stream stream_of(const real *w, size_t k, const real *next) {
    enum { AHEAD = 96 };
    const size_t steps = k > AHEAD ? (k - AHEAD) / 2 * 2 : 0;
    return (tile_stream){w + AHEAD * TUB__PANEL, steps, next ? next : w};
}

/* Few rows use a panel so little that memory can't bring the next one in the time of a single tile:
 * all tiles of rows pass by a panel before the next, and the first two each ask for half of that. A
 * lone tile streams. */
static void panel_by_panel(const tub__k_product *p, tub__finish_fn *finish, size_t row0,
                           size_t row1, size_t panel0, size_t panel1) {
    const stretch all = chains(p, panel0, 0, p->k);
    const size_t rows = row1 - row0, tiles = tile_count(rows), panels = panel1 - panel0;
    for (size_t col = 0; col < panels * TUB__PANEL; col += WIDTH) {
        const size_t after = col / TUB__PANEL + 1;
        const real *next = after < panels ? all.w + after * all.panel_size : p->next;
        for (size_t t = 0; t < tiles; t++) {
            const size_t row = row0 + tile_begin(rows, t), n = row0 + tile_begin(rows, t + 1) - row;
            asking asks = {{NULL, 16}, {.ahead = NULL}};
            if (col % TUB__PANEL == 0 && tiles == 1) {
                asks.stream = stream_of(all.w + (after - 1) * all.panel_size, p->k, next);
            } else if (col % TUB__PANEL == 0 && next && t < 2) {
                asks.ahead.at = next + t * p->k * 16;
            }
            tile_product(p, &all, finish, row, n, panel0, col, &asks);
        }
    }
}

/* What the tile of columns number i asks for, a line a step: the first, those rows of a that come
 * next; the others, where the end multiplies by slopes, the slopes of these rows. They come from afar
 * and are read in short pieces: nothing else fetches them in time. */
static tile_ahead next_rows(const tub__k_product *p, const stretch *s, size_t i, size_t next,
                            size_t rows, size_t panels) {
    enum { LINE = 16 };
    const size_t steps = s->k1 - s->k0;
    if (i == 0) {
        const bool together = p->lda - steps <= TUB__PANEL;
        return (tile_ahead){together ? (const real *)p->a + next * p->lda : NULL, LINE};
    }
    const size_t line = (i - 1) * steps, lines = rows * p->ldslope / LINE;
    if (!p->multiply || s->k1 < p->k || p->ldslope != panels * TUB__PANEL || line >= lines) {
        return (tile_ahead){NULL, LINE};
    }
    return (tile_ahead){(const real *)p->slope + next * p->ldslope + line * LINE, LINE};
}

/* A tile of rows stays near while the panels of w stream past it from L2, which they do in
 * order, so that the processor fetches ahead; the first of them bring the next tile of rows. */
static void tile_by_tile(const tub__k_product *p, const stretch *s, tub__finish_fn *finish,
                         size_t row0, size_t row1, size_t panel0, size_t panel1) {
    const size_t rows = row1 - row0, tiles = tile_count(rows);
    for (size_t t = 0; t < tiles; t++) {
        const size_t row = row0 + tile_begin(rows, t), next = row0 + tile_begin(rows, t + 1);
        const size_t after = t + 1 < tiles ? row0 + tile_begin(rows, t + 2) : next;
        for (size_t col = 0; col < (panel1 - panel0) * TUB__PANEL; col += WIDTH) {
            asking asks = {{NULL, 16}, {.ahead = NULL}};
            if (after > next) {
                asks.ahead = next_rows(p, s, col / WIDTH, next, after - next, panel1 - panel0);
            }
            tile_product(p, s, finish, row, next - row, panel0, col, &asks);
        }
    }
}

/* Sixteen columns of up to sixteen rows of one panel to rows of another: to[c][r] = from[r][c]. */
static void transpose_block(const real *from, size_t rows, size_t cols, real *to) {
    vf r[16];
    UNROLL for (size_t i = 0; i < 16; i++) r[i] = i < rows ? vload(from + i * TUB__PANEL) : vzero();
    vtranspose(r);
    UNROLL for (size_t i = 0; i < 16; i++) {
        if (i < cols) {
            vstore(to + i * TUB__PANEL, r[i]);
        }
    }
}

/* Panels [panel0, panel1), rows [k0, k1) of the transposed weight, packed into `to`; k0 is at the
 * beginning of a panel of p->w. The weight is read as it lies, since it comes from afar. */
static void transpose_panels(const tub__k_product *p, size_t panel0, size_t panel1, size_t k0,
                             size_t k1, real *to) {
    for (size_t k = k0; k < k1; k += TUB__PANEL) {
        for (size_t row = panel0 * TUB__PANEL; row < panel1 * TUB__PANEL; row += 16) {
            const size_t rows = row < p->columns ? tub__min(p->columns - row, 16) : 0;
            const real *from =
                (const real *)p->w + (k / TUB__PANEL * p->columns + row) * TUB__PANEL;
            real *panel = to + (row / TUB__PANEL - panel0) * (k1 - k0) * TUB__PANEL +
                          (k - k0) * TUB__PANEL + row % TUB__PANEL;
            for (size_t i = 0; i < tub__min(k1 - k, TUB__PANEL); i += 16) {
                transpose_block(from + i, rows, tub__min(k1 - k - i, 16), panel + i * TUB__PANEL);
            }
        }
    }
}

enum { DEPTH = L2_ELEMENTS / TUB__PANEL }; /* of a panel that is alone in L2 */

/* Panels that fit L2, stretch by stretch transposed into scratch. */
static void transposed_part(const tub__k_product *p, tub__finish_fn *finish, size_t row0,
                            size_t row1, size_t panel0, size_t panel1, real *scratch) {
    for (size_t k0 = 0; k0 < p->k; k0 += DEPTH) {
        const size_t k1 = tub__min(k0 + DEPTH, p->k);
        const stretch part = {k0, k1, scratch, (k1 - k0) * TUB__PANEL};
        transpose_panels(p, panel0, panel1, k0, k1, scratch);
        tile_by_tile(p, &part, finish, row0, row1, panel0, panel1);
    }
}

/* A stretch short enough for a tile of rows to stay in L1, and only so many panels at a time as
 * fit L2 with it. */
static void plain_parts(const tub__k_product *p, tub__finish_fn *finish, size_t row0, size_t row1,
                        size_t panel0, size_t panel1) {
    const size_t stretches = (p->k + STRETCH - 1) / STRETCH, depth = p->k / stretches + 1;
    const size_t fit = PARTS / (depth * TUB__PANEL), step = fit > 1 ? fit : 1;
    for (size_t panel = panel0, end; panel < panel1; panel = end) {
        end = tub__min(panel + step, panel1);
        for (size_t i = 0; i < stretches; i++) {
            const stretch part = chains(p, panel, p->k * i / stretches, p->k * (i + 1) / stretches);
            tile_by_tile(p, &part, finish, row0, row1, panel, end);
        }
    }
}

static void transposed_parts(const tub__k_product *p, tub__finish_fn *finish, size_t row0,
                             size_t row1, size_t panel0, size_t panel1, real *scratch) {
    const size_t fit = DEPTH / p->k, step = fit > 1 ? fit : 1;
    for (size_t panel = panel0; panel < panel1; panel += step) {
        transposed_part(p, finish, row0, row1, panel, tub__min(panel + step, panel1), scratch);
    }
}

void KERNEL(product)(const tub__k_product *p, size_t row0, size_t row1, size_t panel0,
                     size_t panel1, void *scratch) {
    enum { FEW = 4 };
    tub__finish_fn *finish = KERNEL(finish)(p);
    if (p->transposed) {
        transposed_parts(p, finish, row0, row1, panel0, panel1, scratch);
    } else if (tile_count(row1 - row0) <= FEW) {
        panel_by_panel(p, finish, row0, row1, panel0, panel1);
    } else {
        plain_parts(p, finish, row0, row1, panel0, panel1);
    }
    if (p->slope && !p->multiply) {
        vfence(); /* the streamed slopes, before another thread may look at them */
    }
}
