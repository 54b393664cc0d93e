/* SPDX-License-Identifier: Apache-2.0 */
/* Hyperband as the sweeps package has it: at which steps trials are compared, and whom it stops. */
#include "search/sweep.h"

#include "base/error.h"
#include <math.h>
#include <stdlib.h>

static void bands_down(tub_sweep *s, double most, double count) {
    if (count != floor(count)) {
        s->band_problem = "early_terminate: s must be a whole number";
        return;
    }
    int64_t bands[TUB__BANDS];
    size_t n = 0;
    for (double i = 0; i < count && n < TUB__BANDS; i++) {
        most /= s->eta;
        if (most < 1) {
            break;
        }
        bands[n++] = tub__whole_of(most);
    }
    for (size_t i = 0; i < n; i++) {
        s->bands[i] = bands[n - 1 - i];
    }
    s->band_count = n;
    if (n == 0) {
        s->band_problem =
            "early_terminate: max_iter / eta is below one step, or s below 1; nothing "
            "would ever be compared";
    }
}

static void bands_up(tub_sweep *s, double least) {
    for (; s->band_count < TUB__BANDS; s->band_count++) {
        s->bands[s->band_count] = tub__whole_of(least);
        least *= s->eta;
    }
}

void tub__hyperband_read(tub_sweep *s, const tub__json *settings) {
    double most = 0, least = 0, count = 0;
    s->eta = 3;
    s->strict = true;
    (void)!tub__json_opt_real(settings, "eta", &s->eta, NULL);
    (void)!tub__json_opt_bool(settings, "strict", &s->strict, NULL);
    if (tub__json_opt_real(settings, "s", &count, NULL) == TUB_OK &&
        tub__json_get_real(settings, "max_iter", &most, NULL) == TUB_OK) {
        if (tub__json_get(settings, "s") != NULL) {
            bands_down(s, most, count);
        } else {
            s->band_problem = "early_terminate: max_iter needs s";
        }
    } else if (tub__json_get_real(settings, "min_iter", &least, NULL) == TUB_OK) {
        bands_up(s, least);
    }
}

static int compare_numbers(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void tub__sort_numbers(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare_numbers);
}

/* The values of a trial that count, in its first `steps` reports: those that are finite. Value
 * number `index` of them; NaN: there are not as many. */
static double value_at(const tub_trial *t, int64_t steps, int64_t index, int64_t *count) {
    double value = NAN;
    *count = 0;
    for (int64_t i = 0; i < steps; i++) {
        if (isfinite(t->history[i])) {
            value = *count == index ? t->history[i] : value;
            ++*count;
        }
    }
    return value;
}

static double least_of(const tub_trial *t, int64_t steps, double sign) {
    double least = INFINITY;
    for (int64_t i = 0; i < steps; i++) {
        const double value = sign * t->history[i];
        least = isfinite(value) && value < least ? value : least;
    }
    return least;
}

/* The value that the best 1/eta of the trials that got so far keep to. */
static double threshold(const tub_sweep *s, const tub_trial *trials, int64_t count, int64_t index,
                        int64_t steps, int64_t band, double *room) {
    const double sign = s->info.maximize ? -1 : 1;
    size_t n = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t known;
        const int64_t seen = i == index ? steps : trials[i].steps;
        const double value = value_at(&trials[i], seen, band - 1, &known);
        if (!isnan(value)) {
            room[n++] = sign * value;
        }
    }
    if (n == 0) {
        return INFINITY;
    }
    tub__sort_numbers(room, n);
    return room[(size_t)((1.0 / s->eta) * (double)n)];
}

tub_status tub_sweep_stops(tub_context *ctx, const tub_sweep *s, const tub_trial *trials,
                           int64_t count, int64_t index, int64_t steps, int *stops,
                           tub_sweep_band *band, tub_error *err) {
    tub_sweep_band found = {0, NAN, NAN};
    int64_t known = 0;
    const double sign = s->info.maximize ? -1 : 1;
    *stops = 0;
    TUB__TRY(tub__in_range("the trial's number", index, 0, count - 1, err));
    TUB__TRY(tub__in_range("the trial's steps", steps, 0, trials[index].steps, err));
    (void)value_at(&trials[index], steps, -1, &known);
    for (size_t i = 0; i < s->band_count && s->bands[i] <= known; i++) {
        found.band = s->bands[i];
    }
    if (found.band > 0 && s->band_problem == NULL && s->info.metric != NULL) {
        void *room = NULL;
        TUB__TRY(tub__alloc_array(&ctx->allocator, (size_t)count, sizeof(double), &room, err));
        const double limit = threshold(s, trials, count, index, steps, found.band, room);
        const double value = s->strict
                                 ? sign * value_at(&trials[index], steps, found.band - 1, &known)
                                 : least_of(&trials[index], steps, sign);
        *stops = value > limit;
        found.value = sign * value;
        found.threshold = sign * limit;
        tub__free(&ctx->allocator, room);
    }
    if (band != NULL) {
        *band = found;
    }
    return TUB_OK;
}
