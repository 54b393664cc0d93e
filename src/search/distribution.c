/* SPDX-License-Identifier: Apache-2.0 */
/* Quantiles and distribution functions of parameters, as the sweeps package computes them by
 * scipy. */
#include "search/distribution.h"

#include "base/scalar.h"
#include "search/special.h"
#include <math.h>
#include <string.h>

/* scipy's randint.ppf over low … high. */
static int64_t integer_at(double u, int64_t low, int64_t high) {
    const double least = (double)low, most = (double)high, span = most - least + 1;
    const double above = -floor(-(u * span + least)) - 1; /* ceil - 1 */
    const double below = above - 1 < least ? least : above - 1;
    const double value = (below - least + 1) / span >= u ? below : above;
    return value <= least ? low : value >= most ? high : (int64_t)value;
}

static size_t weighted_at(const tub__parameter *p, double u) {
    double sum = 0;
    const size_t n = tub__json_size(p->probabilities);
    for (size_t i = 0; i < n; i++) {
        double one = 0;
        (void)!tub__json_to_real(tub__json_at(p->probabilities, i), "", &one, NULL);
        sum += one;
        if (u < sum) {
            return i < p->count ? i : 0;
        }
    }
    return 0; /* as numpy.argmin of a row without a false */
}

static double log_uniform_at(double u, double low, double high) {
    return tub__exp(u * (high - low) + low);
}

static double inverse_at(double u, double low, double high) {
    return tub__exp(-((1 - u) * (high - low) + low));
}

/* Before it is rounded to multiples of q. */
static double real_at(const tub__parameter *p, double u) {
    const double low = p->low, high = p->high;
    switch (p->distribution->kind) {
    case TUB_DISTRIBUTION_LOG_UNIFORM:
    case TUB_DISTRIBUTION_Q_LOG_UNIFORM:
        return log_uniform_at(u, low, high);
    case TUB_DISTRIBUTION_LOG_UNIFORM_VALUES:
    case TUB_DISTRIBUTION_Q_LOG_UNIFORM_VALUES:
        return log_uniform_at(u, tub__log(low), tub__log(high));
    case TUB_DISTRIBUTION_INV_LOG_UNIFORM:
        return inverse_at(u, low, high);
    case TUB_DISTRIBUTION_INV_LOG_UNIFORM_VALUES:
        return inverse_at(u, -tub__log(high), -tub__log(low));
    case TUB_DISTRIBUTION_NORMAL:
    case TUB_DISTRIBUTION_Q_NORMAL:
        return tub__normal_quantile(u) * high + low;
    case TUB_DISTRIBUTION_LOG_NORMAL:
    case TUB_DISTRIBUTION_Q_LOG_NORMAL:
        return tub__exp(tub__normal_quantile(u) * high) * tub__exp(low);
    case TUB_DISTRIBUTION_BETA:
    case TUB_DISTRIBUTION_Q_BETA:
        return tub__beta_quantile(u, low, high);
    default:
        return u * (high - low) + low;
    }
}

static bool rounds(const tub__parameter *p) {
    return (p->distribution->keys & TUB__KEYS_Q) != 0;
}

tub__drawn tub__parameter_at(const tub__parameter *p, double u) {
    switch (p->distribution->kind) {
    case TUB_DISTRIBUTION_CONSTANT:
        return (tub__drawn){.listed = p->value};
    case TUB_DISTRIBUTION_CATEGORICAL:
        return (tub__drawn){
            .listed = tub__json_at(p->values, (size_t)integer_at(u, 0, (int64_t)p->count - 1))};
    case TUB_DISTRIBUTION_CATEGORICAL_W_PROBABILITIES:
        return (tub__drawn){.listed = tub__json_at(p->values, weighted_at(p, u))};
    case TUB_DISTRIBUTION_INT_UNIFORM:
        return (tub__drawn){.whole = true, .integer = integer_at(u, p->first, p->last)};
    default:
        break;
    }
    double value = real_at(p, u);
    if (rounds(p)) {
        value = rint(value / p->q) * p->q; /* half to even */
    }
    if (rounds(p) && p->whole_q && fabs(value) < 9e18) {
        return (tub__drawn){.whole = true, .integer = (int64_t)value};
    }
    return (tub__drawn){.real = value};
}

void tub__drawn_put(tub__json_writer *w, const char *key, const tub__drawn *value) {
    if (value->listed != NULL) {
        tub__json_put_value(w, key, value->listed);
    } else if (value->whole) {
        tub__json_put_integer(w, key, value->integer);
    } else {
        tub__json_put_real(w, key, value->real);
    }
}

static double within(double x) {
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

static double real_cdf(const tub__parameter *p, double x) {
    const double low = p->low, high = p->high;
    switch (p->distribution->kind) {
    case TUB_DISTRIBUTION_INT_UNIFORM:
        return within((floor(x) - low + 1) / (high - low + 1));
    case TUB_DISTRIBUTION_LOG_UNIFORM:
    case TUB_DISTRIBUTION_Q_LOG_UNIFORM:
        return x > 0 ? within((tub__log(x) - low) / (high - low)) : 0;
    case TUB_DISTRIBUTION_LOG_UNIFORM_VALUES:
    case TUB_DISTRIBUTION_Q_LOG_UNIFORM_VALUES:
    case TUB_DISTRIBUTION_INV_LOG_UNIFORM_VALUES:
        return x > 0 ? within((tub__log(x) - tub__log(low)) / (tub__log(high) - tub__log(low))) : 0;
    case TUB_DISTRIBUTION_INV_LOG_UNIFORM:
        return x > 0 ? within(1 - (-tub__log(x) - low) / (high - low)) : 0;
    case TUB_DISTRIBUTION_NORMAL:
    case TUB_DISTRIBUTION_Q_NORMAL:
        return tub__normal_cdf((x - low) / high);
    case TUB_DISTRIBUTION_LOG_NORMAL:
    case TUB_DISTRIBUTION_Q_LOG_NORMAL:
        return x > 0 ? tub__normal_cdf((tub__log(x) - low) / high) : 0;
    case TUB_DISTRIBUTION_BETA:
    case TUB_DISTRIBUTION_Q_BETA:
        return tub__beta_cdf(x, low, high);
    default:
        return within((x - low) / (high - low));
    }
}

static double listed_cdf(const tub__parameter *p, size_t index) {
    if (index >= p->count) {
        return NAN;
    }
    if (p->probabilities == NULL) {
        return (double)(index + 1) / (double)p->count;
    }
    double sum = 0;
    for (size_t i = 0; i <= index; i++) {
        double one = 0;
        (void)!tub__json_to_real(tub__json_at(p->probabilities, i), "", &one, NULL);
        sum += one;
    }
    return within(sum);
}

double tub__parameter_cdf(const tub__parameter *p, const tub__json *value) {
    double x = 0;
    if (p->values != NULL) {
        return value == NULL ? NAN : listed_cdf(p, tub__value_index(p->values, value));
    }
    return p->value == NULL && value != NULL && tub__json_to_real(value, "", &x, NULL) == TUB_OK
               ? real_cdf(p, x)
               : NAN;
}

double tub__drawn_cdf(const tub__parameter *p, const tub__drawn *value) {
    return value->listed != NULL ? tub__parameter_cdf(p, value->listed)
                                 : real_cdf(p, value->whole ? (double)value->integer : value->real);
}

/* ---- Equality ---- */

static bool strictly_equal(const tub__json *a, const tub__json *b);

static bool objects_equal(const tub__json *a, const tub__json *b) {
    bool same = tub__json_size(a) == tub__json_size(b);
    for (void *it = tub__json_first(a); it != NULL && same; it = tub__json_next(a, it)) {
        const tub__json *other = tub__json_get(b, tub__json_key(it));
        same = other != NULL && strictly_equal(tub__json_value(it), other);
    }
    return same;
}

static bool arrays_equal(const tub__json *a, const tub__json *b) {
    bool same = tub__json_size(a) == tub__json_size(b);
    for (size_t i = 0; i < tub__json_size(a) && same; i++) {
        same = strictly_equal(tub__json_at(a, i), tub__json_at(b, i));
    }
    return same;
}

static bool numbers_equal(const tub__json *a, const tub__json *b) {
    double x = 0, y = 0;
    int64_t i = 0, k = 0;
    if (tub__json_to_integer(a, "", &i, NULL) == TUB_OK &&
        tub__json_to_integer(b, "", &k, NULL) == TUB_OK) {
        return i == k; /* exact beyond 2^53 */
    }
    return tub__json_to_real(a, "", &x, NULL) == TUB_OK &&
           tub__json_to_real(b, "", &y, NULL) == TUB_OK && x == y;
}

/* Within lists and mappings, the kind of a number counts. */
static bool strictly_equal(const tub__json *a, const tub__json *b) {
    const tub__json_kind kind = tub__json_kind_of(a);
    const char *s = "", *t = "";
    bool p = false, q = false;
    if (kind != tub__json_kind_of(b)) {
        return false;
    }
    switch (kind) {
    case TUB__JSON_NULL:
        return true;
    case TUB__JSON_BOOL:
        return tub__json_to_bool(a, "", &p, NULL) == TUB_OK &&
               tub__json_to_bool(b, "", &q, NULL) == TUB_OK && p == q;
    case TUB__JSON_TEXT:
        return tub__json_to_text(a, "", &s, NULL) == TUB_OK &&
               tub__json_to_text(b, "", &t, NULL) == TUB_OK && strcmp(s, t) == 0;
    case TUB__JSON_ARRAY:
        return arrays_equal(a, b);
    case TUB__JSON_OBJECT:
        return objects_equal(a, b);
    default:
        return numbers_equal(a, b);
    }
}

bool tub__values_equal(const tub__json *a, const tub__json *b) {
    return numbers_equal(a, b) || strictly_equal(a, b);
}

size_t tub__value_index(const tub__json *list, const tub__json *value) {
    size_t i = 0;
    while (i < tub__json_size(list) && !tub__values_equal(tub__json_at(list, i), value)) {
        i++;
    }
    return i;
}

/* ---- Steps ---- */

int64_t tub__steps_count(double low, double high, double step) {
    const double count = -floor(-((high - low) / step));
    return count >= 1 ? (count < 9e18 ? (int64_t)count : INT64_MAX) : 0;
}

double tub__steps_at(double low, double step, int64_t index) {
    return index == 0 ? low : low + (double)index * ((low + step) - low);
}
