/* SPDX-License-Identifier: Apache-2.0 */
/* The result files of an evaluation. */
#ifndef APP_EVAL_FILES_H
#define APP_EVAL_FILES_H

#include "cli.h"
#include "eval_print.h"

typedef struct eval_files {
    const char *folder;
    bool own_data; /* what the run was trained on */
    bool quiet;    /* their names are not told */
    tub_precision precision;
} eval_files;

/* Writes them, over older ones. CLI_GO, or the exit code after a sentence. */
int eval_files_write(const cli_command *self, tub_context *ctx, const eval_files *f,
                     const eval_subject *s, const float *probabilities);

#endif
