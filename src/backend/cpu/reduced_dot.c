/* SPDX-License-Identifier: Apache-2.0 */
/* Reduced products by vdpbf16ps and vpdpbusd. Needs -mavx512bf16 -mavx512vnni.
 *
 * vpdpbusd takes rows without and columns with sign: 128 is added to the rows' numbers, and sums begin
 * at -128 times the column's. */
#include "backend/cpu/int8.h"
#include "backend/cpu/reduced.h"

#include "backend/cpu/entries.h"

#include <immintrin.h>

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

/* Constants where tile_body is inlined. */
typedef struct shape {
    int rows;
    bool int8;
} shape;

INLINE __m512i start_of(shape s, const tub__tile *t, int j) {
    return s.int8 ? _mm512_loadu_si512(t->offsets + j) : _mm512_castps_si512(bias_at(t->bias, j));
}

INLINE __m512i multiply_add(shape s, __m512i sum, __m512i a, __m512i b) {
    return s.int8 ? _mm512_dpbusd_epi32(sum, a, b)
                  : _mm512_castps_si512(
                        _mm512_dpbf16_ps(_mm512_castsi512_ps(sum), (__m512bh)a, (__m512bh)b));
}

INLINE vf end_of(shape s, const tub__tile *t, __m512i sum, int i, int j) {
    return s.int8 ? scaled(sum, vset1(t->scales[i]), vload(t->columns + j), bias_at(t->bias, j))
                  : _mm512_castsi512_ps(sum);
}

INLINE void tile_body(shape s, const tub__tile *t, real *out) {
    __m512i acc[VEC_MR][VEC_NV];
    const size_t words = s.int8 ? t->depth / 4 : t->depth / 2;
    const uint32_t *w = t->w;
    const int32_t *q[(VEC_MR + 3) / 4]; /* one pointer for four rows, as in tile.h */
    UNROLL for (int i = 0; i < s.rows; i += 4) q[i / 4] =
        (const int32_t *)t->rows + (size_t)i * words;
    UNROLL for (int i = 0; i < s.rows; i++) UNROLL for (int j = 0; j < VEC_NV; j++) acc[i][j] =
        start_of(s, t, 16 * j);
    for (size_t p = 0; p < words; p++, w += TUB__PANEL) {
        __m512i b[VEC_NV];
        UNROLL for (int j = 0; j < VEC_NV; j++) b[j] = _mm512_loadu_si512(w + 16 * j);
        UNROLL for (int i = 0; i < s.rows; i++) {
            const __m512i a = _mm512_set1_epi32(q[i / 4][(size_t)(i % 4) * words]);
            UNROLL for (int j = 0; j < VEC_NV; j++) acc[i][j] = multiply_add(s, acc[i][j], a, b[j]);
        }
        UNROLL for (int i = 0; i < s.rows; i += 4) q[i / 4]++;
    }
    UNROLL for (int i = 0; i < s.rows; i++) UNROLL for (int j = 0; j < VEC_NV; j++, out += 16)
        vstore(out, end_of(s, t, acc[i][j], i, 16 * j));
}

typedef void dot_fn(const tub__tile *t, real *out);
#define DOT_(mr)                                                                                   \
    static void bf16_##mr(const tub__tile *t, real *out) {                                         \
        tile_body((shape){mr, false}, t, out);                                                     \
    }                                                                                              \
    static void int8_##mr(const tub__tile *t, real *out) {                                         \
        tile_body((shape){mr, true}, t, out);                                                      \
    }
DOT_(1)
DOT_(2)
DOT_(3)
DOT_(4)
DOT_(5)
DOT_(6)
DOT_(7)
DOT_(8)
DOT_(9)
DOT_(10)
DOT_(11)
DOT_(12)
DOT_(13)
DOT_(14)

static void bf16_tile(const tub__tile *t, real *sums) {
    static dot_fn *const tiles[VEC_MR] = {bf16_1,  bf16_2,  bf16_3,  bf16_4, bf16_5,
                                          bf16_6,  bf16_7,  bf16_8,  bf16_9, bf16_10,
                                          bf16_11, bf16_12, bf16_13, bf16_14};
    tiles[t->n - 1](t, sums);
}

static void int8_tile(const tub__tile *t, real *sums) {
    static dot_fn *const tiles[VEC_MR] = {int8_1,  int8_2,  int8_3,  int8_4, int8_5,
                                          int8_6,  int8_7,  int8_8,  int8_9, int8_10,
                                          int8_11, int8_12, int8_13, int8_14};
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
