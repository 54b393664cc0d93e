/* SPDX-License-Identifier: Apache-2.0 */
/* Ctrl-C: the first one asks the library to stop its work in order, the second one ends the
 * program. */
#ifndef APP_INTERRUPT_H
#define APP_INTERRUPT_H

#include <tubelet/tubelet.h>

/* From now on SIGINT, SIGTERM and SIGHUP stop the work in ctx. promise: what becomes of what is
 * done so far, said then; valid until the end. */
void interrupt_begin(tub_context *ctx, const char *promise);
/* How many signals have come so far. */
int interrupt_so_far(void);
/* Back to the system's behaviour. Returns how many signals came. */
int interrupt_end(void);

#endif
