/* SPDX-License-Identifier: Apache-2.0 */
/* Work in a context whose allocations fail. */
#ifndef TEST_FAILING_CONTEXT_H
#define TEST_FAILING_CONTEXT_H

#include "base/error.h"
#include <stdbool.h>
#include <string.h>
#include <tubelet/tubelet.h>

/* What only event files lack costs a warning and no training. A receiver of events that hears of it; user
 * is a bool. */
static inline void hear_of_event_files(void *user, const tub_event *event) {
    if (event->kind == TUB_EVENT_LOG && event->level == TUB_LOG_WARNING &&
        strstr(event->message, "event files") != NULL) {
        *(bool *)user = true;
    }
}

/* That tells of a refused allocation as an error would. */
static inline tub_status status_or_heard(tub_status status, bool heard, tub_error *err) {
    return status == TUB_OK && heard
               ? tub__fail(err, TUB_E_MEMORY, "the training has ended, its event files are short")
               : status;
}

typedef tub_status failing_work(tub_context *ctx, const void *user, tub_error *err);

static inline tub_status in_failing_context(const tub_allocator *a, int threads,
                                            tub_precision precision, failing_work *work,
                                            const void *user, tub_error *err) {
    tub_context_config config = tub_context_config_default();
    tub_context *ctx;
    config.allocator = *a;
    config.threads = threads;
    config.precision = precision;
    bool heard = false;
    config.on_event = hear_of_event_files;
    config.event_user = &heard;
    TUB__TRY(tub_context_create(&config, &ctx, err));
    const tub_status status = work(ctx, user, err);
    tub_context_destroy(ctx);
    return status_or_heard(status, heard, err);
}

#endif
