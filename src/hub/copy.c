/* SPDX-License-Identifier: Apache-2.0 */
/* Copying a file by its map. */
#include "hub/copy.h"

#include "base/error.h"
#include "base/file.h"

tub_status tub__hub_copy(const tub_allocator *a, const char *from, const char *to, tub_error *err) {
    tub__map content;
    TUB__TRY(tub__map_open(from, &content, err));
    const tub_status status = tub__file_write(a, to, content.data, content.size, err);
    tub__map_close(&content);
    return status;
}
