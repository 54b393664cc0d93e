/* SPDX-License-Identifier: Apache-2.0 */
/* Sending events and log lines to the receiver of a context. */
#include "base/context.h"

#include <stdarg.h>
#include <stdio.h>

void tub__emit(tub_context *ctx, const tub_event *event) {
    if (ctx->on_event != NULL) {
        pthread_mutex_lock(&ctx->event_lock);
        ctx->on_event(ctx->event_user, event);
        pthread_mutex_unlock(&ctx->event_lock);
    }
}

void tub__log_line(tub_context *ctx, tub_log_level level, const char *format, ...) {
    if (ctx->on_event == NULL) {
        return;
    }
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *c = text; *c != '\0'; c++) { /* one line, whatever a file name holds */
        *c = (unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c;
    }
    const tub_scores unknown = {__builtin_nan(""), __builtin_nan(""), __builtin_nan(""),
                                __builtin_nan("")};
    tub__emit(ctx, &(tub_event){.kind = TUB_EVENT_LOG,
                                .level = level,
                                .message = text,
                                .train = unknown,
                                .val = unknown});
}
