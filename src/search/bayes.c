/* SPDX-License-Identifier: Apache-2.0 */
/* The search by a Gaussian process: trials as points of the unit cube, and the point of the
 * largest expected improvement. What counts as a trial's value follows the sweeps package. */
#include "search/sweep.h"

#include "base/error.h"
#include "base/module.h"
#include "search/gp.h"
#include <math.h>
#include <string.h>

enum { SAMPLES = 100, CANDIDATES = 1000, CLIMBS = 5, CALLS = 120, WIDTH_LIMIT = 64 };

/* Trials as points and values to be minimised. */
typedef struct points {
    double *x; /* [room,d] */
    double *y; /* [room] */
    int n;
} points;

typedef struct search {
    const tub_sweep *s;
    const tub__search_module *module;
    const tub__parameter *searched[WIDTH_LIMIT];
    int d;
    double sign;
    points done, pending; /* trials with values, and those that are to come */
    const double *known;  /* [known_count,d] of all trials, those that the model leaves out too */
    int known_count;
    tub__gp gp;
    double least; /* of the normalised values */
} search;

/* ---- Values of trials ---- */

/* The worst value that any trial which ended reported; 0: none did. */
static double worst_value(const tub_sweep *s, const tub_trial *trials, int64_t count) {
    double worst = NAN;
    for (int64_t i = 0; i < count; i++) {
        for (int64_t k = 0; k < trials[i].steps && trials[i].state != TUB_TRIAL_RUNNING; k++) {
            const double value = trials[i].history[k];
            if (isfinite(value) &&
                (isnan(worst) || (s->info.maximize ? value < worst : value > worst))) {
                worst = value;
            }
        }
    }
    return isnan(worst) ? 0 : worst;
}

static double latest_value(const tub_trial *t) {
    for (int64_t i = t->steps; i-- > 0;) {
        if (isfinite(t->history[i])) {
            return t->history[i];
        }
    }
    return 0;
}

static double imputed(const tub_sweep *s, const tub_trial *t, tub__impute how, double worst) {
    const double best = tub_sweep_best(s, t);
    return how == TUB__IMPUTE_BEST     ? (isnan(best) ? 0 : best)
           : how == TUB__IMPUTE_LATEST ? latest_value(t)
                                       : worst;
}

/* NaN: the trial is still to come. */
static double value_of(const tub_sweep *s, const tub_trial *t, double worst) {
    const double best = tub_sweep_best(s, t);
    if (t->state == TUB_TRIAL_FINISHED) {
        return isnan(best) ? imputed(s, t, s->impute, worst) : best;
    }
    if (t->state != TUB_TRIAL_RUNNING) {
        return imputed(s, t, s->impute, worst);
    }
    return s->impute_running == TUB__IMPUTE_NOT ? NAN
           : isnan(best)                        ? imputed(s, t, s->impute_running, worst)
                                                : best;
}

/* ---- Trials to points ---- */

static tub_status add_trial(search *b, const tub_trial *t, double worst, tub_error *err) {
    double x[WIDTH_LIMIT];
    tub__json *parameters = NULL;
    bool fits = true;
    TUB__TRY(tub__trial_parse(t, &parameters, err));
    for (int i = 0; i < b->d; i++) {
        x[i] = tub__parameter_cdf(b->searched[i], tub__parameter_value(b->searched[i], parameters));
        fits = fits && isfinite(x[i]);
    }
    tub__json_free(parameters);
    if (fits) {
        const double value = value_of(b->s, t, worst);
        points *to = isnan(value) ? &b->pending : &b->done;
        memcpy(to->x + (size_t)to->n * (size_t)b->d, x, (size_t)b->d * sizeof *x);
        to->y[to->n++] = b->sign * value;
    }
    return TUB_OK;
}

/* Of more trials than a process takes: the best half, and the latest of the rest. */
static void thin_out(search *b, double *sorted) {
    points *p = &b->done;
    if (p->n <= SAMPLES) {
        return;
    }
    memcpy(sorted, p->y, (size_t)p->n * sizeof *sorted);
    tub__sort_numbers(sorted, (size_t)p->n);
    const double bar = sorted[SAMPLES / 2 - 1];
    int rest = 0, kept = 0, others = 0;
    for (int i = 0; i < p->n; i++) {
        others += p->y[i] > bar;
    }
    const int drop = others - SAMPLES / 2 > 0 ? others - SAMPLES / 2 : 0;
    for (int i = 0; i < p->n; i++) {
        const bool good = p->y[i] <= bar;
        rest += !good;
        if ((good || rest > drop) && kept < SAMPLES) {
            memmove(p->x + (size_t)kept * (size_t)b->d, p->x + (size_t)i * (size_t)b->d,
                    (size_t)b->d * sizeof *p->x);
            p->y[kept++] = p->y[i];
        }
    }
    p->n = kept;
}

/* ---- The model ---- */

static tub_status fit(search *b, tub_error *err) {
    tub__gp_free(&b->gp);
    TUB__TRY(tub__gp_fit(b->module, &b->s->allocator, b->done.x, b->done.y, b->done.n, b->d, &b->gp,
                         err));
    b->least = INFINITY;
    for (int i = 0; i < b->done.n; i++) {
        b->least = b->gp.y[i] < b->least ? b->gp.y[i] : b->least;
    }
    return TUB_OK;
}

/* Trials that are running are taken to get what the model expects of them. The least value stays
 * that of trials that have one. */
static tub_status fit_with_pending(search *b, tub_error *err) {
    double least = INFINITY;
    TUB__TRY(fit(b, err));
    if (b->pending.n == 0) {
        return TUB_OK;
    }
    for (int i = 0; i < b->done.n; i++) {
        least = b->done.y[i] < least ? b->done.y[i] : least;
    }
    for (int i = 0; i < b->pending.n && i < SAMPLES - 5; i++) {
        double mean, deviation;
        const double *x = b->pending.x + (size_t)i * (size_t)b->d;
        tub__gp_predict(&b->gp, x, &mean, &deviation);
        b->pending.y[i] = mean * b->gp.deviation + b->gp.mean;
    }
    for (int i = 0; i < b->pending.n && i < SAMPLES - 5; i++) {
        const size_t at = (size_t)b->done.n++;
        memcpy(b->done.x + at * (size_t)b->d, b->pending.x + (size_t)i * (size_t)b->d,
               (size_t)b->d * sizeof *b->done.x);
        b->done.y[at] = b->pending.y[i];
    }
    TUB__TRY(fit(b, err));
    b->least = (least - b->gp.mean) / b->gp.deviation;
    return TUB_OK;
}

/* ---- The best point ---- */

/* To where the values that a point stands for lie themselves. */
static void snap(const search *b, const double *point, double *out) {
    for (int i = 0; i < b->d; i++) {
        const double u = point[i] <= 0 ? 0x1p-54 : point[i] >= 1 ? 1 - 0x1p-53 : point[i];
        const tub__drawn value = tub__parameter_at(b->searched[i], u);
        out[i] = tub__drawn_cdf(b->searched[i], &value);
    }
}

static bool is_known(const search *b, const double *snapped) {
    const size_t d = (size_t)b->d;
    for (size_t i = 0; i < (size_t)b->known_count; i++) {
        if (memcmp(b->known + i * d, snapped, d * sizeof *snapped) == 0) {
            return true;
        }
    }
    return false;
}

/* Negative: to be minimised. A point that was tried counts last of all. */
static double loss(void *user, const double *point) {
    const search *b = user;
    double snapped[WIDTH_LIMIT];
    snap(b, point, snapped);
    const double gain = tub__gp_improvement(&b->gp, snapped, b->least);
    return is_known(b, snapped) ? 1 - gain : -gain;
}

typedef struct candidate {
    double x[WIDTH_LIMIT];
    double loss;
} candidate;

/* Keeps the best few, best first. */
static void keep(candidate *list, const candidate *one) {
    int at = CLIMBS;
    while (at > 0 && one->loss < list[at - 1].loss) {
        at--;
    }
    if (at < CLIMBS) {
        memmove(list + at + 1, list + at, (size_t)(CLIMBS - 1 - at) * sizeof *list);
        list[at] = *one;
    }
}

static tub_status climb(search *b, tub__random *draws, candidate *list, tub_error *err) {
    double low[WIDTH_LIMIT], high[WIDTH_LIMIT];
    candidate one;
    memset(&one, 0, sizeof one);
    for (int i = 0; i < WIDTH_LIMIT; i++) {
        low[i] = 0;
        high[i] = 1;
    }
    for (int i = 0; i < CLIMBS; i++) {
        list[i].loss = INFINITY;
    }
    for (int c = 0; c < CANDIDATES; c++) {
        for (int i = 0; i < b->d; i++) {
            one.x[i] = tub__search_draw(draws);
        }
        one.loss = loss(b, one.x);
        keep(list, &one);
    }
    for (int i = 0; i < CLIMBS; i++) {
        TUB__TRY(
            b->module->minimise(loss, b, b->d, low, high, CALLS, list[i].x, &list[i].loss, err));
        if (list[i].loss < list[0].loss) {
            list[0] = list[i];
        }
    }
    return TUB_OK;
}

static tub_status propose(search *b, uint64_t seed, int64_t number, char **out, tub_error *err) {
    tub__random draws = tub__search_draws(seed, number, TUB__DRAWS_CANDIDATES);
    void *room = NULL;
    TUB__TRY(tub__alloc_array(&b->s->allocator, CLIMBS, sizeof(candidate), &room, err));
    candidate *list = room;
    tub_status status = climb(b, &draws, list, err);
    void *values = NULL;
    if (status == TUB_OK) {
        status = tub__alloc_array(&b->s->allocator, b->s->count, sizeof(tub__drawn), &values, err);
    }
    int at = 0;
    for (size_t i = 0; status == TUB_OK && i < b->s->count; i++) {
        const tub__parameter *p = &b->s->parameters[i];
        double u = 0.5; /* of a constant */
        if (p->value == NULL) {
            u = list[0].x[at++];
            u = u <= 0 ? 0x1p-54 : u >= 1 ? 1 - 0x1p-53 : u;
        }
        ((tub__drawn *)values)[i] = tub__parameter_at(p, u);
    }
    if (status == TUB_OK) {
        status = tub__assignment(b->s, values, out, err);
    }
    tub__free(&b->s->allocator, values);
    tub__free(&b->s->allocator, room);
    return status;
}

/* ---- All together ---- */

static tub_status gather(search *b, const tub_trial *trials, int64_t count, double *room,
                         tub_error *err) {
    const size_t n = (size_t)count, d = (size_t)b->d;
    const double worst = worst_value(b->s, trials, count);
    b->done = (points){.x = room, .y = room + n * d};
    b->pending = (points){.x = room + n * (d + 1), .y = room + n * (2 * d + 1)};
    for (int64_t i = 0; i < count; i++) {
        TUB__TRY(add_trial(b, &trials[i], worst, err));
    }
    double *sorted = room + n * (2 * d + 2), *known = sorted + n;
    const size_t done = (size_t)b->done.n * d, pending = (size_t)b->pending.n * d;
    memcpy(known, b->done.x, done * sizeof *known);
    memcpy(known + done, b->pending.x, pending * sizeof *known);
    b->known = known;
    b->known_count = b->done.n + b->pending.n;
    thin_out(b, sorted);
    return TUB_OK;
}

static tub_status open_search(tub_context *ctx, const tub_sweep *s, search *b, tub_error *err) {
    const void *table = NULL;
    *b = (search){.s = s, .sign = s->info.maximize ? -1 : 1};
    for (size_t i = 0; i < s->count; i++) {
        if (s->parameters[i].value != NULL) {
            continue;
        }
        if (b->d == WIDTH_LIMIT) {
            return tub__fail(err, TUB_E_ARGUMENT,
                             "the method bayes searches at most %d parameters at once",
                             WIDTH_LIMIT);
        }
        b->searched[b->d++] = &s->parameters[i];
    }
    TUB__TRY(tub__module_open(ctx, "search", &table, err));
    b->module = table;
    return TUB_OK;
}

tub_status tub__bayes_next(tub_context *ctx, const tub_sweep *s, uint64_t seed,
                           const tub_trial *trials, int64_t count, char **out, tub_error *err) {
    search b;
    void *room = NULL;
    TUB__TRY(open_search(ctx, s, &b, err));
    TUB__TRY(tub__alloc_array(&s->allocator, ((size_t)count + 1) * (3 * (size_t)b.d + 3),
                              sizeof(double), &room, err));
    tub_status status = gather(&b, trials, count, room, err);
    if (status == TUB_OK && b.done.n < 2) {
        status = tub__random_next(s, seed, count, out, err);
    } else if (status == TUB_OK) {
        status = fit_with_pending(&b, err);
        if (status == TUB_OK) {
            status = propose(&b, seed, count, out, err);
        }
        tub__gp_free(&b.gp);
    }
    tub__free(&s->allocator, room);
    return status;
}
