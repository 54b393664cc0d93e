/* SPDX-License-Identifier: Apache-2.0 */
/* int8: weights to whole numbers, and the engine for processors without instructions for sums of
 * four products. Those of two 16-bit numbers can't overflow, and every sum is exact: all engines
 * give the same bits. */
#include "backend/cpu/reduced.h"

#include "backend/cpu/entries.h"
#include "backend/cpu/tile.h"

#ifndef VEC_REAL_IS_DOUBLE
#include "backend/cpu/int8.h"

/* ---- weights ---- */

typedef struct columns {
    real scale[TUB__PANEL], inverse[TUB__PANEL];
    int32_t sum[TUB__PANEL];
} columns;

/* The scales of a packed panel's columns. */
static void measure_columns(const real *panel, size_t depth, columns *c) {
    for (size_t j = 0; j < TUB__PANEL; j += 16) {
        ALIGNED real largest[16], bad[16];
        sizes s = {vzero(), vzero()};
        for (size_t k = 0; k < depth; k++) {
            sizes_add(&s, vload(panel + k * TUB__PANEL + j));
        }
        vstore(largest, s.largest), vstore(bad, s.bad);
        for (size_t i = 0; i < 16; i++) {
            const quantiser q = quantiser_for(largest[i], bad[i]);
            c->scale[j + i] = q.scale, c->inverse[j + i] = q.inverse, c->sum[j + i] = 0;
        }
    }
}

/* Four rows of a panel to words; of the last four, some may be missing. */
static void quantise_rows(const real *panel, size_t rows, columns *c, uint32_t *words) {
    for (size_t j = 0; j < TUB__PANEL; j++) {
        words[j] = 0;
    }
    for (size_t r = 0; r < rows; r++) {
        ALIGNED real sum[TUB__PANEL];
        for (size_t j = 0; j < TUB__PANEL; j += 16) {
            vstore(sum + j, quantised(vload(panel + r * TUB__PANEL + j), vload(c->inverse + j)));
        }
        for (size_t j = 0; j < TUB__PANEL; j++) {
            uint32_t bits;
            memcpy(&bits, sum + j, sizeof bits);
            words[j] |= (bits & 255) << 8 * r;
            c->sum[j] += (int32_t)((bits & 255) ^ 128) - 128;
        }
    }
}

void KERNEL(reduce_int8)(const void *w, size_t depth, size_t panel0, size_t panel1, void *reduced) {
    const size_t padded = tub__reduced_depth(TUB__INT8, depth),
                 bytes = tub__reduced_panel_bytes(TUB__INT8, depth);
    for (size_t panel = panel0; panel < panel1; panel++) {
        const real *from = (const real *)w + panel * depth * TUB__PANEL;
        tub__int8_head *head = (tub__int8_head *)((char *)reduced + panel * bytes);
        uint32_t *words = (uint32_t *)(head + 1);
        columns c;
        measure_columns(from, depth, &c);
        for (size_t k = 0; k < padded; k += 4, words += TUB__PANEL) {
            const size_t rows = k < depth ? tub__min(depth - k, 4) : 0;
            quantise_rows(from + k * TUB__PANEL, rows, &c, words);
        }
        for (size_t j = 0; j < TUB__PANEL; j++) {
            head->scale[j] = c.scale[j], head->offset[j] = -128 * c.sum[j];
        }
    }
}

/* ---- the engine ---- */

/* Factors stand as int16, of every four the even ones before the odd ones: pairs as vi8_even and
 * vi8_odd make them of words. */
static void read_wide(const real *x, size_t ldx, size_t n, size_t k, void *rows, real *scales) {
    const size_t depth = tub__reduced_depth(TUB__INT8, k), padded = tub__padded(k);
    int16_t *to = rows;
    for (size_t r = 0; r < n; r++, x += ldx, to += depth) {
        const quantiser q = quantiser_of_row(x, k);
        const vf inverse = vset1(q.inverse);
        scales[r] = q.scale;
        for (size_t i = 0; i < padded; i += 16) {
            ALIGNED real sum[16];
            uint32_t bits[16];
            vstore(sum, quantised(vload(x + i), inverse));
            memcpy(bits, sum, sizeof bits);
            for (size_t j = 0; j < 16; j++) {
                const size_t place = j / 4 * 4 + j % 2 * 2 + j / 2 % 2;
                to[i + place] = (int16_t)((int)((bits[j] & 255) ^ 128) - 128);
            }
        }
        memset(to + padded, 0, (depth - padded) * sizeof *to);
    }
}

INLINE void wide_body(int mr, const tub__tile *t, real *out) {
    vu acc[VEC_MR][VEC_NV];
    const size_t lda = t->depth / 2; /* pairs */
    const int32_t *q[(VEC_MR + 3) / 4];
    const uint32_t *w = t->w;
    UNROLL for (int i = 0; i < mr; i += 4) q[i / 4] = (const int32_t *)t->rows + (size_t)i * lda;
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < VEC_NV; j++) acc[i][j] =
        vuset1(0);
    for (size_t k = 0; k < t->depth; k += 4, w += TUB__PANEL) {
        UNROLL for (int odd = 0; odd < 2; odd++) {
            vu b[VEC_NV];
            UNROLL for (int j = 0; j < VEC_NV; j++) b[j] =
                odd ? vi8_odd(w + 16 * j) : vi8_even(w + 16 * j);
            UNROLL for (int i = 0; i < mr; i++) {
                const int32_t a = q[i / 4][(size_t)(i % 4) * lda + (size_t)odd];
                UNROLL for (int j = 0; j < VEC_NV; j++) acc[i][j] = vi16_dot(acc[i][j], a, b[j]);
            }
        }
        UNROLL for (int i = 0; i < mr; i += 4) q[i / 4] += 2;
    }
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < VEC_NV; j++, out += 16)
        vstore(out, scaled(acc[i][j], vset1(t->scales[i]), vload(t->columns + 16 * j),
                           bias_at(t->bias, 16 * j)));
}

typedef void wide_fn(const tub__tile *t, real *out);
#define WIDE_(mr, nv, tr)                                                                          \
    static void wide_##mr(const tub__tile *t, real *out) {                                         \
        wide_body(mr, t, out);                                                                     \
    }
#define WIDE_NAME_(mr, nv, tr) wide_##mr,
TILE_ROWS_(WIDE_, VEC_NV, 0)

static void tile(const tub__tile *t, real *sums) {
    static wide_fn *const tiles[VEC_MR] = {TILE_ROWS_(WIDE_NAME_, VEC_NV, 0)};
    tiles[t->n - 1](t, sums);
}

void KERNEL(product_int8)(const tub__k_product *p, size_t row0, size_t row1, size_t panel0,
                          size_t panel1, void *scratch) {
    static const tub__engine engine = {.format = TUB__INT8,
                                       .tile_rows = VEC_MR,
                                       .factor_size = sizeof(int16_t),
                                       .read = read_wide,
                                       .tile = tile};
    KERNEL(reduced_product)(&engine, p, row0, row1, panel0, panel1, scratch);
}

#endif
