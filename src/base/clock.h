/* SPDX-License-Identifier: Apache-2.0 */
/* Time: for progress and logs only, never for results. */
#ifndef TUB__BASE_CLOCK_H
#define TUB__BASE_CLOCK_H

#include <stddef.h>

double tub__seconds(void);                 /* monotonic */
double tub__wall_seconds(void);            /* since 1970 */
void tub__utc_now(char *out, size_t size); /* "2026-01-31T12:00:00Z" */

#endif
