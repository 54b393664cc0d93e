/* SPDX-License-Identifier: Apache-2.0 */
/* What several MODELs on the command line mean: the members of a mean, the folds of a cross-validation
 * among them. */
#ifndef APP_MEMBERS_H
#define APP_MEMBERS_H

#include "subject.h"

typedef struct member {
    char path[PATH_MAX]; /* the model or run folder */
    subject subject;
    tub_views views;
} member;

typedef struct members {
    member *list;
    int count;
    bool folds;                    /* they are those of one folder of folds, and of nothing else */
    tub_train_config folds_config; /* of that */
} members;

/* Which views each of them is to take: as told, or as its run's recipe says. */
typedef struct members_options {
    const char *weights; /* of runs; NULL: as their recipes say */
    bool views_given;
    tub_views views;
} members_options;

/* names [count]: model folders, runs, or folders of folds, which stand for all their runs. CLI_GO, or
 * the exit code after a sentence. members_free in any case. */
int members_resolve(const cli_command *self, tub_context *ctx, const char *const *names, int count,
                    const members_options *options, members *out);
void members_free(members *m);
/* Opens one; from the second on it must agree with the first, a model. NULL after a sentence, with the
 * exit code in *code. */
tub_model *members_open(const cli_command *self, tub_context *ctx, const member *one,
                        const tub_model *first, int *code);
/* Whether one model may stand for all of them on the train or val split of the data that the first was
 * trained on: they were trained on the same part of it. CLI_GO, or the exit code after a sentence. */
int members_check_parts(const cli_command *self, const members *m, tub_split split);

/* How a data set is opened for a model: files as its folder takes them; the mirror as given, and the
 * seed of the split where it is, else the folder's. */
tub_dataset_options members_opening(const tub_model *model, const tub_dataset_options *given,
                                    bool seeded);

#endif
