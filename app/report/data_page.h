/* SPDX-License-Identifier: Apache-2.0 */
/* A page about a data set: its counts, and moving samples of every class. */
#ifndef APP_REPORT_DATA_PAGE_H
#define APP_REPORT_DATA_PAGE_H

#include "../cli.h"

/* Writes it to a file. CLI_GO, or the exit code after a sentence. */
int data_page_write(const cli_command *self, tub_context *ctx, const tub_dataset *data,
                    const char *path);

#endif
