/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a valid sweep file can be started. */
#include "search/sweep.h"

#include "base/error.h"

/* Numbers that the schema allows and no draw could come from. */
static tub_status check_numbers(const tub__parameter *p, tub_error *err) {
    const unsigned keys = p->distribution->keys;
    if (!p->text_name) {
        return tub__fail(err, TUB_E_ARGUMENT, "line %d: %s: a parameter's name must be text",
                         p->line, p->name);
    }
    if ((keys & TUB__KEYS_BOUNDS) != 0 && !(p->low < p->high)) {
        return tub__fail(err, TUB_E_ARGUMENT, "line %d: %s: max must be above min", p->line,
                         p->name);
    }
    if ((keys & TUB__KEYS_NORMAL) != 0 && !(p->high > 0)) {
        return tub__fail(err, TUB_E_ARGUMENT, "line %d: %s: sigma must be above 0", p->line,
                         p->name);
    }
    if ((keys & TUB__KEYS_BETA) != 0 && !(p->low > 0 && p->high > 0)) {
        return tub__fail(err, TUB_E_ARGUMENT, "line %d: %s: a and b must be above 0", p->line,
                         p->name);
    }
    if (p->probabilities != NULL && tub__json_size(p->probabilities) > p->count) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "line %d: %s: there are more probabilities than values", p->line, p->name);
    }
    return TUB_OK;
}

static bool in_grid(const tub__parameter *p) {
    const tub_distribution kind = p->distribution->kind;
    return kind == TUB_DISTRIBUTION_CONSTANT || kind == TUB_DISTRIBUTION_CATEGORICAL ||
           kind == TUB_DISTRIBUTION_INT_UNIFORM || kind == TUB_DISTRIBUTION_Q_UNIFORM;
}

static tub_status check_grid(const tub_sweep *s, tub_error *err) {
    for (size_t i = 0; i < s->count; i++) {
        const tub__parameter *p = &s->parameters[i];
        if (!in_grid(p)) {
            return tub__fail(
                err, TUB_E_ARGUMENT,
                "line %d: %s: a grid can't go through %s, only through values (without "
                "probabilities), int_uniform and q_uniform",
                p->line, p->name, p->distribution->name);
        }
    }
    int64_t points;
    return tub__grid_points(s, &points, err);
}

static tub_status check_bayes(const tub_sweep *s, tub_error *err) {
    size_t searched = 0;
    for (size_t i = 0; i < s->count; i++) {
        searched += s->parameters[i].distribution->kind != TUB_DISTRIBUTION_CONSTANT;
    }
    return s->info.metric == NULL
               ? tub__fail(err, TUB_E_ARGUMENT, "the method bayes needs a metric with a name")
           : searched == 0 ? tub__fail(err, TUB_E_ARGUMENT,
                                       "the method bayes needs a parameter that is not constant")
                           : TUB_OK;
}

tub_status tub_sweep_check(const tub_sweep *s, tub_error *err) {
    if (s->scheduler || s->info.method == TUB_SWEEP_CUSTOM) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "schedulers are programs of their own and are not run here; grid, random "
                         "and bayes are");
    }
    for (size_t i = 0; i < s->count; i++) {
        TUB__TRY(check_numbers(&s->parameters[i], err));
    }
    if (s->info.hyperband && s->info.metric == NULL) {
        return tub__fail(err, TUB_E_ARGUMENT, "early_terminate needs a metric with a name");
    }
    if (s->band_problem != NULL) {
        return tub__fail(err, TUB_E_ARGUMENT, "%s", s->band_problem);
    }
    return s->info.method == TUB_SWEEP_GRID    ? check_grid(s, err)
           : s->info.method == TUB_SWEEP_BAYES ? check_bayes(s, err)
                                               : TUB_OK;
}
