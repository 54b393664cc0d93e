/* SPDX-License-Identifier: Apache-2.0 */
/* The data of a trained run, known again by what they are, not by where they lie. */
#include "base/context.h"
#include "base/error.h"
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <tubelet/train.h>

/* The same name, or the same file by another path. */
static bool same_name(const char *a, const char *b) {
    struct stat one, other;
    return strcmp(a, b) == 0 || (stat(a, &one) == 0 && stat(b, &other) == 0 &&
                                 one.st_dev == other.st_dev && one.st_ino == other.st_ino);
}

static tub_status take_fold(tub_dataset *whole, const tub_train_config *run, tub_dataset **out,
                            tub_error *err) {
    if (run->folds == 0) {
        *out = whole;
        return TUB_OK;
    }
    const tub_status status =
        tub_dataset_fold(whole, run->folds, run->fold, run->fold_seed, out, err);
    tub_dataset_close(whole);
    return status;
}

tub_status tub_run_dataset(tub_context *ctx, const tub_train_config *run, const char *name,
                           const tub_dataset_options *options, tub_dataset **out, int *own,
                           tub_error *err) {
    tub_dataset *data = NULL;
    const bool pinned = run->data_digest[0] != '\0';
    const char *from = name != NULL ? name : run->data;
    char digest[33] = "";
    TUB__TRY(tub_dataset_open(ctx, from, options, &data, err));
    if (pinned) {
        tub_dataset_digest(data, digest);
    }
    const bool same = pinned ? strcmp(digest, run->data_digest) == 0 : same_name(from, run->data);
    *own = same;
    if (same) {
        return take_fold(data, run, out, err);
    }
    if (run->folds > 0) {
        tub__log_line(ctx, TUB_LOG_WARNING,
                      "%s are not the data that the run is fold %" PRId64 " of: its train and val "
                      "splits are taken as they are, and samples of them may have been trained on",
                      from, run->fold);
    }
    *out = data;
    return TUB_OK;
}
