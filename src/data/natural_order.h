/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which people number files: "frame2" before "frame10". */
#ifndef TUB__DATA_NATURAL_ORDER_H
#define TUB__DATA_NATURAL_ORDER_H

/* As strcmp, but a run of digits counts as one number, of any length; names that differ only in leading
 * zeros are in the order of strcmp. Bytes else, whatever the language of the system. */
int tub__natural_compare(const char *a, const char *b);

#endif
