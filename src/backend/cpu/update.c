/* SPDX-License-Identifier: Apache-2.0 */
/* Optimiser steps over slabs. The formulas are in backend.h; scalars arrive in double and are
 * rounded once. */
#include "backend/cpu/entries.h"
#include "backend/cpu/vec.h"

typedef struct scalars {
    vf rate, c1, c2, epsilon, v_scale, momentum, gradient_scale, decay;
} scalars;

static scalars scalars_of(const tub__update *u) {
    return (scalars){.c1 = vset1((real)(1 - u->beta1)),
                     .c2 = vset1((real)(1 - u->beta2)),
                     .epsilon = vset1((real)u->epsilon),
                     .v_scale = vset1((real)u->v_scale),
                     .momentum = vset1((real)u->momentum),
                     .gradient_scale = vset1((real)u->gradient_scale)};
}

/* The weight after m and v have taken the gradient in; kind is a constant where this is inlined. */
INLINE vf adam(tub__update_kind kind, const scalars *s, vf w, vf g, real *m, real *v) {
    vf m1 = vload(m), v1 = vload(v);
    m1 = vadd(m1, vmul(vsub(g, m1), s->c1));
    v1 = vadd(v1, vmul(vsub(vmul(g, g), v1), s->c2));
    vstore(m, m1);
    vstore(v, v1);
    vf root = vsqrt(v1);
    if (kind == TUB__ADAM_PYTORCH) {
        root = vmul(root, s->v_scale);
    }
    return vsub(w, vdiv(vmul(m1, s->rate), vadd(root, s->epsilon)));
}

INLINE vf sgd(tub__update_kind kind, const scalars *s, vf w, vf g, real *m) {
    vf m1 = vmul(s->momentum, vload(m));
    if (kind == TUB__SGD_KERAS) {
        m1 = vsub(m1, vmul(s->rate, g));
        vstore(m, m1);
        return vadd(w, m1);
    }
    m1 = vadd(m1, g);
    vstore(m, m1);
    return vsub(w, vmul(s->rate, m1));
}

INLINE void run(tub__update_kind kind, const tub__update *u, const scalars *s, bool decay,
                size_t begin, size_t end) {
    real *w = u->w, *m = u->m, *v = u->v;
    const real *g = u->g;
    const bool scaled = u->gradient_scale != 1;
    for (size_t i = begin; i < end; i += 16) {
        vf x = vload(w + i), d = vload(g + i);
        if (scaled) {
            d = vmul(d, s->gradient_scale);
        }
        if (decay) {
            x = vsub(x, vmul(x, s->decay));
        }
        const bool is_adam = kind == TUB__ADAM_KERAS || kind == TUB__ADAM_PYTORCH;
        vstore(w + i, is_adam ? adam(kind, s, x, d, m + i, v + i) : sgd(kind, s, x, d, m + i));
    }
}

static void segment(const tub__update *u, const scalars *s, bool decay, size_t begin, size_t end) {
    switch (u->kind) {
    case TUB__ADAM_KERAS:
        run(TUB__ADAM_KERAS, u, s, decay, begin, end);
        break;
    case TUB__ADAM_PYTORCH:
        run(TUB__ADAM_PYTORCH, u, s, decay, begin, end);
        break;
    case TUB__SGD_KERAS:
        run(TUB__SGD_KERAS, u, s, decay, begin, end);
        break;
    case TUB__SGD_PYTORCH:
        run(TUB__SGD_PYTORCH, u, s, decay, begin, end);
        break;
    }
}

void KERNEL(update)(const tub__update *u, size_t begin, size_t end) {
    scalars s = scalars_of(u);
    for (size_t i = 0; i < u->segment_count; i++) {
        const tub__segment *g = &u->segments[i];
        const size_t b = g->begin > begin ? g->begin : begin, e = g->end < end ? g->end : end;
        if (b < e) {
            s.rate = vset1((real)(u->rate * g->rate));
            s.decay = vset1((real)(u->lr * g->rate * g->decay));
            segment(u, &s, g->decay != 0, b, e);
        }
    }
}
