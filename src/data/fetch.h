/* SPDX-License-Identifier: Apache-2.0 */
/* Downloading one described file into the cache folder. */
#ifndef TUB__DATA_FETCH_H
#define TUB__DATA_FETCH_H

#include "base/context.h"
#include "data/medmnist.h"

/* Whether a file is the published one, by its checksum; one that can't be read is not. */
bool tub__is_published(const tub__known_details *details, const char *path);

/* What tub_fetch does, for any description of a file. */
TUB_MUST_USE tub_status tub__fetch(tub_context *ctx, const tub_known_dataset *set,
                                   const tub__known_details *details,
                                   const tub_dataset_options *options, char *path, size_t path_size,
                                   tub_error *err);

#endif
