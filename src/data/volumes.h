/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes in arrays, by the names that tub_volumes_read takes. */
#ifndef TUB__DATA_VOLUMES_H
#define TUB__DATA_VOLUMES_H

#include "base/context.h"
#include <tubelet/data.h>

/* tub_volumes_read without a warning of far floats; from any thread. intensities: integers but for uint8 become
 * float32, of any value. */
TUB_MUST_USE tub_status tub__volumes_read(tub_context *ctx, const char *argument,
                                          const int64_t want[4], bool intensities, tub_volumes *out,
                                          tub_error *err);
/* The file that an argument names volumes of: "stack.npy" of "stack.npy[3]", "set.npz" of "set.npz:array[3]",
 * and what is there under the whole argument itself. *out is the caller's. TUB_E_NOT_FOUND where there is none. */
TUB_MUST_USE tub_status tub__volumes_file(const tub_allocator *a, const char *argument, char **out,
                                          tub_error *err);

#endif
