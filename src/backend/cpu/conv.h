/* SPDX-License-Identifier: Apache-2.0 */
/* What convolutions and their gradients share: places, what their windows see, and gathering it. */
#ifndef TUB__CPU_CONV_H
#define TUB__CPU_CONV_H

#include "backend/cpu/entries.h"

/* Where a window stands: the sample's first row of the source, and the place of tap 0 in its grid,
 * which may lie outside. */
typedef struct conv_place {
    size_t first;
    ptrdiff_t at[3];
} conv_place;

/* A tap of a window: how far from tap 0, and its number in the weight. */
typedef struct conv_tap {
    ptrdiff_t away[3];
    size_t number;
} conv_tap;

/* Rows that windows see: a grid of places for every sample. */
typedef struct conv_source {
    tub__mat rows;
    size_t grid[3];
} conv_source;

/* Place number `index` of a grid, times `step`, plus `from` on every axis. */
INLINE conv_place conv_place_of(size_t index, const size_t grid[3], const size_t step[3],
                                const ptrdiff_t from[3], size_t rows_of_sample) {
    const size_t places = grid[0] * grid[1] * grid[2], p = index % places;
    const size_t at[3] = {p / (grid[1] * grid[2]), p / grid[2] % grid[1], p % grid[2]};
    conv_place place = {.first = index / places * rows_of_sample};
    for (int i = 0; i < 3; i++) {
        place.at[i] = (ptrdiff_t)(at[i] * step[i]) + from[i];
    }
    return place;
}

/* The row that a tap sees, or NULL: it is outside. */
INLINE const real *conv_row(const conv_source *s, const conv_place *p, const conv_tap *tap) {
    size_t row = 0;
    for (int i = 0; i < 3; i++) {
        const ptrdiff_t at = p->at[i] + tap->away[i];
        if (at < 0 || (size_t)at >= s->grid[i]) {
            return NULL;
        }
        row = row * s->grid[i] + (size_t)at;
    }
    return (const real *)s->rows.data + (p->first + row) * s->rows.ld;
}

/* n numbers, or zeros. */
INLINE void conv_copy(const real *from, size_t n, real *to) {
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        vstore(to + i, from ? vload(from + i) : vzero());
    }
    for (; i < n; i++) {
        to[i] = from ? from[i] : 0;
    }
}

#endif
