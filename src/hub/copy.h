/* SPDX-License-Identifier: Apache-2.0 */
/* Copying a file. */
#ifndef TUB__HUB_COPY_H
#define TUB__HUB_COPY_H

#include "base/alloc.h"

/* Writes the content of one file to another, which is there whole or not at all. */
TUB_MUST_USE tub_status tub__hub_copy(const tub_allocator *a, const char *from, const char *to,
                                      tub_error *err);

#endif
