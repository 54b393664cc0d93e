/* SPDX-License-Identifier: Apache-2.0 */
/* A few threads for what takes long and needs no model's context: decoding, resizing, drawing. Each has a
 * context of its own. */
#ifndef APP_SERVER_HELPERS_H
#define APP_SERVER_HELPERS_H

#include <tubelet/tubelet.h>

typedef struct helpers helpers;

/* What is to be done; lies in what it is about. */
typedef struct helper_job {
    struct helper_job *next;
    void (*work)(struct helper_job *job, tub_context *ctx);
} helper_job;

tub_status helpers_create(int threads, const tub_context_config *config, helpers **out,
                          tub_error *err);
void helpers_push(helpers *h, helper_job *job);
/* Finishes what waits. Accepts NULL. */
void helpers_destroy(helpers *h);

#endif
