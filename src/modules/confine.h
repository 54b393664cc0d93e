/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of a worker process that hold until it ends. */
#ifndef TUB__MODULES_CONFINE_H
#define TUB__MODULES_CONFINE_H

#include <stddef.h>
#include <tubelet/status.h>

/* Address space, size of what is written, and processor time; less where the user's own limits are
 * lower. */
TUB_MUST_USE tub_status tub__confine_size(size_t memory, size_t output, size_t seconds,
                                          tub_error *err);
/* From now on the process can use what it has open and its own memory: no file, socket, process or
 * program can be opened, closed or started, no other process be sent a signal, and no memory be made
 * executable. TUB_E_UNSUPPORTED where the
 * kernel has no filters. */
TUB_MUST_USE tub_status tub__confine_calls(tub_error *err);

#endif
