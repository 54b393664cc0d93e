/* SPDX-License-Identifier: Apache-2.0 */
/* From float32 to whole numbers of eight bits and back: the one definition that all engines and the
 * weights follow (docs/numerics.md). */
#ifndef TUB__CPU_INT8_H
#define TUB__CPU_INT8_H

#include "backend/cpu/vec.h"
#include "tensor/mat.h"

/* x is about scale times its whole number, which is x times inverse, rounded. */
typedef struct quantiser {
    real scale, inverse;
} quantiser;

/* Sizes of some numbers, lane by lane. */
typedef struct sizes {
    vf largest, bad; /* bad: NaN where a number is infinite or NaN, else zero */
} sizes;

INLINE void sizes_add(sizes *s, vf x) {
    s->largest = vmax(s->largest, vabs(x));
    s->bad = vadd(s->bad, vmul(x, vzero()));
}

/* For numbers up to `largest`. All zeros, or so small that the inverse might overflow: zero; with a
 * bad one among them, the scale carries NaN on to the results. */
INLINE quantiser quantiser_for(real largest, real bad) {
    const real tiny = (real)0x1p-100;
    if (bad != 0) {
        return (quantiser){bad, 0};
    }
    return largest < tiny ? (quantiser){0, 0} : (quantiser){largest / 127, 127 / largest};
}

/* Of a row of k numbers that is padded with zeros to whole panels. */
INLINE quantiser quantiser_of_row(const real *x, size_t k) {
    sizes s = {vzero(), vzero()};
    for (size_t i = 0; i < tub__padded(k); i += 16) {
        sizes_add(&s, vload(x + i));
    }
    return quantiser_for(vhmax(s.largest), vhsum(s.bad));
}

/* The sum's lowest bits are the whole number, to nearest and ties to even: 1.5 2^23 leaves a float
 * no bit for a fraction. */
INLINE vf quantised(vf x, vf inverse) {
    return vfma(x, inverse, vset1((real)12582912));
}

/* Whole sums to what a product gives. */
INLINE vf scaled(vu sum, vf row, vf column, vf bias) {
    return vfma(vfloat(sum), vmul(row, column), bias);
}
INLINE vf bias_at(const real *bias, int j) {
    return bias ? vload(bias + j) : vzero();
}

#endif
