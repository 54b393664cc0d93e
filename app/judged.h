/* SPDX-License-Identifier: Apache-2.0 */
/* One model's answers on a split and what they come to: what report and compare begin with. */
#ifndef APP_JUDGED_H
#define APP_JUDGED_H

#include "eval_members.h"
#include "eval_print.h"
#include "eval_result.h"

typedef struct judging {
    const char *data, *weights; /* NULL: as the run says */
    const char *data_url;       /* NULL, or a mirror */
    int64_t split_seed;         /* -1: the run's */
    tub_split split;
    long batch, draws;
} judging;

/* The test split, as the run has it; 32 samples at a time, 1000 draws. */
judging judging_default(void);
enum {
    JUDGING_KEY_SPLIT = CLI_KEY_OWN + 0x180,
    JUDGING_KEY_BATCH,
    JUDGING_KEY_DRAWS,
    JUDGING_KEY_DATA_URL,
    JUDGING_KEY_WEIGHTS
};
/* Entries for the option tables of commands that judge models; MEMBERS_OPTIONS have weights
 * already. */
#define JUDGING_OPTIONS                                                                            \
    {"data", 'd', "NAME", 0, "Data set (default: the one that the run was trained on)", 1},        \
        {"split", JUDGING_KEY_SPLIT, "SPLIT", 0, "train, val or test (default test)", 1},          \
        {"batch-size",                                                                             \
         JUDGING_KEY_BATCH,                                                                        \
         "N",                                                                                      \
         0,                                                                                        \
         "Samples at a time (default 32); changes no digit",                                       \
         1},                                                                                       \
        {"draws",                                                                                  \
         JUDGING_KEY_DRAWS,                                                                        \
         "N",                                                                                      \
         0,                                                                                        \
         "Bootstrap draws for the intervals (default 1000, 0 none)",                               \
         1},                                                                                       \
    {                                                                                              \
        "data-url", JUDGING_KEY_DATA_URL, "URL", 0,                                                \
            "Folder of a mirror for the download (default: where the set is published)", 1         \
    }
#define JUDGING_OPTION_WEIGHTS                                                                     \
    {                                                                                              \
        "weights", JUDGING_KEY_WEIGHTS, "WHICH", 0,                                                \
            "last or best of a run (default: as its recipe says)", 1                               \
    }
/* One of them; ARGP_ERR_UNKNOWN of others. */
error_t judging_parse(judging *j, int key, const char *argument, struct argp_state *state);

/* Its pointers lead into itself: it stays where it was filled. */
typedef struct judged {
    members members; /* one */
    const subject *subject;
    eval_answers answers;
    eval_result result;
    eval_subject eval;
    char data[TUB_PATH_LENGTH]; /* name of the data set */
} judged;

/* Opens a model folder or run, evaluates it on the split and computes its metrics. CLI_GO, or
 * the exit code after a sentence; judged_close in any case, of one that was all zero before. */
int judged_open(const cli_command *self, cli_work *work, const char *model, const judging *how,
                judged *out);
void judged_close(tub_context *ctx, judged *j);

/* Tells samples of a split apart from others, wherever they lie: of files by their paths and
 * parts, else by their bytes; with their labels. */
uint64_t judged_samples(const judged *j, tub_split split);

#endif
