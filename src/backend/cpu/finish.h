/* SPDX-License-Identifier: Apache-2.0 */
/* From a tile's sums to the rows that a product gives. */
#ifndef TUB__CPU_FINISH_H
#define TUB__CPU_FINISH_H

#include "backend/cpu/kernels.h"
#include "backend/cpu/vec.h"

enum { TILE_COLUMNS = 16 * VEC_NV };

/* From the tile's sums in t (rows TILE_COLUMNS apart), bias included, to rows of c at row, column
 * col. */
typedef void tub__finish_fn(const tub__k_product *p, size_t row, size_t rows, size_t col,
                            const real *t);

/* What p asks for; NULL: nothing, so that the tile can write its sums straight to c. */
tub__finish_fn *KERNEL(finish)(const tub__k_product *p);

#endif
