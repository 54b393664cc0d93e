/* SPDX-License-Identifier: Apache-2.0 */
/* Animations by mod-video, copied out of the context. */
#include "gif.h"

#include <stdlib.h>
#include <string.h>

#include "no_memory.h"

tub_status gif_encode(tub_context *ctx, const tub_picture *picture, void **bytes, size_t *size,
                      tub_error *err) {
    void *made;
    const tub_status status = tub_picture_encode(ctx, picture, TUB_PICTURE_GIF, &made, size, err);
    if (status != TUB_OK) {
        return status;
    }
    *bytes = malloc(*size);
    if (*bytes != NULL) {
        memcpy(*bytes, made, *size);
    }
    tub_picture_free(ctx, made);
    return *bytes != NULL ? TUB_OK : no_memory(err);
}
