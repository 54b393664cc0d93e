/* SPDX-License-Identifier: Apache-2.0 */
/* The checking backend: the portable kernels with double for real. Linked into the tests only. */
#include "backend/cpu/cpu.h"

tub_status tub__cpu_backend_create_f64(const tub_allocator *a, tub__pool *pool, tub__backend **out,
                                       tub_error *err) {
    return tub__cpu_backend_make(a, pool, &tub__kernels_f64, out, err);
}
