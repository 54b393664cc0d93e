/* SPDX-License-Identifier: Apache-2.0 */
/* Reduced products by vdpbf16ps and vpdpbusd. Needs -mavx512bf16 -mavx512vnni.
 *
 * vpdpbusd takes rows without and columns with sign: 128 is added to the rows' numbers, and sums begin
 * at -128 times the column's. */
#include "backend/cpu/int8.h"
#include "backend/cpu/reduced.h"

#include "backend/cpu/dot.h"
#include "backend/cpu/entries.h"
#include "backend/cpu/tile.h"

static void read_pairs(const real *x, size_t ldx, size_t n, size_t k, void *rows, real *scales) {
    const size_t depth = tub__padded(k);
    char *to = rows;
    (void)scales;
    for (size_t r = 0; r < n; r++, x += ldx) {
        for (size_t i = 0; i < depth; i += 32, to += 64) {
            _mm512_storeu_si512(to, (__m512i)_mm512_cvtne2ps_pbh(vload(x + i + 16), vload(x + i)));
        }
    }
}

static void read_shifted(const real *x, size_t ldx, size_t n, size_t k, void *rows, real *scales) {
    const __m128i half = _mm_set1_epi8((char)128);
    const size_t depth = tub__reduced_depth(TUB__INT8, k), padded = tub__padded(k);
    char *to = rows;
    for (size_t r = 0; r < n; r++, x += ldx, to += depth) {
        const quantiser q = quantiser_of_row(x, k);
        const vf inverse = vset1(q.inverse);
        scales[r] = q.scale;
        for (size_t i = 0; i < padded; i += 16) {
            const __m512i sum = _mm512_castps_si512(quantised(vload(x + i), inverse));
            _mm_storeu_si128((__m128i *)(to + i), _mm_xor_si128(_mm512_cvtepi32_epi8(sum), half));
        }
        memset(to + padded, 128, depth - padded);
    }
}

/* Constants where dot_body is inlined. */
typedef struct shape {
    int rows;
    bool int8;
} shape;

INLINE vf start_of(shape s, const tub__tile *t, int j) {
    return s.int8 ? _mm512_castsi512_ps(_mm512_loadu_si512(t->offsets + j)) : bias_at(t->bias, j);
}

INLINE vf end_of(shape s, const tub__tile *t, vf sum, int i, int j) {
    return s.int8 ? scaled(_mm512_castps_si512(sum), vset1(t->scales[i]), vload(t->columns + j),
                           bias_at(t->bias, j))
                  : sum;
}

INLINE void dot_body(shape s, const tub__tile *t, real *out) {
    vf acc[VEC_MR][VEC_NV];
    const size_t words = s.int8 ? t->depth / 4 : t->depth / 2;
    const real *w = (const real *)t->w;
    const real *q[(VEC_MR + 3) / 4]; /* one pointer for four rows, as in tile.h */
    UNROLL for (int i = 0; i < s.rows; i += 4) q[i / 4] = (const real *)t->rows + (size_t)i * words;
    UNROLL for (int i = 0; i < s.rows; i++) UNROLL for (int j = 0; j < VEC_NV; j++) acc[i][j] =
        start_of(s, t, 16 * j);
    for (size_t p = 0; p < words; p++, w += TUB__PANEL) {
        vf b[VEC_NV];
        UNROLL for (int j = 0; j < VEC_NV; j++) b[j] = vload(w + 16 * j);
        UNROLL for (int i = 0; i < s.rows; i++) {
            const vf a = vset1(q[i / 4][(size_t)(i % 4) * words]);
            UNROLL for (int j = 0; j < VEC_NV; j++) acc[i][j] =
                s.int8 ? dot_int8(acc[i][j], a, b[j]) : dot_bf16(acc[i][j], a, b[j]);
        }
        UNROLL for (int i = 0; i < s.rows; i += 4) q[i / 4]++;
    }
    UNROLL for (int i = 0; i < s.rows; i++) UNROLL for (int j = 0; j < VEC_NV; j++, out += 16)
        vstore(out, end_of(s, t, acc[i][j], i, 16 * j));
}

typedef void dot_fn(const tub__tile *t, real *out);
#define BF16_(mr, nv, tr)                                                                          \
    static void bf16_##mr(const tub__tile *t, real *out) {                                         \
        dot_body((shape){mr, false}, t, out);                                                      \
    }
#define INT8_(mr, nv, tr)                                                                          \
    static void int8_##mr(const tub__tile *t, real *out) {                                         \
        dot_body((shape){mr, true}, t, out);                                                       \
    }
#define BF16_NAME_(mr, nv, tr) bf16_##mr,
#define INT8_NAME_(mr, nv, tr) int8_##mr,
TILE_ROWS_(BF16_, VEC_NV, 0)
TILE_ROWS_(INT8_, VEC_NV, 0)

static void bf16_tile(const tub__tile *t, real *sums) {
    static dot_fn *const tiles[VEC_MR] = {TILE_ROWS_(BF16_NAME_, VEC_NV, 0)};
    tiles[t->n - 1](t, sums);
}

static void int8_tile(const tub__tile *t, real *sums) {
    static dot_fn *const tiles[VEC_MR] = {TILE_ROWS_(INT8_NAME_, VEC_NV, 0)};
    tiles[t->n - 1](t, sums);
}

void KERNEL(product_bf16_dot)(const tub__k_product *p, size_t row0, size_t row1, size_t panel0,
                              size_t panel1, void *scratch) {
    static const tub__engine engine = {
        .tile_rows = VEC_MR, .factor_size = 2, .read = read_pairs, .tile = bf16_tile};
    KERNEL(reduced_product)(&engine, p, row0, row1, panel0, panel1, scratch);
}

void KERNEL(product_int8_dot)(const tub__k_product *p, size_t row0, size_t row1, size_t panel0,
                              size_t panel1, void *scratch) {
    static const tub__engine engine = {.format = TUB__INT8,
                                       .tile_rows = VEC_MR,
                                       .factor_size = 1,
                                       .read = read_shifted,
                                       .tile = int8_tile};
    KERNEL(reduced_product)(&engine, p, row0, row1, panel0, panel1, scratch);
}
