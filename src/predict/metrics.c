/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of a set of predictions: the public functions, the means, the confusion matrix and what
 * follows from it. */
#include <math.h>
#include <tubelet/predict.h>

#include "base/context.h"
#include "base/error.h"
#include "base/fpenv.h"
#include "predict/bootstrap.h"
#include "predict/judge.h"
#include "predict/ranking.h"

enum { CALIBRATION_BINS = 15 };

static tub_status judge_all(const tub_allocator *a, size_t n, size_t classes,
                            const float *probabilities, const int32_t *labels, tub__verdict **out,
                            tub_error *err) {
    tub__verdict *verdicts;
    TUB__TRY(tub__alloc_array(a, n, sizeof *verdicts, (void **)&verdicts, err));
    for (size_t i = 0; i < n; i++) {
        verdicts[i] = tub__judge(classes, probabilities + i * classes, labels[i]);
    }
    *out = verdicts;
    return TUB_OK;
}

/* Values of the means, in the order of the samples. */
static void mean_values(size_t n, const tub__verdict *verdicts, tub_metrics *out) {
    size_t top1 = 0, top5 = 0, acc = 0;
    double loss = 0.0, brier = 0.0;
    for (size_t i = 0; i < n; i++) {
        top1 += verdicts[i].top1;
        top5 += verdicts[i].top5;
        acc += verdicts[i].acc;
        loss += verdicts[i].loss;
        brier += verdicts[i].brier;
    }
    out->top1.value = (double)top1 / (double)n;
    out->top5.value = (double)top5 / (double)n;
    out->acc.value = (double)acc / (double)n;
    out->loss.value = loss / (double)n;
    out->brier = brier / (double)n;
}

/* Expected calibration error (Guo et al. 2017): bins (m/15, (m+1)/15] of the highest probability,
 * the distance of accuracy and mean confidence weighted by how many samples a bin has. */
static double calibration_error(size_t n, const tub__verdict *verdicts) {
    double confidence[CALIBRATION_BINS] = {0}, error = 0.0;
    size_t hits[CALIBRATION_BINS] = {0}, count[CALIBRATION_BINS] = {0};
    for (size_t i = 0; i < n; i++) {
        double c = (double)verdicts[i].confidence;
        if (c != c) {
            return NAN;
        }
        double bin = -floor(-c * CALIBRATION_BINS) - 1.0;
        size_t m = bin <= 0.0 ? 0 : bin >= CALIBRATION_BINS ? CALIBRATION_BINS - 1 : (size_t)bin;
        confidence[m] += c;
        hits[m] += verdicts[i].top1;
        count[m]++;
    }
    for (int m = 0; m < CALIBRATION_BINS; m++) {
        if (count[m] > 0) {
            double in_bin = (double)count[m];
            error += in_bin / (double)n * fabs((double)hits[m] / in_bin - confidence[m] / in_bin);
        }
    }
    return error;
}

static double ratio(int64_t part, int64_t whole) {
    return whole == 0 ? 0.0 : (double)part / (double)whole;
}

/* Confusion matrix, and per class precision, recall, F1 and AUC; then their means. */
static void per_class_values(const tub__ranking *ranking, const tub__verdict *verdicts,
                             const int32_t *labels, tub_metrics *out) {
    size_t classes = ranking->classes;
    int64_t present = 0;
    double recalls = 0.0, f1 = 0.0;
    for (size_t i = 0; i < ranking->n; i++) {
        out->confusion[(size_t)labels[i] * classes + (size_t)verdicts[i].predicted]++;
    }
    for (size_t k = 0; k < classes; k++) {
        tub_class_scores *scores = &out->per_class[k];
        int64_t hits = out->confusion[k * classes + k], predicted = 0;
        for (size_t j = 0; j < classes; j++) {
            scores->support += out->confusion[k * classes + j];
            predicted += out->confusion[j * classes + k];
        }
        scores->precision = ratio(hits, predicted);
        scores->recall = ratio(hits, scores->support);
        scores->f1 = ratio(2 * hits, scores->support + predicted);
        scores->auc = tub__ranking_auc(ranking, k, &(tub__truth){labels, 1}, NULL);
        present += scores->support > 0;
        recalls += scores->recall;
        f1 += scores->f1;
    }
    out->balanced_accuracy = recalls / (double)present;
    out->macro_f1 = f1 / (double)classes;
}

static tub_status metrics_create(const tub_allocator *a, int64_t n, int64_t classes,
                                 tub_metrics **out, tub_error *err) {
    tub_metrics *m = NULL;
    size_t k = (size_t)classes;
    tub_status status = tub__alloc_array(a, 1, sizeof *m, (void **)&m, err);
    if (status != TUB_OK) {
        return status;
    }
    m->samples = n;
    m->classes = classes;
    status = tub__alloc_array(a, k, k * sizeof *m->confusion, (void **)&m->confusion, err);
    if (status == TUB_OK) {
        status = tub__alloc_array(a, k, sizeof *m->per_class, (void **)&m->per_class, err);
    }
    if (status != TUB_OK) {
        tub__free(a, m->confusion);
        tub__free(a, m);
        return status;
    }
    *out = m;
    return TUB_OK;
}

/* What one draw of the bootstrap reads. */
typedef struct drawn {
    const tub__ranking *ranking;
    const tub__verdict *verdicts;
    tub__truth truth;
} drawn;

enum { TOP1, TOP5, AUC, ACC, LOSS, INTERVALS };

static void draw(const void *user, const uint32_t *times, double *values) {
    const drawn *d = user;
    const double n = (double)d->ranking->n;
    uint64_t top1 = 0, top5 = 0, acc = 0;
    double loss = 0.0;
    for (size_t i = 0; i < d->ranking->n; i++) {
        const tub__verdict *v = &d->verdicts[i];
        top1 += v->top1 ? times[i] : 0;
        top5 += v->top5 ? times[i] : 0;
        acc += v->acc ? times[i] : 0;
        loss += times[i] == 0 ? 0.0 : v->loss * (double)times[i];
    }
    values[TOP1] = (double)top1 / n;
    values[TOP5] = (double)top5 / n;
    values[ACC] = (double)acc / n;
    values[LOSS] = loss / n;
    values[AUC] = tub__ranking_medmnist_auc(d->ranking, &d->truth, times);
}

static tub_status intervals(tub_context *ctx, const tub__ranking *ranking,
                            const tub__verdict *verdicts, const int32_t *labels, uint64_t seed,
                            int draws, tub_metrics *m, tub_error *err) {
    const drawn d = {ranking, verdicts, {labels, 1}};
    tub_interval *const list[INTERVALS] = {
        [TOP1] = &m->top1, [TOP5] = &m->top5, [AUC] = &m->auc, [ACC] = &m->acc, [LOSS] = &m->loss};
    return tub__bootstrap(ctx, ranking->n, seed, draws, draw, &d, INTERVALS, list, err);
}

static tub_status fill_metrics(tub_context *ctx, const float *probabilities, const int32_t *labels,
                               uint64_t seed, int draws, tub_metrics *m, tub_error *err) {
    const tub_allocator *a = &ctx->allocator;
    size_t n = (size_t)m->samples, classes = (size_t)m->classes;
    tub__ranking ranking = {0};
    tub__verdict *verdicts;
    TUB__TRY(judge_all(a, n, classes, probabilities, labels, &verdicts, err));
    tub_status status = tub__ranking_create(a, n, classes, probabilities, &ranking, err);
    if (status == TUB_OK) {
        mean_values(n, verdicts, m);
        m->auc.value = tub__ranking_medmnist_auc(&ranking, &(tub__truth){labels, 1}, NULL);
        m->calibration_error = calibration_error(n, verdicts);
        per_class_values(&ranking, verdicts, labels, m);
        status = intervals(ctx, &ranking, verdicts, labels, seed, draws, m, err);
    }
    tub__ranking_destroy(&ranking);
    tub__free(a, verdicts);
    return status;
}

tub_status tub_metrics_compute(tub_context *ctx, int64_t n, int64_t classes,
                               const float *probabilities, const int32_t *labels, uint64_t seed,
                               int draws, tub_metrics **out, tub_error *err) {
    tub_metrics *m;
    TUB__TRY(tub__judge_check(n, classes, probabilities, labels, err));
    TUB__TRY(tub__judge_check_draws(draws, err));
    TUB__TRY(metrics_create(&ctx->allocator, n, classes, &m, err));
    tub__fpenv saved = tub__fpenv_enter();
    tub_status status = fill_metrics(ctx, probabilities, labels, seed, draws, m, err);
    tub__fpenv_leave(saved);
    if (status != TUB_OK) {
        tub_metrics_free(ctx, m);
        return status;
    }
    *out = m;
    return TUB_OK;
}

void tub_metrics_free(tub_context *ctx, tub_metrics *metrics) {
    if (metrics != NULL) {
        tub__free(&ctx->allocator, metrics->per_class);
        tub__free(&ctx->allocator, metrics->confusion);
        tub__free(&ctx->allocator, metrics);
    }
}

tub_status tub_scores_compute(tub_context *ctx, int64_t n, int64_t classes,
                              const float *probabilities, const int32_t *labels, tub_scores *out,
                              tub_error *err) {
    const tub_allocator *a = &ctx->allocator;
    tub__ranking ranking = {0};
    tub_metrics means = {0};
    tub__verdict *verdicts;
    TUB__TRY(tub__judge_check(n, classes, probabilities, labels, err));
    tub__fpenv saved = tub__fpenv_enter();
    tub_status status =
        judge_all(a, (size_t)n, (size_t)classes, probabilities, labels, &verdicts, err);
    if (status == TUB_OK) {
        status = tub__ranking_create(a, (size_t)n, (size_t)classes, probabilities, &ranking, err);
        if (status == TUB_OK) {
            mean_values((size_t)n, verdicts, &means);
            *out = (tub_scores){
                .loss = means.loss.value,
                .top1 = means.top1.value,
                .top5 = means.top5.value,
                .auc = tub__ranking_medmnist_auc(&ranking, &(tub__truth){labels, 1}, NULL)};
        }
        tub__free(a, verdicts);
    }
    tub__ranking_destroy(&ranking);
    tub__fpenv_leave(saved);
    return status;
}
