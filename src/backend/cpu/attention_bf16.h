/* SPDX-License-Identifier: Apache-2.0 */
/* What the attention kernels share that round queries, keys, values and the weights of values to
 * bfloat16. */
#ifndef TUB__CPU_ATTENTION_BF16_H
#define TUB__CPU_ATTENTION_BF16_H

#include "backend/cpu/attention_long.h"
#include "backend/cpu/pairs.h"

/* x down to a whole number; |x| < 2^22, or one too large for vscale. */
INLINE vf whole_of(vf x) {
#ifdef VEC_ENGINES /* AVX-512 */
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
#else
    const vf magic = vset1(12582912.0f), near = vsub(vadd(x, magic), magic);
    return vmin(vset1(160), vsel(vlt(x, near), vsub(near, vset1(1)), near));
#endif
}

/* e^(score - max), relative error 8e-5: a twentieth of what rounding to bfloat16 does later at the
 * most. At least 2^-92, as in vweight: products of smaller ones would underflow, which is slow, and
 * vdpbf16ps takes what underflows for zero. */
INLINE vf weight_of(vf score, vf max) {
    const vf scaled = vmul(vsub(score, max), vset1(1.44269504f));
    const vf x = vmax(vset1(-92), scaled); /* in this order a NaN stays */
    const vf n = whole_of(x), r = vsub(x, n);
    vf p = vset1(0.07802452332423483f);
    p = vfma(p, r, vset1(0.2260671589902111f));
    p = vfma(p, r, vset1(0.6958335366909842f));
    p = vfma(p, r, vset1(0.9999252192154089f));
    return vscale(p, n);
}

/* Columns [c, c + 16) of a token, zero past the head's last and past the last token. */
INLINE vf columns_of(const unit *u, const tub__mat *m, size_t t, size_t c) {
    if (t >= u->length || c >= u->width) {
        return vzero();
    }
    const real *from = token(u, m, t) + c;
    return u->width - c >= 16 ? vload(from) : vloadn(from, (int)(u->width - c), vzero());
}

/* Asks for a token that a gather will read: tokens lie too far apart for the processor to guess. */
INLINE void prefetch_token(const unit *u, const tub__mat *m, size_t t) {
    for (size_t c = 0; t < u->length && c < u->width; c += 16) {
        vprefetch(token(u, m, t) + c);
    }
}

#endif
