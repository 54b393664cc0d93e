/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of attention's probabilities, dp = do v^T: what explanations look at. The backward pass
 * has it only block by block (attention_backward.c), where nobody else may slow it down. */
#include "backend/cpu/attention.h"

DEFINE_TILES(0)

enum { ROWS = KEYS }; /* queries at once */

typedef struct buffers {
    real *v_columns; /* [width][KEYS] */
    real *d_o;       /* [ROWS][padded] */
    real *dp;        /* [ROWS][KEYS] */
} buffers;

static buffers carve(real *scratch, size_t padded) {
    buffers b = {.v_columns = scratch};
    b.d_o = b.v_columns + KEYS * padded;
    b.dp = b.d_o + ROWS * padded;
    return b;
}

/* Some queries' gradients with the keys at hand, to rows of out. */
static void block(const unit *u, const tub__mat *d_o, const buffers *b, size_t query0, size_t rows,
                  size_t keys, real *out) {
    const size_t key_cols = (keys + 15) & ~(size_t)15;
    gather_rows(u, d_o, query0, rows, 1, b->d_o);
    small_product(tiles_0, rows, key_cols, u->width, b->d_o, u->padded, u->padded, b->v_columns,
                  KEYS, b->dp, KEYS, false);
    for (size_t t = 0; t < rows; t++) {
        memcpy(out + t * u->length, b->dp + t * KEYS, keys * sizeof *out);
    }
}

void KERNEL(attention_dp)(const tub__attention_dp *op, size_t unit0, size_t unit1, void *scratch) {
    for (size_t index = unit0; index < unit1; index++) {
        const unit u = unit_of(&op->forward, index);
        const buffers b = carve(scratch, u.padded);
        real *out = (real *)op->dp + index * u.length * u.length;
        for (size_t key0 = 0; key0 < u.length; key0 += KEYS) {
            const size_t keys = tub__min(u.length - key0, KEYS);
            gather_columns(&u, &op->forward.v, key0, keys, b.v_columns);
            for (size_t query0 = 0; query0 < u.length; query0 += ROWS) {
                block(&u, &op->d_o, &b, query0, tub__min(u.length - query0, ROWS), keys,
                      out + query0 * u.length + key0);
            }
        }
    }
}
