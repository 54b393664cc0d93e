/* SPDX-License-Identifier: Apache-2.0 */
/* The thread pool: a fixed set of workers that run one function together, split by worker number.
 *
 * A region is short (30 microseconds and up), so handing it out must be cheap: workers spin for a
 * while on an epoch counter before they sleep on a condition variable, and the caller takes part
 * as worker 0. What a region computes may never depend on the number of workers: they only divide
 * the work. */
#ifndef TUB__BASE_POOL_H
#define TUB__BASE_POOL_H

#include "base/alloc.h"

typedef struct tub__pool tub__pool;

enum { TUB__POOL_LIMIT = 1024 };

/* Processors that this process may run on (its affinity mask); at least 1. */
int tub__available_cores(void);

/* One worker's share: worker is 0 … workers - 1. Runs with the library's floating-point
 * environment. */
typedef void tub__pool_fn(void *argument, int worker, int workers);

/* threads counts the caller: 1 … TUB__POOL_LIMIT. More threads than cores work too; they then
 * hardly spin. The allocator must outlive the pool. Workers block all signals. */
TUB_MUST_USE tub_status tub__pool_create(const tub_allocator *a, int threads, tub__pool **out,
                                         tub_error *err);
void tub__pool_destroy(tub__pool *pool); /* accepts NULL; joins the workers */
int tub__pool_threads(const tub__pool *pool);

/* Runs fn once on every worker and returns when all are done. Not reentrant: fn may not call it,
 * and only one thread may use a pool at a time. */
void tub__pool_run(tub__pool *pool, tub__pool_fn *fn, void *argument);

/* For fn to call, on every worker equally often: none goes on before all have come. What one wrote
 * before, all can read after. */
void tub__pool_barrier(tub__pool *pool);

/* The share [*begin, *end) of n items for one worker: contiguous, even to within one item. */
static inline void tub__share(size_t n, int worker, int workers, size_t *begin, size_t *end) {
    *begin = n * (size_t)worker / (size_t)workers;
    *end = n * ((size_t)worker + 1) / (size_t)workers;
}

#endif
