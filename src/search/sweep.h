/* SPDX-License-Identifier: Apache-2.0 */
/* What a sweep file is in memory. */
#ifndef TUB__SEARCH_SWEEP_H
#define TUB__SEARCH_SWEEP_H

#include "base/philox.h"
#include "search/distribution.h"

enum { TUB__BANDS = 100 };

/* What stands for the value of a trial that has none, or none yet. */
typedef enum tub__impute {
    TUB__IMPUTE_NOT = 0,
    TUB__IMPUTE_WORST,
    TUB__IMPUTE_BEST,
    TUB__IMPUTE_LATEST
} tub__impute;

struct tub_sweep {
    tub_allocator allocator;
    tub__document document;
    tub__notes notes;
    tub_sweep_info info;
    tub__parameter *parameters; /* constants included */
    size_t count;
    bool scheduler; /* the file has one */
    char *filled;
    tub__impute impute, impute_running;
    bool strict; /* hyperband's */
    double eta;
    int64_t bands[TUB__BANDS];
    size_t band_count;
    const char *band_problem; /* why there are none; NULL: there are, or no hyperband */
};

/* As tub_sweep_open, of a file's text, without its name in the sentence. */
TUB_MUST_USE tub_status tub__sweep_parse(tub_context *ctx, const char *text, size_t size,
                                         tub_sweep **out, tub_error *err);
/* The same from its tree, which becomes the sweep's or is freed. */
TUB_MUST_USE tub_status tub__sweep_of(const tub_allocator *a, tub__json *tree, tub_sweep **out,
                                      tub_error *err);

/* Checks everything but what stands at `parameters`. */
TUB_MUST_USE tub_status tub__sweep_check_top(tub__spot top, tub_error *err);
/* Reads hyperband's settings, which were checked. */
void tub__hyperband_read(tub_sweep *s, const tub__json *settings);

/* What a trial's random numbers are for. */
enum { TUB__DRAWS_VALUES = 0, TUB__DRAWS_CANDIDATES = 1, TUB__DRAWS_SAMPLE = 2 };
static inline tub__random tub__search_draws(uint64_t seed, int64_t trial, uint32_t what) {
    return tub__random_start(tub__random_key(seed, TUB__RANDOM_SEARCH), (uint32_t)trial, what, 0);
}
/* In (0, 1). */
static inline double tub__search_draw(tub__random *draws) {
    const double u = tub__random_double(draws);
    return u > 0 ? u : 0x1p-54;
}

/* A trial's parameters; the caller's until tub__json_free. */
TUB_MUST_USE tub_status tub__trial_parse(const tub_trial *trial, tub__json **out, tub_error *err);
/* The value at a parameter's place within a trial's parameters; NULL: there is none. */
const tub__json *tub__parameter_value(const tub__parameter *p, const tub__json *parameters);
/* The parameters with the given values, [count], nested as in the file, as JSON text. */
TUB_MUST_USE tub_status tub__assignment(const tub_sweep *s, const tub__drawn *values, char **out,
                                        tub_error *err);

/* The next trial by each method. *out NULL: a grid at its end. */
TUB_MUST_USE tub_status tub__grid_next(const tub_sweep *s, const tub_trial *trials, int64_t count,
                                       char **out, tub_error *err);
TUB_MUST_USE tub_status tub__random_next(const tub_sweep *s, uint64_t seed, int64_t number,
                                         char **out, tub_error *err);
TUB_MUST_USE tub_status tub__bayes_next(tub_context *ctx, const tub_sweep *s, uint64_t seed,
                                        const tub_trial *trials, int64_t count, char **out,
                                        tub_error *err);
/* Counts the values of a grid's parameters. */
TUB_MUST_USE tub_status tub__grid_prepare(tub_sweep *s, tub_error *err);
/* One of its points, by number. */
TUB_MUST_USE tub_status tub__grid_point(const tub_sweep *s, int64_t point, char **out,
                                        tub_error *err);
/* Points of a grid; TUB_E_ARGUMENT where they are too many. */
TUB_MUST_USE tub_status tub__grid_points(const tub_sweep *s, int64_t *out, tub_error *err);

/* A number without its fraction; one beyond int64_t becomes the largest. */
static inline int64_t tub__whole_of(double value) {
    return value < 9e18 ? (int64_t)value : INT64_MAX;
}

/* Sorts numbers, least first. */
void tub__sort_numbers(double *values, size_t count);

#endif
