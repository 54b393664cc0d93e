/* SPDX-License-Identifier: Apache-2.0 */
/* One rank's training: its model, memory, part of each batch, and the steps over them. */
#ifndef TUB__TRAIN_TRAINER_H
#define TUB__TRAIN_TRAINER_H

#include "data/loader.h"
#include "dist/dist.h"
#include "train/checkpoint.h"
#include "train/groups.h"
#include "train/optimizer.h"
#include "train/progress.h"
#include "train/schedule.h"

/* Batches of the loader: one that is computed on, one that is copied meanwhile. */
enum { TUB__TREE_DEPTH = 16, TUB__LOADER_DEPTH = 2 };

/* What all ranks of a run share. */
typedef struct tub__run {
    tub_train_config
        *config;     /* resolved: no zero sizes; only the clock changes it, on rank 0 while the
                                 others wait */
    double deadline; /* of tub__seconds(): the step at work then is the last; 0: none */
    const tub_dataset *data;
    const tub_dataset_info *info;
    const char *folder;
    tub__identity identity;
    struct tub__train_events *events; /* what rank 0 writes for TensorBoard; NULL: nothing */
} tub__run;

typedef struct tub__trainer {
    const tub__run *run;
    tub_context *ctx;
    tub__dist dist;
    tub_model *model;
    tub__pass *pass;
    tub__optimizer optimizer;
    tub__augmenter *augmenter; /* of the training samples; NULL: they are used as they are */
    tub__loader *loader;
    tub__rates rates;
    tub__progress progress; /* the same on all ranks after every step */
    size_t batches;         /* in an epoch */
    size_t sample_bytes;
    tub__tree_split split;
    /* Gradients of finished left subtrees of its parts, by level. */
    void *left[TUB__TREE_DEPTH];
    float *class_weight; /* [K], or NULL */
    /* [1 + 3 * batch]: ranks that failed; then loss, top-1 hit, top-5 hit of each sample. */
    double *results;
    float *answers;   /* [piece, K] logits, or probabilities where labels are several */
    double *losses;   /* [piece] */
    size_t val_batch; /* samples validated at once */
    /* [val_batch, K] and [count of val, K]: rank 0 only, NULL without a val split. */
    float *val_logits;
    float *val_probabilities;
    void *val_room; /* for val_batch samples that lie in files; else NULL */
    double started; /* tub__seconds() less the seconds of earlier parts of the run */
    double began;   /* tub__seconds() when this part began */
    double lr;      /* of the last step */
    void *gradient; /* of the last step, until the average is shown or the next one begins */
    /* The loader did not start: the first step fails with it, so that all ranks learn of it. */
    tub_status pending;
    bool stopped;
    bool cut; /* the time was up */
} tub__trainer;

/* Weights of the classes for n labels below `classes`, as scikit-learn's "balanced": n / (classes *
 * count of the class), 0 for a class without samples. *out is the caller's. */
TUB_MUST_USE tub_status tub__class_weights(const tub_allocator *a, const int32_t *labels, size_t n,
                                           size_t classes, float **out, tub_error *err);

/* How a training orders its epochs. */
static inline tub__order_kind tub__train_order(const tub_train_config *config) {
    return config->sampling == TUB_BALANCED ? TUB__ORDER_BALANCED : TUB__ORDER_SHUFFLED;
}

/* Samples to validate at once, of so many: usually 32, but fewer of a model of many tokens, which fill
 * the processor as well and take less memory. */
size_t tub__validation_batch(const tub_model_config *model, int64_t count);

/* Takes over the model, on failure too. Everything that a step needs is allocated here. */
TUB_MUST_USE tub_status tub__trainer_create(tub_context *ctx, const tub__run *run, tub__dist dist,
                                            tub_model *model, tub__trainer *out, tub_error *err);
void tub__trainer_destroy(tub__trainer *t); /* accepts a cleared one */

/* One step on the next batch of the loader: forward, loss, backward, the sums over micro-batches
 * and ranks, clipping, update. progress counts it on success. All ranks return the same status,
 * but only the one that failed writes err. Error: TUB_E_NUMERIC before any weight changes when
 * loss or gradient are not finite. */
TUB_MUST_USE tub_status tub__trainer_step(tub__trainer *t, tub_error *err);

/* Shows the averaged weights, where the run keeps them, as the model's, or the trained ones again: in
 * between there is no step, and no checkpoint. */
void tub__trainer_show_average(tub__trainer *t, bool show);

/* Steps until the run is over, stopped or failed. Rank 0 validates, writes and sends events. */
TUB_MUST_USE tub_status tub__trainer_run(tub__trainer *t, tub_error *err);

#endif
