/* SPDX-License-Identifier: Apache-2.0 */
/* Sweeps against the sweeps package: verdicts on files, defaults, order of grids, quantiles,
 * hyperband's decisions, and a search by bayes that beats random where the package's does. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "search/sweep.h"

enum { PATH = 512, TRIALS = 256, FILE_LIMIT = 1 << 20 };

static tub_context *context;

static tub__json *load(const char *name) {
    char path[PATH];
    tub__json *root = NULL;
    tub_error err = {0};
    snprintf(path, sizeof path, "%s/sweeps/%s", GOLDEN, name);
    if (tub__json_load(&context->allocator, path, FILE_LIMIT, &root, &err) != TUB_OK) {
        fail_msg("%s", err.message);
    }
    return root;
}

static const char *text_of(const tub__json *o, const char *key) {
    const char *text = NULL;
    return tub__json_get_text(o, key, &text, NULL) == TUB_OK ? text : NULL;
}

static double number_of(const tub__json *o, const char *key) {
    double value = NAN;
    (void)!tub__json_get_real(o, key, &value, NULL);
    return value;
}

static bool flag_of(const tub__json *o, const char *key) {
    bool flag = false;
    (void)!tub__json_get_bool(o, key, &flag, NULL);
    return flag;
}

static tub__json *parse(const char *text) {
    tub__json *root = NULL;
    assert_int_equal(tub__json_parse(text, strlen(text), &root, NULL), TUB_OK);
    return root;
}

static char *print(const tub__json *value) {
    tub__json_writer w;
    char *text = NULL;
    size_t size = 0;
    tub__json_start(&w, &context->allocator, 0);
    tub__json_put_value(&w, NULL, value);
    assert_int_equal(tub__json_finish(&w, &text, &size, NULL), TUB_OK);
    return text;
}

static tub_sweep *sweep_of_text(const char *text) {
    tub_sweep *sweep = NULL;
    tub_error err = {0};
    if (tub__sweep_parse(context, text, strlen(text), &sweep, &err) != TUB_OK) {
        fail_msg("%s\n%s", err.message, text);
    }
    return sweep;
}

/* JSON is YAML, but for numbers such as 1e-05. */
static tub_sweep *sweep_of(const char *method, const char *goal, const tub__json *parameters,
                           const char *terminate) {
    char text[8192], *inner = print(parameters);
    const int n =
        snprintf(text, sizeof text, "method: %s\nmetric: {name: v, goal: %s}\n%sparameters: %s\n",
                 method, goal, terminate, inner);
    assert_true((size_t)n < sizeof text);
    tub__free(&context->allocator, inner);
    for (char *c = text; (c = strstr(c, "e-")) != NULL; c++) {
        size_t digits = 0;
        while (c[-1 - (long)digits] >= '0' && c[-1 - (long)digits] <= '9') {
            digits++;
        }
        if (digits > 0 && c[-1 - (long)digits] != '.') { /* a whole mantissa needs a point */
            memmove(c + 2, c, strlen(c) + 1);
            memcpy(c, ".0", 2);
            c += 2;
        }
    }
    return sweep_of_text(text);
}

/* ---- Files ---- */

/* Numbers by value, whatever their spelling. */
static bool same(const tub__json *a, const tub__json *b) {
    if (a == NULL || b == NULL) {
        return a == b;
    }
    if (tub__json_kind_of(a) == TUB__JSON_OBJECT && tub__json_kind_of(b) == TUB__JSON_OBJECT) {
        bool equal = tub__json_size(a) == tub__json_size(b);
        for (void *it = tub__json_first(a); it != NULL && equal; it = tub__json_next(a, it)) {
            equal = same(tub__json_value(it), tub__json_get(b, tub__json_key(it)));
        }
        return equal;
    }
    return tub__values_equal(a, b);
}

/* Without the parameters that hold parameters, which the package leaves out. */
static tub__json *without_nests(const char *filled) {
    tub__json *root = parse(filled);
    tub__json_writer w;
    char *text = NULL;
    size_t size = 0;
    tub__json_start(&w, &context->allocator, 0);
    tub__json_open_object(&w, NULL);
    for (void *it = tub__json_first(root); it != NULL; it = tub__json_next(root, it)) {
        const tub__json *value = tub__json_value(it);
        if (strcmp(tub__json_key(it), "parameters") != 0) {
            tub__json_put_value(&w, tub__json_key(it), value);
            continue;
        }
        tub__json_open_object(&w, "parameters");
        for (void *p = tub__json_first(value); p != NULL; p = tub__json_next(value, p)) {
            if (tub__json_get(tub__json_value(p), "parameters") == NULL) {
                tub__json_put_value(&w, tub__json_key(p), tub__json_value(p));
            }
        }
        tub__json_close_object(&w);
    }
    tub__json_close_object(&w);
    assert_int_equal(tub__json_finish(&w, &text, &size, NULL), TUB_OK);
    tub__json_free(root);
    root = parse(text);
    tub__free(&context->allocator, text);
    return root;
}

static void check_grid(const char *name, const tub_sweep *sweep, const tub__json *grid) {
    tub_trial trials[TRIALS] = {0};
    char *next = NULL;
    int64_t n = 0;
    tub_error err = {0};
    while (tub_sweep_next(context, sweep, 1, trials, n, &next, &err) == TUB_OK && next != NULL) {
        tub__json *point = parse(next);
        if (!same(point, tub__json_at(grid, (size_t)n))) {
            char *expected = print(tub__json_at(grid, (size_t)n));
            fail_msg("%s, point %d: %s, expected %s", name, (int)n, next, expected);
        }
        tub__json_free(point);
        trials[n++].parameters = next;
        assert_true(n < TRIALS);
    }
    assert_string_equal(err.message, "");
    assert_int_equal(n, tub__json_size(grid));
    assert_int_equal(tub_sweep_points(sweep), n);
    for (int64_t i = 0; i < n; i++) {
        tub_sweep_text_free(context, (char *)trials[i].parameters);
    }
}

/* What the package says when it starts: an error or nothing. */
static void check_start(const char *name, const tub_sweep *sweep, const tub__json *entry) {
    const tub__json *bayes = tub__json_get(entry, "bayes_starts");
    const bool fails =
        tub__json_get(entry, "grid_error") != NULL || tub__json_get(bayes, "error") != NULL;
    const bool told = tub__json_get(entry, "grid") != NULL || bayes != NULL;
    tub_error err = {0};
    const tub_status status = tub_sweep_check(sweep, &err);
    if (fails && (status == TUB_OK || err.message[0] == '\0')) {
        fail_msg("%s starts, and should not", name);
    }
    if (told && !fails && status != TUB_OK) {
        fail_msg("%s: %s", name, err.message);
    }
}

static void check_file(const tub__json *entry) {
    const char *name = text_of(entry, "file");
    const tub__json *grid = tub__json_get(entry, "grid");
    char path[PATH];
    tub_sweep *sweep = NULL;
    tub_error err = {0};
    snprintf(path, sizeof path, "%s/sweeps/%s", GOLDEN, name);
    const tub_status status = tub_sweep_open(context, path, &sweep, &err);
    if ((status == TUB_OK) != flag_of(entry, "valid")) {
        fail_msg("%s: %s", name, status == TUB_OK ? "accepted" : err.message);
    }
    if (status != TUB_OK) {
        /* The place: file and line. */
        assert_int_equal(status, TUB_E_FORMAT);
        assert_non_null(strstr(err.message, name));
        assert_non_null(strstr(err.message, ": line "));
        return;
    }
    tub__json *filled = without_nests(tub_sweep_filled(sweep));
    if (!same(filled, tub__json_get(entry, "filled"))) {
        fail_msg("%s: filled as %s", name, tub_sweep_filled(sweep));
    }
    tub__json_free(filled);
    check_start(name, sweep, entry);
    if (grid != NULL) {
        check_grid(name, sweep, grid);
    }
    tub_sweep_close(sweep);
}

static void test_files(void **state) {
    (void)state;
    tub__json *manifest = load("manifest.json");
    const tub__json *files = tub__json_get(manifest, "files");
    assert_int_equal(tub__json_size(files), 56);
    for (size_t i = 0; i < tub__json_size(files); i++) {
        check_file(tub__json_at(files, i));
    }
    tub__json_free(manifest);
}

/* A refusal names the line of what is wrong and the key. */
static void test_places(void **state) {
    (void)state;
    static const char *const places[][2] = {
        {"bad_method", "line 2, column 9: method: expected bayes|random|grid|custom, found 'gird'"},
        {"bad_parameter_name", "line 4, column 10: 'a b' can't be a parameter's name"},
        {"bare_scalar_parameter", "line 4, column 6: a: expected a mapping"},
        {"hyperband_max_iter_without_s", "line 4, column 18: early_terminate: max_iter needs s"},
        {"min_as_text_1e-5",
         "line 4, column 13: lr: min: expected a number, found the text '1e-5'"},
        {"nested_bad_inner", "line 6, column 10: a: int_uniform needs max"},
        {"prob_sum", "line 4, column 38: a: the probabilities sum to 1.1, not to 1"},
        {"unknown_distribution",
         "line 4, column 22: lr: distribution: there is no 'loguniform'; did "
         "you mean 'log_uniform'?"},
        {"unknown_parameter_key", "line 4, column 29: a: int_uniform has no key 'step'"},
        {"unknown_top_key", "line 3, column 9: there is no key 'metrik'; did you mean 'metric'?"},
        {"log_uniform_old", "line 4, column 22: lr: bounds of log_uniform are exponents"},
        {"missing_bracket", "line 4"},
        {"tab_indent", "line 4"}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char path[PATH];
        tub_sweep *sweep = NULL;
        tub_error err = {0};
        snprintf(path, sizeof path, "%s/sweeps/invalid/%s.yaml", GOLDEN, places[i][0]);
        assert_int_equal(tub_sweep_open(context, path, &sweep, &err), TUB_E_FORMAT);
        if (strstr(err.message, places[i][1]) == NULL) {
            fail_msg("%s\nexpected: %s", err.message, places[i][1]);
        }
    }
}

static void test_grid_resumed(void **state) {
    (void)state;
    tub__json *manifest = load("manifest.json");
    const tub__json *resumed = tub__json_get(manifest, "grid_resume");
    const tub__json *done = tub__json_get(resumed, "runs_already");
    const tub__json *next = tub__json_get(resumed, "next");
    tub_sweep *sweep = sweep_of("grid", "minimize",
                                tub__json_get(tub__json_get(resumed, "config"), "parameters"), "");
    tub_trial trials[16] = {0};
    size_t n = 0;
    for (; n < tub__json_size(done); n++) {
        trials[n].parameters = print(tub__json_get(tub__json_at(done, n), "config"));
    }
    for (size_t i = 0; i <= tub__json_size(next); i++, n++) {
        char *text = NULL;
        assert_int_equal(tub_sweep_next(context, sweep, 1, trials, (int64_t)n, &text, NULL),
                         TUB_OK);
        if (text == NULL) {
            assert_int_equal(i, tub__json_size(next));
            break;
        }
        tub__json *point = parse(text);
        assert_true(same(point, tub__json_at(next, i)));
        tub__json_free(point);
        trials[n].parameters = text;
    }
    for (size_t i = 0; i < n; i++) {
        tub__free(&context->allocator, (char *)trials[i].parameters);
    }
    tub_sweep_close(sweep);
    tub__json_free(manifest);
}

/* ---- Distributions ---- */

static bool near(double a, double b) {
    return fabs(a - b) <= 1e-12 * fmax(1e-3, fabs(b));
}

static bool drawn_is(const tub__drawn *drawn, const tub__json *expected) {
    double value = NAN;
    if (drawn->listed != NULL) {
        return tub__values_equal(drawn->listed, expected);
    }
    return tub__json_to_real(expected, "", &value, NULL) == TUB_OK &&
           near(drawn->whole ? (double)drawn->integer : drawn->real, value);
}

static void check_quantiles(const tub__parameter *p, const tub__json *entry) {
    const tub__json *ppf = tub__json_get(entry, "ppf");
    const char *type = text_of(entry, "value_type");
    for (size_t i = 0; i < tub__json_size(ppf); i++) {
        double u = NAN;
        const tub__json *pair = tub__json_at(ppf, i);
        assert_int_equal(tub__json_to_real(tub__json_at(pair, 0), "", &u, NULL), TUB_OK);
        const tub__drawn drawn = tub__parameter_at(p, u);
        if (!drawn_is(&drawn, tub__json_at(pair, 1))) {
            fail_msg("%s at %g: %.17g", p->distribution->name, u,
                     drawn.whole ? (double)drawn.integer : drawn.real);
        }
        assert_true(drawn.listed != NULL || drawn.whole == (strcmp(type, "int") == 0));
    }
}

/* 20,000 trials by their seed and number. */
static void check_draws(const tub_sweep *sweep, const tub__json *entry) {
    enum { DRAWS = 20000 };
    const tub__parameter *p = &sweep->parameters[0];
    const tub__json *probabilities = tub__json_get(entry, "probabilities");
    const tub__json *checks = tub__json_get(entry, "quantile_checks");
    tub__drawn *draws = calloc(DRAWS, sizeof *draws);
    double *values = calloc(DRAWS, sizeof *values);
    for (int64_t i = 0; i < DRAWS; i++) {
        tub__random random = tub__search_draws(7, i, TUB__DRAWS_VALUES);
        draws[i] = tub__parameter_at(p, tub__search_draw(&random));
        values[i] = draws[i].whole ? (double)draws[i].integer : draws[i].real;
    }
    for (size_t k = 0; k < tub__json_size(probabilities); k++) {
        const tub__json *one = tub__json_at(probabilities, k);
        const tub__json *bounds = tub__json_get(one, "count_between_of_20000");
        double low = 0, high = 0;
        int count = 0;
        assert_int_equal(tub__json_to_real(tub__json_at(bounds, 0), "", &low, NULL), TUB_OK);
        assert_int_equal(tub__json_to_real(tub__json_at(bounds, 1), "", &high, NULL), TUB_OK);
        for (int i = 0; i < DRAWS; i++) {
            double value = NAN;
            const tub__json *expected = tub__json_get(one, "value");
            count += draws[i].listed != NULL ? tub__values_equal(draws[i].listed, expected)
                     : tub__json_to_real(expected, "", &value, NULL) == TUB_OK
                         ? fabs(values[i] - value) < 1e-8
                         : 0;
        }
        if (count < low || count > high) {
            fail_msg("%s: %d draws of value %d", p->distribution->name, count, (int)k);
        }
    }
    tub__sort_numbers(values, DRAWS);
    for (size_t k = 0; k < tub__json_size(checks); k++) {
        const tub__json *one = tub__json_at(checks, k);
        const tub__json *bounds = tub__json_get(one, "empirical_quantile_of_20000_between");
        double low = 0, high = 0;
        const double found = values[(size_t)(number_of(one, "p") * DRAWS)];
        assert_int_equal(tub__json_to_real(tub__json_at(bounds, 0), "", &low, NULL), TUB_OK);
        assert_int_equal(tub__json_to_real(tub__json_at(bounds, 1), "", &high, NULL), TUB_OK);
        if (!(found >= low && found <= high)) {
            fail_msg("%s: quantile %g is %g", p->distribution->name, number_of(one, "p"), found);
        }
    }
    free(values);
    free(draws);
}

static void test_distributions(void **state) {
    (void)state;
    tub__json *root = load("random_distributions.json");
    const tub__json *cases = tub__json_get(root, "cases");
    assert_int_equal(tub__json_size(cases), 16);
    for (size_t i = 0; i < tub__json_size(cases); i++) {
        const tub__json *entry = tub__json_at(cases, i);
        char text[2048], *spec = print(tub__json_get(entry, "spec"));
        snprintf(text, sizeof text, "{\"p\": %s}", spec);
        tub__json *parameters = parse(text);
        tub_sweep *sweep = sweep_of("random", "minimize", parameters, "");
        check_quantiles(&sweep->parameters[0], entry);
        check_draws(sweep, entry);
        tub_sweep_close(sweep);
        tub__json_free(parameters);
        tub__free(&context->allocator, spec);
    }
    tub__json_free(root);
}

/* ---- Hyperband ---- */

enum { RUNS = 16, STEPS = 64 };

static void check_bands(const tub_sweep *sweep, const tub__json *entry) {
    const tub__json *bands = tub__json_get(entry, "bands");
    if (bands == NULL) {
        return;
    }
    assert_int_equal(sweep->band_count, (int)number_of(entry, "bands_count"));
    for (size_t i = 0; i < tub__json_size(bands); i++) {
        int64_t band = 0;
        assert_int_equal(tub__json_to_integer(tub__json_at(bands, i), "", &band, NULL), TUB_OK);
        assert_int_equal(sweep->bands[i], band);
    }
}

static int read_runs(const tub__json *runs, tub_trial *trials, double history[RUNS][STEPS]) {
    const int n = (int)tub__json_size(runs);
    for (int i = 0; i < n; i++) {
        const tub__json *run = tub__json_at(runs, (size_t)i);
        const tub__json *values = tub__json_get(run, "history");
        for (size_t k = 0; k < tub__json_size(values); k++) {
            history[i][k] = NAN; /* null: a row without the metric */
            (void)!tub__json_to_real(tub__json_at(values, k), "", &history[i][k], NULL);
        }
        trials[i] =
            (tub_trial){.parameters = "{\"a\": 1}",
                        .state = strcmp(text_of(run, "state"), "running") == 0 ? TUB_TRIAL_RUNNING
                                                                               : TUB_TRIAL_FINISHED,
                        .history = history[i],
                        .steps = (int64_t)tub__json_size(values)};
    }
    return n;
}

/* Its name is among those that the package stops. */
static bool is_named(const tub__json *names, const char *name) {
    for (size_t i = 0; i < tub__json_size(names); i++) {
        const char *one = "";
        (void)!tub__json_to_text(tub__json_at(names, i), "", &one, NULL);
        if (strcmp(one, name) == 0) {
            return true;
        }
    }
    return false;
}

static void check_hyperband(const tub__json *entry) {
    static double history[RUNS][STEPS];
    tub_trial trials[RUNS];
    char terminate[512], *settings = print(tub__json_get(entry, "early_terminate"));
    tub__json *parameters = parse("{\"a\": {\"values\": [1, 2]}}");
    snprintf(terminate, sizeof terminate, "early_terminate: %s\n", settings);
    tub_sweep *sweep = sweep_of("random", text_of(entry, "goal"), parameters, terminate);
    const tub__json *runs = tub__json_get(entry, "runs");
    const int n = read_runs(runs, trials, history);
    if (tub__json_get(entry, "error") != NULL) {
        assert_int_not_equal(tub_sweep_check(sweep, NULL), TUB_OK);
    } else {
        assert_int_equal(tub_sweep_check(sweep, NULL), TUB_OK);
        check_bands(sweep, entry);
    }
    for (int i = 0; i < n; i++) {
        int stops = 0;
        assert_int_equal(
            tub_sweep_stops(context, sweep, trials, n, i, trials[i].steps, &stops, NULL, NULL),
            TUB_OK);
        const bool running = trials[i].state == TUB_TRIAL_RUNNING;
        const bool expected =
            is_named(tub__json_get(entry, "stop"), text_of(tub__json_at(runs, (size_t)i), "name"));
        if ((stops && running) != expected) {
            fail_msg("%s: run %d is %sstopped", text_of(entry, "name"), i, stops ? "" : "not ");
        }
    }
    tub_sweep_close(sweep);
    tub__json_free(parameters);
    tub__free(&context->allocator, settings);
}

static void test_hyperband(void **state) {
    (void)state;
    tub__json *root = load("hyperband.json");
    const tub__json *cases = tub__json_get(root, "cases");
    assert_true(tub__json_size(cases) >= 19);
    for (size_t i = 0; i < tub__json_size(cases); i++) {
        check_hyperband(tub__json_at(cases, i));
    }
    tub__json_free(root);
}

/* ---- Bayes ---- */

static double branin(double x, double y) {
    const double pi = 3.14159265358979323846;
    const double a = y - 5.1 / (4 * pi * pi) * x * x + 5 / pi * x - 6;
    return a * a + 10 * (1 - 1 / (8 * pi)) * cos(x) + 10;
}

static double evaluate(const char *name, const char *parameters) {
    tub__json *p = parse(parameters);
    const double x = number_of(p, "x"), y = number_of(p, "y"), n = number_of(p, "n");
    const double rate = number_of(p, "lr");
    tub__json_free(p);
    if (strcmp(name, "quadratic_2d") == 0) {
        return (x - 0.3) * (x - 0.3) + (y + 0.4) * (y + 0.4);
    }
    return strcmp(name, "branin") == 0
               ? branin(x, y)
               : 1 - (log10(rate) + 3) * (log10(rate) + 3) / 8 - 0.02 * fabs(n - 5);
}

/* The best value after so many trials. */
static double search(const tub_sweep *sweep, const char *name, uint64_t seed, int trials) {
    tub_trial list[64] = {0};
    double values[64];
    for (int i = 0; i < trials; i++) {
        char *next = NULL;
        tub_error err = {0};
        if (tub_sweep_next(context, sweep, seed, list, i, &next, &err) != TUB_OK) {
            fail_msg("%s", err.message);
        }
        values[i] = evaluate(name, next);
        list[i] = (tub_trial){next, TUB_TRIAL_FINISHED, &values[i], 1};
    }
    const double best = values[tub_sweep_best_of(sweep, list, trials)];
    for (int i = 0; i < trials; i++) {
        tub_sweep_text_free(context, (char *)list[i].parameters);
    }
    return best;
}

static double median_best(const char *method, const char *name, const tub__json *function) {
    enum { REPEATS = 10 };
    double best[REPEATS];
    tub_sweep *sweep =
        sweep_of(method, text_of(function, "goal"), tub__json_get(function, "parameters"), "");
    for (int i = 0; i < REPEATS; i++) {
        best[i] = search(sweep, name, (uint64_t)i + 1, (int)number_of(function, "trials"));
    }
    tub_sweep_close(sweep);
    tub__sort_numbers(best, REPEATS);
    return 0.5 * (best[REPEATS / 2 - 1] + best[REPEATS / 2]);
}

static void test_bayes_beats_random(void **state) {
    (void)state;
    tub__json *root = load("bayes.json");
    const tub__json *functions = tub__json_get(root, "functions");
    assert_int_equal(tub__json_size(functions), 3);
    for (void *it = tub__json_first(functions); it != NULL; it = tub__json_next(functions, it)) {
        const tub__json *f = tub__json_value(it);
        const double bayes = median_best("bayes", tub__json_key(it), f);
        const double ours = median_best("random", tub__json_key(it), f);
        const double theirs = number_of(tub__json_get(f, "random"), "median_best");
        const bool maximize = strcmp(text_of(f, "goal"), "maximize") == 0;
        print_message("%s: bayes %.6g, random %.6g (the package's: bayes %.6g, random %.6g)\n",
                      tub__json_key(it), bayes, ours,
                      number_of(tub__json_get(f, "bayes"), "median_best"), theirs);
        assert_true(maximize ? bayes > ours && bayes > theirs : bayes < ours && bayes < theirs);
    }
    tub__json_free(root);
}

/* After a given history the package proposes where the values fall; so do we. */
static void test_bayes_histories(void **state) {
    (void)state;
    tub__json *root = load("bayes.json");
    const tub__json *given = tub__json_at(tub__json_get(root, "given_histories"), 0);
    const tub__json *history = tub__json_get(given, "history");
    const tub__json *range = tub__json_get(given, "proposals_of_40");
    tub_trial trials[16] = {0};
    double values[16];
    char parameters[16][64];
    tub_sweep *sweep = sweep_of("bayes", "minimize", tub__json_get(given, "parameters"), "");
    const int n = (int)tub__json_size(history);
    for (int i = 0; i < n; i++) {
        const tub__json *one = tub__json_at(history, (size_t)i);
        values[i] = number_of(one, "v");
        snprintf(parameters[i], sizeof parameters[i], "{\"x\": %g}", number_of(one, "x"));
        trials[i] = (tub_trial){parameters[i], TUB_TRIAL_FINISHED, &values[i], 1};
    }
    for (uint64_t seed = 1; seed <= 10; seed++) {
        char *next = NULL;
        assert_int_equal(tub_sweep_next(context, sweep, seed, trials, n, &next, NULL), TUB_OK);
        tub__json *p = parse(next);
        const double x = number_of(p, "x"), room = 0.1;
        if (x < number_of(range, "min") - room || x > number_of(range, "max") + room) {
            fail_msg("proposed %g, the package %g to %g", x, number_of(range, "min"),
                     number_of(range, "max"));
        }
        tub__json_free(p);
        tub_sweep_text_free(context, next);
    }
    tub_sweep_close(sweep);
    tub__json_free(root);
}

/* Trials that are running are passed to the model: no two of one batch are equal. */
static void test_bayes_batch(void **state) {
    (void)state;
    static const double values[] = {2.0, 1.4, 1.0, 0.3, 0.25};
    static const char *const given[] = {"{\"x\": 0.1}", "{\"x\": 0.3}", "{\"x\": 0.5}",
                                        "{\"x\": 0.7}", "{\"x\": 0.85}"};
    enum { DONE = 5, BATCH = 4 };
    tub_trial trials[DONE + BATCH] = {0};
    double x[BATCH];
    tub_sweep *sweep =
        sweep_of_text("method: bayes\nmetric: {name: v}\nparameters: {x: {min: 0.0, max: 1.0}}\n");
    for (int i = 0; i < DONE; i++) {
        trials[i] = (tub_trial){given[i], TUB_TRIAL_FINISHED, &values[i], 1};
    }
    for (int i = 0; i < BATCH; i++) {
        char *next = NULL;
        assert_int_equal(tub_sweep_next(context, sweep, 3, trials, DONE + i, &next, NULL), TUB_OK);
        tub__json *p = parse(next);
        x[i] = number_of(p, "x");
        tub__json_free(p);
        trials[DONE + i] = (tub_trial){.parameters = next, .state = TUB_TRIAL_RUNNING};
        for (int k = 0; k < i; k++) {
            assert_true(fabs(x[k] - x[i]) > 1e-6);
        }
    }
    for (int i = 0; i < BATCH; i++) {
        tub_sweep_text_free(context, (char *)trials[DONE + i].parameters);
    }
    tub_sweep_close(sweep);
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

int main(int argc, char **argv) {
    /* Named parts only: the search for settings needs a module that may be missing. */
    const struct CMUnitTest files[] = {cmocka_unit_test(test_files), cmocka_unit_test(test_places),
                                       cmocka_unit_test(test_grid_resumed),
                                       cmocka_unit_test(test_distributions),
                                       cmocka_unit_test(test_hyperband)};
    const struct CMUnitTest bayes[] = {cmocka_unit_test(test_bayes_beats_random),
                                       cmocka_unit_test(test_bayes_histories),
                                       cmocka_unit_test(test_bayes_batch)};
    const int failed = cmocka_run_group_tests_name("sweeps", files, open_context, close_context);
    if (argc > 1 && strcmp(argv[1], "bayes") == 0) {
        return failed + cmocka_run_group_tests_name("bayes", bayes, open_context, close_context);
    }
    puts("skipped: bayes (mod-search is not built)");
    return failed;
}
