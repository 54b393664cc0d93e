/* SPDX-License-Identifier: Apache-2.0 */
/* The state of Adam beside a model's parameters: optimizer.safetensors of a model folder, or what a
 * run's checkpoint has of it. */
#ifndef TUB__CONVERT_MOMENTS_H
#define TUB__CONVERT_MOMENTS_H

#include "formats/safetensors.h"
#include "model/model.h"

typedef struct tub__moments {
    const tub_allocator *allocator;
    int64_t iterations; /* steps done */
    double learning_rate;
    /* NULL: there are none. All arrays of the model one after another, in the order of the
     * parameter table (tub__params_place) and the layout of model.safetensors. */
    float *first, *second;
} tub__moments;

/* Room for the moments of a model, all zero. */
TUB_MUST_USE tub_status tub__moments_create(const tub_model *model, tub__moments *out,
                                            tub_error *err);
void tub__moments_destroy(tub__moments *m); /* accepts what holds none */

/* Writes FOLDER/optimizer.safetensors: arrays "first/NAME" and "second/NAME". Atomic. */
TUB_MUST_USE tub_status tub__moments_write(const tub_model *model, const tub__moments *m,
                                           const char *folder, tub_error *err);
/* Reads it; a folder without the file gives none. Of a run folder it reads the checkpoint: the
 * moments of Adam or AdamW, where its weights are the model's. A warning says what does not go
 * along. */
TUB_MUST_USE tub_status tub__moments_read(const tub_model *model, const char *folder,
                                          tub__moments *out, tub_error *err);

/* Where a run folder has its checkpoint, and what this says of its optimizer (metadata). */
#define TUB__MOMENTS_CHECKPOINT "checkpoint/state.safetensors"
typedef struct tub__moments_facts {
    const char *optimizer; /* "adam", "adamw", "sgd" */
    int64_t iterations;
    double learning_rate; /* of the last step, or of the first one where there was none */
    double beta1, beta2, epsilon;
} tub__moments_facts;
TUB_MUST_USE tub_status tub__moments_declare(tub__st_writer *w, const tub__moments_facts *facts,
                                             tub_error *err);

#endif
