/* SPDX-License-Identifier: Apache-2.0 */
/* From [0, 1] to a parameter's values and back. */
#ifndef TUB__SEARCH_DISTRIBUTION_H
#define TUB__SEARCH_DISTRIBUTION_H

#include "search/parameter.h"

/* A value that is drawn: one of a list, a whole number, or a real one. */
typedef struct tub__drawn {
    const tub__json *listed; /* NULL: a number */
    bool whole;
    int64_t integer;
    double real;
} tub__drawn;

/* The value at the quantile u, 0 < u < 1: what the sweeps package's ppf gives. */
tub__drawn tub__parameter_at(const tub__parameter *p, double u);
void tub__drawn_put(tub__json_writer *w, const char *key, const tub__drawn *value);
/* The cumulative distribution at a value; of a choice, that of its place in the list. NaN: the
 * value can't be one of the parameter's. */
double tub__parameter_cdf(const tub__parameter *p, const tub__json *value);
/* The same of what was drawn. */
double tub__drawn_cdf(const tub__parameter *p, const tub__drawn *value);

/* Where a value stands in a list; the list's size: nowhere. */
size_t tub__value_index(const tub__json *list, const tub__json *value);
/* Whether a grid takes two values for one: 1 and 1.0 are, 2 and "2" are not, true is not 1. */
bool tub__values_equal(const tub__json *a, const tub__json *b);

/* Equal steps from low to below high, as numpy.arange has them: their count. */
int64_t tub__steps_count(double low, double high, double step);
double tub__steps_at(double low, double step, int64_t index);

#endif
