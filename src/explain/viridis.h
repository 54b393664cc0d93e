/* SPDX-License-Identifier: Apache-2.0 */
/* Colours for values from 0 to 1. */
#ifndef TUB__EXPLAIN_VIRIDIS_H
#define TUB__EXPLAIN_VIRIDIS_H

/* Red, green and blue, 0 … 255, of a value that is moved into 0 … 1. */
void tub__viridis(double value, double rgb[3]);

#endif
