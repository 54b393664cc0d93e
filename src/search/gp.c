/* SPDX-License-Identifier: Apache-2.0 */
/* Gaussian process regression (Rasmussen and Williams 2006, algorithm 2.1) and expected
 * improvement. */
#include "search/gp.h"

#include "base/error.h"
#include "base/scalar.h"
#include "search/special.h"
#include <math.h>
#include <string.h>

enum { STARTS = 3, CALLS = 80 };
/* Lengths in units of the cube, and noise as a share of the values' variance. */
static const double LENGTH_LOW = 0.02, LENGTH_HIGH = 20, NOISE_LOW = 1e-7, NOISE_HIGH = 0.5;

static double kernel(const tub__gp *gp, const double *p, const double *q) {
    double square = 0;
    for (int i = 0; i < gp->d; i++) {
        square += (p[i] - q[i]) * (p[i] - q[i]);
    }
    const double r = 1.7320508075688772935 * sqrt(square) / gp->length;
    return (1 + r) * tub__exp(-r);
}

/* Factor and weights for the length and noise that are set; false: not positive definite. */
static bool condition(tub__gp *gp) {
    const size_t n = (size_t)gp->n;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k <= i; k++) {
            const double value = kernel(gp, gp->x + i * (size_t)gp->d, gp->x + k * (size_t)gp->d);
            gp->factor[i * n + k] = value + (i == k ? gp->noise : 0);
            gp->factor[k * n + i] = gp->factor[i * n + k];
        }
    }
    memcpy(gp->weights, gp->y, n * sizeof *gp->y);
    return gp->module->factor(gp->factor, gp->n) &&
           gp->module->solve(gp->factor, gp->n, gp->weights);
}

/* The negative logarithm of the likelihood of (log length, log noise), but for its constant. */
static double misfit(void *user, const double *point) {
    tub__gp *gp = user;
    double sum = 0;
    gp->length = tub__exp(point[0]);
    gp->noise = tub__exp(point[1]);
    if (!condition(gp)) {
        return 1e30;
    }
    for (int i = 0; i < gp->n; i++) {
        sum += 0.5 * gp->y[i] * gp->weights[i] +
               tub__log(gp->factor[(size_t)i * (size_t)gp->n + (size_t)i]);
    }
    return sum;
}

static void normalise(tub__gp *gp, const double *y) {
    double scale = 1, sum = 0, squares = 0;
    for (int i = 0; i < gp->n; i++) {
        scale = fabs(y[i]) > scale ? fabs(y[i]) : scale; /* so that no sum overflows */
    }
    for (int i = 0; i < gp->n; i++) {
        sum += y[i] / scale;
    }
    const double mean = sum / gp->n;
    for (int i = 0; i < gp->n; i++) {
        squares += (y[i] / scale - mean) * (y[i] / scale - mean);
    }
    const double deviation = sqrt(squares / gp->n) + 1e-6 / scale;
    for (int i = 0; i < gp->n; i++) {
        gp->y[i] = (y[i] / scale - mean) / deviation;
    }
    gp->mean = mean * scale;
    gp->deviation = deviation * scale;
}

static tub_status allocate(tub__gp *gp, tub_error *err) {
    const size_t n = (size_t)gp->n;
    void *room = NULL;
    TUB__TRY(tub__alloc_array(gp->allocator, n * n + 3 * n, sizeof(double), &room, err));
    gp->factor = room;
    gp->y = gp->factor + n * n;
    gp->weights = gp->y + n;
    gp->row = gp->weights + n;
    return TUB_OK;
}

tub_status tub__gp_fit(const tub__search_module *module, const tub_allocator *a, const double *x,
                       const double *y, int n, int d, tub__gp *out, tub_error *err) {
    const double low[2] = {tub__log(LENGTH_LOW), tub__log(NOISE_LOW)};
    const double high[2] = {tub__log(LENGTH_HIGH), tub__log(NOISE_HIGH)};
    static const double lengths[STARTS] = {0.15, 0.6, 2.5};
    static const double noises[STARTS] = {1e-6, 1e-4, 1e-2};
    double best[2] = {0, 0}, least = INFINITY;
    *out = (tub__gp){.module = module, .allocator = a, .n = n, .d = d, .x = x};
    TUB__TRY(allocate(out, err));
    normalise(out, y);
    for (int i = 0; i < STARTS; i++) {
        double point[2] = {tub__log(lengths[i]), tub__log(noises[i])}, value = 0;
        TUB__TRY(module->minimise(misfit, out, 2, low, high, CALLS, point, &value, err));
        if (value < least) {
            least = value;
            memcpy(best, point, sizeof best);
        }
    }
    return misfit(out, best) < 1e30
               ? TUB_OK
               : tub__fail(err, TUB_E_NUMERIC, "the trials give no Gaussian process");
}

void tub__gp_free(tub__gp *gp) {
    if (gp->allocator != NULL) {
        tub__free(gp->allocator, gp->factor);
    }
    gp->factor = NULL;
}

void tub__gp_predict(const tub__gp *gp, const double *point, double *mean, double *deviation) {
    double sum = 0, explained = 0;
    for (int i = 0; i < gp->n; i++) {
        gp->row[i] = kernel(gp, gp->x + (size_t)i * (size_t)gp->d, point);
        sum += gp->row[i] * gp->weights[i];
    }
    (void)gp->module->forward(gp->factor, gp->n, gp->row);
    for (int i = 0; i < gp->n; i++) {
        explained += gp->row[i] * gp->row[i];
    }
    *mean = sum;
    *deviation = explained < 1 ? sqrt(1 - explained) : 0;
}

double tub__gp_improvement(const tub__gp *gp, const double *point, double least) {
    double mean, deviation;
    tub__gp_predict(gp, point, &mean, &deviation);
    const double z = (least - mean) / (deviation + 1e-6);
    return (least - mean) * tub__normal_cdf(z) + deviation * tub__normal_density(z);
}
