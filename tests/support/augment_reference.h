/* SPDX-License-Identifier: Apache-2.0 */
/* What docs/augmentation.md says that becomes of a clip, in float64 and one operation after another: a
 * point is taken back through the operations, nothing is composed, and libm computes. */
#ifndef TUB__TESTS_AUGMENT_REFERENCE_H
#define TUB__TESTS_AUGMENT_REFERENCE_H

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/philox.h"
#include <tubelet/augment.h>

typedef struct ref {
    const tub_augment_config *c;
    uint64_t seed;
    uint32_t epoch, position;
    int sample[3], clip[3], channels;
    const double *voxels; /* of the sample, 0 to 1 */
    bool wrong_order;     /* for the negative control: shifts before turning */
} ref;

/* ---- draws ---- */

static tub__random ref_lane(const ref *r, uint32_t lane) {
    return tub__random_start(tub__random_key(r->seed, TUB__RANDOM_AUGMENT), r->position, lane,
                             r->epoch);
}
static double ref_from(tub__random *s, double low, double high) {
    return low + (high - low) * tub__random_double(s);
}

typedef struct ref_geometry {
    double begin[3], size[3];
    int frame_begin;
    double speed;
    bool flip[3];
    double scale, angle[3], shift[3]; /* angles: hw, tw, th */
    struct {
        int op;
        double m;
        double box[3];
    } rand[8];
} ref_geometry;

static ref_geometry ref_draw(const ref *r) {
    const tub_augment_config *c = r->c;
    static const int hwt[] = {1, 2, 0};
    ref_geometry g;
    tub__random s = ref_lane(r, 0);
    const double where = tub__random_double(&s);
    g.speed = ref_from(&s, c->speed[0], c->speed[1]);
    if (g.speed * (r->clip[0] - 1) > r->sample[0] - 1) {
        g.speed = (double)(r->sample[0] - 1) / (r->clip[0] - 1);
    }
    const int room = (int)floor(r->sample[0] - 1 - g.speed * (r->clip[0] - 1));
    g.frame_begin = c->temporal_jitter ? (int)(where * (room + 1)) : room / 2;
    s = ref_lane(r, 1);
    const double share = ref_from(&s, c->crop_scale[0], c->crop_scale[1]),
                 aspect = exp(ref_from(&s, log(c->crop_aspect[0]), log(c->crop_aspect[1])));
    for (int k = 0; k < 3; k++) {
        const int i = hwt[k];
        double size = r->clip[i];
        if (c->crop == TUB_CROP_RESIZED && (i > 0 || c->volume)) {
            const double by = i == 1 ? 1 / sqrt(aspect) : i == 2 ? sqrt(aspect) : 1;
            size = floor(sqrt(share) * by * r->sample[i] + 0.5);
            size = size < 1 ? 1 : size > r->sample[i] ? r->sample[i] : size;
        }
        const int free = r->sample[i] - (int)size;
        const double u = tub__random_double(&s);
        g.size[i] = size;
        g.begin[i] = c->crop == TUB_CROP_CENTRE ? free / 2 : floor(u * (free + 1));
    }
    s = ref_lane(r, 2);
    g.flip[0] = tub__random_double(&s) < c->flip_t;
    g.flip[1] = tub__random_double(&s) < c->flip_h;
    g.flip[2] = tub__random_double(&s) < c->flip_w;
    s = ref_lane(r, 3);
    g.scale = ref_from(&s, c->scale[0], c->scale[1]);
    s = ref_lane(r, 4);
    for (int i = 0; i < 3; i++) {
        g.angle[i] = ref_from(&s, -c->rotate, c->rotate);
    }
    s = ref_lane(r, 5);
    for (int k = 0; k < 3; k++) {
        g.shift[hwt[k]] = ref_from(&s, -c->shift, c->shift) * r->clip[hwt[k]];
    }
    for (int i = 0; i < c->rand_ops; i++) {
        s = ref_lane(r, 32 + (uint32_t)i);
        g.rand[i].op = (int)tub__random_below(&s, 14);
        g.rand[i].m = c->rand_strength / 10 * (tub__random_double(&s) < 0.5 ? 1 : -1);
        for (int k = 0; k < 3; k++) {
            g.rand[i].box[hwt[k]] = tub__random_double(&s);
        }
    }
    return g;
}

/* ---- places ---- */

static void ref_turn(double *p, int a, int b, double degrees) {
    const double t = degrees * acos(-1) / 180, x = p[a], y = p[b];
    p[a] = cos(t) * x - sin(t) * y;
    p[b] = sin(t) * x + cos(t) * y;
}

static void ref_grow(const ref *r, double *p, double factor) {
    for (int i = r->c->volume ? 0 : 1; i < 3; i++) {
        p[i] /= factor;
    }
}

/* Back through RandAugment's last operation first, shift, turn, size, flips, crop. */
static void ref_back(const ref *r, const ref_geometry *g, const int at[3], double *p) {
    const bool volume = r->c->volume != 0;
    for (int i = 0; i < 3; i++) {
        p[i] = at[i] - (r->clip[i] - 1) / 2.0;
    }
    for (int k = (int)r->c->rand_ops - 1; k >= 0; k--) {
        const double m = g->rand[k].m;
        switch (g->rand[k].op) {
        case 1:
            ref_turn(p, 1, 2, 30 * m);
            break;
        case 2:
            p[1] -= 0.3 * m * r->clip[1];
            break;
        case 3:
            p[2] -= 0.3 * m * r->clip[2];
            break;
        case 4:
            ref_grow(r, p, 1 + 0.3 * m);
            break;
        case 5:
            p[1] -= 0.3 * m * p[2];
            break;
        case 6:
            p[2] -= 0.3 * m * p[1];
            break;
        default:
            break;
        }
    }
    for (int pass = 0; pass < 2; pass++) {
        if ((pass == 0) != r->wrong_order) {
            for (int i = volume ? 0 : 1; i < 3; i++) {
                p[i] -= g->shift[i];
            }
        } else {
            ref_turn(p, 1, 2, g->angle[0]);
            if (volume) {
                ref_turn(p, 0, 2, g->angle[1]);
                ref_turn(p, 0, 1, g->angle[2]);
            }
        }
    }
    ref_grow(r, p, g->scale);
    for (int i = 0; i < 3; i++) {
        p[i] = g->flip[i] ? -p[i] : p[i];
        p[i] = g->begin[i] + g->size[i] / 2 - 0.5 + p[i] * g->size[i] / r->clip[i];
    }
    if (!volume) {
        const int frame = g->flip[0] ? r->clip[0] - 1 - at[0] : at[0];
        p[0] = floor(g->frame_begin + frame * g->speed + 0.5);
    }
}

static int ref_border(const ref *r, int i, int n) {
    if (r->c->border == TUB_BORDER_EDGE) {
        return i < 0 ? 0 : i >= n ? n - 1 : i;
    }
    if (r->c->border == TUB_BORDER_REFLECT) {
        while (n > 1 && (i < 0 || i >= n)) {
            i = i < 0 ? -i : 2 * (n - 1) - i;
        }
        return n > 1 ? i : 0;
    }
    return i < 0 || i >= n ? -1 : i;
}

static double ref_voxel(const ref *r, const int at[3], int channel) {
    int i[3];
    for (int k = 0; k < 3; k++) {
        i[k] = ref_border(r, at[k], r->sample[k]);
        if (i[k] < 0) {
            return 0;
        }
    }
    return r->voxels[((size_t)(i[0] * r->sample[1] + i[1]) * (size_t)r->sample[2] + (size_t)i[2]) *
                         (size_t)r->channels +
                     (size_t)channel];
}

static double ref_between(const ref *r, const double p[3], int channel) {
    double sum = 0;
    for (int k = 0; k < 8; k++) {
        double weight = 1;
        int at[3];
        for (int i = 0; i < 3; i++) {
            const double first = floor(p[i]), far = p[i] - first;
            const int bit = k >> i & 1;
            at[i] = (int)first + bit;
            weight *= bit ? far : 1 - far;
        }
        sum += weight != 0 ? weight * ref_voxel(r, at, channel) : 0;
    }
    return sum;
}

/* ---- values ---- */

static size_t ref_elements(const ref *r) {
    return (size_t)(r->clip[0] * r->clip[1] * r->clip[2] * r->channels);
}

static void ref_blur(const ref *r, double *x, double deviation) {
    const size_t n = ref_elements(r);
    double *y = malloc(n * sizeof *y);
    for (int axis = 2; axis >= (r->c->volume ? 0 : 1); axis--) {
        size_t stride = (size_t)r->channels;
        for (int i = 2; i > axis; i--) {
            stride *= (size_t)r->clip[i];
        }
        for (size_t i = 0; i < n; i++) {
            const int at = (int)(i / stride) % r->clip[axis];
            double sum = 0, all = 0;
            for (int k = -4; k <= 4; k++) {
                const int to = at + k < 0                   ? 0
                               : at + k > r->clip[axis] - 1 ? r->clip[axis] - 1
                                                            : at + k;
                const double w = exp(-k * k / (2 * deviation * deviation));
                sum += w * x[i + (size_t)to * stride - (size_t)at * stride];
                all += w;
            }
            y[i] = sum / all;
        }
        memcpy(x, y, n * sizeof *x);
    }
    free(y);
}

/* Newton's way to the quantile. */
static double ref_quantile(double chance) {
    double x = 0;
    for (int i = 0; i < 200; i++) {
        const double slope = exp(-x * x / 2) / sqrt(2 * acos(-1)),
                     miss = 0.5 * erfc(-x / sqrt(2)) - chance, step = miss / slope;
        x -= step > 0.5 ? 0.5 : step < -0.5 ? -0.5 : step;
    }
    return x;
}

static const double *ref_noise_table(void) {
    static double table[4096];
    double sum = 0;
    if (table[0] != 0) {
        return table;
    }
    for (int i = 0; i < 4096; i++) {
        table[i] = ref_quantile((i + 0.5) / 4096);
        sum += table[i] * table[i] / 4096;
    }
    for (int i = 0; i < 4096; i++) {
        table[i] /= sqrt(sum);
    }
    return table;
}

static void ref_noise(const ref *r, double *x, double deviation, uint32_t lane) {
    const double *table = ref_noise_table();
    tub__random s = ref_lane(r, lane);
    for (size_t i = 0; i < ref_elements(r); i += 2) {
        const uint32_t word = tub__random_word(&s);
        x[i] += deviation * table[(word & 0xffff) >> 4];
        if (i + 1 < ref_elements(r)) {
            x[i + 1] += deviation * table[word >> 20];
        }
    }
}

static void ref_contrast(const ref *r, double *x, double factor) {
    double mean = 0;
    for (size_t i = 0; i < ref_elements(r); i++) {
        mean += x[i] / (double)ref_elements(r);
    }
    for (size_t i = 0; i < ref_elements(r); i++) {
        x[i] = (x[i] - mean) * factor + mean;
    }
}

static void ref_cut(const ref *r, double *x, const double middle[3], const double side[3]) {
    int begin[3], end[3];
    for (int i = 0; i < 3; i++) {
        begin[i] = (int)floor(middle[i] * r->clip[i] - side[i] / 2 + 0.5);
        end[i] = begin[i] + (int)floor(side[i] + 0.5);
        if (i == 0 && !r->c->volume) {
            begin[i] = 0, end[i] = r->clip[i];
        }
    }
    for (int t = 0; t < r->clip[0]; t++) {
        for (int h = 0; h < r->clip[1]; h++) {
            for (int w = 0; w < r->clip[2]; w++) {
                const bool in = t >= begin[0] && t < end[0] && h >= begin[1] && h < end[1] &&
                                w >= begin[2] && w < end[2];
                for (int c = 0; c < r->channels && in; c++) {
                    x[((t * r->clip[1] + h) * r->clip[2] + w) * r->channels + c] = 0;
                }
            }
        }
    }
}

static double ref_one(const ref *r, uint32_t lane, double low, double high) {
    tub__random s = ref_lane(r, lane);
    return ref_from(&s, low, high);
}

static void ref_each(const ref *r, double *x, double factor, double summand, double exponent) {
    for (size_t i = 0; i < ref_elements(r); i++) {
        const double v = x[i] * factor + summand;
        x[i] = exponent != 1 && v > 0 ? pow(v, exponent) : v;
    }
}

static void ref_values(const ref *r, const ref_geometry *g, double *x) {
    const tub_augment_config *c = r->c;
    const double deviation = ref_one(r, 6, c->blur[0], c->blur[1]);
    if (deviation > 0) {
        ref_blur(r, x, deviation);
    }
    ref_each(r, x, ref_one(r, 7, c->intensity[0], c->intensity[1]), 0, 1);
    ref_each(r, x, 1, ref_one(r, 8, -c->brightness, c->brightness), 1);
    ref_contrast(r, x, ref_one(r, 9, c->contrast[0], c->contrast[1]));
    ref_each(r, x, 1, 0, ref_one(r, 10, c->gamma[0], c->gamma[1]));
    ref_noise(r, x, ref_one(r, 11, c->noise[0], c->noise[1]), 12);
    if (c->cutout > 0) {
        static const int hwt[] = {1, 2, 0};
        tub__random s = ref_lane(r, 13);
        double side[3], middle[3];
        for (int k = 0; k < 3; k++) {
            side[hwt[k]] = tub__random_double(&s) * c->cutout * r->clip[hwt[k]];
        }
        for (int k = 0; k < 3; k++) {
            middle[hwt[k]] = tub__random_double(&s);
        }
        ref_cut(r, x, middle, side);
    }
    for (int i = 0; i < c->rand_ops; i++) {
        const double m = g->rand[i].m, size = fabs(m);
        const double side[3] = {0.5 * size * r->clip[0], 0.5 * size * r->clip[1],
                                0.5 * size * r->clip[2]};
        switch (g->rand[i].op) {
        case 7:
            if (size > 0) {
                ref_blur(r, x, 1.5 * size);
            }
            break;
        case 8:
            ref_each(r, x, 1 + 0.6 * m, 0, 1);
            break;
        case 9:
            ref_each(r, x, 1, 0.3 * m, 1);
            break;
        case 10:
            ref_contrast(r, x, 1 + 0.9 * m);
            break;
        case 11:
            ref_each(r, x, 1, 0, pow(2, m));
            break;
        case 12:
            ref_noise(r, x, 0.1 * size, 64 + (uint32_t)i);
            break;
        case 13:
            ref_cut(r, x, g->rand[i].box, side);
            break;
        default:
            break;
        }
    }
    if (c->shape_intensity) {
        ref_each(r, x, ref_one(r, 14, 0, 2), 0, 1);
    }
}

/* out: [T,H,W,C] of the clip. */
static void ref_augment(const ref *r, double *out) {
    const ref_geometry g = ref_draw(r);
    double *to = out;
    for (int t = 0; t < r->clip[0]; t++) {
        for (int h = 0; h < r->clip[1]; h++) {
            for (int w = 0; w < r->clip[2]; w++) {
                double p[3];
                ref_back(r, &g, (const int[]){t, h, w}, p);
                for (int c = 0; c < r->channels; c++) {
                    *to++ = ref_between(r, p, c);
                }
            }
        }
    }
    ref_values(r, &g, out);
}

#endif
