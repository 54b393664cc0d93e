/* SPDX-License-Identifier: Apache-2.0 */
/* Names of files by an index, held to what a hub may make us fetch. */
#include "hub/weights_list.h"

#include <string.h>

#include "base/error.h"
#include "hub/name.h"

static tub_status check_names(const tub__weights *list, tub_error *err) {
    static const char suffix[] = ".safetensors";
    enum { FILES_LIMIT = 10000 };
    if (list->file_count == 0 || list->file_count > FILES_LIMIT) {
        return tub__fail(err, TUB_E_FORMAT, "it names %zu files", list->file_count);
    }
    for (size_t i = 0; i < list->file_count; i++) {
        const char *name = list->names[i];
        const size_t n = strlen(name);
        if (!tub__hub_is_plain(name) || n < sizeof suffix ||
            strcmp(name + n - (sizeof suffix - 1), suffix) != 0) {
            return tub__fail(err, TUB_E_FORMAT, "'%.100s' is no name of a file of weights", name);
        }
    }
    return TUB_OK;
}

tub_status tub__hub_weights_list(const tub_allocator *a, const char *index, tub__weights *out,
                                 tub_error *err) {
    TUB__TRY(tub__weights_list(a, index, out, err));
    const tub_status status = check_names(out, err);
    if (status != TUB_OK) {
        tub__prefix(err, status, "%s", out->path);
        tub__weights_close(out);
    }
    return status;
}
