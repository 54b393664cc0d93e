/* SPDX-License-Identifier: Apache-2.0 */
/* Pillow's resampling of uint8, in its fixed-point numbers: weights of 22 bits, sums that begin at one
 * half, clipped to 0 … 255. */
#include "picture/resize.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/fpenv.h"
#include "base/scalar.h"

enum { WEIGHT_BITS = 22, SIZE_LIMIT = 65536 };

/* ---- Filters: a support on both sides, in input pixels when not shrinking, and a shape ---- */

static const double PI = 3.14159265358979323846;

static double sinc(double x) {
    return x == 0 ? 1 : tub__sin(x * PI) / (x * PI);
}

static double box(double x) {
    return x > -0.5 && x <= 0.5;
}

static double triangle(double x) {
    return fabs(x) < 1 ? 1 - fabs(x) : 0;
}

static double hamming(double x) {
    const double r = fabs(x);
    return r >= 1 ? 0 : r == 0 ? 1 : sinc(r) * (0.54 + 0.46 * tub__cos(r * PI));
}

/* Keys (1981) with a = -0.5. */
static double cubic(double x) {
    const double a = -0.5, r = fabs(x);
    if (r < 1) {
        return ((a + 2) * r - (a + 3)) * r * r + 1;
    }
    return r < 2 ? (((r - 5) * r + 8) * r - 4) * a : 0;
}

static double lanczos(double x) {
    return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

static const struct kernel {
    double (*shape)(double);
    double support;
} kernels[] = {
    [TUB__NEAREST] = {NULL, 0},  [TUB__LANCZOS] = {lanczos, 3}, [TUB__BILINEAR] = {triangle, 1},
    [TUB__BICUBIC] = {cubic, 2}, [TUB__BOX] = {box, 0.5},       [TUB__HAMMING] = {hamming, 1}};

/* ---- One axis: for each output pixel, where its input begins, how many pixels, their weights ---- */

typedef struct axis {
    size_t in, out, most; /* most: weights per pixel that there is room for */
    size_t *first, *count;
    int32_t *weights; /* [out, most] */
    bool copied;      /* the pass is left out */
} axis;

/* Nearest adds up the place, as Pillow does, and does not multiply. */
static void plan_nearest(axis *x) {
    const double step = (double)x->in / (double)x->out;
    double place = 0.5 * step;
    for (size_t i = 0; i < x->out; i++, place += step) {
        x->first[i] = tub__min((size_t)place, x->in - 1);
        x->count[i] = 1;
        x->weights[i * x->most] = 1 << WEIGHT_BITS;
    }
}

static double half_width(const axis *x, const struct kernel *kernel) {
    const double scale = (double)x->in / (double)x->out;
    return kernel->support * (scale > 1 ? scale : 1);
}

/* The weights of one pixel, made to sum to one, then to whole numbers. */
static void plan_pixel(axis *x, size_t i, const struct kernel *kernel, double *real) {
    const double scale = (double)x->in / (double)x->out, stretch = scale > 1 ? scale : 1;
    const double centre = ((double)i + 0.5) * scale, reach = half_width(x, kernel);
    const double low = centre - reach + 0.5;
    const size_t first = low > 0 ? (size_t)low : 0;
    const size_t end = tub__min((size_t)(centre + reach + 0.5), x->in);
    int32_t *weights = x->weights + i * x->most;
    double sum = 0;
    int64_t largest = 0; /* sum that pixels can reach */
    assert(end >= first && end - first <= x->most);
    for (size_t j = first; j < end; j++) {
        real[j - first] = kernel->shape(((double)j - centre + 0.5) * (1 / stretch));
        sum += real[j - first];
    }
    for (size_t j = 0; j < end - first; j++) {
        const double part = sum != 0 ? real[j] / sum : 0;
        weights[j] = (int32_t)(copysign(0.5, real[j]) + part * (1 << WEIGHT_BITS));
        largest += 255 * (int64_t)(weights[j] < 0 ? -weights[j] : weights[j]);
    }
    assert(largest < INT32_MAX - (1 << WEIGHT_BITS));
    (void)largest;
    x->first[i] = first;
    x->count[i] = end - first;
}

static void axis_free(const tub_allocator *a, axis *x) {
    tub__free(a, x->first);
    tub__free(a, x->count);
    tub__free(a, x->weights);
}

/* The caller frees *x in any case. */
static tub_status axis_plan(const tub_allocator *a, axis *x, tub__filter filter, tub_error *err) {
    const struct kernel *kernel = &kernels[filter];
    double *real = NULL;
    size_t weights;
    x->copied = x->in == x->out;
    x->most = 2 * (size_t)ceil(half_width(x, kernel)) + 1;
    if (!tub__mul(x->out, x->most, &weights)) {
        return tub__fail(err, TUB_E_MEMORY, "%zu pixels are too many", x->out);
    }
    TUB__TRY(tub__alloc_array(a, x->out, sizeof *x->first, (void **)&x->first, err));
    TUB__TRY(tub__alloc_array(a, x->out, sizeof *x->count, (void **)&x->count, err));
    TUB__TRY(tub__alloc_array(a, weights, sizeof *x->weights, (void **)&x->weights, err));
    if (filter == TUB__NEAREST) {
        plan_nearest(x);
        return TUB_OK;
    }
    TUB__TRY(tub__alloc_array(a, x->most, sizeof *real, (void **)&real, err));
    const tub__fpenv saved = tub__fpenv_enter();
    for (size_t i = 0; i < x->out; i++) {
        plan_pixel(x, i, kernel, real);
    }
    tub__fpenv_leave(saved);
    tub__free(a, real);
    return TUB_OK;
}

/* ---- Passes ---- */

static unsigned char to_level(int32_t sum) {
    const int32_t level = sum >> WEIGHT_BITS;
    return (unsigned char)(level < 0 ? 0 : level > 255 ? 255 : level);
}

/* Sums of whole rows: `length` values that lie side by side, out of rows at a distance. */
static void weigh(const unsigned char *in, size_t distance, const int32_t *weights, size_t count,
                  size_t length, unsigned char *out) {
    for (size_t i = 0; i < length; i++) {
        int32_t sum = 1 << (WEIGHT_BITS - 1);
        for (size_t j = 0; j < count; j++) {
            sum += in[j * distance + i] * weights[j];
        }
        out[i] = to_level(sum);
    }
}

/* The same of one pixel of three channels: the common case of a row's pass, with three sums side by side. */
static void weigh_colours(const unsigned char *in, const int32_t *weights, size_t count,
                          unsigned char *out) {
    int32_t r = 1 << (WEIGHT_BITS - 1), g = r, b = r;
    for (size_t j = 0; j < count; j++, in += 3) {
        r += in[0] * weights[j];
        g += in[1] * weights[j];
        b += in[2] * weights[j];
    }
    out[0] = to_level(r);
    out[1] = to_level(g);
    out[2] = to_level(b);
}

/* [outer, x->in, inner] to [outer, x->out, inner]. */
static void pass(const axis *x, size_t outer, size_t inner, const unsigned char *in,
                 unsigned char *out) {
    for (size_t o = 0; o < outer; o++) {
        for (size_t i = 0; i < x->out; i++) {
            const unsigned char *from = in + (o * x->in + x->first[i]) * inner;
            const int32_t *weights = x->weights + i * x->most;
            unsigned char *to = out + (o * x->out + i) * inner;
            if (inner == 3) {
                weigh_colours(from, weights, x->count[i], to);
            } else {
                weigh(from, inner, weights, x->count[i], inner, to);
            }
        }
    }
}

struct tub__resizer {
    const tub_allocator *allocator;
    axis height, width;
    size_t channels;
    bool height_first;
    unsigned char *between; /* the picture after the first of two passes */
};

void tub__resizer_run(tub__resizer *r, const unsigned char *in, unsigned char *out) {
    const axis *h = &r->height, *w = &r->width;
    if (h->copied && w->copied) {
        memcpy(out, in, h->in * w->in * r->channels);
    } else if (h->copied) {
        pass(w, h->in, r->channels, in, out);
    } else if (w->copied) {
        pass(h, 1, w->in * r->channels, in, out);
    } else if (r->height_first) {
        pass(h, 1, w->in * r->channels, in, r->between);
        pass(w, h->out, r->channels, r->between, out);
    } else {
        pass(w, h->in, r->channels, in, r->between);
        pass(h, 1, w->out * r->channels, r->between, out);
    }
}

/* The rule of Pillow 13, found by experiment. */
static bool height_leads(const size_t from[2], const size_t to[2]) {
    return to[0] < from[0] && (int64_t)(from[0] - to[0]) > 2 * ((int64_t)from[1] - (int64_t)to[1]);
}

static tub_status plan(tub__resizer *r, tub__filter filter, tub_error *err) {
    const axis *h = &r->height, *w = &r->width;
    size_t size;
    TUB__TRY(axis_plan(r->allocator, &r->height, filter, err));
    TUB__TRY(axis_plan(r->allocator, &r->width, filter, err));
    if (!tub__mul(r->height_first ? h->out * w->in : h->in * w->out, r->channels, &size)) {
        return tub__fail(err, TUB_E_MEMORY, "a picture with %zu channels is too large",
                         r->channels);
    }
    return tub__alloc(r->allocator, size, (void **)&r->between, err);
}

tub_status tub__resizer_create(const tub_allocator *a, tub__filter filter, tub__pass_order order,
                               size_t channels, const size_t from[2], const size_t to[2],
                               tub__resizer **out, tub_error *err) {
    tub__resizer *r;
    for (int i = 0; i < 2; i++) {
        TUB__TRY(tub__in_range(i ? "width" : "height", (int64_t)from[i], 1, SIZE_LIMIT, err));
        TUB__TRY(tub__in_range(i ? "new width" : "new height", (int64_t)to[i], 1, SIZE_LIMIT, err));
    }
    TUB__TRY(tub__in_range("filter", (int64_t)filter, TUB__NEAREST, TUB__HAMMING, err));
    TUB__TRY(tub__alloc_array(a, 1, sizeof *r, (void **)&r, err));
    *r = (tub__resizer){.allocator = a,
                        .height = {.in = from[0], .out = to[0]},
                        .width = {.in = from[1], .out = to[1]},
                        .channels = channels,
                        .height_first = order == TUB__PILLOW_13 && height_leads(from, to)};
    tub_status status = plan(r, filter, err);
    if (status != TUB_OK) {
        tub__resizer_destroy(r);
        return status;
    }
    *out = r;
    return TUB_OK;
}

void tub__resizer_destroy(tub__resizer *r) {
    if (r != NULL) {
        tub__free(r->allocator, r->between);
        axis_free(r->allocator, &r->width);
        axis_free(r->allocator, &r->height);
        tub__free(r->allocator, r);
    }
}
