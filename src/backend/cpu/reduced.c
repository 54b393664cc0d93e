/* SPDX-License-Identifier: Apache-2.0 */
/* The loops around reduced products, and the engine of bfloat16 for processors that know nothing of it:
 * every product of two such numbers is exact in float32, so that multiply-adds of float32 do what
 * vdpbf16ps does, but for subnormal factors and sums, which that takes for zero. */
#include "backend/cpu/reduced.h"

#include "backend/cpu/entries.h"
#include "backend/cpu/tile.h"

#ifndef VEC_REAL_IS_DOUBLE

DEFINE_PAIR_TILES

/* ---- weights ---- */

/* Rows [k, k + 2) of a packed float32 panel to one row of pairs. */
static void pair_row(const real *panel, size_t k, size_t depth, uint32_t *to) {
    for (size_t j = 0; j < TUB__PANEL; j += 16) {
        const vf first = k < depth ? vload(panel + k * TUB__PANEL + j) : vzero();
        const vf second = k + 1 < depth ? vload(panel + (k + 1) * TUB__PANEL + j) : vzero();
        vbf16_pairs(to + j, vbf16(first), vbf16(second));
    }
}

void KERNEL(reduce)(const void *w, size_t depth, size_t panel0, size_t panel1, void *reduced) {
    const size_t padded = tub__padded(depth);
    for (size_t panel = panel0; panel < panel1; panel++) {
        const real *from = (const real *)w + panel * depth * TUB__PANEL;
        uint32_t *to = (uint32_t *)reduced + panel * padded / 2 * TUB__PANEL;
        for (size_t k = 0; k < padded; k += 2, to += TUB__PANEL) {
            pair_row(from, k, depth, to);
        }
    }
}

/* Sixteen rows of a packed float32 panel from row k on, as pairs of columns, one row a lane. */
static void transpose_pairs(const real *panel, size_t depth, size_t k, vf r[16]) {
    UNROLL for (size_t i = 0; i < 16; i++) {
        const real *row = panel + (k + i) * TUB__PANEL;
        r[i] = k + i < depth ? vbf16_pack(vbf16(vload(row)), vbf16(vload(row + 16))) : vzero();
    }
    vtranspose(r);
}

void KERNEL(reduce_transposed)(const void *w, size_t depth, size_t columns, size_t panel0,
                               size_t panel1, void *reduced) {
    const size_t panels = tub__padded(columns) / TUB__PANEL;
    for (size_t panel = panel0; panel < panel1; panel++) {
        real *to = (real *)reduced + panel * panels * 16 * TUB__PANEL;
        for (size_t from = 0; from < panels; from++, to += 16 * TUB__PANEL) {
            for (size_t half = 0; half < TUB__PANEL; half += 16) {
                vf r[16];
                transpose_pairs((const real *)w + from * depth * TUB__PANEL, depth,
                                panel * TUB__PANEL + half, r);
                UNROLL for (size_t i = 0; i < 16; i++) vstore(to + i * TUB__PANEL + half, r[i]);
            }
        }
    }
}

/* ---- the engine in float32 ---- */

/* Factors stand as float32, the second of a pair before the first: the order in which vdpbf16ps
 * adds. */
static void read_swapped(const real *x, size_t ldx, size_t n, size_t k, void *rows, real *scales) {
    const size_t depth = tub__padded(k);
    (void)scales;
    real *to = rows;
    for (size_t r = 0; r < n; r++, x += ldx, to += depth) {
        for (size_t i = 0; i < depth; i += 16) {
            ALIGNED real rounded[16];
            vstore(rounded, vbf16(vload(x + i)));
            for (size_t j = 0; j < 16; j += 2) {
                to[i + j] = rounded[j + 1], to[i + j + 1] = rounded[j];
            }
        }
    }
}

static void tile(const tub__tile *t, real *sums) {
    pair_tiles[t->n - 1](t->depth, t->rows, t->depth, t->w, t->bias, sums);
}

void KERNEL(product_bf16)(const tub__k_product *p, size_t row0, size_t row1, size_t panel0,
                          size_t panel1, void *scratch) {
    static const tub__engine engine = {
        .tile_rows = VEC_MR, .factor_size = sizeof(real), .read = read_swapped, .tile = tile};
    KERNEL(reduced_product)(&engine, p, row0, row1, panel0, panel1, scratch);
}

/* ---- the loops ---- */

/* Rows of a read into scratch, and the weight's columns that pass by them. */
typedef struct chunk {
    const tub__engine *engine;
    const tub__k_product *p;
    tub__finish_fn *finish;
    size_t depth, panel_bytes;
    size_t row, rows; /* row: of the first, in c */
    const char *read;
    const real *scales; /* of the rows read */
} chunk;

/* What the engine multiplies: `rows` rows from number `at` of the chunk on, and columns from col on. */
static tub__tile tile_of(const chunk *c, size_t at, size_t rows, size_t col) {
    const tub__k_product *p = c->p;
    const char *panel = (const char *)p->reduced + col / TUB__PANEL * c->panel_bytes;
    const size_t within = col % TUB__PANEL;
    tub__tile t = {.rows = c->read + at * c->depth * c->engine->factor_size,
                   .n = rows,
                   .depth = c->depth,
                   .w = (const uint32_t *)panel + within,
                   .bias = p->bias ? (const real *)p->bias + col : NULL};
    if (c->engine->format == TUB__INT8) {
        const tub__int8_head *head = (const tub__int8_head *)panel;
        t.w = (const uint32_t *)(head + 1) + within;
        t.scales = c->scales + at;
        t.columns = head->scale + within;
        t.offsets = head->offset + within;
    }
    return t;
}

/* The slopes that a tile's end multiplies by come from afar: they are on their way while it runs. */
static void ask_for_slopes(const tub__k_product *p, size_t row, size_t rows, size_t col) {
    const real *slope = (const real *)p->slope + row * p->ldslope + col;
    for (size_t r = 0; r < rows; r++, slope += p->ldslope) {
        for (size_t j = 0; j < TILE_COLUMNS; j += 16) {
            vprefetch(slope + j);
        }
    }
}

/* `rows` rows from number `at` of the chunk on, times TILE_COLUMNS columns from `col` on. */
static void tile_product(const chunk *c, size_t at, size_t rows, size_t col) {
    ALIGNED real sums[TUB__K_REDUCED_ROWS * TILE_COLUMNS];
    const tub__k_product *p = c->p;
    const tub__tile t = tile_of(c, at, rows, col);
    if (p->multiply) {
        ask_for_slopes(p, c->row + at, rows, col);
    }
    c->engine->tile(&t, sums);
    if (c->finish) {
        c->finish(p, c->row + at, rows, col, sums);
        return;
    }
    for (size_t r = 0; r < rows; r++) {
        real *to = (real *)p->c + (c->row + at + r) * p->ldc + col;
        for (size_t j = 0; j < TILE_COLUMNS; j += 16) {
            vstore(to + j, vload(sums + r * TILE_COLUMNS + j));
        }
    }
}

/* A tile of rows stays in L1 while panels stream past it from L2. */
static void chunk_product(const chunk *c, size_t panel0, size_t panel1) {
    const size_t step = c->engine->tile_rows, tiles = (c->rows + step - 1) / step;
    for (size_t t = 0; t < tiles; t++) {
        const size_t at = c->rows * t / tiles, n = c->rows * (t + 1) / tiles - at;
        for (size_t col = panel0 * TUB__PANEL; col < panel1 * TUB__PANEL; col += TILE_COLUMNS) {
            tile_product(c, at, n, col);
        }
    }
}

/* Only so many panels at a time as fit L2. */
static void by_parts(const chunk *c, size_t panel0, size_t panel1) {
    enum { L2_BYTES = 1 << 19 };
    const size_t fit = L2_BYTES / c->panel_bytes, step = fit > 1 ? fit : 1;
    for (size_t panel = panel0; panel < panel1; panel += step) {
        chunk_product(c, panel, tub__min(panel + step, panel1));
    }
}

void KERNEL(reduced_product)(const tub__engine *e, const tub__k_product *p, size_t row0,
                             size_t row1, size_t panel0, size_t panel1, void *scratch) {
    enum { LINE = 64 };
    const size_t depth = tub__reduced_depth(e->format, p->k), row = depth * e->factor_size;
    const size_t fit = (p->scratch * sizeof(real) - LINE) / (row + sizeof(real)) - e->tile_rows;
    const size_t scales = tub__round_up(fit * sizeof(real), LINE);
    chunk c = {.engine = e,
               .p = p,
               .finish = KERNEL(finish)(p),
               .depth = depth,
               .panel_bytes = tub__reduced_panel_bytes(e->format, p->k),
               .read = (char *)scratch + scales,
               .scales = scratch};
    if (e->begin) {
        e->begin();
    }
    for (c.row = row0; c.row < row1; c.row += c.rows) {
        c.rows = tub__min(fit, row1 - c.row);
        e->read((const real *)p->a + c.row * p->lda, p->lda, c.rows, p->k, (char *)scratch + scales,
                scratch);
        by_parts(&c, panel0, panel1);
    }
    if (e->end) {
        e->end();
    }
    if (p->slope && !p->multiply) {
        vfence();
    }
}

#endif
