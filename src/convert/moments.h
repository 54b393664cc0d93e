/* SPDX-License-Identifier: Apache-2.0 */
/* The state of Adam beside a model's parameters: optimizer.safetensors of a model folder, with the
 * names that a run's checkpoint has. */
#ifndef TUB__CONVERT_MOMENTS_H
#define TUB__CONVERT_MOMENTS_H

#include "model/model.h"

typedef struct tub__moments {
    const tub_allocator *allocator;
    int64_t iterations; /* steps done */
    double learning_rate;
    float *first,
        *second; /* NULL: there are none. All arrays of the model one after another, in the
                              order of the parameter table and the layout of model.safetensors */
} tub__moments;

/* Room for the moments of a model, all zero. */
TUB_MUST_USE tub_status tub__moments_create(const tub_model *model, tub__moments *out,
                                            tub_error *err);
void tub__moments_destroy(tub__moments *m); /* accepts what holds none */

/* Writes FOLDER/optimizer.safetensors: arrays "first/NAME" and "second/NAME". Atomic. */
TUB_MUST_USE tub_status tub__moments_write(const tub_model *model, const tub__moments *m,
                                           const char *folder, tub_error *err);
/* Reads it; a folder without the file gives none. */
TUB_MUST_USE tub_status tub__moments_read(const tub_model *model, const char *folder,
                                          tub__moments *out, tub_error *err);

#endif
