/* SPDX-License-Identifier: Apache-2.0 */
/* What the environment says about hubs, by the variables that other tools of hubs read, too. */
#ifndef TUB__HUB_ENV_H
#define TUB__HUB_ENV_H

#include "base/context.h"
#include <stdbool.h>

typedef struct tub__hub_env {
    const tub_allocator *allocator;
    char *endpoint; /* $HF_ENDPOINT without slashes at its end, else https://huggingface.co */
    char *cache;    /* folder that has models--OWNER--NAME */
    char *token;    /* NULL: none */
    const char *token_from; /* for sentences: "HF_TOKEN" or the path of the file */
    char *token_file;
    bool offline;
    bool anonymous; /* downloads go without the token */
} tub__hub_env;

/* Reads it. A token that others can read is worth a warning on the context. Errors:
 * TUB_E_ARGUMENT (no address, no home folder, a token with other characters than tokens have),
 * TUB_E_IO (a file of the token that can't be read). The token stands in no sentence. */
TUB_MUST_USE tub_status tub__hub_env_read(tub_context *ctx, tub__hub_env *out, tub_error *err);
void tub__hub_env_free(tub__hub_env *env);

#endif
