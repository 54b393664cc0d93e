/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of a clip's values: blur, factor, summand, contrast, gamma, noise, box of zeros. */
#include "data/augment_values.h"

#include "base/scalar.h"
#include <math.h>

enum { T, H, W };

/* ---- noise ---- */

/* The standard normal's quantile for a chance above one half, by bisection. */
static double quantile(double chance) {
    double low = 0, high = 8;
    for (int i = 0; i < 60; i++) {
        const double middle = (low + high) / 2;
        if (0.5 + 0.5 * tub__erf(middle * 0x1.6a09e667f3bcdp-1) < chance) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

void tub__noise_table(float table[TUB__NOISE_VALUES]) {
    enum { HALF = TUB__NOISE_VALUES / 2 };
    double sum = 0;
    for (int i = 0; i < HALF; i++) {
        const double q = quantile((HALF + i + 0.5) / TUB__NOISE_VALUES);
        table[HALF + i] = (float)q;
        sum += q * q;
    }
    const double scale = 1 / sqrt(sum / HALF);
    for (int i = 0; i < HALF; i++) {
        table[HALF + i] = (float)((double)table[HALF + i] * scale);
        table[HALF - 1 - i] = -table[HALF + i];
    }
}

/* Eight voxels to a block of random words: voxel i has the upper 12 bits of half word i. */
static void add_noise(const tub__value_work *k, float deviation, uint32_t lane) {
    float *x = k->clip;
    for (size_t i = 0; i < k->elements; i += 8) {
        const uint32_t counter[4] = {(uint32_t)(i / 8), k->place.position, lane, k->place.epoch};
        uint32_t word[4];
        tub__philox(k->key, counter, word);
        for (size_t j = 0; j < 8 && i + j < k->elements; j++) {
            const uint32_t half = j & 1 ? word[j / 2] >> 16 : word[j / 2] & 0xffff;
            x[i + j] += deviation * k->noise[half >> (16 - TUB__NOISE_BITS)];
        }
    }
}

/* ---- blur ---- */

enum { REACH = 4 }; /* voxels to either side: twice the largest standard deviation */

/* One axis: `outer` times n times `inner` values, beyond the ends the outermost one. */
static void blur_axis(const float *from, float *to, const float weight[REACH + 1], size_t outer,
                      size_t n, size_t inner) {
    for (size_t o = 0; o < outer; o++, from += n * inner, to += n * inner) {
        for (size_t i = 0; i < n; i++) {
            const float *row[2 * REACH + 1];
            for (ptrdiff_t k = -REACH; k <= REACH; k++) {
                const ptrdiff_t at = (ptrdiff_t)i + k, last = (ptrdiff_t)n - 1;
                row[k + REACH] = from + (size_t)(at < 0 ? 0 : at > last ? last : at) * inner;
            }
            float *out = to + i * inner;
            for (size_t j = 0; j < inner; j++) {
                float sum = weight[REACH] * row[0][j];
                for (int k = 1; k <= 2 * REACH; k++) {
                    sum += weight[k < REACH ? REACH - k : k - REACH] * row[k][j];
                }
                out[j] = sum;
            }
        }
    }
}

static void blur(tub__value_work *k, double deviation) {
    double weight[REACH + 1], sum = 0;
    float w[REACH + 1];
    for (int i = 0; i <= REACH; i++) {
        weight[i] = tub__exp(-(double)(i * i) / (2 * deviation * deviation));
        sum += i > 0 ? 2 * weight[i] : weight[i];
    }
    for (int i = 0; i <= REACH; i++) {
        w[i] = (float)(weight[i] / sum);
    }
    size_t inner = k->sizes->channels;
    for (int axis = W; axis >= (k->volume ? T : H); axis--) {
        const size_t n = k->sizes->clip[axis];
        float *made = k->spare;
        blur_axis(k->clip, made, w, k->elements / (n * inner), n, inner);
        k->spare = k->clip;
        k->clip = made;
        inner *= n;
    }
}

/* ---- values one by one ---- */

/* In sixteen lanes, then a tree of them. */
static float mean_of(const float *x, size_t n) {
    double lane[16] = {0};
    for (size_t i = 0; i < n; i++) {
        lane[i % 16] += (double)x[i];
    }
    for (size_t half = 8; half > 0; half /= 2) {
        for (size_t i = 0; i < half; i++) {
            lane[i] += lane[i + half];
        }
    }
    return (float)(lane[0] / (double)n);
}

static void multiply(float *x, size_t n, float factor) {
    for (size_t i = 0; i < n; i++) {
        x[i] *= factor;
    }
}

static void add(float *x, size_t n, float summand) {
    for (size_t i = 0; i < n; i++) {
        x[i] += summand;
    }
}

static void spread(float *x, size_t n, float factor) {
    const float mean = mean_of(x, n);
    for (size_t i = 0; i < n; i++) {
        x[i] = (x[i] - mean) * factor + mean;
    }
}

/* What is not above 0 has no power, and stays. */
static void raise(float *x, size_t n, double exponent) {
    for (size_t i = 0; i < n; i++) {
        if (x[i] > 0 && x[i] <= 3e38f) {
            x[i] = (float)tub__pow((double)x[i], exponent);
        }
    }
}

static void cut(const tub__value_work *k, const tub__box *box) {
    const size_t *n = k->sizes->clip, channels = k->sizes->channels;
    for (size_t t = box->begin[T]; t < box->end[T]; t++) {
        for (size_t h = box->begin[H]; h < box->end[H]; h++) {
            float *row = k->clip + (t * n[H] + h) * n[W] * channels;
            for (size_t i = box->begin[W] * channels; i < box->end[W] * channels; i++) {
                row[i] = 0;
            }
        }
    }
}

void tub__values_apply(const tub__augment_plan *plan, tub__value_work *k) {
    for (size_t i = 0; i < plan->steps; i++) {
        const tub__value_step *s = &plan->step[i];
        switch (s->kind) {
        case TUB__VALUE_BLUR:
            blur(k, s->amount);
            break;
        case TUB__VALUE_MULTIPLY:
            multiply(k->clip, k->elements, (float)s->amount);
            break;
        case TUB__VALUE_ADD:
            add(k->clip, k->elements, (float)s->amount);
            break;
        case TUB__VALUE_CONTRAST:
            spread(k->clip, k->elements, (float)s->amount);
            break;
        case TUB__VALUE_GAMMA:
            raise(k->clip, k->elements, s->amount);
            break;
        case TUB__VALUE_NOISE:
            add_noise(k, (float)s->amount, s->lane);
            break;
        case TUB__VALUE_CUT:
            cut(k, &s->box);
            break;
        }
    }
}
