/* SPDX-License-Identifier: Apache-2.0 */
/* The loader: a thread that makes the samples of coming batches into a ring of reused buffers, in
 * the epoch's order. */
#ifndef TUB__DATA_LOADER_H
#define TUB__DATA_LOADER_H

#include "base/context.h"
#include <tubelet/data.h>

typedef struct tub__loader tub__loader;

typedef struct tub__loader_config {
    const tub_dataset *data;
    tub_split split;
    uint64_t seed;
    size_t batch;       /* samples in a whole batch */
    bool shuffle;       /* whole-epoch permutation keyed by (seed, epoch); false: file order */
    size_t depth;       /* batches in the ring; 2 is enough where samples are only copied */
    size_t share_begin; /* of each batch only the samples [share_begin, share_end) are copied: a
                           rank's part */
    size_t share_end;   /* 0: the whole batch */
} tub__loader_config;

typedef struct tub__batch {
    const void *samples; /* [count,T,H,W,C] in the data's dtype; valid until tub__loader_release */
    const int32_t *labels; /* [count] */
    const uint32_t *index; /* [count]: indices in the split */
    size_t count;          /* in this share (may be 0) */
    size_t whole;          /* samples of the whole batch, all ranks */
    size_t position;       /* of the share's first sample in the epoch's order */
    size_t batch;          /* number of the batch in its epoch, from 0 */
    uint32_t epoch;
} tub__batch;

TUB_MUST_USE tub_status tub__loader_create(tub_context *ctx, const tub__loader_config *config,
                                           tub__loader **out, tub_error *err);
void tub__loader_destroy(tub__loader *loader);         /* accepts NULL; joins the thread */
size_t tub__loader_batches(const tub__loader *loader); /* per epoch; the last may be short */
/* Starts delivering at batch `batch` of `epoch` (both from 0); goes on into the following epochs
 * for ever. */
TUB_MUST_USE tub_status tub__loader_start(tub__loader *loader, uint32_t epoch, size_t batch,
                                          tub_error *err);
/* The next batch; waits for it. The previous one must have been released. Where a sample can't be made,
 * the batches before it come, then its error. */
TUB_MUST_USE tub_status tub__loader_next(tub__loader *loader, tub__batch *out, tub_error *err);
void tub__loader_release(tub__loader *loader);

#endif
