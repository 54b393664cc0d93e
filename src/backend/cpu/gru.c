/* SPDX-License-Identifier: Apache-2.0 */
/* The gates of a gated recurrent unit, forward and backward; the products are the caller's. */
#include "backend/cpu/entries.h"
#include "backend/cpu/vmath.h"

enum { Z, R, N, GATES };

INLINE vf sigmoid(vf x) {
    return vdiv(vset1(1), vadd(vset1(1), vexp(vsub(vzero(), x))));
}

/* Columns [i, i + n) of a gate. */
INLINE vf gate(const real *row, size_t units, int which, size_t i, int n) {
    return vloadn(row + (size_t)which * units + i, n, vzero());
}
INLINE void put(real *row, size_t units, int which, size_t i, int n, vf v) {
    vstoren(row + (size_t)which * units + i, n, v);
}

void KERNEL(gru)(const tub__gru *op, size_t row0, size_t row1) {
    const size_t units = op->units;
    for (size_t row = row0; row < row1; row++) {
        const real *x = row_of(op->x, row), *inner = row_of(op->inner, row),
                   *h = row_of(op->h, row);
        for (size_t i = 0; i < units; i += 16) {
            const int n = (int)tub__min(16, units - i);
            const vf z = sigmoid(vadd(gate(x, units, Z, i, n), gate(inner, units, Z, i, n))),
                     r = sigmoid(vadd(gate(x, units, R, i, n), gate(inner, units, R, i, n))),
                     c = vtanh(vfma(r, gate(inner, units, N, i, n), gate(x, units, N, i, n)));
            const vf next = vfma(z, gate(h, units, 0, i, n), vmul(vsub(vset1(1), z), c));
            put(row_of(op->next, row), units, 0, i, n, next);
            if (op->gates.data) {
                real *kept = row_of(op->gates, row);
                put(kept, units, Z, i, n, z);
                put(kept, units, R, i, n, r);
                put(kept, units, N, i, n, c);
            }
        }
    }
}

void KERNEL(gru_backward)(const tub__gru_backward *op, size_t row0, size_t row1) {
    const tub__gru *f = &op->forward;
    const size_t units = f->units;
    const vf one = vset1(1);
    for (size_t row = row0; row < row1; row++) {
        const real *gates = row_of(f->gates, row), *inner = row_of(f->inner, row),
                   *h = row_of(f->h, row);
        real *dx = row_of(op->dx, row), *dinner = row_of(op->dinner, row);
        for (size_t i = 0; i < units; i += 16) {
            const int n = (int)tub__min(16, units - i);
            const vf z = gate(gates, units, Z, i, n), r = gate(gates, units, R, i, n),
                     c = gate(gates, units, N, i, n);
            vf d = vzero();
            for (int j = 0; j < 3; j++) {
                d = op->dnext[j].data ? vadd(d, gate(row_of(op->dnext[j], row), units, 0, i, n))
                                      : d;
            }
            const vf dz = vmul(vmul(d, vsub(gate(h, units, 0, i, n), c)), vmul(z, vsub(one, z))),
                     dc = vmul(vmul(d, vsub(one, z)), vsub(one, vmul(c, c))),
                     dr = vmul(vmul(dc, gate(inner, units, N, i, n)), vmul(r, vsub(one, r)));
            put(dx, units, Z, i, n, dz);
            put(dx, units, R, i, n, dr);
            put(dx, units, N, i, n, dc);
            put(dinner, units, Z, i, n, dz);
            put(dinner, units, R, i, n, dr);
            put(dinner, units, N, i, n, vmul(dc, r));
            put(row_of(op->dh, row), units, 0, i, n, vmul(d, z));
        }
    }
}
