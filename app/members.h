/* SPDX-License-Identifier: Apache-2.0 */
/* What several MODELs on the command line mean: the members of a mean, the folds of a
 * cross-validation among them. */
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

/* What an option says of models that answer together. */
typedef struct members_options {
    const char *weights; /* of runs; NULL: as their recipes say */
    bool views_given;    /* else each takes the views that its run's recipe says */
    tub_views views;
    bool average_given;
    tub_average average;
    long split_seed; /* of data that say no splits; -1: as the run had it */
} members_options;

enum {
    MEMBERS_KEY_WEIGHTS = CLI_KEY_OWN + 0x100,
    MEMBERS_KEY_TTA,
    MEMBERS_KEY_AVERAGE,
    MEMBERS_KEY_SPLIT_SEED
};
/* Entries for the option table. */
#define MEMBERS_OPTIONS                                                                            \
    {"weights",                                                                                    \
     MEMBERS_KEY_WEIGHTS,                                                                          \
     "WHICH",                                                                                      \
     0,                                                                                            \
     "last or best of a run (default: as its recipe says)",                                        \
     1},                                                                                           \
        {"tta",                                                                                    \
         MEMBERS_KEY_TTA,                                                                          \
         "VIEWS",                                                                                  \
         0,                                                                                        \
         "Average over views of each sample: none, flip, shift or all (default: as the run's "     \
         "recipe says)",                                                                           \
         1},                                                                                       \
        {"average",                                                                                \
         MEMBERS_KEY_AVERAGE,                                                                      \
         "WHAT",                                                                                   \
         0,                                                                                        \
         "What is averaged, probabilities or logits (default: logits of a file's views, else "     \
         "probabilities)",                                                                         \
         1},                                                                                       \
    {                                                                                              \
        "split-seed", MEMBERS_KEY_SPLIT_SEED, "N", 0,                                              \
            "Seed of the split of a set of files without one (default: the run's, else 0)", 1      \
    }

/* Nothing said yet. */
members_options members_options_default(void);
/* One of the keys above; ARGP_ERR_UNKNOWN of others. */
error_t members_parse(members_options *o, int key, const char *argument, struct argp_state *state);

/* names [count]: model folders, runs, or folders of folds, which stand for all their runs.
 * CLI_GO, or the exit code after a sentence. members_free in any case. */
int members_resolve(const cli_command *self, tub_context *ctx, const char *const *names, int count,
                    const members_options *options, members *out);
void members_free(members *m);
/* The same of a command that works with one model alone: folds are refused. */
int members_resolve_one(const cli_command *self, tub_context *ctx, const char *model,
                        const char *weights, members *out);
/* Opens one; from the second on it must agree with the first, a model. NULL after a sentence,
 * with the exit code in *code. */
tub_model *members_open(const cli_command *self, tub_context *ctx, const member *one,
                        const tub_model *first, int *code);

/* How a data set is opened for the members, of which model is the first: files as its folder
 * takes them. The mirror is as given, and the seed of the split where it is (split_seed at least
 * 0), else it is the run's, else that of the model's folder. */
tub_dataset_options members_opening(const members *m, const tub_model *model, const char *data_url,
                                    int64_t split_seed);

/* A split that the members are asked about. */
typedef struct members_data {
    const char *name;   /* of the data set */
    const char *url;    /* NULL, or a mirror */
    int64_t split_seed; /* -1: as the run had it */
    tub_split split;
} members_data;
/* Opens it for the members, of which model is the first, once all may be asked about it: they
 * were trained on the same part and split of it, so that none learned what another is tested on.
 * *own: the data that the first was trained on. CLI_GO, or the exit code after a sentence; *out
 * is the caller's in any case. */
int members_open_data(const cli_command *self, tub_context *ctx, const members *m,
                      const tub_model *model, const members_data *which, tub_dataset **out,
                      int *own);

#endif
