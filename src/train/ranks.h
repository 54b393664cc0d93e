/* SPDX-License-Identifier: Apache-2.0 */
/* All ranks of a run in this process: rank 0 on the caller's thread and context, the others on
 * their own. */
#ifndef TUB__TRAIN_RANKS_H
#define TUB__TRAIN_RANKS_H

#include "train/trainer.h"
#include <pthread.h>

enum { TUB__RANK_LIMIT = 64 };

typedef struct tub__rank {
    tub_context *ctx; /* rank 0: the caller's */
    tub__trainer trainer;
    pthread_t thread;
    struct tub__ranks *ranks;
    tub_status status;
    tub_error error;
} tub__rank;

typedef struct tub__ranks {
    const tub_allocator *allocator;
    tub__rank *list;
    int size;
    tub__dist_group *group; /* NULL when alone */
    pthread_mutex_t gate;   /* held until every thread is there */
    bool cancelled;
} tub__ranks;

/* A model with initial values from the recipe's seed, in the recipe's precision. */
TUB_MUST_USE tub_status tub__model_for_training(tub_context *ctx, const tub_train_config *config,
                                                tub_model **out, tub_error *err);

/* A trainer per rank, each with its own model from the run's seed; model is rank 0's and is
 * taken over, on failure too. */
TUB_MUST_USE tub_status tub__ranks_create(tub_context *ctx, const tub__run *run, tub_model *model,
                                          tub__ranks *out, tub_error *err);
void tub__ranks_destroy(tub__ranks *ranks); /* accepts a cleared one */
/* Runs all of them to their end. */
TUB_MUST_USE tub_status tub__ranks_run(tub__ranks *ranks, tub_error *err);

#endif
