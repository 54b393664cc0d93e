/* SPDX-License-Identifier: Apache-2.0 */
/* Reduced products by AMX: registers of 16 rows of 64 bytes, multiplied 16 x 16 x 32 (bfloat16) or
 * 16 x 16 x 64 (int8) at a time. The even and the odd bfloat16 factors of a step are summed apart, so
 * those bits are not vdpbf16ps's; whole sums are exact. Needs -mamx-tile -mamx-bf16 -mamx-int8
 * -mavx512bf16, and the operating system's leave (detect.c). */
#include "backend/cpu/amx.h"
#include "backend/cpu/int8.h"
#include "backend/cpu/reduced.h"

#include "backend/cpu/entries.h"

enum { ROWS = AMX_ROWS, STEP = 64 /* bytes of one row of a register */ };

static void read_pairs(const real *x, size_t ldx, size_t n, size_t k, void *rows, real *scales) {
    const size_t depth = tub__padded(k);
    char *to = rows;
    (void)scales;
    for (size_t r = 0; r < n; r++, x += ldx) {
        for (size_t i = 0; i < depth; i += STEP / 2, to += STEP) {
            _mm512_storeu_si512(to, (__m512i)_mm512_cvtne2ps_pbh(vload(x + i + 16), vload(x + i)));
        }
    }
}

static void read_bytes(const real *x, size_t ldx, size_t n, size_t k, void *rows, real *scales) {
    const size_t depth = tub__reduced_depth(TUB__INT8, k), padded = tub__padded(k);
    char *to = rows;
    for (size_t r = 0; r < n; r++, x += ldx, to += depth) {
        const quantiser q = quantiser_of_row(x, k);
        const vf inverse = vset1(q.inverse);
        scales[r] = q.scale;
        for (size_t i = 0; i < padded; i += 16) {
            const __m512i sum = _mm512_castps_si512(quantised(vload(x + i), inverse));
            _mm_storeu_si128((__m128i *)(to + i), _mm512_cvtepi32_epi8(sum));
        }
        memset(to + padded, 0, depth - padded);
    }
}

/* Registers 0 to 3 are sums, 4 and 5 rows, 6 and 7 columns. The rows of w and of the sums are both
 * 128 bytes apart; those of a are `bytes` long. */
enum { LINE = 128 };

#define HALVES_(format, multiply)                                                                  \
    static void format##_upper_half(const char *a, size_t bytes, const uint32_t *w) {              \
        for (size_t k = 0; k < bytes; k += STEP, a += STEP, w += STEP / 4 * TUB__PANEL) {          \
            _tile_loadd(4, a, bytes);                                                              \
            _tile_loadd(6, w, LINE);                                                               \
            multiply(0, 4, 6);                                                                     \
            _tile_loadd(7, w + 16, LINE);                                                          \
            multiply(1, 4, 7);                                                                     \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void format##_both_halves(const char *a, size_t bytes, const uint32_t *w) {             \
        const char *lower = a + ROWS * bytes;                                                      \
        for (size_t k = 0; k < bytes;                                                              \
             k += STEP, a += STEP, lower += STEP, w += STEP / 4 * TUB__PANEL) {                    \
            _tile_loadd(4, a, bytes);                                                              \
            _tile_loadd(6, w, LINE);                                                               \
            multiply(0, 4, 6);                                                                     \
            _tile_loadd(7, w + 16, LINE);                                                          \
            multiply(1, 4, 7);                                                                     \
            _tile_loadd(5, lower, bytes);                                                          \
            multiply(2, 5, 6);                                                                     \
            multiply(3, 5, 7);                                                                     \
        }                                                                                          \
    }
HALVES_(bf16, _tile_dpbf16ps)
HALVES_(int8, _tile_dpbssd)

/* Sums of two registers begin at the same row for all. */
static void begin_sums(const real *start, bool lower) {
    _tile_loadd(0, start, 0);
    _tile_loadd(1, start + 16, 0);
    if (lower) {
        _tile_loadd(2, start, 0);
        _tile_loadd(3, start + 16, 0);
    }
}

static void store_sums(real *sums, bool lower) {
    _tile_stored(0, sums, LINE);
    _tile_stored(1, sums + 16, LINE);
    if (lower) {
        _tile_stored(2, sums + ROWS * TUB__PANEL, LINE);
        _tile_stored(3, sums + ROWS * TUB__PANEL + 16, LINE);
    }
}

static const ALIGNED real zeros[TUB__PANEL];

static void bf16_tile(const tub__tile *t, real *sums) {
    const bool lower = t->n > ROWS;
    begin_sums(t->bias ? t->bias : zeros, lower);
    (lower ? bf16_both_halves : bf16_upper_half)(t->rows, 2 * t->depth, t->w);
    store_sums(sums, lower);
}

static void int8_tile(const tub__tile *t, real *sums) {
    const bool lower = t->n > ROWS;
    begin_sums(zeros, lower);
    (lower ? int8_both_halves : int8_upper_half)(t->rows, t->depth, t->w);
    store_sums(sums, lower);
    for (size_t i = 0; i < t->n; i++) {
        const vf scale = vset1(t->scales[i]);
        UNROLL for (int j = 0; j < TUB__PANEL; j += 16) {
            real *at = sums + i * TUB__PANEL + j;
            vstore(at, scaled(_mm512_loadu_si512(at), scale, vload(t->columns + j),
                              bias_at(t->bias, j)));
        }
    }
}

void KERNEL(product_bf16_amx)(const tub__k_product *p, size_t row0, size_t row1, size_t panel0,
                              size_t panel1, void *scratch) {
    static const tub__engine engine = {.tile_rows = 2 * ROWS,
                                       .factor_size = 2,
                                       .begin = amx_begin,
                                       .end = amx_end,
                                       .read = read_pairs,
                                       .tile = bf16_tile};
    KERNEL(reduced_product)(&engine, p, row0, row1, panel0, panel1, scratch);
}

void KERNEL(product_int8_amx)(const tub__k_product *p, size_t row0, size_t row1, size_t panel0,
                              size_t panel1, void *scratch) {
    static const tub__engine engine = {.format = TUB__INT8,
                                       .tile_rows = 2 * ROWS,
                                       .factor_size = 1,
                                       .begin = amx_begin,
                                       .end = amx_end,
                                       .read = read_bytes,
                                       .tile = int8_tile};
    KERNEL(reduced_product)(&engine, p, row0, row1, panel0, panel1, scratch);
}
