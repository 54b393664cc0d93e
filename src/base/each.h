/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks of unequal length on a pool: each worker takes the next that nobody has. */
#ifndef TUB__BASE_EACH_H
#define TUB__BASE_EACH_H

#include "base/pool.h"

/* Task i of count; worker: who does it, 0 being the thread that called. */
typedef tub_status tub__each_fn(void *argument, size_t i, int worker, tub_error *err);

/* Does tasks 0 … count - 1. After a failure no more are begun. Error: of the first task that has one, which is the
 * same for any number of threads where a task fails by itself, whoever does it: whatever comes before it was begun
 * before it. fn may not use the pool. */
TUB_MUST_USE tub_status tub__pool_each(tub__pool *pool, size_t count, tub__each_fn *fn,
                                       void *argument, tub_error *err);

#endif
