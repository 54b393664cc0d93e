/* SPDX-License-Identifier: Apache-2.0 */
/* Sweeps: the search for settings that a W&B sweep file describes, without running anything
 * (docs/sweeps.md). */
#ifndef TUBELET_SWEEP_H
#define TUBELET_SWEEP_H

#include <stdint.h>
#include <tubelet/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tub_sweep_method {
    TUB_SWEEP_GRID = 0,
    TUB_SWEEP_RANDOM,
    TUB_SWEEP_BAYES,
    TUB_SWEEP_CUSTOM /* a scheduler of one's own: can't be run here */
} tub_sweep_method;

/* How a parameter's values are distributed. The names in a file are those behind
 * TUB_DISTRIBUTION_ in small letters. The bounds of log_uniform, inv_log_uniform and
 * q_log_uniform are exponents to base e. */
typedef enum tub_distribution {
    TUB_DISTRIBUTION_CONSTANT = 0,
    TUB_DISTRIBUTION_CATEGORICAL,
    TUB_DISTRIBUTION_CATEGORICAL_W_PROBABILITIES,
    TUB_DISTRIBUTION_INT_UNIFORM,
    TUB_DISTRIBUTION_UNIFORM,
    TUB_DISTRIBUTION_Q_UNIFORM,
    TUB_DISTRIBUTION_LOG_UNIFORM,
    TUB_DISTRIBUTION_LOG_UNIFORM_VALUES,
    TUB_DISTRIBUTION_INV_LOG_UNIFORM,
    TUB_DISTRIBUTION_INV_LOG_UNIFORM_VALUES,
    TUB_DISTRIBUTION_Q_LOG_UNIFORM,
    TUB_DISTRIBUTION_Q_LOG_UNIFORM_VALUES,
    TUB_DISTRIBUTION_NORMAL,
    TUB_DISTRIBUTION_Q_NORMAL,
    TUB_DISTRIBUTION_LOG_NORMAL,
    TUB_DISTRIBUTION_Q_LOG_NORMAL,
    TUB_DISTRIBUTION_BETA,
    TUB_DISTRIBUTION_Q_BETA
} tub_distribution;

/* A sweep file that was read and is valid. Not changed by any call: may be used by several
 * threads. */
typedef struct tub_sweep tub_sweep;

/* Reads a W&B sweep file (YAML 1.1): a path, or the name of one that comes with tubelet ("sweep-
 * vivit"). What the package `sweeps` 0.3.0 calls valid is valid, and the rest is refused.
 * Errors: TUB_E_FORMAT, one sentence with file, line and column; TUB_E_NOT_FOUND and TUB_E_IO;
 * TUB_E_MODULE without mod-yaml; TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_sweep_open(tub_context *ctx, const char *name, tub_sweep **out,
                                               tub_error *err);
/* Accepts NULL. */
TUB_API void tub_sweep_close(tub_sweep *sweep);

/* What a file says beside its parameters. Texts are the sweep's; NULL: the file does not have
 * them. */
typedef struct tub_sweep_info {
    tub_sweep_method method;
    const char *name, *description, *program;
    const char *metric;
    int maximize;    /* non-zero: the metric's largest value is the best one */
    double target;   /* ends the sweep when a trial reaches it; NaN: none */
    int64_t run_cap; /* most trials; 0: no limit */
    int hyperband;   /* trials are stopped early */
    int64_t
        parameters;   /* all, those within others one by one, in the order that grids go through */
    int64_t commands; /* words of `command` */
    int64_t notes;    /* things that are valid and probably not meant */
} tub_sweep_info;
TUB_API const tub_sweep_info *tub_sweep_describe(const tub_sweep *sweep);
/* Words of `command` and notes by number; NULL beyond the last, and for words that are not text. */
TUB_API const char *tub_sweep_command(const tub_sweep *sweep, int64_t index);
TUB_API const char *tub_sweep_note(const tub_sweep *sweep, int64_t index);
/* The whole file as one line of JSON, defaults of parameters and of early_terminate filled in. */
TUB_API const char *tub_sweep_filled(const tub_sweep *sweep);

typedef struct tub_sweep_parameter {
    const char *name; /* "model.heads" for heads within model */
    int line;         /* of the file */
    tub_distribution distribution;
    double low, high; /* the least and the largest value of those that have bounds, else NaN */
    int64_t count;    /* of the values to choose from; 0: not a choice */
} tub_sweep_parameter;
/* Parameter number `index`. Error: TUB_E_RANGE. */
TUB_API TUB_MUST_USE tub_status tub_sweep_parameter_at(const tub_sweep *sweep, int64_t index,
                                                       tub_sweep_parameter *out, tub_error *err);
/* Value number `value` of a choice, or the one of a constant, as JSON. The caller's until
 * tub_sweep_text_free. Errors: TUB_E_RANGE, TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_sweep_value(tub_context *ctx, const tub_sweep *sweep,
                                                int64_t index, int64_t value, char **out,
                                                tub_error *err);
/* Accepts NULL. */
TUB_API void tub_sweep_text_free(tub_context *ctx, char *text);
/* "log_uniform_values". Static. */
TUB_API const char *tub_distribution_name(tub_distribution distribution);
/* "grid". Static. */
TUB_API const char *tub_sweep_method_name(tub_sweep_method method);

/* Whether a valid file can be started: a grid whose parameters all have countable values, bayes and
 * hyperband with a metric, and so on. Errors: TUB_E_UNSUPPORTED (a scheduler), TUB_E_ARGUMENT, one
 * sentence that names the key. */
TUB_API TUB_MUST_USE tub_status tub_sweep_check(const tub_sweep *sweep, tub_error *err);

/* Points of a grid, equal ones once; -1: no grid, or one that can't be started. */
TUB_API int64_t tub_sweep_points(const tub_sweep *sweep);
/* The parameters of point number `index` of a grid, in the order in which trials go through them, as
 * tub_sweep_next gives them. *out is the caller's until tub_sweep_text_free. Errors: TUB_E_RANGE (no
 * such point, or no grid that can be started), TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_sweep_point(const tub_sweep *sweep, int64_t index, char **out,
                                                tub_error *err);

typedef enum tub_trial_state {
    TUB_TRIAL_RUNNING = 0, /* or about to be */
    TUB_TRIAL_FINISHED,
    TUB_TRIAL_STOPPED, /* by hyperband */
    TUB_TRIAL_FAILED
} tub_trial_state;

/* A trial as the search sees it. */
typedef struct tub_trial {
    const char *parameters; /* JSON, as tub_sweep_next gave them */
    tub_trial_state state;
    const double *history; /* [steps] the metric in the order of its reports; NaN is none */
    int64_t steps;
} tub_trial;

/* The parameters of the next trial as JSON, nested as the file nests them; *out NULL: the grid
 * has no further point. trials: all that there are, in the order in which they began; the next
 * one's number is their count. A random trial depends on seed and number only, a grid's on which
 * points trials already have, whatever became of them, and one of bayes on all of it: fewer than
 * two finished trials, and it is random. *out is the caller's until tub_sweep_text_free. Errors:
 * those of tub_sweep_check; TUB_E_MODULE without mod-search (bayes); TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_sweep_next(tub_context *ctx, const tub_sweep *sweep,
                                               uint64_t seed, const tub_trial *trials,
                                               int64_t count, char **out, tub_error *err);

/* What hyperband compared. */
typedef struct tub_sweep_band {
    int64_t band;     /* the last one that the trial has reached, in steps; 0: none yet */
    double value;     /* of the trial */
    double threshold; /* NaN: there is none */
} tub_sweep_band;

/* *stops non-zero: hyperband stops trial number `index`, which is running. Of that trial's
 * history `steps` values count, of the others' all. band may be NULL. Never of a sweep without
 * hyperband, or one that can't be started. Errors: TUB_E_RANGE (no such trial, or fewer steps),
 * TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_sweep_stops(tub_context *ctx, const tub_sweep *sweep,
                                                const tub_trial *trials, int64_t count,
                                                int64_t index, int64_t steps, int *stops,
                                                tub_sweep_band *band, tub_error *err);

/* The best value of a trial's history; NaN: it has none. */
TUB_API double tub_sweep_best(const tub_sweep *sweep, const tub_trial *trial);
/* Where the best trial stands; -1: none has a value. Of equal ones the first. */
TUB_API int64_t tub_sweep_best_of(const tub_sweep *sweep, const tub_trial *trials, int64_t count);

/* Where a trial's value lies within its parameter's distribution, 0 to 1 (of a choice, the
 * middle of its part, all of which are equal); NaN: parameters are not those of this sweep, or it is a constant. */
TUB_API double tub_sweep_position(const tub_sweep *sweep, int64_t index, const char *parameters);

#ifdef __cplusplus
}
#endif
#endif
