/* SPDX-License-Identifier: Apache-2.0 */
/* A sweep at work: what its parts share. */
#ifndef APP_SWEEP_H
#define APP_SWEEP_H

#include <sys/types.h>

#include "../cli.h"
#include "../settings.h"

enum { SWEEP_WORKERS = 64, SWEEP_COLUMN = 32 };

typedef struct sweep_options {
    cli_common common;
    const char *file, *out, *recipe;
    long workers;
    long trials; /* 0: as the file says */
    long seed;
    bool dry_run;
    settings settings;
} sweep_options;

/* One trial that is being trained. */
typedef struct sweep_worker {
    pid_t pid; /* 0: idle */
    int64_t trial;
    double started; /* of this process, on the monotonic clock */
    bool stopped;   /* by hyperband; its log is not read any more */
} sweep_worker;

typedef struct sweep {
    const cli_command *self;
    tub_context *context;
    const sweep_options *options;
    tub_sweep *file;
    const tub_sweep_info *info;
    tub_journal *journal;      /* NULL: a dry run */
    tub_train_config base;     /* what every trial begins from */
    char column[SWEEP_COLUMN]; /* of log.csv, that the metric is; "": there is no metric */
    char folder[TUB_PATH_LENGTH];
    int64_t limit; /* most trials; INT64_MAX: until the grid ends */
    int threads;   /* of one worker */
    sweep_worker worker[SWEEP_WORKERS];
    live live;
    bool ended_early; /* by signals */
    /* of a dry run: why a run would stop at once; "": it would not */
    char problem[TUB_ERROR_LENGTH + TUB_PATH_LENGTH];
} sweep;

/* ---- settings.c: parameters as settings of recipes ---- */

/* What every trial begins from: defaults, the recipe, `command` of the file, options. CLI_GO, or
 * the exit code after a sentence. */
int sweep_base(sweep *s);
/* Checks that every parameter is a setting and its values may be that one's. */
tub_status sweep_check_parameters(const sweep *s, tub_error *err);
/* The settings of a trial. */
tub_status sweep_config(const sweep *s, const char *parameters, tub_train_config *out,
                        tub_error *err);
/* The key of the setting that a parameter of this name is; NULL: there is none. */
const char *sweep_setting(const char *name);
/* The column of log.csv that a metric is. False: there is none. */
bool sweep_metric_column(const char *metric, char out[SWEEP_COLUMN]);
/* The words of `command` that are settings. */
tub_status sweep_command(const sweep *s, tub_train_config *config, tub_error *err);

/* ---- plan.c ---- */

/* Prints what the sweep would do. CLI_DONE, or the exit code after a sentence. */
int sweep_plan(const sweep *s);
/* Notes of the file, and what of it is not run, to stderr. */
void sweep_notes(const sweep *s);

/* ---- place.c: the folder of a sweep ---- */

/* Opens or makes the folder and its journal, and holds what they say against this sweep. */
int sweep_open(sweep *s);
/* FOLDER/trials/0007 and what is appended. False: too long. */
bool sweep_path(const sweep *s, int64_t trial, const char *end, char out[TUB_PATH_LENGTH]);
/* Writes a recipe of these settings, in one step. False after a sentence. */
bool sweep_write_recipe(const sweep *s, const char *path, const tub_train_config *config,
                        const char *head);

/* ---- worker.c: trainings in processes of their own ---- */

/* Starts a trial's training on the cores of worker number `index`. */
tub_status sweep_start(sweep *s, int index, int64_t trial, tub_error *err);
/* Asks a worker to end after its step. */
void sweep_ask_to_stop(sweep_worker *w);
/* Whether a worker's process has ended; *code is its exit code, or 128 and the signal. */
bool sweep_ended(sweep_worker *w, int *code);
/* Why a trial failed: the signal that ended it, by its exit code, or the last line that it printed. */
void sweep_last_words(const sweep *s, int64_t trial, int code, char *out, size_t size);

/* ---- log.c ---- */

/* Values of the metric in a trial's log.csv from row `from` on, at most `room`; how many there
 * are. */
int64_t sweep_read_log(const sweep *s, int64_t trial, int64_t from, double *values, int64_t room);

/* ---- loop.c ---- */

int sweep_run(sweep *s);

/* ---- print.c: what is told while it runs, and at the end ---- */

const char *sweep_state_name(tub_trial_state state);
/* For the table and the page. */
const char *sweep_state_shown(const sweep *s, tub_trial_state state);
/* "lr=0.001 model.heads=4"; cut to size. */
void sweep_describe(const char *parameters, char *out, size_t size);
void sweep_tell_begin(const sweep *s, int64_t trial, bool again);
void sweep_tell_end(const sweep *s, int64_t trial);
/* Another process has the trial's folder. */
void sweep_tell_waiting(const sweep *s, int64_t trial, const char *run);
void sweep_draw(sweep *s, bool at_once);
/* The table of all trials, and the best one. */
int sweep_tell_all(const sweep *s);

/* ---- page.c ---- */

/* Writes FOLDER/sweep.html. False after a sentence. */
bool sweep_page(const sweep *s);

#endif
