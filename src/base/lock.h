/* SPDX-License-Identifier: Apache-2.0 */
/* A file that one process at a time works on. */
#ifndef TUB__BASE_LOCK_H
#define TUB__BASE_LOCK_H

#include "base/context.h"
#include <sys/types.h>

/* Opens a file to read and write, made with `mode` where it is missing, and locks it; whoever else
 * has it locked is waited for, after a log line. The lock lasts until *fd, the caller's, is closed.
 * what: the download that it is about, source: where that comes from, for the sentences. Error:
 * TUB_E_CANCELLED where the context was told to stop. */
TUB_MUST_USE tub_status tub__lock_file(tub_context *ctx, const char *path, mode_t mode,
                                       const char *what, const char *source, int *fd,
                                       tub_error *err);

#endif
