/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of a cross-validation: OUT/fold-0, OUT/fold-1, ..., run folders each, and OUT/folds.json,
 * which says what they are folds of. What it says of results is always read from the runs anew. */
#ifndef TUB__TRAIN_FOLDS_FOLDER_H
#define TUB__TRAIN_FOLDS_FOLDER_H

#include "base/alloc.h"
#include <stdbool.h>
#include <tubelet/train.h>

#define TUB__FOLDS_FILE "folds.json"

/* "OUT/fold-N"; the caller's. */
TUB_MUST_USE tub_status tub__fold_path(const tub_allocator *a, const char *out, int64_t fold,
                                       char **path, tub_error *err);
/* Writes folds.json for runs that are in these states, [folds]. share: seconds that each of them has; 0: no
 * limit. */
TUB_MUST_USE tub_status tub__folds_write(const tub_allocator *a, const char *out,
                                         const tub_train_config *folds,
                                         const tub_fold_state *states, double share,
                                         tub_error *err);
/* tub_folds_config, and that share. */
TUB_MUST_USE tub_status tub__folds_read(tub_context *ctx, const char *out, tub_train_config *config,
                                        double *share, tub_error *err);
/* Whether `out` may be made: it is not there or, with force, nothing lies in it but runs of folds and
 * folds.json, which are removed. */
TUB_MUST_USE tub_status tub__folds_make_way(const tub_allocator *a, const char *out, bool force,
                                            tub_error *err);

#endif
