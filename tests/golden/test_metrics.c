/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics against scikit-learn's, MedMNIST's and Keras' own numbers (golden/metrics, made by make_cases.py). */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tubelet/tubelet.h>
#include <unistd.h>

#include "base/context.h"
#include "base/file.h"
#include "base/philox.h"
#include "formats/json.h"
#include "predict/judge.h"
#include "predict/ranking.h"

/* The limits of the golden folder's manifest. */
static const double RANK_LIMIT = 1e-9, LOSS_LIMIT = 1e-6;

typedef struct golden {
    tub__json *root;
    const tub__json *expected;
    int64_t n, classes;
    float *scores;
    int32_t *labels;
} golden;

static tub_context *context_of(void **state) {
    return *state;
}

static int set_up(void **state) {
    tub_context_config config = tub_context_config_default();
    config.threads = 2;
    return tub_context_create(&config, (tub_context **)state, NULL) == TUB_OK ? 0 : -1;
}

static int tear_down(void **state) {
    tub_context_destroy(*state);
    return 0;
}

static tub__json *load(const char *name) {
    char path[1024];
    tub_error err = {0};
    tub__json *root = NULL;
    snprintf(path, sizeof path, "%s/metrics/%s.json", GOLDEN, name);
    if (tub__json_load(&tub__default_allocator, path, 1 << 24, &root, &err) != TUB_OK) {
        fail_msg("%s", err.message);
    }
    return root;
}

static double number(const tub__json *value) {
    double x = NAN;
    if (value != NULL && tub__json_kind_of(value) != TUB__JSON_NULL) {
        assert_int_equal(tub__json_to_real(value, "value", &x, NULL), TUB_OK);
    }
    return x;
}

static void open_golden(const char *name, golden *g) {
    *g = (golden){.root = load(name)};
    const tub__json *labels = tub__json_get(g->root, "labels"),
                    *scores = tub__json_get(g->root, "scores");
    g->expected = tub__json_get(g->root, "expected");
    assert_int_equal(tub__json_get_integer(g->root, "classes", &g->classes, NULL), TUB_OK);
    g->n = (int64_t)tub__json_size(labels);
    assert_int_equal(tub__json_size(scores), g->n * g->classes);
    g->labels = malloc((size_t)g->n * sizeof *g->labels);
    g->scores = malloc((size_t)(g->n * g->classes) * sizeof *g->scores);
    for (int64_t i = 0; i < g->n; i++) {
        g->labels[i] = (int32_t)number(tub__json_at(labels, (size_t)i));
    }
    for (int64_t i = 0; i < g->n * g->classes; i++) {
        g->scores[i] = (float)number(tub__json_at(scores, (size_t)i));
    }
}

static void close_golden(golden *g) {
    free(g->labels);
    free(g->scores);
    tub__json_free(g->root);
}

static bool near(double value, double expected, double limit, bool relative) {
    if (value != value || expected != expected) {
        return value != value && expected != expected;
    }
    return fabs(value - expected) <= limit * (relative ? fabs(expected) : 1.0);
}

/* Compares with {"value": x}; an empty object says that the tool refused, which asks for nothing. Returns 1 when it compared. */
static int expect(const char *where, const tub__json *object, const char *key, double value,
                  double limit, bool relative) {
    const tub__json *holder = tub__json_get(object, key), *x = tub__json_get(holder, "value");
    if (x == NULL) {
        return 0;
    }
    if (!near(value, number(x), limit, relative)) {
        fail_msg("%s: %s is %.17g, expected %.17g", where, key, value, number(x));
    }
    return 1;
}

static void expect_classes(const char *name, const golden *g, const tub_metrics *m) {
    const tub__json *per_class = tub__json_get(g->expected, "per_class");
    const tub__json *aucs = tub__json_get(g->expected, "auc_per_class");
    for (size_t k = 0; k < (size_t)g->classes; k++) {
        const tub_class_scores *s = &m->per_class[k];
        const tub__json *row = tub__json_at(tub__json_get(g->expected, "confusion"), k);
        assert_true(near(s->precision,
                         number(tub__json_at(tub__json_get(per_class, "precision"), k)), RANK_LIMIT,
                         false));
        assert_true(near(s->recall, number(tub__json_at(tub__json_get(per_class, "recall"), k)),
                         RANK_LIMIT, false));
        assert_true(near(s->f1, number(tub__json_at(tub__json_get(per_class, "f1"), k)), RANK_LIMIT,
                         false));
        assert_true((double)s->support ==
                    number(tub__json_at(tub__json_get(per_class, "support"), k)));
        for (size_t j = 0; j < (size_t)g->classes; j++) {
            assert_true((double)m->confusion[k * (size_t)g->classes + j] ==
                        number(tub__json_at(row, j)));
        }
        const tub__json *auc = tub__json_get(tub__json_at(aucs, k), "value");
        if (auc != NULL && !near(s->auc, number(auc), RANK_LIMIT, false)) {
            fail_msg("%s: AUC of class %zu is %.17g, expected %.17g", name, k, s->auc, number(auc));
        }
    }
}

static void one_case(tub_context *ctx, const char *name, int values) {
    golden g;
    tub_metrics *m = NULL;
    tub_scores scores;
    tub_error err = {0};
    open_golden(name, &g);
    if (tub_metrics_compute(ctx, g.n, g.classes, g.scores, g.labels, 1, 0, &m, &err) != TUB_OK) {
        fail_msg("%s: %s", name, err.message);
    }
    int compared = expect(name, g.expected, "auc", m->auc.value, RANK_LIMIT, false);
    compared += expect(name, g.expected, "acc", m->acc.value, RANK_LIMIT, false);
    compared += expect(name, g.expected, "accuracy", m->top1.value, RANK_LIMIT, false);
    compared += expect(name, g.expected, "top1", m->top1.value, RANK_LIMIT, false);
    compared += expect(name, g.expected, "top5", m->top5.value, RANK_LIMIT, false);
    compared +=
        expect(name, g.expected, "balanced_accuracy", m->balanced_accuracy, RANK_LIMIT, false);
    compared += expect(name, g.expected, "macro_f1", m->macro_f1, RANK_LIMIT, false);
    compared += expect(name, g.expected, "loss", m->loss.value, LOSS_LIMIT, true);
    compared += expect(name, g.expected, "brier", m->brier, LOSS_LIMIT, true);
    compared +=
        expect(name, g.expected, "calibration_error", m->calibration_error, LOSS_LIMIT, true);
    if (compared != values) {
        fail_msg("%s: %d values compared, not %d", name, compared, values);
    }
    expect_classes(name, &g, m);
    assert_true(m->auc.low != m->auc.low && m->loss.high != m->loss.high);
    assert_int_equal(tub_scores_compute(ctx, g.n, g.classes, g.scores, g.labels, &scores, NULL),
                     TUB_OK);
    assert_memory_equal(&scores.loss, &m->loss.value, sizeof(double));
    assert_true(scores.top1 == m->top1.value && scores.top5 == m->top5.value &&
                near(scores.auc, m->auc.value, 0.0, false));
    tub_metrics_free(ctx, m);
    close_golden(&g);
}

static void test_cases(void **state) {
    static const struct {
        const char *name;
        int compared;
    } cases[] = {{"mc11_float32", 10},
                 {"mc11_ties_unnormalised", 8},
                 {"mc11_all_equal", 10},
                 {"mc11_confident_float32", 10},
                 {"mc11_onehot_scores", 9},
                 {"mc11_absent_class_6", 10},
                 {"mc11_one_per_class", 10},
                 {"mc11_single_sample", 8},
                 {"mc11_nan_score", 4},
                 {"mc3_small", 9},
                 {"mc2_as_multiclass", 9},
                 {"bin_2col", 8},
                 {"bin_ties_and_exactly_half", 7},
                 {"bin_all_equal", 8},
                 {"bin_saturated", 7},
                 {"bin_2col_logits", 5},
                 {"bin_one_class_only", 8},
                 {"bin_perfect", 8}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        one_case(context_of(state), cases[i].name, cases[i].compared);
    }
}

/* The checks above must see wrong rules: ties that count whole, sums of another clipping, another tie order. */
static void test_negative_controls(void **state) {
    golden g;
    (void)state;
    open_golden("mc11_ties_unnormalised", &g);
    double wrong = 0.0; /* AUC with ties counted as right */
    for (int64_t k = 0; k < g.classes; k++) {
        double pairs = 0.0, all = 0.0;
        for (int64_t i = 0; i < g.n; i++) {
            for (int64_t j = 0; j < g.n; j++) {
                bool pair = g.labels[i] == k && g.labels[j] != k;
                all += pair;
                pairs += pair && g.scores[i * g.classes + k] >= g.scores[j * g.classes + k];
            }
        }
        wrong += pairs / all / (double)g.classes;
    }
    double auc = number(tub__json_get(tub__json_get(g.expected, "auc"), "value"));
    assert_false(near(wrong, auc, RANK_LIMIT, false));
    const tub__json *top5 = tub__json_get(g.expected, "top5");
    assert_false(near(number(tub__json_get(top5, "other_rule")),
                      number(tub__json_get(top5, "value")), RANK_LIMIT, false));
    close_golden(&g);

    open_golden("mc11_confident_float32", &g);
    double loss = 0.0; /* clipped as float64 */
    for (int64_t i = 0; i < g.n; i++) {
        double p = (double)g.scores[i * g.classes + g.labels[i]];
        loss -= log(p < 0x1p-52 ? 0x1p-52 : p > 1 - 0x1p-52 ? 1 - 0x1p-52 : p) / (double)g.n;
    }
    assert_false(near(loss, number(tub__json_get(tub__json_get(g.expected, "loss"), "value")),
                      LOSS_LIMIT, true));
    close_golden(&g);
    assert_false(near(1.0, NAN, 1.0, false));
}

/* Keras' own per-sample top-1, top-5 and cross-entropy on rows full of ties. */
static void test_keras(void **state) {
    golden g;
    (void)state;
    open_golden("keras", &g);
    for (size_t i = 0; i < (size_t)g.n; i++) {
        tub__verdict v =
            tub__judge((size_t)g.classes, g.scores + i * (size_t)g.classes, g.labels[i]);
        assert_true((v.top1 ? 1.0 : 0.0) == number(tub__json_at(tub__json_get(g.root, "top1"), i)));
        assert_true((v.top5 ? 1.0 : 0.0) == number(tub__json_at(tub__json_get(g.root, "top5"), i)));
        if (i <
            60) { /* the last rows are 0, 1 and not normalised, where Keras clips and divides otherwise */
            assert_true(
                near(v.loss, number(tub__json_at(tub__json_get(g.root, "loss"), i)), 2e-6, true));
        }
    }
    close_golden(&g);
}

static void between(const tub__json *expected, const char *metric, const tub_interval *x) {
    const tub__json *m = tub__json_get(expected, metric);
    const tub__json *low = tub__json_get(m, "low_between"),
                    *high = tub__json_get(m, "high_between");
    assert_true(x->low >= number(tub__json_at(low, 0)) && x->low <= number(tub__json_at(low, 1)));
    assert_true(x->high >= number(tub__json_at(high, 0)) &&
                x->high <= number(tub__json_at(high, 1)));
    assert_true(x->low < x->value && x->value < x->high);
}

static void test_bootstrap_ranges(void **state) {
    golden g;
    tub_metrics *m = NULL;
    tub__json *expected = load("bootstrap");
    open_golden("mc11_float32", &g);
    for (uint64_t seed = 0; seed < 3; seed++) {
        assert_int_equal(tub_metrics_compute(context_of(state), g.n, g.classes, g.scores, g.labels,
                                             seed, 2000, &m, NULL),
                         TUB_OK);
        between(expected, "accuracy", &m->top1);
        between(expected, "accuracy", &m->acc);
        between(expected, "auc_macro", &m->auc);
        tub_metrics_free(context_of(state), m);
    }
    close_golden(&g);
    tub__json_free(expected);
}

static tub_interval intervals_with(int threads, const golden *g, uint64_t seed) {
    tub_context_config config = tub_context_config_default();
    tub_context *ctx = NULL;
    tub_metrics *m = NULL;
    config.threads = threads;
    assert_int_equal(tub_context_create(&config, &ctx, NULL), TUB_OK);
    assert_int_equal(
        tub_metrics_compute(ctx, g->n, g->classes, g->scores, g->labels, seed, 200, &m, NULL),
        TUB_OK);
    tub_interval loss = m->loss;
    tub_metrics_free(ctx, m);
    tub_context_destroy(ctx);
    return loss;
}

static void test_bootstrap_same_bits(void **state) {
    golden g;
    (void)state;
    open_golden("mc3_small", &g);
    tub_interval one = intervals_with(1, &g, 7), three = intervals_with(3, &g, 7),
                 other = intervals_with(1, &g, 8);
    assert_memory_equal(&one, &three, sizeof one);
    assert_memory_not_equal(&one, &other, sizeof one);
    close_golden(&g);
}

/* A draw is what it says: the same resampling done by copying rows gives the same limits. */
static void test_bootstrap_by_copying(void **state) {
    enum { DRAWS = 41 }; /* (DRAWS - 1) * 0.025 is whole: the limits are draws 1 and 39 */
    golden g;
    tub_metrics *m = NULL;
    tub_scores s;
    double auc[DRAWS];
    open_golden("mc3_small", &g);
    float *scores = malloc((size_t)(g.n * g.classes) * sizeof *scores);
    int32_t *labels = malloc((size_t)g.n * sizeof *labels);
    for (uint32_t draw = 0; draw < DRAWS; draw++) {
        tub__random r = tub__random_start(tub__random_key(5, TUB__RANDOM_BOOTSTRAP), draw, 0, 0);
        for (int64_t i = 0; i < g.n; i++) {
            uint32_t from = tub__random_below(&r, (uint32_t)g.n);
            labels[i] = g.labels[from];
            memcpy(scores + i * g.classes, g.scores + from * g.classes,
                   (size_t)g.classes * sizeof *scores);
        }
        assert_int_equal(
            tub_scores_compute(context_of(state), g.n, g.classes, scores, labels, &s, NULL),
            TUB_OK);
        uint32_t at = draw;
        for (; at > 0 && auc[at - 1] > s.auc; at--) {
            auc[at] = auc[at - 1];
        }
        auc[at] = s.auc;
    }
    assert_int_equal(tub_metrics_compute(context_of(state), g.n, g.classes, g.scores, g.labels, 5,
                                         DRAWS, &m, NULL),
                     TUB_OK);
    assert_true(near(m->auc.low, auc[1], 1e-14, false) && near(m->auc.high, auc[39], 1e-14, false));
    assert_false(near(m->auc.low, auc[2], 1e-14, false));
    tub_metrics_free(context_of(state), m);
    free(scores);
    free(labels);
    close_golden(&g);
}

static void test_wrong_arguments(void **state) {
    const float scores[4] = {0.5f, 0.5f, 0.25f, 0.75f};
    const int32_t good[2] = {0, 1}, bad[2] = {0, 2};
    tub_metrics *m = NULL;
    tub_error err = {0};
    tub_context *ctx = context_of(state);
    assert_int_equal(tub_metrics_compute(ctx, 2, 2, scores, bad, 1, 10, &m, &err), TUB_E_RANGE);
    assert_string_equal(err.message, "label of sample 1 is 2, outside 0 to 1");
    assert_int_equal(tub_metrics_compute(ctx, 0, 2, scores, good, 1, 10, &m, &err), TUB_E_ARGUMENT);
    assert_int_equal(tub_metrics_compute(ctx, 2, 0, scores, good, 1, 10, &m, &err), TUB_E_ARGUMENT);
    assert_int_equal(tub_metrics_compute(ctx, 2, 2, scores, good, 1, -1, &m, &err), TUB_E_ARGUMENT);
    assert_null(m);
    tub_metrics_free(ctx, NULL);
}

/* ---- MedMNIST's result files ---- */

static size_t read_csv(const char *text, size_t classes, float *scores) {
    size_t rows = 0;
    for (const char *c = text; *c != '\0'; rows++) {
        char *end;
        assert_int_equal(strtoul(c, &end, 10), rows);
        for (size_t k = 0; k < classes; k++) {
            assert_int_equal(*end, ',');
            scores[rows * classes + k] = strtof(end + 1, &end);
        }
        assert_int_equal(*end, '\n');
        c = end + 1;
    }
    return rows;
}

static void one_result(tub_context *ctx, const tub__json *r, const char *folder) {
    const char *file, *flag, *split, *run;
    char golden_path[1024], path[1024];
    char *text, *written;
    size_t size, written_size;
    int64_t classes;
    tub_metrics *m = NULL;
    const tub__json *labels_json = tub__json_get(r, "labels");
    assert_int_equal(tub__json_get_text(r, "file", &file, NULL), TUB_OK);
    assert_int_equal(tub__json_get_text(r, "flag", &flag, NULL), TUB_OK);
    assert_int_equal(tub__json_get_text(r, "split", &split, NULL), TUB_OK);
    assert_int_equal(tub__json_get_text(r, "run", &run, NULL), TUB_OK);
    assert_int_equal(tub__json_get_integer(r, "classes", &classes, NULL), TUB_OK);
    snprintf(golden_path, sizeof golden_path, "%s/metrics/%s", GOLDEN, file);
    assert_int_equal(
        tub__file_read(&tub__default_allocator, golden_path, 1 << 20, &text, &size, NULL), TUB_OK);
    size_t n = tub__json_size(labels_json);
    float *scores = malloc(n * (size_t)classes * sizeof *scores);
    int32_t *labels = malloc(n * sizeof *labels);
    assert_int_equal(read_csv(text, (size_t)classes, scores), n);
    for (size_t i = 0; i < n; i++) {
        labels[i] = (int32_t)number(tub__json_at(labels_json, i));
    }
    assert_int_equal(tub_metrics_compute(ctx, (int64_t)n, classes, scores, labels, 1, 0, &m, NULL),
                     TUB_OK);
    assert_true(near(m->auc.value, number(tub__json_get(r, "auc")), RANK_LIMIT, false));
    assert_true(near(m->acc.value, number(tub__json_get(r, "acc")), RANK_LIMIT, false));
    assert_int_equal(tub_medmnist_result(ctx, folder, flag, split, run, (int64_t)n, classes, scores,
                                         m->auc.value, m->acc.value, path, sizeof path, NULL),
                     TUB_OK);
    assert_string_equal(tub__path_name(path), file);
    assert_int_equal(
        tub__file_read(&tub__default_allocator, path, 1 << 20, &written, &written_size, NULL),
        TUB_OK);
    assert_int_equal(written_size, size);
    assert_memory_equal(written, text, size);
    tub_metrics_free(ctx, m);
    tub__free(&tub__default_allocator, written);
    tub__free(&tub__default_allocator, text);
    free(labels);
    free(scores);
}

static void test_medmnist_files(void **state) {
    char folder[] = "/tmp/tubelet-result-XXXXXX";
    tub__json *results = load("results");
    assert_non_null(mkdtemp(folder));
    assert_int_equal(tub__json_size(results), 3);
    for (size_t i = 0; i < tub__json_size(results); i++) {
        one_result(context_of(state), tub__json_at(results, i), folder);
    }
    tub__json_free(results);
    assert_int_equal(tub__folder_remove(&tub__default_allocator, folder, NULL), TUB_OK);
}

/* Numbers as NumPy prints float32, and names of data sets as MedMNIST's flags. */
static void test_medmnist_numbers(void **state) {
    char folder[] = "/tmp/tubelet-result-XXXXXX", path[1024], *text, small[8];
    const float scores[12] = {0.0f,        1.0f,  1e-5f, 1.2345e-8f, 1e-4f,      0.00012f,
                              0.15067331f, -0.5f, 10.0f, 16777216.f, 1.401e-45f, NAN};
    size_t size;
    tub_context *ctx = context_of(state);
    assert_non_null(mkdtemp(folder));
    assert_int_equal(tub_medmnist_result(ctx, folder, "cache/organmnist3d@64.npz", "test", "r1", 1,
                                         12, scores, NAN, 0.5, path, sizeof path, NULL),
                     TUB_OK);
    assert_string_equal(tub__path_name(path), "organmnist3d_64_test_[AUC]nan_[ACC]0.500@r1.csv");
    assert_int_equal(tub__file_read(&tub__default_allocator, path, 1 << 20, &text, &size, NULL),
                     TUB_OK);
    assert_string_equal(
        text, "0,0.0,1.0,1e-05,1.2345e-08,0.0001,0.00012,0.15067331,-0.5,10.0,16777216.0,1e-45,\n");
    assert_int_equal(tub_medmnist_result(ctx, folder, "a", "test", "a/b", 1, 12, scores, 0.5, 0.5,
                                         path, sizeof path, NULL),
                     TUB_E_ARGUMENT);
    assert_int_equal(tub_medmnist_result(ctx, folder, "a", "test", "r", 1, 12, scores, 0.5, 0.5,
                                         small, sizeof small, NULL),
                     TUB_E_ARGUMENT);
    tub__free(&tub__default_allocator, text);
    assert_int_equal(tub__folder_remove(&tub__default_allocator, folder, NULL), TUB_OK);
}

/* ---- labels and heads (make_tasks.py) ---- */

/* `labels` holds the members of an array of whole numbers. */
static int32_t *whole_numbers(const tub__json *array) {
    int32_t *out = malloc(tub__json_size(array) * sizeof *out + 1);
    for (size_t i = 0; i < tub__json_size(array); i++) {
        out[i] = (int32_t)number(tub__json_at(array, i));
    }
    return out;
}

static float *float_numbers(const tub__json *array) {
    float *out = malloc(tub__json_size(array) * sizeof *out + 1);
    for (size_t i = 0; i < tub__json_size(array); i++) {
        out[i] = (float)number(tub__json_at(array, i));
    }
    return out;
}

static void expect_number(const char *name, const tub__json *object, const char *key, double value,
                          double limit) {
    const tub__json *x = tub__json_get(object, key);
    if (x == NULL || !near(value, number(x), limit, limit == LOSS_LIMIT)) {
        fail_msg("%s: %s is %.17g, expected %.17g", name, key, value, number(x));
    }
}

static double listed(const tub__json *object, const char *key, size_t k) {
    return number(tub__json_at(tub__json_get(object, key), k));
}

static void label_case(tub_context *ctx, const char *name) {
    tub__json *root = load(name);
    const tub__json *e = tub__json_get(root, "expected"), *per = tub__json_get(e, "per_label");
    int64_t labels = 0;
    tub_label_metrics *m = NULL;
    tub_scores scores;
    tub_error err = {0};
    assert_int_equal(tub__json_get_integer(root, "labels", &labels, NULL), TUB_OK);
    int32_t *truth = whole_numbers(tub__json_get(root, "truth"));
    float *p = float_numbers(tub__json_get(root, "scores"));
    const int64_t n = (int64_t)tub__json_size(tub__json_get(root, "truth")) / labels;
    assert_ok(tub_label_metrics_compute(ctx, n, labels, p, truth, 1, 50, &m, &err), err);
    expect_number(name, e, "auc", m->auc.value, RANK_LIMIT);
    expect_number(name, e, "acc", m->acc.value, RANK_LIMIT);
    expect_number(name, e, "precision", m->precision.value, RANK_LIMIT);
    expect_number(name, e, "micro_f1", m->micro_f1.value, RANK_LIMIT);
    expect_number(name, e, "macro_f1", m->macro_f1.value, RANK_LIMIT);
    expect_number(name, e, "exact_match", m->exact_match, RANK_LIMIT);
    expect_number(name, e, "loss", m->loss.value, LOSS_LIMIT);
    for (size_t k = 0; k < (size_t)labels; k++) {
        const tub_label_scores *s = &m->per_label[k];
        assert_true(near(s->auc, listed(per, "auc", k), RANK_LIMIT, false));
        assert_true(
            near(s->average_precision, listed(per, "average_precision", k), RANK_LIMIT, false));
        assert_true(near(s->precision, listed(per, "precision", k), RANK_LIMIT, false));
        assert_true(near(s->recall, listed(per, "recall", k), RANK_LIMIT, false));
        assert_true(near(s->f1, listed(per, "f1", k), RANK_LIMIT, false));
        assert_true((double)s->support == listed(per, "support", k));
    }
    assert_true(m->acc.low < m->acc.value && m->acc.value < m->acc.high);
    assert_true(m->precision.low < m->precision.high && m->micro_f1.low < m->micro_f1.high);
    const tub_model_config c = {.task = TUB_TASK_MULTI_LABEL, .classes = labels};
    assert_ok(tub_task_scores_compute(ctx, &c, n, p, truth, &scores, &err), err);
    assert_true(scores.top1 == m->acc.value && scores.loss == m->loss.value &&
                near(scores.auc, m->auc.value, 0.0, false) && scores.top5 != scores.top5);
    truth[labels + 1] = 2;
    tub_label_metrics *none = NULL;
    assert_int_equal(tub_label_metrics_compute(ctx, n, labels, p, truth, 1, 0, &none, &err),
                     TUB_E_RANGE);
    assert_string_equal(err.message, "label 1 of sample 1 is 2, not 0 or 1");
    tub_label_metrics_free(ctx, m);
    free(truth), free(p);
    tub__json_free(root);
}

static void test_labels(void **state) {
    label_case(context_of(state), "ml14");
    label_case(context_of(state), "ml14_ties");
    label_case(context_of(state), "ml14_absent_label_9");
}

static void head_case(tub_context *ctx, const char *name) {
    tub__json *root = load(name);
    const tub__json *e = tub__json_get(root, "expected"), *sizes = tub__json_get(root, "heads");
    const int64_t heads = (int64_t)tub__json_size(sizes);
    tub_model_config c = {.task = TUB_TASK_MULTI_HEAD};
    tub_head_metrics *m = NULL;
    tub_scores scores;
    tub_error err = {0};
    for (size_t h = 0; h < (size_t)heads; h++) {
        c.head_classes[h] = (int64_t)number(tub__json_at(sizes, h));
        c.classes += c.head_classes[h];
    }
    int32_t *labels = whole_numbers(tub__json_get(root, "labels"));
    float *p = float_numbers(tub__json_get(root, "scores"));
    const int64_t n = (int64_t)tub__json_size(tub__json_get(root, "labels")) / heads;
    assert_ok(tub_head_metrics_compute(ctx, n, heads, c.head_classes, p, labels, 1, 50, &m, &err),
              err);
    expect_number(name, e, "top1", m->top1.value, RANK_LIMIT);
    expect_number(name, e, "top5", m->top5.value, RANK_LIMIT);
    expect_number(name, e, "loss", m->loss.value, LOSS_LIMIT);
    assert_true(m->top5.value > m->top1.value && m->top1.low < m->top1.high);
    double auc = 0.0;
    for (size_t h = 0; h < (size_t)heads; h++) {
        const tub__json *head = tub__json_at(tub__json_get(e, "heads"), h);
        expect_number(name, head, "top1", m->head[h]->top1.value, RANK_LIMIT);
        expect_number(name, head, "auc", m->head[h]->auc.value, RANK_LIMIT);
        auc += m->head[h]->auc.value / (double)heads;
    }
    assert_ok(tub_task_scores_compute(ctx, &c, n, p, labels, &scores, &err), err);
    assert_true(scores.top1 == m->top1.value && scores.top5 == m->top5.value &&
                scores.loss == m->loss.value && near(scores.auc, auc, 1e-15, false));
    labels[3] = (int32_t)c.head_classes[3 % heads];
    tub_head_metrics *none = NULL;
    assert_int_equal(
        tub_head_metrics_compute(ctx, n, heads, c.head_classes, p, labels, 1, 0, &none, &err),
        TUB_E_RANGE);
    assert_true(strncmp(err.message, "head ", 5) == 0);
    tub_head_metrics_free(ctx, m);
    free(labels), free(p);
    tub__json_free(root);
}

static void test_heads(void **state) {
    head_case(context_of(state), "heads_5_7");
    head_case(context_of(state), "heads_3_4_6_ties");
}

/* One head is what the whole is without heads. */
static void test_one_head(void **state) {
    golden g;
    tub_metrics *m = NULL;
    tub_head_metrics *h = NULL;
    open_golden("mc11_float32", &g);
    assert_int_equal(
        tub_metrics_compute(context_of(state), g.n, g.classes, g.scores, g.labels, 3, 20, &m, NULL),
        TUB_OK);
    assert_int_equal(tub_head_metrics_compute(context_of(state), g.n, 1, &g.classes, g.scores,
                                              g.labels, 3, 20, &h, NULL),
                     TUB_OK);
    assert_memory_equal(&h->top1, &m->top1, sizeof m->top1);
    assert_memory_equal(&h->top5, &m->top5, sizeof m->top5);
    assert_memory_equal(&h->loss, &m->loss, sizeof m->loss);
    assert_memory_equal(&h->head[0]->auc, &m->auc, sizeof m->auc);
    tub_metrics_free(context_of(state), m);
    tub_head_metrics_free(context_of(state), h);
    close_golden(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_negative_controls),
        cmocka_unit_test(test_keras),
        cmocka_unit_test(test_bootstrap_ranges),
        cmocka_unit_test(test_bootstrap_same_bits),
        cmocka_unit_test(test_bootstrap_by_copying),
        cmocka_unit_test(test_wrong_arguments),
        cmocka_unit_test(test_medmnist_files),
        cmocka_unit_test(test_medmnist_numbers),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_one_head),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
