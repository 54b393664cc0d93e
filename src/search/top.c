/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of a sweep file beside its parameters: the rules of the sweeps package's schema. */
#include "search/sweep.h"

#include "base/error.h"
#include <math.h>
#include <string.h>

typedef enum key_kind {
    KEY_TEXT,
    KEY_CHOICE,
    KEY_WHOLE, /* 3.0 is whole, too */
    KEY_NUMBER,
    KEY_FLAG,
    KEY_LIST,
    KEY_MAPPING
} key_kind;

typedef struct key_rule {
    const char *key;
    key_kind kind;
    bool needed;
    const char *choices; /* "grid|random" */
    double least;        /* of a number */
    bool above;          /* it must be above that */
} key_rule;

#define ANY (-INFINITY)

static const key_rule top_rules[] = {
    {"method", KEY_CHOICE, true, "bayes|random|grid|custom", 0, false},
    {"metric", KEY_MAPPING, false, NULL, 0, false},
    {"metrics", KEY_LIST, false, NULL, 0, false},
    {"parameters", KEY_MAPPING, false, NULL, 0, false},
    {"early_terminate", KEY_MAPPING, false, NULL, 0, false},
    {"run_cap", KEY_WHOLE, false, NULL, 0, true},
    {"program", KEY_TEXT, false, NULL, 0, false},
    {"command", KEY_LIST, false, NULL, 0, false},
    {"name", KEY_TEXT, false, NULL, 0, false},
    {"description", KEY_TEXT, false, NULL, 0, false},
    {"project", KEY_TEXT, false, NULL, 0, false},
    {"entity", KEY_TEXT, false, NULL, 0, false},
    {"controller", KEY_MAPPING, false, NULL, 0, false},
    {"scheduler", KEY_MAPPING, false, NULL, 0, false},
    {"apiVersion", KEY_TEXT, false, NULL, 0, false},
    {"kind", KEY_CHOICE, false, "sweep", 0, false},
    {"job", KEY_TEXT, false, NULL, 0, false},
    {"image_uri", KEY_TEXT, false, NULL, 0, false}};

static const key_rule metric_rules[] = {
    {"name", KEY_TEXT, true, NULL, 0, false},
    {"goal", KEY_CHOICE, false, "minimize|maximize", 0, false},
    {"target", KEY_NUMBER, false, NULL, ANY, false},
    {"impute", KEY_CHOICE, false, "latest|best|worst", 0, false},
    {"impute_while_running", KEY_CHOICE, false, "latest|best|worst|false", 0, false}};

static const key_rule hyperband_rules[] = {{"type", KEY_CHOICE, true, "hyperband", 0, false},
                                           {"min_iter", KEY_WHOLE, false, NULL, 1, false},
                                           {"max_iter", KEY_WHOLE, false, NULL, ANY, false},
                                           {"s", KEY_NUMBER, false, NULL, ANY, false},
                                           {"eta", KEY_NUMBER, false, NULL, 1, true},
                                           {"strict", KEY_FLAG, false, NULL, 0, false}};

static const key_rule scheduler_rules[] = {
    {"engine", KEY_CHOICE, true, "optuna|ax|wandb", 0, false},
    {"source", KEY_TEXT, false, NULL, 0, false},
    {"optimizer", KEY_TEXT, false, NULL, 0, false},
    {"search_space", KEY_TEXT, false, NULL, 0, false}};

static const key_rule controller_rules[] = {{"type", KEY_CHOICE, true, "local|cloud", 0, false}};

#define RULES(list) list, sizeof(list) / sizeof *(list)

static bool is_choice(const char *choices, const char *word) {
    const size_t length = strlen(word);
    while (true) {
        const size_t n = strcspn(choices, "|");
        if (n == length && memcmp(choices, word, n) == 0) {
            return true;
        }
        if (choices[n] == '\0') {
            return false;
        }
        choices += n + 1;
    }
}

static tub_status wrong_kind(const char *where, const key_rule *rule, tub__spot at,
                             tub_error *err) {
    static const char *const wanted[] = {
        [KEY_TEXT] = "text",        [KEY_CHOICE] = "a name",      [KEY_WHOLE] = "a whole number",
        [KEY_NUMBER] = "a number",  [KEY_FLAG] = "true or false", [KEY_LIST] = "a list",
        [KEY_MAPPING] = "a mapping"};
    const char *text = NULL;
    return tub__json_to_text(at.value, "", &text, NULL) == TUB_OK
               ? tub__spot_fail(at, err, "%s%s: expected %s, found the text '%.60s'", where,
                                rule->key, wanted[rule->kind], text)
               : tub__spot_fail(at, err, "%s%s: expected %s, found %s", where, rule->key,
                                wanted[rule->kind], tub__json_kind_name(at.value));
}

static tub_status check_number(const char *where, const key_rule *rule, tub__spot at,
                               tub_error *err) {
    double value = 0;
    if (tub__json_to_real(at.value, "", &value, NULL) != TUB_OK ||
        (rule->kind == KEY_WHOLE && value != floor(value))) {
        return wrong_kind(where, rule, at, err);
    }
    const bool fits = rule->above ? value > rule->least : value >= rule->least;
    return fits ? TUB_OK
                : tub__spot_fail(at, err, "%s%s must %s %g", where, rule->key,
                                 rule->above ? "be above" : "not be below", rule->least);
}

static tub_status check_choice(const char *where, const key_rule *rule, tub__spot at,
                               tub_error *err) {
    const char *text = NULL;
    if (tub__json_to_text(at.value, "", &text, NULL) != TUB_OK) {
        return wrong_kind(where, rule, at, err);
    }
    return is_choice(rule->choices, text)
               ? TUB_OK
               : tub__spot_fail(at, err, "%s%s: expected %s, found '%.60s'", where, rule->key,
                                rule->choices, text);
}

static tub_status check_value(const char *where, const key_rule *rule, tub__spot at,
                              tub_error *err) {
    const tub__json_kind kind = tub__json_kind_of(at.value);
    switch (rule->kind) {
    case KEY_CHOICE:
        return check_choice(where, rule, at, err);
    case KEY_WHOLE:
    case KEY_NUMBER:
        return check_number(where, rule, at, err);
    case KEY_TEXT:
        return kind == TUB__JSON_TEXT ? TUB_OK : wrong_kind(where, rule, at, err);
    case KEY_FLAG:
        return kind == TUB__JSON_BOOL ? TUB_OK : wrong_kind(where, rule, at, err);
    case KEY_LIST:
        return kind == TUB__JSON_ARRAY ? TUB_OK : wrong_kind(where, rule, at, err);
    case KEY_MAPPING:
        return kind == TUB__JSON_OBJECT ? TUB_OK : wrong_kind(where, rule, at, err);
    }
    return TUB_OK;
}

static const char *rule_word(const void *words, size_t index) {
    return ((const key_rule *)words)[index].key;
}

static tub_status unknown_key(const char *where, tub__spot at, const char *key,
                              const key_rule *rules, size_t n, tub_error *err) {
    const size_t near = tub_nearest(key, rules, n, rule_word);
    return near < n ? tub__spot_fail(at, err, "%sthere is no key '%.60s'; did you mean '%s'?",
                                     where, key, rules[near].key)
                    : tub__spot_fail(at, err, "%sthere is no key '%.60s'", where, key);
}

/* open: other keys are allowed. */
static tub_status check_rules(const char *where, tub__spot mapping, const key_rule *rules, size_t n,
                              bool open, tub_error *err) {
    for (void *it = tub__json_first(mapping.value); it != NULL && !open;
         it = tub__json_next(mapping.value, it)) {
        const char *key = tub__json_key(it);
        size_t i = 0;
        while (i < n && strcmp(rules[i].key, key) != 0) {
            i++;
        }
        if (i == n) {
            return unknown_key(where, tub__spot_get(mapping, key), key, rules, n, err);
        }
    }
    for (size_t i = 0; i < n; i++) {
        const tub__spot at = tub__spot_get(mapping, rules[i].key);
        if (at.value != NULL) {
            TUB__TRY(check_value(where, &rules[i], at, err));
        } else if (rules[i].needed) {
            return tub__spot_fail(mapping, err, "%sneeds the key %s", where, rules[i].key);
        }
    }
    return TUB_OK;
}

static tub_status check_hyperband(tub__spot top, tub_error *err) {
    const tub__spot h = tub__spot_get(top, "early_terminate");
    if (h.value == NULL) {
        return TUB_OK;
    }
    TUB__TRY(check_rules("early_terminate: ", h, RULES(hyperband_rules), false, err));
    const bool steps = tub__json_get(h.value, "min_iter") != NULL;
    const bool most = tub__json_get(h.value, "max_iter") != NULL;
    if (steps || (most && tub__json_get(h.value, "s") != NULL)) {
        return TUB_OK;
    }
    return tub__spot_fail(h, err, "early_terminate: %s",
                          most ? "max_iter needs s, the number of steps down from it"
                               : "needs min_iter, or max_iter and s");
}

static tub_status check_metrics(tub__spot top, tub_error *err) {
    const tub__spot one = tub__spot_get(top, "metric"), many = tub__spot_get(top, "metrics");
    const char *method = "";
    if (one.value != NULL) {
        TUB__TRY(check_rules("metric: ", one, RULES(metric_rules), false, err));
    }
    if (many.value == NULL) {
        return TUB_OK;
    }
    for (size_t i = 0; i < tub__json_size(many.value); i++) {
        static const key_rule whole = {"metrics", KEY_MAPPING, false, NULL, 0, false};
        const tub__spot at = tub__spot_at(many, i);
        TUB__TRY(check_value("", &whole, at, err));
        TUB__TRY(check_rules("metrics: ", at, RULES(metric_rules), false, err));
    }
    (void)!tub__json_get_text(top.value, "method", &method, NULL);
    return one.value != NULL ? tub__spot_fail(many, err, "metric and metrics contradict each other")
           : tub__json_size(many.value) < 2 ? tub__spot_fail(many, err, "metrics are two or more")
           : strcmp(method, "custom") != 0
               ? tub__spot_fail(many, err, "metrics need the method custom")
               : TUB_OK;
}

static tub_status check_scheduler(tub__spot top, tub_error *err) {
    const tub__spot s = tub__spot_get(top, "scheduler"), c = tub__spot_get(top, "controller");
    const char *engine = "", *method = "", *type = "";
    if (c.value != NULL) {
        TUB__TRY(check_rules("controller: ", c, RULES(controller_rules), true, err));
        (void)!tub__json_get_text(c.value, "type", &type, NULL);
    }
    if (s.value == NULL) {
        return TUB_OK;
    }
    TUB__TRY(check_rules("scheduler: ", s, RULES(scheduler_rules), false, err));
    (void)!tub__json_get_text(s.value, "engine", &engine, NULL);
    (void)!tub__json_get_text(top.value, "method", &method, NULL);
    const bool wandb = strcmp(engine, "wandb") == 0, custom = strcmp(method, "custom") == 0;
    const bool named = tub__json_get(s.value, "optimizer") != NULL ||
                       tub__json_get(s.value, "search_space") != NULL;
    return tub__json_get(top.value, "early_terminate") != NULL
               ? tub__spot_fail(s, err, "scheduler and early_terminate contradict each other")
           : strcmp(type, "local") == 0
               ? tub__spot_fail(s, err, "scheduler and a local controller contradict each other")
           : wandb == custom ? tub__spot_fail(s, err,
                                              "scheduler: the engine %s does not have the "
                                              "method %s",
                                              engine, method)
           : named && tub__json_get(s.value, "source") == NULL
               ? tub__spot_fail(s, err, "scheduler: optimizer and search_space need source")
               : TUB_OK;
}

tub_status tub__sweep_check_top(tub__spot top, tub_error *err) {
    TUB__TRY(check_rules("", top, RULES(top_rules), false, err));
    const char *space = "";
    (void)!tub__json_get_text(tub__json_get(top.value, "scheduler"), "search_space", &space, NULL);
    if (tub__json_get(top.value, "parameters") == NULL && space[0] == '\0') {
        return tub__spot_fail(top, err, "needs the key parameters");
    }
    TUB__TRY(check_metrics(top, err));
    TUB__TRY(check_scheduler(top, err));
    return check_hyperband(top, err);
}
