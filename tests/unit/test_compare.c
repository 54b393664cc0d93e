/* SPDX-License-Identifier: Apache-2.0 */
/* Differences of two models: McNemar's test against exact fractions (Python's fractions, docs/metrics.md); the
 * paired bootstrap against loops that draw, sort and count pairs by themselves; symmetry; and every allocation
 * made to fail. */
#include "cmocka_all.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/philox.h"
#include "failing_alloc.h"
#include <tubelet/tubelet.h>

enum { N = 60, K = 3, DRAWS = 200, SEED = 5 };

typedef struct scene {
    float first[N * K], second[N * K];
    int32_t labels[N];
} scene;

static tub_context *make_context(int threads) {
    tub_context_config c = tub_context_config_default();
    tub_context *ctx = NULL;
    c.threads = threads;
    assert_int_equal(tub_context_create(&c, &ctx, NULL), TUB_OK);
    return ctx;
}

/* Two models of different skill, with ties among their scores. */
static void fill(scene *s) {
    tub__random r = tub__random_start(tub__random_key(1, TUB__RANDOM_BOOTSTRAP), 0, 0, 0);
    for (int i = 0; i < N; i++) {
        s->labels[i] = i % K;
        for (int m = 0; m < 2; m++) {
            float *row = (m == 0 ? s->first : s->second) + i * K, sum = 0;
            for (int k = 0; k < K; k++) {
                row[k] = (float)(1 + tub__random_below(&r, 8) +
                                 (k == s->labels[i] ? 2u * (unsigned)m + 1u : 0u));
                sum += row[k];
            }
            for (int k = 0; k < K; k++) {
                row[k] /= sum;
            }
        }
    }
}

static tub_difference difference_of(tub_context *ctx, const float *a, const float *b,
                                    const int32_t *labels, int64_t n, int64_t classes, int draws) {
    tub_difference d;
    tub_error err = {0};
    const tub_status status =
        tub_metrics_difference(ctx, n, classes, a, b, labels, SEED, draws, &d, &err);
    if (status != TUB_OK) {
        fail_msg("%s", err.message);
    }
    return d;
}

/* ---- McNemar ---- */

static void test_mcnemar(void **state) {
    static const struct {
        int first, second;
        double p;
    } cases[] = {{0, 0, 1.0},
                 {0, 1, 1.0},
                 {0, 5, 0.0625},
                 {3, 3, 1.0},
                 {1, 9, 0.021484375},
                 {30, 47, 0.06754925145902678},
                 {12, 25, 0.04703102743951604},
                 {400, 500, 0.0009564441369189461},
                 {5000, 5400, 9.116949314540886e-05},
                 {0, 1080, 0.0},
                 {700, 1900, 6.2927785777534805e-127}};
    tub_context *ctx = make_context(1);
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        const int n =
            cases[c].first + cases[c].second + 2; /* and one that both, one that none has right */
        float *a = calloc((size_t)n * 2, sizeof *a), *b = calloc((size_t)n * 2, sizeof *b);
        int32_t *labels = calloc((size_t)n, sizeof *labels);
        for (int i = 0; i < n; i++) {
            const bool right_a = i < cases[c].first || i == n - 1;
            const bool right_b = (i >= cases[c].first && i < n - 2) || i == n - 1;
            labels[i] = i % 2;
            a[2 * i + (right_a ? i % 2 : 1 - i % 2)] = 1;
            b[2 * i + (right_b ? i % 2 : 1 - i % 2)] = 1;
        }
        const tub_difference d = difference_of(ctx, a, b, labels, n, 2, 0);
        assert_int_equal(d.only_first, cases[c].first);
        assert_int_equal(d.only_second, cases[c].second);
        assert_true(fabs(d.p_value - cases[c].p) <= 1e-12 * cases[c].p);
        assert_true(isnan(d.top1.low)); /* without draws there are no limits */
        free(a);
        free(b);
        free(labels);
    }
    tub_context_destroy(ctx);
}

/* ---- bootstrap ---- */

/* Area under the ROC curve by counting pairs. */
static double pairs_auc(const float *scores, const int32_t *labels, const int *times, int k) {
    double wins = 0, pairs = 0;
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            if (labels[i] == k && labels[j] != k) {
                const double w = (double)times[i] * times[j];
                const float a = scores[i * K + k], b = scores[j * K + k];
                wins += w * (a > b ? 1 : a == b ? 0.5 : 0);
                pairs += w;
            }
        }
    }
    return wins / pairs;
}

static void plain_metrics(const float *scores, const int32_t *labels, const int *times,
                          double out[3]) {
    out[0] = out[1] = out[2] = 0;
    for (int i = 0; i < N; i++) {
        int best = 0;
        for (int k = 1; k < K; k++) {
            best = scores[i * K + k] > scores[i * K + best] ? k : best;
        }
        out[0] += times[i] * (best == labels[i]) / (double)N;
        out[2] += times[i] * -log((double)scores[i * K + labels[i]]) / N;
    }
    for (int k = 0; k < K; k++) {
        out[1] += pairs_auc(scores, labels, times, k) / K;
    }
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *sorted, double q) {
    const double at = (DRAWS - 1) * q;
    const int i = (int)at;
    return sorted[i] + (at - i) * (sorted[i + 1 < DRAWS ? i + 1 : i] - sorted[i]);
}

static void check_interval(const tub_interval *m, double value, double *drawn) {
    qsort(drawn, DRAWS, sizeof *drawn, ascending);
    assert_true(fabs(m->value - value) < 1e-6);
    assert_true(fabs(m->low - quantile(drawn, 0.025)) < 1e-6);
    assert_true(fabs(m->high - quantile(drawn, 0.975)) < 1e-6);
}

static void test_bootstrap(void **state) {
    static scene s;
    static double drawn[3][DRAWS];
    double a[3], b[3], whole[3];
    int times[N];
    tub_context *ctx = make_context(2);
    (void)state;
    fill(&s);
    const tub_difference d = difference_of(ctx, s.first, s.second, s.labels, N, K, DRAWS);
    const tub__key key = tub__random_key(SEED, TUB__RANDOM_BOOTSTRAP);
    for (int draw = -1; draw < DRAWS; draw++) {
        tub__random r = tub__random_start(key, (uint32_t)draw, 0, 0);
        for (int i = 0; i < N; i++) {
            times[i] = draw < 0;
        }
        for (int i = 0; i < N && draw >= 0; i++) {
            times[tub__random_below(&r, N)]++;
        }
        plain_metrics(s.first, s.labels, times, a);
        plain_metrics(s.second, s.labels, times, b);
        for (int m = 0; m < 3; m++) {
            *(draw < 0 ? &whole[m] : &drawn[m][draw]) = b[m] - a[m];
        }
    }
    check_interval(&d.top1, whole[0], drawn[0]);
    check_interval(&d.auc, whole[1], drawn[1]);
    check_interval(&d.loss, whole[2], drawn[2]);
    assert_true(d.top1.low > 0); /* the second is the better one */
    tub_context_destroy(ctx);
}

/* ---- properties ---- */

static void test_symmetry(void **state) {
    static scene s;
    tub_context *ctx = make_context(1), *more = make_context(3);
    (void)state;
    fill(&s);
    const tub_difference d = difference_of(ctx, s.first, s.second, s.labels, N, K, DRAWS);
    const tub_difference r = difference_of(ctx, s.second, s.first, s.labels, N, K, DRAWS);
    const tub_difference t = difference_of(more, s.first, s.second, s.labels, N, K, DRAWS);
    const tub_difference none = difference_of(ctx, s.first, s.first, s.labels, N, K, DRAWS);
    assert_true(d.auc.value == -r.auc.value && fabs(d.auc.low + r.auc.high) < 1e-12);
    assert_true(d.only_first == r.only_second && d.p_value == r.p_value);
    assert_memory_equal(&d, &t, sizeof d);
    assert_true(none.auc.value == 0 && none.auc.low == 0 && none.auc.high == 0);
    assert_true(none.only_first == 0 && none.only_second == 0 && none.p_value == 1);
    tub_context_destroy(more);
    tub_context_destroy(ctx);
}

static void test_refused(void **state) {
    static scene s;
    tub_context *ctx = make_context(1);
    tub_difference d;
    tub_error err = {0};
    (void)state;
    fill(&s);
    assert_int_equal(
        tub_metrics_difference(ctx, 0, K, s.first, s.second, s.labels, 1, 10, &d, &err),
        TUB_E_ARGUMENT);
    assert_int_equal(
        tub_metrics_difference(ctx, N, K, s.first, s.second, s.labels, 1, -1, &d, &err),
        TUB_E_ARGUMENT);
    s.labels[7] = K;
    assert_int_equal(
        tub_metrics_difference(ctx, N, K, s.first, s.second, s.labels, 1, 10, &d, &err),
        TUB_E_RANGE);
    tub_context_destroy(ctx);
}

static tub_status compare_once(const tub_allocator *a, void *user, tub_error *err) {
    const scene *s = user;
    tub_context_config c = tub_context_config_default();
    tub_context *ctx = NULL;
    tub_difference d;
    c.threads = 1;
    c.allocator = *a;
    tub_status status = tub_context_create(&c, &ctx, err);
    if (status == TUB_OK) {
        status = tub_metrics_difference(ctx, N, K, s->first, s->second, s->labels, 1, 10, &d, err);
    }
    tub_context_destroy(ctx);
    return status;
}

static void test_every_allocation(void **state) {
    static scene s;
    (void)state;
    fill(&s);
    const failing_report report = failing_run(compare_once, &s);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations > 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mcnemar), cmocka_unit_test(test_bootstrap),
        cmocka_unit_test(test_symmetry), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_every_allocation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
