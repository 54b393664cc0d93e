/* SPDX-License-Identifier: Apache-2.0 */
/* Clips that wait for a model, in batches through it: one thread for each model, which is the only one that
 * uses the model's context. */
#ifndef APP_SERVER_BATCHER_H
#define APP_SERVER_BATCHER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <tubelet/tubelet.h>

typedef struct batcher batcher;

/* What a request has for a model. The owner keeps it until `ready` was called. */
typedef struct batch_job {
    struct batch_job *next;
    int64_t rows;      /* clips */
    tub_dtype dtype;   /* TUB_F32 as the model takes them, or TUB_U8 of the model's shape */
    const void *clips; /* [rows,T,H,W,C] */
    float *logits, *probabilities;      /* [rows,K], filled in */
    const tub_explain_options *explain; /* NULL, or how each row is to be explained */
    tub_explanation *maps;              /* [rows], filled in */
    double deadline; /* of clock_now; later it is not begun, nor is another map made, any more */
    /* Called on the batcher's thread when all is done, or failed. */
    void (*ready)(struct batch_job *job);
    tub_status status;
    char message[TUB_ERROR_LENGTH];
    bool late;       /* it was not begun before its deadline */
    double taken_at; /* when its first row was taken */
    int64_t taken, done;
    double arrived;
} batch_job;

typedef struct batcher_counts {
    atomic_ullong batches, clips;
    atomic_ullong sizes[9];    /* batches of at most 1, 2, 4, … 128, and more clips */
    atomic_ullong nanoseconds; /* in the model */
} batcher_counts;

/* max_delay: seconds that a clip waits for others. The model stays the caller's. Runs a full batch once, so
 * that no memory is taken later. */
tub_status batcher_create(tub_model *model, int64_t max_batch, double max_delay,
                          batcher_counts *counts, batcher **out, tub_error *err);
void batcher_push(batcher *b, batch_job *job);
/* Clips that wait. */
int64_t batcher_waiting(batcher *b);
/* From now on no clip waits for others. */
void batcher_hurry(batcher *b);
/* Finishes what waits. Accepts NULL. */
void batcher_destroy(batcher *b);

#endif
