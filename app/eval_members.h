/* SPDX-License-Identifier: Apache-2.0 */
/* The answers that an evaluation judges: of one model, of the mean of several, or of each fold
 * on the samples that it was trained without. */
#ifndef APP_EVAL_MEMBERS_H
#define APP_EVAL_MEMBERS_H

#include "members.h"

typedef struct eval_how {
    const char *data;     /* name of the data set */
    const char *data_url; /* NULL, or a mirror */
    int64_t split_seed;   /* -1: as the run had it */
    tub_split split;
    tub_frame_order frames;
    uint64_t frames_seed;
    int64_t batch;
    tub_average average;
    const tub_file_options *views; /* of samples in files: several clips of each; NULL: one */
} eval_how;

typedef struct eval_answers {
    tub_model *first;  /* the names and sizes of all */
    tub_dataset *data; /* the split that was judged; out of fold: the whole */
    int own;           /* the data that the first was trained on */
    int64_t samples;
    float *probabilities;       /* [samples, K] */
    const int32_t *truth;       /* [samples, label_columns] */
    int32_t *joined_truth;      /* out of fold, what truth is; else NULL */
    int64_t folds;              /* out of fold: so many; else 0 */
    tub_scores mean, deviation; /* over the folds */
} eval_answers;

/* Opens the first model and nothing else. CLI_GO, or the exit code after a sentence, as all of
 * these; eval_answers_free in any case. */
int eval_answers_open(const cli_command *self, cli_work *work, const members *m, eval_answers *out);
/* The mean over all members, of one the answer itself. */
int eval_answers_mean(const cli_command *self, cli_work *work, const members *m,
                      const eval_how *how, eval_answers *out);
/* Each fold on the part of train and val that it was trained without, in the order of the data. */
int eval_answers_out_of_fold(const cli_command *self, cli_work *work, const members *m,
                             const eval_how *how, eval_answers *out);
void eval_answers_free(eval_answers *a);
/* Whether the members can be judged on a split of `data` (NULL: what they were trained on): they
 * say what that is, it is where it was, and no best model of a fold is judged on what it was
 * trained on. CLI_GO, or the exit code after a sentence. */
int eval_check_subject(const cli_command *self, tub_context *ctx, const members *m, tub_split split,
                       const char *data);

#endif
