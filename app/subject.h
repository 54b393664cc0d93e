/* SPDX-License-Identifier: Apache-2.0 */
/* What a MODEL on the command line means: the folder whose weights a command uses. */
#ifndef APP_SUBJECT_H
#define APP_SUBJECT_H

#include <limits.h>

#include "cli.h"

typedef struct subject {
    bool is_run;
    tub_train_config config; /* of a run */
    const char *weights;     /* "last" or "best" of a run; NULL for a plain model folder */
    char folder[PATH_MAX];   /* of the weights */
} subject;

/* The value of --weights. */
error_t subject_parse_weights(const char **out, const char *argument, struct argp_state *state);
/* A folder that holds a model, or a run. */
bool subject_is_model(const char *path);
/* A folder that has a model or run in it: of all runs, say. */
bool subject_has_models(const char *folder);
/* CLI_GO, or the exit code after a sentence: it is a file, or the folder is neither a model nor a run. */
int subject_check_folder(const cli_command *self, const char *model);
/* A model of a hub (hf:OWNER/NAME[@REVISION]) to the folder that it is got into, `local`; any
 * other name as it is. Every command that takes a MODEL comes here. *out: what to open. CLI_GO or
 * the exit code after a sentence. */
int subject_local(const cli_command *self, tub_context *ctx, const char *model,
                  char local[PATH_MAX], const char **out);
/* Finds the folder of the weights; weights NULL: as the recipe of the run says. CLI_GO or the exit
 * code after a sentence. */
int subject_resolve(const cli_command *self, tub_context *ctx, const char *model,
                    const char *weights, subject *out);

#endif
