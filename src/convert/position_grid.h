/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of positions from one grid of tokens to another: each of time, height and width by itself. */
#ifndef TUB__CONVERT_POSITION_GRID_H
#define TUB__CONVERT_POSITION_GRID_H

#include "base/alloc.h"
#include <tubelet/start.h>

/* A table [t, h, w, width], in C order. */
typedef struct tub__grid {
    size_t size[3]; /* t, h, w */
} tub__grid;

static inline size_t tub__grid_cells(const tub__grid *g) {
    return g->size[0] * g->size[1] * g->size[2];
}

/* from [from, width] to out [to, width]. An axis of the same length stays as it is. Else, with N
 * cells there and M here, cell i lies at
 *   linear   i (N - 1) / (M - 1), the first and the last on each other, between two cells: SciPy's
 *            zoom of order 1, as scenic uses it
 *   bicubic  (i + 1/2) N / M - 1/2, among four cells, cubic convolution with a = -0.75: PyTorch's, as
 *            transformers' interpolate_pos_encoding uses it
 * and time, when it is tiled, repeats: cell i is that of i modulo N. Computed in double, rounded to
 * float32 at the end. */
TUB_MUST_USE tub_status tub__grid_resize(const tub_allocator *a, tub_start_positions how,
                                         const tub__grid *there, const float *from,
                                         const tub__grid *here, float *out, size_t width,
                                         tub_error *err);

#endif
