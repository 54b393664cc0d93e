/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of a cross-validation: OUT/fold-0, OUT/fold-1, ..., run folders each, and OUT/folds.json,
 * which says what they are folds of. What it says of results is always read from the runs anew. */
#ifndef TUB__TRAIN_FOLDS_FOLDER_H
#define TUB__TRAIN_FOLDS_FOLDER_H

#include "base/alloc.h"
#include <stdbool.h>
#include <tubelet/train.h>

#define TUB__FOLDS_FILE "folds.json"

/* What one run has come to. */
typedef struct tub__fold_state {
    bool there;    /* the run folder */
    bool finished; /* and it is done */
    int64_t epochs, best_epoch;
    double seconds;
    tub_scores val, best;
} tub__fold_state;

/* "OUT/fold-N"; the caller's. */
TUB_MUST_USE tub_status tub__fold_path(const tub_allocator *a, const char *out, int64_t fold,
                                       char **path, tub_error *err);
/* Looks at one run. TUB_E_EXISTS where it was made with other settings than the folds', or of other
 * data. */
TUB_MUST_USE tub_status tub__fold_look(tub_context *ctx, const char *out,
                                       const tub_train_config *folds, int64_t fold,
                                       tub__fold_state *state, tub_error *err);
/* Writes folds.json for runs that are in these states, [folds]. */
TUB_MUST_USE tub_status tub__folds_write(const tub_allocator *a, const char *out,
                                         const tub_train_config *folds,
                                         const tub__fold_state *states, tub_error *err);
/* Mean and standard deviation (of n - 1) over the finished ones. NaN where there are too few. */
void tub__folds_sum_up(const tub__fold_state *states, int64_t folds, tub_folds_result *out);
/* Whether `out` may be made: it is not there or, with force, nothing lies in it but runs of folds and
 * folds.json, which are removed. */
TUB_MUST_USE tub_status tub__folds_make_way(const tub_allocator *a, const char *out, bool force,
                                            tub_error *err);

#endif
