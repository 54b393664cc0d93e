/* SPDX-License-Identifier: Apache-2.0 */
/* Views of a backend's memory: an address, a type and a layout. They own nothing, and only a
 * backend reads through them. */
#ifndef TUB__TENSOR_MAT_H
#define TUB__TENSOR_MAT_H

#include <stddef.h>
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

/* A weight matrix y = x W, [K = rows, N = cols] in packed panels: element (k, n) at (n / 32 * rows
 * + k) * 32 + n % 32.
 *
 * Products take `reduced` instead where it is not NULL: the same numbers as bfloat16, in panels
 * whose rows hold, for each of the 32 columns, a word of two: k in the lower half, k + 1 in the
 * upper; k is padded with zeros to whole panels. Then data may be NULL. */
typedef struct tub__weight {
    void *data;
    size_t rows, cols;
    void *reduced;
    void *transposed; /* NULL, or W^T reduced, [N, K]: for the gradients of inputs */
} tub__weight;

static inline size_t tub__weight_elements(size_t rows, size_t cols) {
    return rows * tub__padded(cols);
}
static inline size_t tub__reduced_bytes(size_t rows, size_t cols) {
    return tub__padded(rows) * tub__padded(cols) * 2;
}

#endif
