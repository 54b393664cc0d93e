/* SPDX-License-Identifier: Apache-2.0 */
/* Max pooling with a floor of zero, and its gradient: columns in the lanes. */
#include "backend/cpu/conv.h"

/* Row of the source under a tap of the window of output row `row`. */
static size_t row_under(const tub__window *g, size_t row, size_t tap) {
    const size_t places = tub__window_out(g), p = row % places;
    const size_t at[3] = {p / (g->out[1] * g->out[2]), p / g->out[2] % g->out[1], p % g->out[2]};
    const size_t k[3] = {tap / (g->kernel[1] * g->kernel[2]), tap / g->kernel[2] % g->kernel[1],
                         tap % g->kernel[2]};
    size_t in = row / places;
    for (int i = 0; i < 3; i++) {
        in = in * g->in[i] + at[i] * g->stride[i] + k[i];
    }
    return in;
}

void KERNEL(max_pool)(const tub__max_pool *op, size_t row0, size_t row1) {
    const size_t taps = tub__window_taps(&op->window);
    for (size_t r = row0; r < row1; r++) {
        const real *from[TUB__WINDOW_LIMIT];
        for (size_t t = 0; t < taps; t++) {
            from[t] = row_of(op->x, row_under(&op->window, r, t));
        }
        for (size_t i = 0; i < tub__padded(op->x.cols); i += 16) {
            vf most = vload(from[0] + i);
            for (size_t t = 1; t < taps; t++) {
                most = vmax(vload(from[t] + i), most);
            }
            vstore(row_of(op->y, r) + i, vmax(vzero(), most));
        }
    }
}

void KERNEL(max_pool_backward)(const tub__max_pool *op, size_t sample0, size_t sample1) {
    const tub__window *g = &op->window;
    const size_t taps = tub__window_taps(g), in = tub__window_in(g), out = tub__window_out(g);
    for (size_t r = sample0 * in; r < sample1 * in; r++) { /* some lie in no window */
        for (size_t i = 0; i < tub__padded(op->x.cols); i += 16) {
            vstore(row_of(op->dx, r) + i, vzero());
        }
    }
    for (size_t r = sample0 * out; r < sample1 * out; r++) {
        size_t rows[TUB__WINDOW_LIMIT];
        for (size_t t = 0; t < taps; t++) {
            rows[t] = row_under(g, r, t);
        }
        for (size_t i = 0; i < tub__padded(op->x.cols); i += 16) {
            const vf most = vload(row_of(op->y, r) + i);
            vf left = vsel(vlt(vzero(), most), vload(row_of(op->dy, r) + i), vzero());
            for (size_t t = 0; t < taps; t++) {
                const vm below = vlt(vload(row_of(op->x, rows[t]) + i), most);
                vstore(row_of(op->dx, rows[t]) + i, vsel(below, vzero(), left));
                left = vsel(below, left, vzero());
            }
        }
    }
}
