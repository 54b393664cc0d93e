/* SPDX-License-Identifier: Apache-2.0 */
/* Monotonic and wall-clock seconds, and the date as text. */
#include "base/clock.h"

#include <time.h>

double tub__seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double tub__wall_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void tub__utc_now(char *out, size_t size) {
    time_t now = time(NULL);
    struct tm parts;
    if (size == 0) {
        return;
    }
    if (gmtime_r(&now, &parts) == NULL || strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
        out[0] = '\0';
    }
}
