/* SPDX-License-Identifier: Apache-2.0 */
/* Augmentation of the samples of training: one random transform for a clip, by its place in the
 * epoch alone (docs/augmentation.md). */
#ifndef TUB__DATA_AUGMENT_H
#define TUB__DATA_AUGMENT_H

#include "base/alloc.h"
#include <stdbool.h>
#include <tubelet/augment.h>
#include <tubelet/data.h>

/* Read-only after its creation: many threads may use it, each with a scratch of its own. */
typedef struct tub__augmenter tub__augmenter;

/* What decides the transform of a clip, beside the augmenter's settings and seed. */
typedef struct tub__augment_key {
    uint32_t epoch;
    uint32_t position; /* of the sample in the epoch's order */
} tub__augment_key;

/* Whether some samples are mixed with others. */
bool tub__augment_mixes(const tub_augment_config *config);

/* Whether these settings can be used on these data with clips of clip[3] (T, H, W): bounds of the
 * values, sizes, flips of data whose classes are sides, mixing of labels that can't be mixed.
 * Errors: those of tub_augment_config_check; TUB_E_SHAPE (a sample smaller than the clip),
 * TUB_E_ARGUMENT. */
TUB_MUST_USE tub_status tub__augment_check(const tub_augment_config *config,
                                           const tub_dataset_info *data, const int64_t clip[3],
                                           tub_error *err);

/* Checks all of that again. With nothing switched on it cuts the middle out of larger samples.
 * Errors also: TUB_E_MEMORY. */
TUB_MUST_USE tub_status tub__augmenter_create(const tub_allocator *a,
                                              const tub_augment_config *config, uint64_t seed,
                                              const tub_dataset_info *data, const int64_t clip[3],
                                              tub__augmenter **out, tub_error *err);
void tub__augmenter_destroy(tub__augmenter *augmenter); /* accepts NULL */

/* Of what it makes: the data's, or float32 with shape_intensity. */
tub_dtype tub__augmenter_dtype(const tub__augmenter *augmenter);
size_t tub__augmenter_clip_bytes(const tub__augmenter *augmenter);
bool tub__augmenter_mixes(const tub__augmenter *augmenter);
/* Bytes that a thread needs beside. The second works without an augmenter, for predictions of
 * memory; the settings are checked ones. */
size_t tub__augmenter_scratch(const tub__augmenter *augmenter);
size_t tub__augment_scratch_of(const tub_augment_config *config, const tub_dataset_info *data,
                               const int64_t clip[3]);

/* Makes the clip `out` [T,H,W,C] of a sample, not mixed with others. scratch: as much as
 * tub__augmenter_scratch says, 64-byte aligned. */
void tub__augment(const tub__augmenter *augmenter, tub__augment_key key, void *scratch,
                  const void *sample, void *out);

/* A batch as its place in the epoch says, all ranks together. */
typedef struct tub__augment_batch {
    uint32_t epoch;
    size_t start;          /* position of its first sample in the epoch's order */
    size_t whole;          /* its samples */
    const uint32_t *index; /* [whole]: their indices in the split */
    /* Sample `number` of the batch; what it gave before need not stay valid. NULL: there is none. */
    const void *(*sample)(void *user, size_t number);
    void *user;
} tub__augment_batch;

/* What became of a clip's label. */
typedef struct tub__augment_mix {
    uint32_t partner; /* index in the split of the other sample */
    float share;      /* of the other sample; 0: not mixed, partner is the sample itself */
} tub__augment_mix;

/* Makes the clip of sample `number` of a batch, mixed with another of the batch where the settings
 * and the draw say so. False where a sample was not there. */
bool tub__augment_in_batch(const tub__augmenter *augmenter, const tub__augment_batch *batch,
                           size_t number, void *scratch, void *out, tub__augment_mix *mix);

#endif
