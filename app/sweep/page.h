/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a sweep's page. */
#ifndef APP_SWEEP_PAGE_H
#define APP_SWEEP_PAGE_H

#include "../report/page.h"
#include "sweep.h"

/* Trials and parameters as tables of numbers. */
typedef struct sweep_facts {
    const sweep *sweep;
    const tub_trial *trials;
    int64_t count;
    int64_t best;
    double *value;                 /* [count] the metric's best value, NaN: none */
    tub_sweep_parameter *searched; /* parameters that are not constant */
    int64_t *index;                /* their numbers in the sweep */
    int64_t width;                 /* how many */
    double *position;              /* [width,count] where each trial lies, 0 to 1 */
} sweep_facts;

/* How much of the metric one parameter alone explains. */
typedef struct sweep_importance {
    double share; /* of the variance of the metric's ranks, adjusted, 0 to 1; NaN: too few trials */
    double direction; /* correlation of the parameter with the rank, -1 to 1; NaN of a choice */
} sweep_importance;

sweep_importance sweep_importance_of(const sweep_facts *f, int64_t parameter, double *rank);
/* Ranks of the values from 0 on, equal ones the same; [count], NaN where there is no value. */
void sweep_ranks(const sweep_facts *f, double *rank);

/* One line per trial through an axis per parameter, and the metric. */
void sweep_parallel(page *p, const sweep_facts *f);

#endif
