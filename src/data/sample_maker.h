/* SPDX-License-Identifier: Apache-2.0 */
/* How one sample of a training is made, by whichever thread of the loader comes to it: from the data set, to
 * the bytes of the model's clip. All that is drawn for it follows from its key. */
#ifndef TUB__DATA_SAMPLE_MAKER_H
#define TUB__DATA_SAMPLE_MAKER_H

#include "data/augment.h"
#include "data/dataset.h"

/* What a thread keeps from one sample to the next; begins cleared. */
typedef struct tub__sample_scratch {
    tub__source source;
    void *drawn;   /* with an augmenter, of a set of files: the frames that it gets */
    void *augment; /* what the augmenter works in */
} tub__sample_scratch;

typedef tub_status tub__sample_fn(void *user, const tub__sample_key *key, void *out,
                                  tub_error *err);

/* Nobody changes it while threads use it. */
typedef struct tub__sample_maker {
    const tub_dataset *data;
    tub_split split;
    const tub__augmenter *augmenter; /* of tub__dataset_source_info; NULL: samples stay as they are */
    tub__sample_fn *instead; /* NULL; or what makes samples in a test */
    void *user;
} tub__sample_maker;

/* The batch that a sample is of, all ranks together: what mixes samples takes the others from it. */
typedef struct tub__sample_batch {
    const uint32_t *index; /* [whole]: indices in the split */
    size_t whole;
    size_t number; /* of the sample among them */
} tub__sample_batch;

/* Bytes of one made sample, and its type. */
size_t tub__sample_bytes(const tub__sample_maker *maker);
tub_dtype tub__sample_dtype(const tub__sample_maker *maker);
/* Bytes of the scratch of a thread, but for the source's. */
size_t tub__sample_scratch_bytes(const tub__sample_maker *maker);
/* Makes one. From several threads at once, each with a scratch of its own, which takes its memory at the first
 * sample. *mix: what became of the label. Errors are the data set's: of a file they name it. */
TUB_MUST_USE tub_status tub__sample_make(const tub__sample_maker *maker, const tub__sample_key *key,
                                         const tub__sample_batch *batch,
                                         tub__sample_scratch *scratch, void *out,
                                         tub__augment_mix *mix, tub_error *err);
void tub__sample_scratch_free(const tub__sample_maker *maker, tub__sample_scratch *scratch);

#endif
