/* SPDX-License-Identifier: Apache-2.0 */
/* Seconds that pass, whatever the date is set to. */
#ifndef APP_CLOCK_H
#define APP_CLOCK_H

#include <time.h>

static inline double clock_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
