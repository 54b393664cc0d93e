/* SPDX-License-Identifier: Apache-2.0 */
/* Views of a backend's memory: an address, a type and a layout. They own nothing, and only a
 * backend reads through them. */
#ifndef TUB__TENSOR_MAT_H
#define TUB__TENSOR_MAT_H

#include <stddef.h>
#include <stdint.h>
#include <tubelet/data.h>

/* Columns are padded to whole panels, so that no kernel needs a column tail. The padding of every
 * activation, weight, gradient and moment is zero, always (of an activation's slope: finite). */
enum { TUB__PANEL = 32 };

static inline size_t tub__padded(size_t columns) {
    return (columns + TUB__PANEL - 1) / TUB__PANEL * TUB__PANEL;
}

/* A row-major matrix of the backend's real type: element (r, c) at r * ld + c. ld is a multiple of
 * TUB__PANEL. */
typedef struct tub__mat {
    void *data;
    size_t rows, cols, ld;
} tub__mat;

/* What reduced numbers are: bfloat16, or whole numbers from -127 to 127 with one scale a column. */
typedef enum tub__format { TUB__BF16 = 0, TUB__INT8 } tub__format;

/* A weight matrix y = x W, [K = rows, N = cols] in packed panels: element (k, n) at (n / 32 * rows
 * + k) * 32 + n % 32.
 *
 * Products take `reduced` instead where it is not NULL: the same numbers in panels whose rows hold,
 * for each of the 32 columns, a word of two bfloat16 or of four int8: the first k in the lowest
 * bits. k is padded with zeros to 32 or 64, and a panel of int8 begins with a tub__int8_head. Then
 * data may be NULL. */
typedef struct tub__weight {
    void *data;
    size_t rows, cols;
    void *reduced;
    void *transposed; /* NULL, or W^T as bfloat16, [N, K]: for the gradients of inputs */
    tub__format format;
} tub__weight;

/* Of the 32 columns of a panel. The weight is scale times the whole number. */
typedef struct tub__int8_head {
    float scale[TUB__PANEL];
    int32_t offset[TUB__PANEL]; /* -128 times the column's sum: cpu/reduced_dot.c */
} tub__int8_head;

static inline size_t tub__weight_elements(size_t rows, size_t cols) {
    return rows * tub__padded(cols);
}
/* Rows of a reduced panel, padding included. */
static inline size_t tub__reduced_depth(tub__format format, size_t rows) {
    return format == TUB__INT8 ? (rows + 63) / 64 * 64 : tub__padded(rows);
}
static inline size_t tub__reduced_panel_bytes(tub__format format, size_t rows) {
    const size_t numbers = tub__reduced_depth(format, rows) * TUB__PANEL;
    return format == TUB__INT8 ? sizeof(tub__int8_head) + numbers : 2 * numbers;
}
static inline size_t tub__reduced_bytes(tub__format format, size_t rows, size_t cols) {
    return tub__padded(cols) / TUB__PANEL * tub__reduced_panel_bytes(format, rows);
}

#endif
