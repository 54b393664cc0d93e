/* SPDX-License-Identifier: Apache-2.0 */
/* One file of a model from the hub to the cache. */
#ifndef TUB__HUB_FILE_H
#define TUB__HUB_FILE_H

#include "hub/cache.h"
#include "hub/client.h"

/* Gets a file of a commit, unless the cache has it, so that it is in the commit's snapshot: goes
 * on where a download broke off, and keeps nothing whose checksum is not what the server says.
 * limit: bytes that it may have. *found is false where the commit has no such file. Errors:
 * TUB_E_NETWORK, TUB_E_NOT_FOUND, TUB_E_CHECKSUM, TUB_E_FORMAT (the server is no hub), TUB_E_IO,
 * TUB_E_CANCELLED. */
TUB_MUST_USE tub_status tub__hub_file(tub__hub *hub, const tub__hub_cache *cache,
                                      const char *commit, const char *file, uint64_t limit,
                                      bool *found, tub_error *err);

#endif
