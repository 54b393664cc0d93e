/* SPDX-License-Identifier: Apache-2.0 */
/* Ctrl-C: the first one asks the training to save and stop, the second one ends the program. */
#ifndef APP_INTERRUPT_H
#define APP_INTERRUPT_H

#include <tubelet/tubelet.h>

/* From now on SIGINT, SIGTERM and SIGHUP stop the training in ctx. */
void interrupt_begin(tub_context *ctx);
/* Back to the system's behaviour. Returns how many signals came. */
int interrupt_end(void);

#endif
