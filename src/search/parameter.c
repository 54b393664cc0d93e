/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of `parameters`: the rules of the sweeps package's schema. */
#include "search/parameter.h"

#include "base/error.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOUNDS TUB__KEYS_BOUNDS
#define Q      TUB__KEYS_Q

static const tub__distribution distributions[] = {
    {"constant", TUB_DISTRIBUTION_CONSTANT, TUB__KEYS_VALUE, NULL},
    {"categorical", TUB_DISTRIBUTION_CATEGORICAL, TUB__KEYS_VALUES, NULL},
    {"categorical_w_probabilities", TUB_DISTRIBUTION_CATEGORICAL_W_PROBABILITIES,
     TUB__KEYS_VALUES | TUB__KEYS_PROBABILITIES, NULL},
    {"int_uniform", TUB_DISTRIBUTION_INT_UNIFORM, BOUNDS, NULL},
    {"uniform", TUB_DISTRIBUTION_UNIFORM, BOUNDS, NULL},
    {"q_uniform", TUB_DISTRIBUTION_Q_UNIFORM, BOUNDS | Q, NULL},
    {"log_uniform", TUB_DISTRIBUTION_LOG_UNIFORM, BOUNDS, "log_uniform_values"},
    {"log_uniform_values", TUB_DISTRIBUTION_LOG_UNIFORM_VALUES, BOUNDS | TUB__KEYS_POSITIVE, NULL},
    {"inv_log_uniform", TUB_DISTRIBUTION_INV_LOG_UNIFORM, BOUNDS, "inv_log_uniform_values"},
    {"inv_log_uniform_values", TUB_DISTRIBUTION_INV_LOG_UNIFORM_VALUES, BOUNDS | TUB__KEYS_POSITIVE,
     NULL},
    {"q_log_uniform", TUB_DISTRIBUTION_Q_LOG_UNIFORM, BOUNDS | Q, "q_log_uniform_values"},
    {"q_log_uniform_values", TUB_DISTRIBUTION_Q_LOG_UNIFORM_VALUES, BOUNDS | TUB__KEYS_POSITIVE | Q,
     NULL},
    {"normal", TUB_DISTRIBUTION_NORMAL, TUB__KEYS_NORMAL, NULL},
    {"q_normal", TUB_DISTRIBUTION_Q_NORMAL, TUB__KEYS_NORMAL | Q, NULL},
    {"log_normal", TUB_DISTRIBUTION_LOG_NORMAL, TUB__KEYS_NORMAL, NULL},
    {"q_log_normal", TUB_DISTRIBUTION_Q_LOG_NORMAL, TUB__KEYS_NORMAL | Q, NULL},
    {"beta", TUB_DISTRIBUTION_BETA, TUB__KEYS_BETA, NULL},
    {"q_beta", TUB_DISTRIBUTION_Q_BETA, TUB__KEYS_BETA | Q, NULL},
};
enum { DISTRIBUTIONS = sizeof distributions / sizeof *distributions };

/* The keys of an entry, which distributions have them, and what a number behind one may be. */
static const struct key_rule {
    const char *key;
    unsigned keys;
    bool number;
    double least; /* of the number */
} key_rules[] = {{"values", TUB__KEYS_VALUES, false, 0},
                 {"probabilities", TUB__KEYS_PROBABILITIES, false, 0},
                 {"value", TUB__KEYS_VALUE, false, 0},
                 {"min", TUB__KEYS_BOUNDS, true, -INFINITY},
                 {"max", TUB__KEYS_BOUNDS, true, -INFINITY},
                 {"q", TUB__KEYS_Q, true, 0},
                 {"mu", TUB__KEYS_NORMAL, true, -INFINITY},
                 {"sigma", TUB__KEYS_NORMAL, true, 0},
                 {"a", TUB__KEYS_BETA, true, 0},
                 {"b", TUB__KEYS_BETA, true, 0}};
enum { KEY_RULES = sizeof key_rules / sizeof *key_rules };

static const char *distribution_word(const void *words, size_t index) {
    return ((const tub__distribution *)words)[index].name;
}

const tub__distribution *tub__distribution_named(const char *name) {
    for (size_t i = 0; i < DISTRIBUTIONS; i++) {
        if (strcmp(distributions[i].name, name) == 0) {
            return &distributions[i];
        }
    }
    return NULL;
}

const char *tub_distribution_name(tub_distribution distribution) {
    return (size_t)distribution < DISTRIBUTIONS ? distributions[distribution].name : "?";
}

bool tub__parameter_holds(const tub__json *spec) {
    return tub__json_get(spec, "parameters") != NULL;
}

static bool is_kind(const tub__json *v, tub__json_kind kind) {
    return v != NULL && tub__json_kind_of(v) == kind;
}

static bool is_number(const tub__json *v) {
    return is_kind(v, TUB__JSON_INTEGER) || is_kind(v, TUB__JSON_REAL);
}

static double number(const tub__json *v, double otherwise) {
    double value = otherwise;
    return v != NULL && tub__json_to_real(v, "", &value, NULL) == TUB_OK ? value : otherwise;
}

/* Which distribution an entry has, said or meant; NULL: nothing tells. */
static const tub__distribution *distribution_of(const tub__json *spec) {
    const tub__json *said = tub__json_get(spec, "distribution");
    const tub__json *low = tub__json_get(spec, "min"), *high = tub__json_get(spec, "max");
    const char *name = NULL;
    if (said != NULL) {
        return tub__json_to_text(said, "", &name, NULL) == TUB_OK ? tub__distribution_named(name)
                                                                  : NULL;
    }
    name = tub__json_get(spec, "probabilities") != NULL ? "categorical_w_probabilities"
           : tub__json_get(spec, "values") != NULL      ? "categorical"
           : tub__json_get(spec, "value") != NULL       ? "constant"
           : low == NULL && high == NULL                ? NULL
           : is_kind(low, TUB__JSON_REAL) || is_kind(high, TUB__JSON_REAL) ? "uniform"
                                                                           : "int_uniform";
    return name == NULL ? NULL : tub__distribution_named(name);
}

static tub_status no_distribution(const char *name, tub__spot spec, tub_error *err) {
    const tub__spot said = tub__spot_get(spec, "distribution");
    const char *text = NULL;
    if (said.value == NULL) {
        return tub__spot_fail(
            spec, err, "%.100s: needs values, value, min and max, a distribution, or parameters",
            name);
    }
    if (tub__json_to_text(said.value, "", &text, NULL) != TUB_OK) {
        return tub__spot_fail(said, err, "%.100s: distribution: expected a name, found %s", name,
                              tub__json_kind_name(said.value));
    }
    const size_t near = tub_nearest(text, distributions, DISTRIBUTIONS, distribution_word);
    return near < DISTRIBUTIONS
               ? tub__spot_fail(said, err,
                                "%.100s: distribution: there is no '%.60s'; did you mean '%s'?",
                                name, text, distributions[near].name)
               : tub__spot_fail(said, err, "%.100s: distribution: there is no '%.60s'", name, text);
}

static const char *rule_word(const void *words, size_t index) {
    return ((const struct key_rule *)words)[index].key;
}

static tub_status check_keys(const char *name, tub__spot spec, const tub__distribution *d,
                             tub_error *err) {
    for (void *it = tub__json_first(spec.value); it != NULL; it = tub__json_next(spec.value, it)) {
        const char *key = tub__json_key(it);
        bool known = strcmp(key, "distribution") == 0;
        for (size_t i = 0; i < KEY_RULES && !known; i++) {
            known = strcmp(key, key_rules[i].key) == 0 && (key_rules[i].keys & d->keys) != 0;
        }
        if (!known) {
            const tub__spot at = tub__spot_get(spec, key);
            const size_t near = tub_nearest(key, key_rules, KEY_RULES, rule_word);
            const bool suggest = near < KEY_RULES && (key_rules[near].keys & d->keys) != 0 &&
                                 tub__json_get(spec.value, key_rules[near].key) == NULL;
            return suggest ? tub__spot_fail(at, err,
                                            "%.100s: %s has no key '%.60s'; did you mean '%s'?",
                                            name, d->name, key, key_rules[near].key)
                           : tub__spot_fail(at, err, "%.100s: %s has no key '%.60s'", name, d->name,
                                            key);
        }
    }
    return TUB_OK;
}

/* Text such as 1e-5 is most often meant as the number that YAML 1.2 would read. */
static tub_status wrong_number(const char *name, const char *key, tub__spot at, const char *wanted,
                               tub_error *err) {
    const char *text = "";
    if (tub__json_to_text(at.value, "", &text, NULL) != TUB_OK) {
        return tub__spot_fail(at, err, "%.100s: %s: expected %s, found %s", name, key, wanted,
                              tub__json_kind_name(at.value));
    }
    const size_t figures = strspn(text, "+-0123456789");
    return figures > 0 && (text[figures] == 'e' || text[figures] == 'E' || text[figures] == '.')
               ? tub__spot_fail(at, err,
                                "%.100s: %s: expected %s, found the text '%.40s' (YAML 1.1 reads a "
                                "number only with point and signed exponent: 1.0e-5)",
                                name, key, wanted, text)
               : tub__spot_fail(at, err, "%.100s: %s: expected %s, found the text '%.40s'", name,
                                key, wanted, text);
}

static tub_status check_number(const char *name, const struct key_rule *rule, tub__spot at,
                               const tub__distribution *d, tub_error *err) {
    const bool whole = d->kind == TUB_DISTRIBUTION_INT_UNIFORM;
    if (!is_number(at.value) || (whole && !is_kind(at.value, TUB__JSON_INTEGER))) {
        return wrong_number(name, rule->key, at, whole ? "a whole number" : "a number", err);
    }
    const double value = number(at.value, 0);
    const bool positive = rule->keys == TUB__KEYS_Q ||
                          ((d->keys & TUB__KEYS_POSITIVE) != 0 && strcmp(rule->key, "min") == 0);
    if (positive && !(value > 0)) {
        return tub__spot_fail(at, err, "%.100s: %s of %s must be above 0", name, rule->key,
                              d->name);
    }
    return value >= rule->least
               ? TUB_OK
               : tub__spot_fail(at, err, "%.100s: %s must not be below 0", name, rule->key);
}

static tub_status check_list(const char *name, const char *key, tub__spot at, tub_error *err) {
    if (!is_kind(at.value, TUB__JSON_ARRAY)) {
        return tub__spot_fail(at, err, "%.100s: %s: expected a list, found %s", name, key,
                              tub__json_kind_name(at.value));
    }
    if (tub__json_size(at.value) == 0) {
        return tub__spot_fail(at, err, "%.100s: %s: the list is empty", name, key);
    }
    for (size_t i = 0; i < tub__json_size(at.value) && key[0] == 'p'; i++) {
        const tub__spot one = tub__spot_at(at, i);
        if (!is_number(one.value) || number(one.value, 0) < 0) {
            return tub__spot_fail(one, err, "%.100s: probabilities are numbers from 0 on", name);
        }
    }
    return TUB_OK;
}

static tub_status check_rule(const char *name, const struct key_rule *rule, tub__spot spec,
                             const tub__distribution *d, tub_error *err) {
    const tub__spot at = tub__spot_get(spec, rule->key);
    const unsigned optional = TUB__KEYS_Q | TUB__KEYS_NORMAL | TUB__KEYS_BETA;
    if ((rule->keys & d->keys) == 0 || (at.value == NULL && (rule->keys & optional) != 0)) {
        return TUB_OK;
    }
    if (at.value == NULL) {
        return tub__spot_fail(spec, err, "%.100s: %s needs %s", name, d->name, rule->key);
    }
    return rule->number                    ? check_number(name, rule, at, d, err)
           : rule->keys == TUB__KEYS_VALUE ? TUB_OK
                                           : check_list(name, rule->key, at, err);
}

/* What the original compares at the top only. */
static tub_status check_top(const char *name, tub__spot spec, const tub__distribution *d,
                            tub_error *err) {
    const tub__spot high = tub__spot_get(spec, "max");
    const tub__json *probabilities = tub__json_get(spec.value, "probabilities");
    if (d->replacement != NULL) {
        return tub__spot_fail(tub__spot_get(spec, "distribution"), err,
                              "%.100s: bounds of %s are exponents; write %s with the limits "
                              "themselves",
                              name, d->name, d->replacement);
    }
    if ((d->keys & TUB__KEYS_BOUNDS) != 0 &&
        !(number(tub__json_get(spec.value, "min"), 0) < number(high.value, 0))) {
        return tub__spot_fail(high, err, "%.100s: max must be above min", name);
    }
    if (probabilities == NULL) {
        return TUB_OK;
    }
    const size_t n = tub__json_size(tub__json_get(spec.value, "values"));
    double sum = 0;
    for (size_t i = 0; i < tub__json_size(probabilities); i++) {
        sum += number(tub__json_at(probabilities, i), 0);
    }
    if (n != tub__json_size(probabilities)) {
        return tub__spot_fail(tub__spot_get(spec, "probabilities"), err,
                              "%.100s: there are %zu probabilities of %zu values", name,
                              tub__json_size(probabilities), n);
    }
    return fabs(sum - 1) <= 1e-8 + 1e-5
               ? TUB_OK
               : tub__spot_fail(tub__spot_get(spec, "probabilities"), err,
                                "%.100s: the probabilities sum to %.6g, not to 1", name, sum);
}

tub_status tub__parameter_check(const char *name, tub__spot spec, bool nested, tub_error *err) {
    if (!is_kind(spec.value, TUB__JSON_OBJECT)) {
        return tub__spot_fail(spec, err,
                              "%.100s: expected a mapping such as {value: 3} or {values: [1, 2]}, "
                              "found %s",
                              name, tub__json_kind_name(spec.value));
    }
    if (tub__parameter_holds(spec.value)) {
        if (tub__json_size(spec.value) > 1) {
            return tub__spot_fail(spec, err, "%.100s: beside parameters there are no other keys",
                                  name);
        }
        TUB__TRY(tub__parameters_check(tub__spot_get(spec, "parameters"), true, err));
        return TUB_OK;
    }
    const tub__distribution *d = distribution_of(spec.value);
    if (d == NULL) {
        return no_distribution(name, spec, err);
    }
    TUB__TRY(check_keys(name, spec, d, err));
    for (size_t i = 0; i < KEY_RULES; i++) {
        TUB__TRY(check_rule(name, &key_rules[i], spec, d, err));
    }
    return nested ? TUB_OK : check_top(name, spec, d, err);
}

/* Keys of W&B: letters, digits, _ . and -, and no digit first. */
static bool is_name(const char *key) {
    const char *at = key;
    const bool first = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || *at == '_';
    while ((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9') ||
           *at == '_' || *at == '.' || *at == '-') {
        at++;
    }
    return first && *at == '\0';
}

tub_status tub__parameters_check(tub__spot mapping, bool nested, tub_error *err) {
    if (!is_kind(mapping.value, TUB__JSON_OBJECT)) {
        return tub__spot_fail(mapping, err, "parameters: expected a mapping, found %s",
                              tub__json_kind_name(mapping.value));
    }
    if (tub__json_size(mapping.value) == 0) {
        return tub__spot_fail(mapping, err, "parameters: there are none");
    }
    for (void *it = tub__json_first(mapping.value); it != NULL;
         it = tub__json_next(mapping.value, it)) {
        const char *key = tub__json_key(it);
        const tub__spot spec = tub__spot_get(mapping, key);
        if (tub__spot_key_is_text(mapping, key) && !is_name(key)) {
            return tub__spot_fail(
                spec, err,
                "'%.60s' can't be a parameter's name: those have letters, digits, "
                "_ . and -, and no digit first",
                key);
        }
        TUB__TRY(tub__parameter_check(key, spec, nested, err));
    }
    return TUB_OK;
}

void tub__parameter_fill(const tub__json *spec, tub__parameter *out) {
    const tub__distribution *d = distribution_of(spec);
    const tub__json *q = tub__json_get(spec, "q");
    const bool bounds = (d->keys & TUB__KEYS_BOUNDS) != 0;
    const bool beta = (d->keys & TUB__KEYS_BETA) != 0;
    out->spec = spec;
    out->distribution = d;
    out->low = bounds ? number(tub__json_get(spec, "min"), 0)
               : beta ? number(tub__json_get(spec, "a"), 1)
                      : number(tub__json_get(spec, "mu"), 0);
    out->high = bounds ? number(tub__json_get(spec, "max"), 0)
                : beta ? number(tub__json_get(spec, "b"), 1)
                       : number(tub__json_get(spec, "sigma"), 1);
    if (d->kind == TUB_DISTRIBUTION_INT_UNIFORM) {
        (void)!tub__json_get_integer(spec, "min", &out->first, NULL);
        (void)!tub__json_get_integer(spec, "max", &out->last, NULL);
    }
    out->q = number(q, 1);
    out->whole_q = is_kind(q, TUB__JSON_INTEGER);
    out->value = tub__json_get(spec, "value");
    out->values = tub__json_get(spec, "values");
    out->probabilities = tub__json_get(spec, "probabilities");
    out->count = out->values != NULL ? tub__json_size(out->values) : 0;
}

void tub__parameter_put(tub__json_writer *w, const char *key, const tub__json *spec) {
    tub__json_open_object(w, key);
    if (tub__parameter_holds(spec)) {
        const tub__json *inner = tub__json_get(spec, "parameters");
        tub__json_open_object(w, "parameters");
        for (void *it = tub__json_first(inner); it != NULL; it = tub__json_next(inner, it)) {
            tub__parameter_put(w, tub__json_key(it), tub__json_value(it));
        }
        tub__json_close_object(w);
        tub__json_close_object(w);
        return;
    }
    const tub__distribution *d = distribution_of(spec);
    for (void *it = tub__json_first(spec); it != NULL; it = tub__json_next(spec, it)) {
        tub__json_put_value(w, tub__json_key(it), tub__json_value(it));
    }
    static const struct {
        const char *key;
        unsigned keys;
        double value;
    } defaults[] = {{"q", TUB__KEYS_Q, 1},
                    {"mu", TUB__KEYS_NORMAL, 0},
                    {"sigma", TUB__KEYS_NORMAL, 1},
                    {"a", TUB__KEYS_BETA, 1},
                    {"b", TUB__KEYS_BETA, 1}};
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++) {
        if ((d->keys & defaults[i].keys) != 0 && tub__json_get(spec, defaults[i].key) == NULL) {
            tub__json_put_real(w, defaults[i].key, defaults[i].value);
        }
    }
    if (tub__json_get(spec, "distribution") == NULL) {
        tub__json_put_text(w, "distribution", d->name);
    }
    tub__json_close_object(w);
}

static int compare_keys(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

tub_status tub__sorted_keys(const tub_allocator *a, const tub__json *mapping, const char ***out,
                            tub_error *err) {
    void *room = NULL;
    size_t n = 0;
    TUB__TRY(tub__alloc_array(a, tub__json_size(mapping) + 1, sizeof(char *), &room, err));
    *out = room;
    for (void *it = tub__json_first(mapping); it != NULL; it = tub__json_next(mapping, it)) {
        (*out)[n++] = tub__json_key(it);
    }
    qsort(*out, n, sizeof **out, compare_keys);
    return TUB_OK;
}
