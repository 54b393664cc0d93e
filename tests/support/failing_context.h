/* SPDX-License-Identifier: Apache-2.0 */
/* Work in a context whose allocations fail. */
#ifndef TEST_FAILING_CONTEXT_H
#define TEST_FAILING_CONTEXT_H

#include "base/error.h"
#include <tubelet/tubelet.h>

typedef tub_status failing_work(tub_context *ctx, const void *user, tub_error *err);

static inline tub_status in_failing_context(const tub_allocator *a, int threads,
                                            tub_precision precision, failing_work *work,
                                            const void *user, tub_error *err) {
    tub_context_config config = tub_context_config_default();
    tub_context *ctx;
    config.allocator = *a;
    config.threads = threads;
    config.precision = precision;
    TUB__TRY(tub_context_create(&config, &ctx, err));
    const tub_status status = work(ctx, user, err);
    tub_context_destroy(ctx);
    return status;
}

#endif
