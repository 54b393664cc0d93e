/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of a clip's values: blur, factor, summand, contrast, gamma, noise, box of zeros. */
#include "data/augment_values.h"

#include "base/philox_rounds.h"
#include "base/scalar.h"
#include "base/wide.h"
#include <math.h>
#include <string.h>

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

/* Voxel i has the upper 12 bits of half word i % 8 (the lower half of word 0 first) of block i / 8. Blocks
 * are drawn some at a time, which is one loop over them. */
enum { BLOCKS = 32, IN_BLOCK = 8 };

/* A place in the epoch and a lane: words 1 to 3 of all counters. */
typedef struct noise_place {
    tub__key key;
    uint32_t position, lane, epoch;
} noise_place;

TUB__LOOP draw_noise_loop(noise_place at, uint32_t first, const float *table,
                          float out[BLOCKS * IN_BLOCK]) {
    uint32_t word[4][BLOCKS];
    for (uint32_t i = 0; i < BLOCKS; i++) {
        uint32_t c0 = first + i, c1 = at.position, c2 = at.lane, c3 = at.epoch;
        tub__philox_rounds(at.key, &c0, &c1, &c2, &c3);
        word[0][i] = c0;
        word[1][i] = c1;
        word[2][i] = c2;
        word[3][i] = c3;
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        for (size_t j = 0; j < 4; j++) {
            out[i * IN_BLOCK + 2 * j] = table[(word[j][i] & 0xffff) >> (16 - TUB__NOISE_BITS)];
            out[i * IN_BLOCK + 2 * j + 1] = table[word[j][i] >> (32 - TUB__NOISE_BITS)];
        }
    }
}
TUB__WIDE(draw_noise,
          (noise_place at, uint32_t first, const float *table, float out[BLOCKS * IN_BLOCK]),
          (at, first, table, out))

static void add_noise(const tub__value_work *k, float deviation, uint32_t lane) {
    const noise_place at = {k->key, k->place.position, lane, k->place.epoch};
    float noise[BLOCKS * IN_BLOCK];
    for (size_t i = 0; i < k->elements; i += BLOCKS * IN_BLOCK) {
        const size_t n = tub__min(BLOCKS * IN_BLOCK, k->elements - i);
        draw_noise(at, (uint32_t)(i / IN_BLOCK), k->noise, noise);
        for (size_t j = 0; j < n; j++) {
            k->clip[i + j] += deviation * noise[j];
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

/* 2^e times what is in [1/sqrt(2), sqrt(2)), as the float's bits have it. */
static inline float log2_of(float x) {
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const int32_t e = (bits - 0x3f3504f3) >> 23, rest = bits - e * (1 << 23);
    float m;
    memcpy(&m, &rest, sizeof m);
    /* log(m) = 2 artanh(s) */
    const float s = (m - 1) / (m + 1), q = s * s;
    const float p = 1 + q * (1.0f / 3 + q * (1.0f / 5 + q * (1.0f / 7 + q * (1.0f / 9))));
    return (float)e + 0x1.715476p+1f * s * p;
}

/* y from -126 to 126. */
static inline float exp2_of(float y) {
    const int32_t k = (int32_t)(y + 128.5f) - 128, bits = (k + 127) * (1 << 23);
    const float x = (y - (float)k) * 0x1.62e430p-1f;
    const float p =
        1 + x * (1 + x * (1.0f / 2 +
                          x * (1.0f / 6 + x * (1.0f / 24 + x * (1.0f / 120 + x * (1.0f / 720))))));
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

/* x to a power, to 1e-5 of it. What is not above 0 (or almost 0, or no number) has none, and stays. */
TUB__LOOP raise_loop(float *x, size_t n, float exponent) {
    for (size_t i = 0; i < n; i++) {
        const bool has = x[i] > 1e-37f && x[i] < 3e38f;
        const float y = exponent * log2_of(has ? x[i] : 1.0f), low = y > -126.0f ? y : -126.0f;
        x[i] = has ? exp2_of(low < 126.0f ? low : 126.0f) : x[i];
    }
}
TUB__WIDE(raise, (float *x, size_t n, float exponent), (x, n, exponent))

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
            raise(k->clip, k->elements, (float)s->amount);
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
