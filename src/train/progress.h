/* SPDX-License-Identifier: Apache-2.0 */
/* How far a run has come: everything beside the arrays that a checkpoint holds. */
#ifndef TUB__TRAIN_PROGRESS_H
#define TUB__TRAIN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <tubelet/train.h>

typedef struct tub__progress {
    uint64_t step;           /* steps done */
    uint64_t epoch;          /* whole epochs done */
    uint64_t batch;          /* batches done of the epoch after those */
    uint64_t samples;        /* samples seen in them */
    double loss, top1, top5; /* sums over those samples, in the epoch's order */
    tub_scores train, val;   /* of the last finished epoch; NaN before the first */
    tub_scores best;         /* validation scores of the best epoch; NaN before the first */
    uint64_t best_epoch;     /* from 1; 0: none yet */
    uint64_t waited;         /* epochs since the best one */
    double seconds;          /* of training, over all interruptions */
    double data_wait;        /* seconds of the epoch in which rank 0 waited for samples */
} tub__progress;

/* A run that has not begun. */
tub__progress tub__progress_start(void);

/* Steps that the configuration asks for, with `batches` in an epoch. */
uint64_t tub__progress_total(const tub_train_config *config, uint64_t batches);
/* True when nothing is left to do: all epochs or max_steps are done, or patience is at its end. */
bool tub__progress_over(const tub__progress *p, const tub_train_config *config);

/* True when max_steps ended the run inside an epoch, which was validated and logged all the same. */
bool tub__progress_partial(const tub__progress *p, const tub_train_config *config);
/* Epochs that were validated, such a part of one included: as many as log.csv has rows. */
uint64_t tub__progress_epochs(const tub__progress *p, const tub_train_config *config);

/* Means over the epoch so far; NaN before its first sample. AUC is not known in training. */
tub_scores tub__progress_means(const tub__progress *p);

/* True when validation scores a are better than b: by AUC; where one of them has none (a class
 * is missing in the validation split), by loss. Anything beats a b that holds nothing. */
bool tub__scores_better(const tub_scores *a, const tub_scores *b);

/* Takes an epoch's validation scores into account: best and waited. True when they are the best
 * so far. */
bool tub__progress_judge(tub__progress *p, const tub_scores *val);

/* One member at a time, for the checkpoint's metadata: name and text of number `index`; false
 * behind the last. Reals are written as their 64 bits. */
enum { TUB__PROGRESS_TEXT = 24 };
bool tub__progress_get(const tub__progress *p, unsigned index, const char **name,
                       char text[TUB__PROGRESS_TEXT]);
/* Sets number `index` from such a text; false when it is none. */
bool tub__progress_set(tub__progress *p, unsigned index, const char *text);

#endif
