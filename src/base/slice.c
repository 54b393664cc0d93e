/* SPDX-License-Identifier: Apache-2.0 */
/* Slices of time by sched_setattr, which the C library has no function for. */
#include "base/slice.h"

#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined __linux__ && defined SYS_sched_setattr

/* struct sched_attr of linux/sched/types.h, as of its first version. */
typedef struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period; /* runtime: nanoseconds of a slice in the normal class */
} attributes;

void tub__slice_short(void) {
    enum { SLICE = 200000 }; /* 0.2 ms; the least that Linux takes is 0.1, what it gives some 3 */
    attributes a;
    memset(&a, 0, sizeof a);
    if (syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) == 0 && a.policy == SCHED_OTHER) {
        a.size = sizeof a;
        a.runtime = SLICE;
        (void)!syscall(SYS_sched_setattr, 0, &a, 0);
    }
}

#else

void tub__slice_short(void) {}

#endif
