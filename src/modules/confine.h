/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of a worker process that hold until it ends. */
#ifndef TUB__MODULES_CONFINE_H
#define TUB__MODULES_CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <tubelet/status.h>

/* Address space, size of what is written, and processor time; less where the user's own limits are
 * lower. */
TUB_MUST_USE tub_status tub__confine_size(size_t memory, size_t output, size_t seconds,
                                          tub_error *err);
/* From now on the process can use what it has open and its own memory: no file, socket, process or
 * program can be opened, closed or started, no other process be sent a signal, and no memory be made
 * executable. TUB_E_UNSUPPORTED where the
 * kernel has no filters. opens: opening and looking at files raises SIGSYS, for tub__confine_open. */
TUB_MUST_USE tub_status tub__confine_calls(bool opens, tub_error *err);
/* Before that: from now on whoever opens a file whose name begins so gets the input's descriptor once more,
 * from its start on, and whoever looks at it sees the input; any other is refused, as in a folder that the
 * user has no right to. */
TUB_MUST_USE tub_status tub__confine_open(const char *name, int input, tub_error *err);

#endif
