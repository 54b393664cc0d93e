/* SPDX-License-Identifier: Apache-2.0 */
/* Distribution functions of the normal and the beta distribution, and their inverses. */
#ifndef TUB__SEARCH_SPECIAL_H
#define TUB__SEARCH_SPECIAL_H

double tub__normal_density(double x);
double tub__normal_cdf(double x);
/* Of p in (0, 1), by Wichura's algorithm AS 241 (1988): 16 digits. */
double tub__normal_quantile(double p);
/* Of x in [0, 1]; a and b above 0. */
double tub__beta_cdf(double x, double a, double b);
/* Of p in (0, 1). */
double tub__beta_quantile(double p, double a, double b);

#endif
