/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet convert IN OUT: models to and from the files of other programs. */
#ifndef APP_CONVERT_FILES_H
#define APP_CONVERT_FILES_H

#include "cli.h"

typedef struct convert_files_options {
    const char *in, *out;
    const char *weights; /* last or best of a run */
    tub_convert_options convert;
    bool json, quiet;
} convert_files_options;

/* The value of --gelu. */
error_t convert_files_parse_gelu(tub_convert_gelu *out, const char *argument,
                                 struct argp_state *state);
int convert_files(const cli_command *self, cli_work *work, const convert_files_options *o);

#endif
