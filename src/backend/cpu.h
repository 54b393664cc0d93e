/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU backend: which instruction sets there are, and making one. */
#ifndef TUB__BACKEND_CPU_H
#define TUB__BACKEND_CPU_H

#include "backend/backend.h"

/* True when this processor and operating system can run it. */
bool tub__cpu_has(tub_cpu cpu);
/* The best that this processor has. */
tub_cpu tub__cpu_best(void);
const char *tub__cpu_name(tub_cpu cpu);

/* cpu is not TUB_CPU_AUTO. TUB_E_UNSUPPORTED when the processor lacks it. *out lives until
 * tub__cpu_backend_destroy. */
TUB_MUST_USE tub_status tub__cpu_backend_create(const tub_allocator *a, tub__pool *pool,
                                                tub_cpu cpu, tub__backend **out, tub_error *err);
/* The portable kernels compiled with double for real: for checking, not for use. Only in the static
 * library for tests. */
TUB_MUST_USE tub_status tub__cpu_backend_create_f64(const tub_allocator *a, tub__pool *pool,
                                                    tub__backend **out, tub_error *err);
void tub__cpu_backend_destroy(tub__backend *be); /* accepts NULL */

/* Multiply-add peak of the pool's threads: runs `iterations` rounds of independent FMAs and returns
 * the operations done. */
double tub__cpu_peak_run(tub__backend *be, long iterations);
/* The same of so many products whose weights stream from the second cache of their thread: what is
 * left of the peak when numbers have to be loaded. */
double tub__cpu_tile_run(tub__backend *be, long products);

#endif
