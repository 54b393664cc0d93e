/* SPDX-License-Identifier: Apache-2.0 */
/* The result of an evaluation as text and as JSON. */
#ifndef APP_EVAL_PRINT_H
#define APP_EVAL_PRINT_H

#include "output.h"
#include <tubelet/tubelet.h>

typedef struct eval_subject {
    const char *model, *data, *split;
    const char *weights; /* "last" or "best" of a run; NULL for a plain model folder */
    tub_frame_order frames;
    uint64_t frames_seed; /* of shuffled ones */
    tub_task task;
    int count;       /* models; more than one are averaged, or folds */
    tub_views views; /* TUB_VIEWS_KINDS: they differ */
    tub_average average;
    int64_t file_views; /* of each file, with `crops` of each frame; 1 and 1: as without */
    int crops;
    tub_average file_average;   /* over these */
    int64_t folds;              /* each sample by the one of them that left it out; 0: not so */
    tub_scores mean, deviation; /* over these folds */
    /* The one of the task. */
    const tub_metrics *metrics;
    const tub_label_metrics *label_metrics;
    const tub_head_metrics *head_metrics;
    const char *const *labels; /* [classes] or NULL */
} eval_subject;

void eval_print(const eval_subject *subject);
/* NULL: no memory. */
json_t *eval_json(const eval_subject *subject);

#endif
