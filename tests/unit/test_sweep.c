/* SPDX-License-Identifier: Apache-2.0 */
/* Sweep files: scalars of YAML 1.1, keys and merges, what can't be started, trials by seed and
 * number, and every allocation refused once. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/module.h"
#include "failing_alloc.h"
#include "formats/yaml.h"
#include "search/gp.h"
#include "search/special.h"
#include "search/sweep.h"
#include "search/yaml11.h"

static tub_context *context;

/* ---- Scalars: what PyYAML 6.0.3's safe_load gives ---- */

static void test_scalars(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } integers[] = {
        {"0", 0},        {"12", 12},    {"-7", -7},      {"+3", 3},
        {"010", 8},      {"0_1", 1},    {"1_000", 1000}, {"0x1F", 31},
        {"0b101", 5},    {"-0b11", -3}, {"1:30", 90},    {"190:20:30", 685230},
        {"1:0:0", 3600}, {"00", 0},     {"-0x_f", -15},  {"9223372036854775807", INT64_MAX}};
    static const struct {
        const char *text;
        double value;
    } reals[] = {{"1.0e-3", 1e-3}, {"1.", 1},        {".5", 0.5}, {"-1.5", -1.5}, {"1_0.5", 10.5},
                 {"1.5e+3", 1500}, {"1:30.5", 90.5}, {"+2.0", 2}, {".5e+1", 5},   {"0.1", 0.1}};
    static const char *const texts[] = {
        "1e-3", "1e5",   "1.5e3",    "-.5",  "08",   "_1",  "0o7", "1.2.3",  "x",
        "nUll", "y",     "n",        "1:60", ".",    "-",   "e-1", "1:",     "0b2",
        "tRue", "+.inF", "2001-1-1", "0x",   "1__x", "12e", "..5", "2001-13"};
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        const tub__yaml11 v = tub__yaml11_scalar(integers[i].text);
        if (v.kind != TUB__YAML11_INT || v.whole != integers[i].value) {
            fail_msg("%s", integers[i].text);
        }
    }
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        const tub__yaml11 v = tub__yaml11_scalar(reals[i].text);
        if (v.kind != TUB__YAML11_REAL || v.real != reals[i].value) {
            fail_msg("%s", reals[i].text);
        }
    }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (tub__yaml11_scalar(texts[i]).kind != TUB__YAML11_TEXT) {
            fail_msg("%s", texts[i]);
        }
    }
}

static void test_other_scalars(void **state) {
    (void)state;
    static const struct {
        const char *text;
        tub__yaml11_kind kind;
    } others[] = {{"", TUB__YAML11_NULL},
                  {"~", TUB__YAML11_NULL},
                  {"Null", TUB__YAML11_NULL},
                  {"yes", TUB__YAML11_BOOL},
                  {"On", TUB__YAML11_BOOL},
                  {"FALSE", TUB__YAML11_BOOL},
                  {".inf", TUB__YAML11_NO_JSON},
                  {"-.Inf", TUB__YAML11_NO_JSON},
                  {".NaN", TUB__YAML11_NO_JSON},
                  {"1.0e+400", TUB__YAML11_TOO_BIG},
                  {"9223372036854775808", TUB__YAML11_TOO_BIG},
                  {"2001-12-14", TUB__YAML11_DATE},
                  {"2001-1-1 1:00:00", TUB__YAML11_DATE},
                  {"0x_", TUB__YAML11_BROKEN},
                  {"=", TUB__YAML11_BROKEN}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (tub__yaml11_scalar(others[i].text).kind != others[i].kind) {
            fail_msg("%s", others[i].text);
        }
    }
    assert_true(tub__yaml11_scalar("on").flag);
    assert_false(tub__yaml11_scalar("No").flag);
}

/* ---- Files ---- */

static tub_sweep *open_text(const char *text) {
    tub_sweep *sweep = NULL;
    tub_error err = {0};
    if (tub__sweep_parse(context, text, strlen(text), &sweep, &err) != TUB_OK) {
        fail_msg("%s\n%s", err.message, text);
    }
    return sweep;
}

static void refuse(const char *text, const char *sentence) {
    tub_sweep *sweep = NULL;
    tub_error err = {0};
    if (tub__sweep_parse(context, text, strlen(text), &sweep, &err) != TUB_E_FORMAT ||
        strstr(err.message, sentence) == NULL || strchr(err.message, '\n') != NULL) {
        fail_msg("%s\n%s\nexpected: %s", text, err.message, sentence);
    }
}

static void test_merges_and_keys(void **state) {
    (void)state;
    tub_sweep *sweep = open_text("method: grid\n"
                                 "parameters:\n"
                                 "  a: &a {values: [1], distribution: categorical}\n"
                                 "  b: {<<: *a, values: [2, 3]}\n"
                                 "  c: {<<: [{values: [4]}, *a]}\n"
                                 "  b: {values: [5, 6, 7]}\n");
    assert_string_equal(tub_sweep_filled(sweep),
                        "{\"method\": \"grid\", \"parameters\": {\"a\": {\"values\": [1], "
                        "\"distribution\": \"categorical\"}, \"b\": {\"values\": [5, 6, 7], "
                        "\"distribution\": \"categorical\"}, \"c\": {\"values\": [4], "
                        "\"distribution\": \"categorical\"}}}");
    assert_int_equal(tub_sweep_describe(sweep)->notes, 1);
    assert_string_equal(tub_sweep_note(sweep, 0), "line 6: b stands twice; the last one counts");
    assert_null(tub_sweep_note(sweep, 1));
    assert_int_equal(tub_sweep_points(sweep), 3);
    tub_sweep_close(sweep);
}

static void test_refused(void **state) {
    (void)state;
#define HEAD "method: random\nparameters:\n"
    refuse(HEAD "  a: {values: [2001-12-14]}\n",
           "line 3, column 16: 2001-12-14: YAML 1.1 reads a date");
    refuse(HEAD "  a: {values: [.inf]}\n", "line 3, column 16: .inf: infinities");
    refuse(HEAD "  a: {values: [99999999999999999999]}\n", "too large");
    refuse(HEAD "  a: {<<: 3}\n", "line 3, column 11: 3: << takes a mapping");
    refuse(HEAD "  a: {parameters: {b: {value: 1}}, value: 2}\n", "no other keys");
    refuse(HEAD "  a: {distribution: 3}\n", "distribution: expected a name, found a whole number");
    refuse(HEAD "  a: {min: 1, maks: 3}\n", "int_uniform has no key 'maks'; did you mean 'max'?");
    refuse(HEAD "  a: {min: 1, max: 3.5, q: 1}\n", "uniform has no key 'q'");
    refuse(HEAD "  a: {value: 1}\nrun_cap: 2.5\n",
           "line 4, column 10: run_cap: expected a whole number");
    refuse(HEAD "  a: {value: 1}\nearly_terminate: {type: hyperband, min_iter: 0}\n",
           "min_iter must not be below 1");
    refuse(HEAD "  a: {value: 1}\ncontroller: {type: here}\n",
           "controller: type: expected local|cloud");
    refuse("method: custom\nmetric: {name: a}\nmetrics: [{name: a}, {name: b}]\nparameters: {a: "
           "{value: 1}}\n",
           "metric and metrics contradict");
    refuse("method: grid\nscheduler: {engine: optuna}\nparameters: {a: {value: 1}}\n",
           "the engine optuna does not have the method grid");
    refuse("5\n", "neither a mapping nor a list");
    refuse("method: grid\nmethod: grid\n? [a]\n: b\n", "can't be a key");
#undef HEAD
}

static void cannot_start(const char *text, const char *sentence) {
    tub_sweep *sweep = open_text(text);
    tub_error err = {0};
    char *next = NULL;
    assert_int_not_equal(tub_sweep_check(sweep, &err), TUB_OK);
    if (strstr(err.message, sentence) == NULL) {
        fail_msg("%s\nexpected: %s", err.message, sentence);
    }
    assert_int_not_equal(tub_sweep_next(context, sweep, 1, NULL, 0, &next, &err), TUB_OK);
    assert_null(next);
    assert_int_equal(tub_sweep_points(sweep), -1);
    tub_sweep_close(sweep);
}

static void test_cannot_start(void **state) {
    (void)state;
    cannot_start("method: custom\nscheduler: {engine: optuna, source: a.py, search_space: f}\n",
                 "schedulers are programs of their own");
    cannot_start("method: random\nparameters: {a: {distribution: normal, sigma: 0}}\n",
                 "line 2: a: sigma must be above 0");
    cannot_start("method: random\nparameters: {a: {distribution: beta, a: 0}}\n", "a and b must");
    cannot_start("method: grid\nparameters: {a: {min: 1, max: 20000000}}\n", "too many for a grid");
    cannot_start("method: grid\nparameters: {a: {min: 1, max: 20000}, b: {min: 1, max: 20000}}\n",
                 "more than 10000000 points");
    cannot_start("method: bayes\nmetric: {name: l}\nparameters: {a: {value: 1}}\n",
                 "needs a parameter that is not constant");
    cannot_start(
        "method: random\nmetric: {name: l}\nearly_terminate: {type: hyperband, max_iter: 9, s: "
        "1.5}\nparameters: {a: {value: 1}}\n",
        "s must be a whole number");
    cannot_start(
        "method: random\nparameters: {m: {parameters: {a: {values: [1], probabilities: [0.5, "
        "0.5]}}}}\n",
        "more probabilities than values");
    cannot_start("method: grid\nparameters: {m: {parameters: {a: {min: 3, max: -5}}}}\n",
                 "max must be above min");
}

/* Whole numbers may be written as reals, and those may be of any size. */
static void test_huge_numbers(void **state) {
    (void)state;
    tub_sweep *sweep =
        open_text("method: random\nrun_cap: 1.0e+300\nmetric: {name: l}\n"
                  "early_terminate: {type: hyperband, max_iter: 1.0e+300, s: 2, eta: "
                  "2}\nparameters: {a: {value: 1}}\n");
    assert_true(tub_sweep_describe(sweep)->run_cap == INT64_MAX);
    assert_int_equal(sweep->band_count, 2);
    assert_true(sweep->bands[0] == INT64_MAX && sweep->bands[1] == INT64_MAX);
    tub_sweep_close(sweep);
}

/* The search that comes with tubelet, by its path and by its name. */
static void test_own_search(void **state) {
    (void)state;
    static const char *const names[] = {SOURCE "/recipes/sweep-vivit.yaml", "sweep-vivit"};
    for (size_t i = 0; i < 2; i++) {
        tub_sweep *sweep = NULL;
        tub_error err = {0};
        if (tub_sweep_open(context, names[i], &sweep, &err) != TUB_OK ||
            tub_sweep_check(sweep, &err) != TUB_OK) {
            fail_msg("%s", err.message);
        }
        const tub_sweep_info *info = tub_sweep_describe(sweep);
        assert_int_equal(info->method, TUB_SWEEP_BAYES);
        assert_int_equal(info->run_cap, 12);
        assert_int_equal(info->notes, 0);
        assert_true(info->hyperband && info->maximize);
        tub_sweep_close(sweep);
    }
    tub_sweep *sweep = NULL;
    tub_error err = {0};
    assert_int_equal(tub_sweep_open(context, "sweep-nothing", &sweep, &err), TUB_E_NOT_FOUND);
    assert_non_null(strstr(err.message, "sweep-nothing"));
}

/* ---- Trials ---- */

static void test_trials_by_number(void **state) {
    (void)state;
    tub_sweep *sweep = open_text("method: random\nparameters:\n"
                                 "  z: {min: 0.0, max: 1.0}\n"
                                 "  m: {parameters: {k: {values: [a, b]}, e: {value: {x: 1}}}}\n");
    const tub_trial trials[3] = {{.parameters = "{}"}, {.parameters = "{}"}, {.parameters = "{}"}};
    char *first = NULL, *again = NULL, *other = NULL;
    /* By seed and number, whatever the trials before it were. */
    assert_int_equal(tub_sweep_next(context, sweep, 5, trials, 2, &first, NULL), TUB_OK);
    assert_int_equal(tub_sweep_next(context, sweep, 5, trials, 2, &again, NULL), TUB_OK);
    assert_int_equal(tub_sweep_next(context, sweep, 5, trials, 3, &other, NULL), TUB_OK);
    assert_string_equal(first, again);
    assert_string_not_equal(first, other);
    assert_non_null(strstr(first, "\"m\": {\"e\": {\"x\": 1}, \"k\": "));
    tub_sweep_text_free(context, again);
    assert_int_equal(tub_sweep_next(context, sweep, 6, trials, 2, &again, NULL), TUB_OK);
    assert_string_not_equal(first, again);
    /* Parameters in the order of their names, within others too. */
    tub_sweep_parameter p;
    static const char *const names[] = {"m.e", "m.k", "z"};
    for (int64_t i = 0; i < 3; i++) {
        assert_int_equal(tub_sweep_parameter_at(sweep, i, &p, NULL), TUB_OK);
        assert_string_equal(p.name, names[i]);
    }
    assert_int_equal(tub_sweep_parameter_at(sweep, 3, &p, NULL), TUB_E_RANGE);
    assert_true(tub_sweep_position(sweep, 1, "{\"m\": {\"k\": \"b\"}}") == 0.75);
    assert_true(tub_sweep_position(sweep, 2, "{\"z\": 0.25}") == 0.25);
    assert_true(isnan(tub_sweep_position(sweep, 0, "{}")));
    assert_true(isnan(tub_sweep_position(sweep, 1, "{\"m\": {\"k\": \"c\"}}")));
    tub_sweep_text_free(context, first);
    tub_sweep_text_free(context, again);
    tub_sweep_text_free(context, other);
    tub_sweep_close(sweep);
}

static void test_best(void **state) {
    (void)state;
    static const double first[] = {3, NAN, 1}, second[] = {NAN}, third[] = {2, 1};
    const tub_trial trials[] = {{"{}", TUB_TRIAL_FINISHED, first, 3},
                                {"{}", TUB_TRIAL_FAILED, second, 1},
                                {"{}", TUB_TRIAL_RUNNING, third, 2}};
    tub_sweep *least =
        open_text("method: random\nmetric: {name: l}\nparameters: {a: {value: 1}}\n");
    tub_sweep *most = open_text(
        "method: random\nmetric: {name: l, goal: maximize}\nparameters: {a: {value: 1}}\n");
    assert_true(tub_sweep_best(least, &trials[0]) == 1 && tub_sweep_best(most, &trials[0]) == 3);
    assert_true(isnan(tub_sweep_best(least, &trials[1])));
    assert_int_equal(tub_sweep_best_of(least, trials, 3), 0); /* of equal ones the first */
    assert_int_equal(tub_sweep_best_of(most, trials, 3), 0);
    assert_int_equal(tub_sweep_best_of(least, trials + 1, 1), -1);
    tub_sweep_close(least);
    tub_sweep_close(most);
}

/* Of more trials than its model takes, too, none comes again as long as there are others. */
static void test_bayes_does_not_repeat(void **state) {
    (void)state;
    enum { LEFT = 120 };
    const void *table;
    if (tub__module_open(context, "search", &table, NULL) != TUB_OK) {
        skip();
    }
    tub_sweep *sweep = open_text("method: bayes\nmetric: {name: l}\n"
                                 "parameters: {a: {min: 1, max: 120}}\n");
    static char texts[LEFT][16];
    static double values[LEFT];
    tub_trial trials[LEFT];
    for (int i = 0; i + 1 < LEFT; i++) {
        snprintf(texts[i], sizeof texts[i], "{\"a\": %d}", i + 1);
        values[i] = i;
        trials[i] = (tub_trial){texts[i], TUB_TRIAL_FINISHED, &values[i], 1};
    }
    char *next = NULL;
    assert_int_equal(tub_sweep_next(context, sweep, 1, trials, LEFT - 1, &next, NULL), TUB_OK);
    assert_string_equal(next, "{\"a\": 120}");
    tub_sweep_text_free(context, next);
    tub_sweep_close(sweep);
}

/* The parts of a choice are equal, whatever its probabilities. */
static void test_positions(void **state) {
    (void)state;
    tub_sweep *sweep = open_text(
        "method: random\nparameters: {a: {values: [x, y, z], probabilities: [0.05, 0.95, 0]}}\n");
    assert_true(tub_sweep_position(sweep, 0, "{\"a\": \"x\"}") == 0.5 / 3);
    assert_true(tub_sweep_position(sweep, 0, "{\"a\": \"y\"}") == 0.5);
    assert_true(tub_sweep_position(sweep, 0, "{\"a\": \"z\"}") == 2.5 / 3);
    tub_sweep_close(sweep);
}

static void test_points_by_number(void **state) {
    (void)state;
    tub_sweep *sweep = open_text("method: grid\nparameters: {b: {values: [x, x, y]}, a: {min: 1, "
                                 "max: 3}, c: {parameters: {d: {value: 7}}}}\n");
    tub_trial trials[6] = {{0}};
    char *point = NULL;
    for (int64_t i = 0; i < 6; i++) {
        char *next = NULL;
        assert_int_equal(tub_sweep_next(context, sweep, 1, trials, i, &next, NULL), TUB_OK);
        assert_int_equal(tub_sweep_point(sweep, i, &point, NULL), TUB_OK);
        assert_string_equal(point, next);
        tub_sweep_text_free(context, point);
        trials[i].parameters = next;
    }
    assert_int_equal(tub_sweep_point(sweep, 6, &point, NULL), TUB_E_RANGE);
    assert_int_equal(tub_sweep_point(sweep, -1, &point, NULL), TUB_E_RANGE);
    assert_null(point);
    for (int i = 0; i < 6; i++) {
        tub_sweep_text_free(context, (char *)trials[i].parameters);
    }
    tub_sweep_close(sweep);
    sweep = open_text("method: random\nparameters: {a: {values: [1]}}\n");
    assert_int_equal(tub_sweep_point(sweep, 0, &point, NULL), TUB_E_RANGE);
    tub_sweep_close(sweep);
}

static void test_stops_of_nobody(void **state) {
    (void)state;
    static const double values[] = {1, 2};
    const tub_trial trial = {"{}", TUB_TRIAL_RUNNING, values, 2};
    tub_sweep *sweep = open_text("method: random\nmetric: {name: l}\nearly_terminate: {type: "
                                 "hyperband, min_iter: 1}\nparameters: {a: {value: 1}}\n");
    int stops = 1;
    assert_int_equal(tub_sweep_stops(context, sweep, &trial, 1, 0, 2, &stops, NULL, NULL), TUB_OK);
    assert_false(stops);
    assert_int_equal(tub_sweep_stops(context, sweep, &trial, 1, 1, 2, &stops, NULL, NULL),
                     TUB_E_RANGE);
    assert_int_equal(tub_sweep_stops(context, sweep, &trial, 1, 0, 3, &stops, NULL, NULL),
                     TUB_E_RANGE);
    tub_sweep_close(sweep);
}

/* ---- Functions ---- */

static void test_special(void **state) {
    (void)state;
    for (double x = -6; x <= 6; x += 0.25) {
        const double p = tub__normal_cdf(x);
        /* The distribution function loses digits in the tails, its inverse does not. */
        assert_true(fabs(tub__normal_quantile(p) - x) < 1e-15 / tub__normal_density(x) + 1e-13);
    }
    /* I_x(2,5) = 1 - (1-x)^5 (1 + 5x); I_x(a,1) = x^a. */
    for (double x = 0.01; x < 1; x += 0.07) {
        const double exact = 1 - pow(1 - x, 5) * (1 + 5 * x);
        assert_true(fabs(tub__beta_cdf(x, 2, 5) - exact) < 1e-14);
        assert_true(fabs(tub__beta_cdf(x, 0.3, 1) - pow(x, 0.3)) < 1e-13);
        /* A rounding of the argument moves the quantile by that over the density. */
        const double density = 30 * x * pow(1 - x, 4);
        assert_true(fabs(tub__beta_quantile(exact, 2, 5) - x) < 1e-15 / density + 1e-13);
    }
    assert_true(tub__beta_cdf(0, 2, 2) == 0 && tub__beta_cdf(1, 2, 2) == 1);
    assert_true(fabs(tub__beta_quantile(0.5, 200, 200) - 0.5) < 1e-13);
}

/* ---- Allocations ---- */

typedef struct asked {
    const char *text;
} asked;

/* Opens, proposes three trials, judges one and closes. */
static tub_status whole(const tub_allocator *a, void *user, tub_error *err) {
    const asked *q = user;
    tub__json *tree = NULL;
    tub_sweep *sweep = NULL;
    char *next[3] = {NULL};
    static const double values[] = {3, 2, 1};
    tub_context other = *context; /* modules are open; only memory is another's */
    other.allocator = *a;
    if (tub__yaml_tree(context, q->text, strlen(q->text), &tree, err) != TUB_OK) {
        return TUB_E_FORMAT;
    }
    tub_status status = tub__sweep_of(a, tree, &sweep, err);
    tub_trial trials[3] = {{0}};
    for (int i = 0; i < 3 && status == TUB_OK; i++) {
        status = tub_sweep_next(&other, sweep, 1, trials, i, &next[i], err);
        trials[i] = (tub_trial){next[i], TUB_TRIAL_FINISHED, values, 3 - i};
    }
    int stops;
    if (status == TUB_OK) {
        status = tub_sweep_stops(&other, sweep, trials, 3, 0, 3, &stops, NULL, err);
    }
    for (int i = 0; i < 3; i++) {
        tub_sweep_text_free(&other, next[i]);
    }
    tub_sweep_close(sweep);
    return status;
}

static void test_failing_allocations(void **state) {
    (void)state;
    static const char *const files[] = {
        "method: grid\nmetric: {name: l}\nearly_terminate: {type: hyperband, min_iter: "
        "1}\nparameters: {a: "
        "{values: [1, 2, 3]}, b: {parameters: {c: {min: 1, max: 4}}}}\n",
        "method: random\nmetric: {name: l}\nparameters: {a: {min: 0.0, max: 1.0}}\n",
        "method: bayes\nmetric: {name: l}\nparameters: {a: {min: 0.0, max: 1.0}}\n"};
    const void *table;
    const bool search = tub__module_open(context, "search", &table, NULL) == TUB_OK;
    for (size_t i = 0; i < (search ? 3 : 2); i++) {
        asked q = {files[i]};
        const failing_report report = failing_run(whole, &q);
        if (report.problem[0] != '\0') {
            fail_msg("%s\n%s", report.problem, files[i]);
        }
        assert_true(report.allocations > 10);
    }
}

static int open_context(void **state) {
    (void)state;
    return tub_context_create(NULL, &context, NULL) == TUB_OK ? 0 : -1;
}

static int close_context(void **state) {
    (void)state;
    tub_context_destroy(context);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_scalars),
                                       cmocka_unit_test(test_other_scalars),
                                       cmocka_unit_test(test_merges_and_keys),
                                       cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_cannot_start),
                                       cmocka_unit_test(test_own_search),
                                       cmocka_unit_test(test_trials_by_number),
                                       cmocka_unit_test(test_best),
                                       cmocka_unit_test(test_positions),
                                       cmocka_unit_test(test_bayes_does_not_repeat),
                                       cmocka_unit_test(test_points_by_number),
                                       cmocka_unit_test(test_stops_of_nobody),
                                       cmocka_unit_test(test_huge_numbers),
                                       cmocka_unit_test(test_special),
                                       cmocka_unit_test(test_failing_allocations)};
    return cmocka_run_group_tests_name("sweep", tests, open_context, close_context);
}
