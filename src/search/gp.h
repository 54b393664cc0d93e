/* SPDX-License-Identifier: Apache-2.0 */
/* A Gaussian process over the unit cube: Matern's kernel of 3/2 with one length, and noise. */
#ifndef TUB__SEARCH_GP_H
#define TUB__SEARCH_GP_H

#include "base/alloc.h"
#include "base/search_module.h"

typedef struct tub__gp {
    const tub__search_module *module;
    const tub_allocator *allocator;
    int n, d;
    const double *x;        /* [n,d], the caller's */
    double *y;              /* [n] less the mean, over the deviation */
    double *factor;         /* [n,n] of the covariance */
    double *weights;        /* [n] */
    double *row;            /* [n] scratch of a prediction */
    double mean, deviation; /* of the values as they were given */
    double length, noise;
} tub__gp;

/* Fits length and noise by maximum likelihood. Errors: TUB_E_MEMORY, TUB_E_NUMERIC. tub__gp_free
 * in any case. */
TUB_MUST_USE tub_status tub__gp_fit(const tub__search_module *module, const tub_allocator *a,
                                    const double *x, const double *y, int n, int d, tub__gp *out,
                                    tub_error *err);
void tub__gp_free(tub__gp *gp);
/* Mean and standard deviation at a point, in units of the normalised values. */
void tub__gp_predict(const tub__gp *gp, const double *point, double *mean, double *deviation);
/* How much below the least value, in the same units, a value at the point is expected to be. */
double tub__gp_improvement(const tub__gp *gp, const double *point, double least);

#endif
