/* SPDX-License-Identifier: Apache-2.0 */
/* Products of rounded factors: float32 rows are rounded as they are read, weights are stored
 * rounded, bias and what follows stay float32. Sums are float32 of bfloat16, and whole of int8.
 *
 * In the layout of tensor/mat.h a row of 16 words is an operand of vdpbf16ps or vpdpbusd, and 16
 * such rows are one of AMX. */
#ifndef TUB__CPU_REDUCED_H
#define TUB__CPU_REDUCED_H

#include "backend/cpu/finish.h"
#include "backend/cpu/kernels.h"

/* Rows and columns that are multiplied at once. */
typedef struct tub__tile {
    const void *rows;    /* the first of n, as the engine read them */
    const real *scales;  /* int8: theirs */
    size_t n, depth;     /* depth: factors of a row, padding included */
    const uint32_t *w;   /* the first word of the columns wanted */
    const real *columns; /* int8: their scales */
    const int32_t *offsets;
    const real *bias; /* theirs; NULL: zero */
} tub__tile;

/* One way to multiply rounded numbers. Rows that it has read are `depth` factors long, in a form of
 * its own. */
typedef struct tub__engine {
    tub__format format;
    size_t tile_rows;   /* of one call of tile */
    size_t factor_size; /* bytes of a factor of a row that was read */
    void (*begin)(void);
    void (*end)(void); /* NULL: nothing to do before and after some tiles, on one thread */
    /* Rounds n rows of x, k long and ldx apart; x is padded with zeros to a whole panel. */
    void (*read)(const real *x, size_t ldx, size_t n, size_t k, void *rows, real *scales);
    /* sums [n][TILE_COLUMNS] = bias + rows panel. May write sums of rows up to tile_rows. */
    void (*tile)(const tub__tile *t, real *sums);
} tub__engine;

/* tub__k_product with p->reduced, by an engine. */
void KERNEL(reduced_product)(const tub__engine *e, const tub__k_product *p, size_t row0,
                             size_t row1, size_t panel0, size_t panel1, void *scratch);

/* Engines of processors with AVX-512, in files of their own. */
void KERNEL(product_bf16_dot)(const tub__k_product *p, size_t row0, size_t row1, size_t panel0,
                              size_t panel1, void *scratch);
void KERNEL(product_int8_dot)(const tub__k_product *p, size_t row0, size_t row1, size_t panel0,
                              size_t panel1, void *scratch);
void KERNEL(product_bf16_amx)(const tub__k_product *p, size_t row0, size_t row1, size_t panel0,
                              size_t panel1, void *scratch);
void KERNEL(product_int8_amx)(const tub__k_product *p, size_t row0, size_t row1, size_t panel0,
                              size_t panel1, void *scratch);

#endif
