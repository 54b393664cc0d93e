/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes of an argument with what a data set of its file would say of them. Not of what a worker reads, which knows no
 * data sets. */
#include "base/error.h"
#include "base/file.h"
#include "data/dataset.h"
#include "data/medmnist.h"
#include "data/volumes.h"

/* The names of the truth's classes, of a published file. */
static tub_status name_truth(tub_context *ctx, const char *argument, tub_volumes *out,
                             tub_error *err) {
    char *path = NULL;
    size_t n;
    const tub_status status = tub__volumes_file(&ctx->allocator, argument, &path, err);
    if (status != TUB_OK) {
        tub_volumes_free(out);
        return status;
    }
    const int known = tub__known_by_file(tub__path_name(path));
    if (known >= 0) {
        out->labels = tub__known_details_of(known)->labels;
        out->classes = tub_known_datasets(&n)[known].classes;
    }
    tub__free(&ctx->allocator, path);
    return TUB_OK;
}

tub_status tub_volumes_read(tub_context *ctx, const char *argument, const int64_t want[4],
                            tub_volumes *out, tub_error *err) {
    TUB__TRY(tub__volumes_read(ctx, argument, want, false, out, err));
    if (out->truth != NULL && out->truth_columns == 1) {
        TUB__TRY(name_truth(ctx, argument, out, err));
    }
    if (out->dtype == TUB_F32) {
        tub__warn_far_floats(
            ctx, argument, "it has", out->data,
            (size_t)(out->count * out->frames * out->height * out->width * out->channels));
    }
    return TUB_OK;
}
