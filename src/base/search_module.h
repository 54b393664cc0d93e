/* SPDX-License-Identifier: Apache-2.0 */
/* mod-search: linear algebra by LAPACKE and minimising by NLopt, for the search by a Gaussian
 * process. */
#ifndef TUB__BASE_SEARCH_MODULE_H
#define TUB__BASE_SEARCH_MODULE_H

#include <stdbool.h>
#include <tubelet/status.h>

/* A function to minimise, of a point of as many numbers as the search has. */
typedef double tub__search_function(void *user, const double *point);

typedef struct tub__search_module {
    int version;
    /* Cholesky's factor L of a symmetric matrix [n,n], row by row, over its lower triangle.
     * False: it is not positive definite. */
    bool (*factor)(double *matrix, int n);
    /* x of L L' x = b, over b [n]. */
    bool (*solve)(const double *factor, int n, double *b);
    /* x of L x = b, over b [n]. */
    bool (*forward)(const double *factor, int n, double *b);
    /* Goes down from *point within the bounds [n], with at most so many calls; *point is the
     * least found, *value the function there. Error: TUB_E_MEMORY. */
    tub_status (*minimise)(tub__search_function *function, void *user, int n, const double *low,
                           const double *high, int calls, double *point, double *value,
                           tub_error *err);
} tub__search_module;

#endif
