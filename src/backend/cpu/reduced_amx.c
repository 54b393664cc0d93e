/* SPDX-License-Identifier: Apache-2.0 */
/* Reduced products by AMX: registers of 16 rows of 64 bytes, multiplied 16 x 16 x 32 at a time. The
 * even and the odd factors of a step are summed apart, so its bits are not those of vdpbf16ps.
 * Needs -mamx-tile -mamx-bf16 -mavx512bf16, and the operating system's leave (detect.c). */
#include "backend/cpu/amx.h"
#include "backend/cpu/reduced.h"

#include "backend/cpu/entries.h"

enum { ROWS = AMX_ROWS, STEP = 32 /* factors of one row of a register */ };

static void read_pairs(const real *x, size_t ldx, size_t n, size_t k, void *rows) {
    const size_t depth = tub__padded(k);
    char *to = rows;
    for (size_t r = 0; r < n; r++, x += ldx) {
        for (size_t i = 0; i < depth; i += STEP, to += 64) {
            _mm512_storeu_si512(to, (__m512i)_mm512_cvtne2ps_pbh(vload(x + i + 16), vload(x + i)));
        }
    }
}

/* Registers 0 to 3 are sums, 4 and 5 rows, 6 and 7 columns. The rows of w and of the sums are both
 * 128 bytes apart. */
enum { LINE = 128 };

static void upper_half(const char *a, size_t depth, const uint32_t *w) {
    for (size_t k = 0; k < depth; k += STEP, a += 64, w += STEP / 2 * TUB__PANEL) {
        _tile_loadd(4, a, 2 * depth);
        _tile_loadd(6, w, LINE);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, w + 16, LINE);
        _tile_dpbf16ps(1, 4, 7);
    }
}

static void both_halves(const char *a, size_t depth, const uint32_t *w) {
    const char *lower = a + ROWS * 2 * depth;
    for (size_t k = 0; k < depth; k += STEP, a += 64, lower += 64, w += STEP / 2 * TUB__PANEL) {
        _tile_loadd(4, a, 2 * depth);
        _tile_loadd(6, w, LINE);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, w + 16, LINE);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, lower, 2 * depth);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
}

static void tile(const void *rows, size_t n, size_t depth, const uint32_t *w, const real *bias,
                 real *sums) {
    static const ALIGNED real none[TUB__PANEL];
    const real *start = bias ? bias : none; /* the same row for all */
    _tile_loadd(0, start, 0);
    _tile_loadd(1, start + 16, 0);
    if (n <= ROWS) {
        upper_half(rows, depth, w);
    } else {
        _tile_loadd(2, start, 0);
        _tile_loadd(3, start + 16, 0);
        both_halves(rows, depth, w);
        _tile_stored(2, sums + ROWS * TUB__PANEL, LINE);
        _tile_stored(3, sums + ROWS * TUB__PANEL + 16, LINE);
    }
    _tile_stored(0, sums, LINE);
    _tile_stored(1, sums + 16, LINE);
}

void KERNEL(product_bf16_amx)(const tub__k_product *p, size_t row0, size_t row1, size_t panel0,
                              size_t panel1, void *scratch) {
    static const tub__engine engine = {.tile_rows = 2 * ROWS,
                                       .factor_size = 2,
                                       .begin = amx_begin,
                                       .end = amx_end,
                                       .read = read_pairs,
                                       .tile = tile};
    KERNEL(reduced_product)(&engine, p, row0, row1, panel0, panel1, scratch);
}
