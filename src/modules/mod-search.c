/* SPDX-License-Identifier: Apache-2.0 */
/* mod-search: Cholesky's factor by LAPACKE, and minimising without derivatives by NLopt. */
#include "base/search_module.h"

#include "base/error.h"
#include "base/module.h"
#include <lapacke.h>
#include <nlopt.h>
#include <string.h>

static bool factor(double *matrix, int n) {
    return LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', n, matrix, n) == 0;
}

static bool solve(const double *factored, int n, double *b) {
    return LAPACKE_dpotrs(LAPACK_ROW_MAJOR, 'L', n, 1, factored, n, b, 1) == 0;
}

static bool forward(const double *factored, int n, double *b) {
    return LAPACKE_dtrtrs(LAPACK_ROW_MAJOR, 'L', 'N', 'N', n, 1, factored, n, b, 1) == 0;
}

/* What NLopt calls, and the least that it has seen. */
typedef struct descent {
    tub__search_function *function;
    void *user;
    double *best;
    double value;
    bool any;
} descent;

static double call(unsigned n, const double *point, double *gradient, void *user) {
    descent *d = user;
    (void)gradient; /* not asked for */
    const double value = d->function(d->user, point);
    if (!d->any || value < d->value) {
        d->any = true;
        d->value = value;
        memcpy(d->best, point, n * sizeof *point);
    }
    return value;
}

static tub_status minimise(tub__search_function *function, void *user, int n, const double *low,
                           const double *high, int calls, double *point, double *value,
                           tub_error *err) {
    double at[64];
    if (n < 1 || n > (int)(sizeof at / sizeof *at)) {
        return tub__fail(err, TUB_E_ARGUMENT, "a search of %d parameters is too large", n);
    }
    nlopt_opt opt = nlopt_create(NLOPT_LN_SBPLX, (unsigned)n);
    if (opt == NULL) {
        return tub__fail(err, TUB_E_MEMORY, "no memory to minimise a function");
    }
    descent d = {.function = function, .user = user, .best = point};
    memcpy(at, point, (size_t)n * sizeof *at);
    double least = 0;
    nlopt_result result = nlopt_set_min_objective(opt, call, &d);
    result = result > 0 ? nlopt_set_lower_bounds(opt, low) : result;
    result = result > 0 ? nlopt_set_upper_bounds(opt, high) : result;
    result = result > 0 ? nlopt_set_maxeval(opt, calls) : result;
    result = result > 0 ? nlopt_set_xtol_rel(opt, 1e-4) : result;
    if (result > 0) {
        result = nlopt_optimize(opt, at, &least);
    }
    nlopt_destroy(opt);
    *value = d.value;
    return result == NLOPT_OUT_OF_MEMORY || !d.any
               ? tub__fail(err, TUB_E_MEMORY, "no memory to minimise a function")
               : TUB_OK;
}

/* Looked up by name when the module is opened. */
extern __attribute__((visibility("default"))) const tub__search_module tub__module_table;
const tub__search_module tub__module_table = {.version = TUB__MODULE_VERSION,
                                              .factor = factor,
                                              .solve = solve,
                                              .forward = forward,
                                              .minimise = minimise};
