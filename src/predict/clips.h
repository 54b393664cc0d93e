/* SPDX-License-Identifier: Apache-2.0 */
/* Clips of files as a model takes them, and what it makes of them: shared by files and timelines. */
#ifndef TUB__PREDICT_CLIPS_H
#define TUB__PREDICT_CLIPS_H

#include "data/clip_read.h"
#include "model/model.h"
#include <tubelet/predict.h>

/* How files become clips of one model. */
typedef struct tub__taking {
    tub__frame_plan plan;
    tub__clip_form form;
    int64_t views;
    int crops;
    int64_t samples; /* views times crops: clips of a file */
    tub_average average;
    tub_views tta; /* of each clip */
    tub_average tta_average;
    int64_t frames, height, width, channels; /* of a clip */
} tub__taking;

/* Errors: TUB_E_RANGE, TUB_E_ARGUMENT, of options. */
TUB_MUST_USE tub_status tub__taking_of(const tub_model *model, const tub_file_options *options,
                                       tub__taking *out, tub_error *err);
/* Elements of a clip. */
size_t tub__taking_elements(const tub__taking *t);
/* Clips that go through the model at once: few enough that the memory for it stays small. */
int64_t tub__taking_batch(const tub__taking *t);
/* A reader of an open file whose clips are the model's input. Error: TUB_E_SHAPE, which names the file. */
TUB_MUST_USE tub_status tub__taking_reader(const tub_allocator *a, const tub__taking *t,
                                           tub__clip_file *clip, tub__clip_reader **out,
                                           tub_error *err);

/* Room to run a model in. */
typedef struct tub__classifier {
    tub_model *model;
    const tub__taking *taking;
    int64_t batch; /* clips at once: few enough that their memory stays small */
    float *scaled; /* [batch] clips, where uint8 has to be scaled first */
    float *logits; /* [room, K] */
    float *probabilities;
    int64_t room;
} tub__classifier;
/* most: clips that are given at once. */
TUB_MUST_USE tub_status tub__classifier_create(tub_model *model, const tub__taking *taking,
                                               int64_t most, tub__classifier *out, tub_error *err);
void tub__classifier_destroy(tub__classifier *r); /* accepts one that is all zero */
/* n clips, at most `most`, to the runner's logits and probabilities. */
TUB_MUST_USE tub_status tub__classifier_run(tub__classifier *r, int64_t n, tub_dtype dtype,
                                            const void *clips, tub_error *err);

#endif
