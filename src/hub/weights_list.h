/* SPDX-License-Identifier: Apache-2.0 */
/* The files that weights are spread over, by an index that comes from a hub. */
#ifndef TUB__HUB_WEIGHTS_LIST_H
#define TUB__HUB_WEIGHTS_LIST_H

#include "convert/weights.h"

/* Reads which files an index names (tub__weights_list). A name that is more than letters, digits and
 * "._-", or of another kind of file, and an index of no file are TUB_E_FORMAT. tub__weights_close. */
TUB_MUST_USE tub_status tub__hub_weights_list(const tub_allocator *a, const char *index,
                                              tub__weights *out, tub_error *err);

#endif
