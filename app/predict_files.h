/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet predict of videos, pictures and volumes in files: classes of files, and timelines. */
#ifndef APP_PREDICT_FILES_H
#define APP_PREDICT_FILES_H

#include "cli.h"
#include "predict_print.h"
#include "predictor.h"

/* How files are taken and shown. */
typedef struct predict_taking {
    tub_file_options file;
    bool sampled;        /* an option says how frames are chosen or cut */
    bool chosen;         /* one that says which frames, beside views and crops */
    int64_t window, hop; /* nanoseconds of a timeline; 0: none */
} predict_taking;

enum {
    PREDICT_KEY_VIEWS = CLI_KEY_OWN + 0x80,
    PREDICT_KEY_CROPS,
    PREDICT_KEY_SAMPLING,
    PREDICT_KEY_STRIDE,
    PREDICT_KEY_FROM,
    PREDICT_KEY_TO,
    PREDICT_KEY_WINDOW,
    PREDICT_KEY_HOP
};
/* Entries for the option table. */
#define PREDICT_OPTIONS_VIEWS                                                                      \
    {"views", PREDICT_KEY_VIEWS, "N", 0, "Clips of each file, over its time (default 1)", 2}, {    \
        "crops", PREDICT_KEY_CROPS, "N", 0,                                                        \
            "Parts of each frame: 1, the middle, or 3 along its longer side (default 1)", 2        \
    }
#define PREDICT_OPTIONS_FILES                                                                       \
    {"sampling",                                                                                    \
     PREDICT_KEY_SAMPLING,                                                                          \
     "HOW",                                                                                         \
     0,                                                                                             \
     "Which frames of a file: uniform, linspace, stride or segments (default: as the model's "      \
     "data, else uniform)",                                                                         \
     2},                                                                                            \
        {"stride", PREDICT_KEY_STRIDE, "N", 0, "With sampling stride or linspace: every Nth frame", \
         2},                                                                                        \
        {"from", PREDICT_KEY_FROM, "TIME", 0, "Only what is shown from there on, as in 2.5s", 2},   \
        {"to", PREDICT_KEY_TO, "TIME", 0, "Only what is shown before that (default: the end)", 2},  \
        {"window",                                                                                  \
         PREDICT_KEY_WINDOW,                                                                        \
         "TIME",                                                                                    \
         0,                                                                                         \
         "Print a timeline: a row for each window of that length, as in 2s",                        \
         2},                                                                                        \
    {                                                                                               \
        "hop", PREDICT_KEY_HOP, "TIME", 0,                                                          \
            "With --window: from one window's begin to the next (default: the window's length)", 2  \
    }

/* Nothing said yet. */
predict_taking predict_taking_default(void);
/* One of the keys above; ARGP_ERR_UNKNOWN of others. */
error_t predict_taking_parse(predict_taking *taking, int key, const char *argument,
                             struct argp_state *state);
/* Options that contradict each other, once all are read; completes those left away. */
error_t predict_taking_check(predict_taking *taking, struct argp_state *state);

/* Whether an argument names an array: a .npy or .npz file by its first bytes, or a member of one. */
bool predict_is_array(const char *file);
/* Classifies files in their order, by one model or the mean of several; *bad counts those that could not be, each
 * named by a sentence. Returns an exit code after a failure that ends the work, else CLI_DONE. */
int predict_clips(const cli_command *self, cli_work *work, predict_printer *printer,
                  const predictor *p, const predict_taking *taking, const char *const *files,
                  int count, int *bad);

/* How member i takes files. */
tub_file_options predict_member_taking(const predictor *p, int i, const predict_taking *taking);

/* Where results go. */
typedef struct predict_telling {
    const cli_command *command;
    predict_printer *printer;
    const char *file; /* of a timeline */
    int *bad;
} predict_telling;
/* Of tub_predict_files and tub_timeline; user: a predict_telling. */
int predict_tell_file(void *user, const tub_file_result *r);
int predict_tell_window(void *user, const tub_window *w);
/* A sentence that stands where the file would. */
void predict_tell_bad(const predict_telling *t, tub_status status, const char *sentence);

/* predict_mean.c: the same by the mean of several models. */
int predict_mean_files(const predict_telling *t, tub_context *ctx, const predictor *p,
                       const predict_taking *taking, const char *const *files, int count);
int predict_mean_timeline(const predict_telling *t, tub_context *ctx, const predictor *p,
                          const predict_taking *taking, const char *file);

#endif
