/* SPDX-License-Identifier: Apache-2.0 */
/* The points of a grid: parameters in the order of their names, the last one fastest, equal
 * values once. */
#include "search/sweep.h"

#include "base/error.h"

enum { POINT_LIMIT = 10000000, VALUE_LIMIT = 1000000, LIST_LIMIT = 4096 };

/* The number of each value of a list among those that differ, by its first spelling. */
static int64_t rank_values(const tub__parameter *p) {
    int64_t distinct = 0;
    for (size_t i = 0; i < p->count; i++) {
        const size_t first = tub__value_index(p->values, tub__json_at(p->values, i));
        p->rank[i] = first < i ? p->rank[first] : (size_t)distinct++;
    }
    return distinct;
}

tub_status tub__grid_prepare(tub_sweep *s, tub_error *err) {
    for (size_t i = 0; i < s->count; i++) {
        tub__parameter *p = &s->parameters[i];
        const double span = p->high - p->low + 1;
        p->points = 1;
        if (p->distribution->kind == TUB_DISTRIBUTION_CATEGORICAL) {
            void *room = NULL;
            p->points = (int64_t)p->count;
            if (p->count <= LIST_LIMIT) {
                TUB__TRY(tub__alloc_array(&s->allocator, p->count, sizeof *p->rank, &room, err));
                p->rank = room;
                p->points = rank_values(p);
            }
        } else if (p->distribution->kind == TUB_DISTRIBUTION_INT_UNIFORM) {
            p->points = span <= VALUE_LIMIT ? (int64_t)span : VALUE_LIMIT + 1;
        } else if (p->distribution->kind == TUB_DISTRIBUTION_Q_UNIFORM) {
            p->points = tub__steps_count(p->low, p->high, p->q);
        }
    }
    return TUB_OK;
}

static bool is_whole(const tub__parameter *p, const char *key) {
    return tub__json_kind_of(tub__json_get(p->spec, key)) == TUB__JSON_INTEGER;
}

/* Value number `index` of those that differ; of equal ones the last spelling, as the original
 * has it. */
static tub__drawn value_of(const tub__parameter *p, int64_t index) {
    if (p->distribution->kind == TUB_DISTRIBUTION_CONSTANT) {
        return (tub__drawn){.listed = p->value};
    }
    if (p->distribution->kind == TUB_DISTRIBUTION_INT_UNIFORM) {
        return (tub__drawn){.whole = true, .integer = p->first + index};
    }
    if (p->distribution->kind == TUB_DISTRIBUTION_Q_UNIFORM) {
        const double value = tub__steps_at(p->low, p->q, index);
        return p->whole_q && is_whole(p, "min") && is_whole(p, "max")
                   ? (tub__drawn){.whole = true, .integer = (int64_t)value}
                   : (tub__drawn){.real = value};
    }
    size_t found = p->count;
    while (found > 0 && p->rank[found - 1] != (size_t)index) {
        found--;
    }
    return (tub__drawn){.listed = tub__json_at(p->values, found - 1)};
}

/* Which of the distinct values it is; -1: none. */
static int64_t index_of(const tub__parameter *p, const tub__json *value) {
    double x = 0;
    const int64_t n = p->points;
    if (p->distribution->kind == TUB_DISTRIBUTION_CONSTANT) {
        return 0;
    }
    if (value == NULL) {
        return -1;
    }
    if (p->values != NULL) {
        const size_t at = tub__value_index(p->values, value);
        return at < p->count ? (int64_t)p->rank[at] : -1;
    }
    if (tub__json_to_real(value, "", &x, NULL) != TUB_OK) {
        return -1;
    }
    const double step = p->distribution->kind == TUB_DISTRIBUTION_INT_UNIFORM ? 1 : p->q;
    const double guess = (x - p->low) / step;
    if (!(guess > -1) || !(guess < (double)n)) {
        return -1;
    }
    for (int64_t i = (int64_t)guess; i <= (int64_t)guess + 1 && i < n; i++) {
        if (tub__steps_at(p->low, step, i) == x) {
            return i;
        }
    }
    return -1;
}

tub_status tub__grid_points(const tub_sweep *s, int64_t *out, tub_error *err) {
    int64_t points = 1;
    for (size_t i = 0; i < s->count; i++) {
        const tub__parameter *p = &s->parameters[i];
        const int limit = p->values != NULL ? LIST_LIMIT : VALUE_LIMIT;
        if (p->points > limit) {
            return tub__fail(err, TUB_E_ARGUMENT,
                             "line %d: %s: more than %d values are too many for a grid", p->line,
                             p->name, limit);
        }
        points = points <= POINT_LIMIT ? points * p->points : points;
    }
    if (points > POINT_LIMIT) {
        return tub__fail(err, TUB_E_ARGUMENT, "the grid has more than %d points", POINT_LIMIT);
    }
    *out = points;
    return TUB_OK;
}

/* The number of a trial's point; -1: it is none of this grid. */
static int64_t point_of(const tub_sweep *s, const tub__json *parameters) {
    int64_t point = 0;
    for (size_t i = 0; i < s->count; i++) {
        const tub__parameter *p = &s->parameters[i];
        const int64_t index = index_of(p, tub__parameter_value(p, parameters));
        if (index < 0) {
            return -1;
        }
        point = point * p->points + index;
    }
    return point;
}

static tub_status mark(const tub_sweep *s, const tub_trial *trials, int64_t count, int64_t points,
                       unsigned char *taken, tub_error *err) {
    for (int64_t i = 0; i < count; i++) {
        tub__json *parameters = NULL;
        TUB__TRY(tub__trial_parse(&trials[i], &parameters, err));
        const int64_t point = point_of(s, parameters);
        tub__json_free(parameters);
        if (point >= 0 && point < points) {
            taken[point] = 1;
        }
    }
    return TUB_OK;
}

tub_status tub__grid_point(const tub_sweep *s, int64_t point, char **out, tub_error *err) {
    void *room = NULL;
    TUB__TRY(tub__alloc_array(&s->allocator, s->count + 1, sizeof(tub__drawn), &room, err));
    tub__drawn *values = room;
    for (size_t i = s->count; i-- > 0;) {
        const int64_t n = s->parameters[i].points;
        values[i] = value_of(&s->parameters[i], point % n);
        point /= n;
    }
    const tub_status status = tub__assignment(s, values, out, err);
    tub__free(&s->allocator, room);
    return status;
}

tub_status tub__grid_next(const tub_sweep *s, const tub_trial *trials, int64_t count, char **out,
                          tub_error *err) {
    int64_t points = 0, next = 0;
    void *room = NULL;
    *out = NULL;
    TUB__TRY(tub__grid_points(s, &points, err));
    TUB__TRY(tub__alloc_array(&s->allocator, (size_t)points + 1, 1, &room, err));
    const unsigned char *taken = room;
    tub_status status = mark(s, trials, count, points, room, err);
    while (next < points && taken[next]) {
        next++;
    }
    if (status == TUB_OK && next < points) {
        status = tub__grid_point(s, next, out, err);
    }
    tub__free(&s->allocator, room);
    return status;
}
