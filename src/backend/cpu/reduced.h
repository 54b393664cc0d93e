/* SPDX-License-Identifier: Apache-2.0 */
/* Products whose factors are bfloat16: float32 rows are rounded as they are read, weights are
 * stored rounded, sums, bias and what follows stay float32.
 *
 * In the layout of tensor/mat.h a row of 16 pairs is an operand of vdpbf16ps, and 16 such rows are
 * one of AMX. */
#ifndef TUB__CPU_REDUCED_H
#define TUB__CPU_REDUCED_H

#include "backend/cpu/finish.h"
#include "backend/cpu/kernels.h"

/* One way to multiply rounded numbers. Rows that it has read are `depth` factors long, in a format
 * of its own. */
typedef struct tub__engine {
    size_t tile_rows;   /* of one call of tile */
    size_t factor_size; /* bytes of a factor of a row that was read */
    void (*begin)(void);
    void (*end)(void); /* NULL: nothing to do before and after some tiles, on one thread */
    /* Rounds n rows of x, k long and ldx apart; x is padded with zeros to a whole panel. */
    void (*read)(const real *x, size_t ldx, size_t n, size_t k, void *rows);
    /* sums [n][TILE_COLUMNS] = bias + rows panel; w: the first pair of the columns wanted. bias NULL:
     * zero. May write sums of rows up to tile_rows. */
    void (*tile)(const void *rows, size_t n, size_t depth, const uint32_t *w, const real *bias,
                 real *sums);
} tub__engine;

/* tub__k_product with p->reduced, by an engine. */
void KERNEL(reduced_product)(const tub__engine *e, const tub__k_product *p, size_t row0,
                             size_t row1, size_t panel0, size_t panel1, void *scratch);

/* Engines of processors with AVX-512, in files of their own. */
void KERNEL(product_bf16_dot)(const tub__k_product *p, size_t row0, size_t row1, size_t panel0,
                              size_t panel1, void *scratch);
void KERNEL(product_bf16_amx)(const tub__k_product *p, size_t row0, size_t row1, size_t panel0,
                              size_t panel1, void *scratch);

#endif
