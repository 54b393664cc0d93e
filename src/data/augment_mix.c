/* SPDX-License-Identifier: Apache-2.0 */
/* Mixup and cutmix: which other clip of the batch comes in, and how much of it. */
#include "data/augment_mix.h"

#include "base/scalar.h"
#include <math.h>
#include <string.h>

enum { T, H, W };

/* The logarithm of a number of Gamma(alpha): Marsaglia and Tsang, "A simple method for generating gamma
 * variables" (2000), for alpha below 1 by way of alpha + 1. The logarithm holds what a tiny alpha makes
 * too small for a double. */
static double log_gamma(tub__random *r, double alpha) {
    const double a = alpha < 1 ? alpha + 1 : alpha, d = a - 1.0 / 3, c = 1 / sqrt(9 * d);
    double v, x;
    for (;;) {
        x = tub__random_normal(r);
        v = 1 + c * x;
        const double u = 1 - tub__random_double(r); /* (0, 1] */
        if (v > 0) {
            v = v * v * v;
            if (tub__log(u) < 0.5 * x * x + d - d * v + d * tub__log(v)) {
                break;
            }
        }
    }
    const double boost = 1 - tub__random_double(r); /* drawn in any case */
    return tub__log(d * v) + (alpha < 1 ? tub__log(boost) / alpha : 0);
}

double tub__random_beta(tub__random *r, double alpha) {
    const double x = log_gamma(r, alpha), y = log_gamma(r, alpha);
    return 1 / (1 + tub__exp(y - x));
}

/* A box of the share that is asked for, as long as it lies inside; then the share that it has. */
static void draw_box(const tub__augment_sizes *z, tub__random r, bool volume, double share,
                     tub__mix_plan *out) {
    const double part = volume ? (share > 0 ? tub__pow(share, 1.0 / 3) : 0) : sqrt(share);
    double side[TUB__AXES], inside = 1;
    for (int i = 0; i < TUB__AXES; i++) {
        side[i] = part * (double)z->clip[i];
    }
    out->box = tub__augment_box(&r, z->clip, side, volume);
    for (int i = 0; i < TUB__AXES; i++) {
        inside *= (double)(out->box.end[i] - out->box.begin[i]) / (double)z->clip[i];
    }
    out->share = (float)inside;
}

void tub__mix_draw(const tub_augment_config *c, const tub__augment_sizes *z, tub__key key,
                   tub__augment_key place, size_t number, size_t whole, tub__mix_plan *out) {
    *out = (tub__mix_plan){.kind = TUB__MIX_NONE, .partner = number};
    if (!tub__augment_mixes(c) || whole < 2) {
        return;
    }
    tub__random r = tub__augment_stream(key, place, TUB__LANE_MIX);
    const bool mixes = tub__random_double(&r) < c->mix_chance;
    const double chance = c->mixup <= 0 ? 1 : c->cutmix <= 0 ? 0 : c->cutmix_chance;
    const bool box = tub__random_double(&r) < chance;
    const size_t step = 1 + tub__random_below(&r, (uint32_t)(whole - 1));
    if (!mixes) {
        return;
    }
    r = tub__augment_stream(key, place, TUB__LANE_MIX_SHARE);
    const double share = tub__random_beta(&r, box ? c->cutmix : c->mixup);
    out->kind = box ? TUB__MIX_BOX : TUB__MIX_ALL;
    out->partner = (number + step) % whole;
    out->share = (float)share;
    if (box) {
        draw_box(z, tub__augment_stream(key, place, TUB__LANE_MIX_BOX), c->volume != 0, share, out);
    }
}

void tub__mix_apply(const tub__mix_plan *plan, const tub__augment_sizes *z, float *clip,
                    const float *other) {
    const size_t row = z->clip[W] * z->channels;
    if (plan->kind == TUB__MIX_ALL) {
        const size_t n = z->clip[T] * z->clip[H] * row;
        const float share = plan->share, rest = 1 - share;
        for (size_t i = 0; i < n; i++) {
            clip[i] = rest * clip[i] + share * other[i];
        }
        return;
    }
    const tub__box *b = &plan->box;
    for (size_t t = b->begin[T]; t < b->end[T]; t++) {
        for (size_t h = b->begin[H]; h < b->end[H] && b->end[W] > b->begin[W]; h++) {
            const size_t at = (t * z->clip[H] + h) * row + b->begin[W] * z->channels;
            memcpy(clip + at, other + at, (b->end[W] - b->begin[W]) * z->channels * sizeof *clip);
        }
    }
}
