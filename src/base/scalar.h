/* SPDX-License-Identifier: Apache-2.0 */
/* Elementary functions of one double: the same bits on every machine, for schedules, optimiser
 * scalars, metrics and data. */
#ifndef TUB__BASE_SCALAR_H
#define TUB__BASE_SCALAR_H

/* Each is within 2 ulp of the exact value over the working range, exact at its trivial points,
 * with the usual limits; NaN in, NaN out. Only + - * / sqrt fma floor rint are used (the compiler
 * may not contract them). */
double tub__exp(double x);
double tub__log(double x);
double tub__pow(double base, double exponent);         /* base > 0 */
double tub__powi(double base, unsigned long exponent); /* repeated squaring, exact order */
double tub__sin(double x);                             /* |x| <= 1e6 */
double tub__cos(double x);
double tub__tanh(double x);
double tub__erf(double x);

#endif
