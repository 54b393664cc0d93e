/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of labels that are each there or not. */
#include <math.h>
#include <tubelet/predict.h>

#include "base/context.h"
#include "base/error.h"
#include "base/fpenv.h"
#include "predict/bootstrap.h"
#include "predict/judge.h"
#include "predict/ranking.h"
#include "predict/task_scores.h"

/* What a set of predictions is counted from. */
typedef struct material {
    size_t n, labels;
    const float *probabilities; /* [n, labels] */
    tub__truth truth;
    double *loss; /* [n] */
    tub__ranking ranking;
} material;

enum { AUC, ACC, PRECISION, MICRO_F1, MACRO_F1, LOSS, VALUES };

/* Of one label: how often it is told and there, told, there, and told rightly or rightly not. */
typedef struct counts {
    uint64_t hits, predicted, positives, right;
} counts;

static counts count_label(const material *m, size_t label, const uint32_t *times) {
    counts c = {0};
    for (size_t i = 0; i < m->n; i++) {
        const uint64_t often = times == NULL ? 1 : times[i];
        const bool told = m->probabilities[i * m->labels + label] > 0.5f,
                   there = tub__truth_of(&m->truth, i, label);
        c.hits += told && there ? often : 0;
        c.predicted += told ? often : 0;
        c.positives += there ? often : 0;
        c.right += told == there ? often : 0;
    }
    return c;
}

static double ratio(uint64_t part, uint64_t whole) {
    return whole == 0 ? 0.0 : (double)part / (double)whole;
}

static double f1(const counts *c) {
    return ratio(2 * c->hits, c->predicted + c->positives);
}

static double mean_loss(const material *m, const uint32_t *times) {
    double loss = 0.0;
    for (size_t i = 0; i < m->n; i++) {
        loss += times == NULL ? m->loss[i] : times[i] == 0 ? 0.0 : m->loss[i] * (double)times[i];
    }
    return loss / (double)m->n;
}

/* All metrics with an interval, of the samples or of a draw from them. */
static void values_of(const void *user, const uint32_t *times, double *values) {
    const material *m = user;
    counts all = {0};
    double macro = 0.0;
    for (size_t k = 0; k < m->labels; k++) {
        const counts c = count_label(m, k, times);
        all.hits += c.hits;
        all.predicted += c.predicted;
        all.positives += c.positives;
        all.right += c.right;
        macro += f1(&c);
    }
    values[AUC] = tub__ranking_medmnist_auc(&m->ranking, &m->truth, times);
    values[ACC] = (double)all.right / ((double)m->n * (double)m->labels);
    values[PRECISION] = tub__ranking_mean_precision(&m->ranking, &m->truth, times);
    values[MICRO_F1] = f1(&all);
    values[MACRO_F1] = macro / (double)m->labels;
    values[LOSS] = mean_loss(m, times);
}

static void per_label(const material *m, tub_label_metrics *out) {
    size_t exact = 0;
    for (size_t k = 0; k < m->labels; k++) {
        const counts c = count_label(m, k, NULL);
        out->per_label[k] = (tub_label_scores){
            .support = (int64_t)c.positives,
            .precision = ratio(c.hits, c.predicted),
            .recall = ratio(c.hits, c.positives),
            .f1 = f1(&c),
            .auc = tub__ranking_auc(&m->ranking, k, &m->truth, NULL),
            .average_precision = tub__ranking_precision(&m->ranking, k, &m->truth, NULL),
        };
    }
    for (size_t i = 0; i < m->n; i++) {
        exact += tub__judge_labels(m->labels, m->probabilities + i * m->labels,
                                   m->truth.labels + i * m->labels, 0.5f) == m->labels;
    }
    out->exact_match = (double)exact / (double)m->n;
}

static tub_status material_open(const tub_allocator *a, size_t n, size_t labels,
                                const float *probabilities, const int32_t *truth, material *out,
                                tub_error *err) {
    material m = {.n = n,
                  .labels = labels,
                  .probabilities = probabilities,
                  .truth = {.labels = truth, .columns = labels}};
    TUB__TRY(tub__alloc_array(a, n, sizeof *m.loss, (void **)&m.loss, err));
    for (size_t i = 0; i < n; i++) {
        m.loss[i] = tub__labels_loss(labels, probabilities + i * labels, truth + i * labels);
    }
    tub_status status = tub__ranking_create(a, n, labels, probabilities, &m.ranking, err);
    if (status != TUB_OK) {
        tub__free(a, m.loss);
        return status;
    }
    *out = m;
    return TUB_OK;
}

static void material_close(const tub_allocator *a, material *m) {
    tub__ranking_destroy(&m->ranking);
    tub__free(a, m->loss);
}

static tub_status fill(tub_context *ctx, const float *probabilities, const int32_t *truth,
                       uint64_t seed, int draws, tub_label_metrics *out, tub_error *err) {
    const tub_allocator *a = &ctx->allocator;
    double values[VALUES];
    tub_interval *const list[VALUES] = {&out->auc,      &out->acc,      &out->precision,
                                        &out->micro_f1, &out->macro_f1, &out->loss};
    material m;
    TUB__TRY(
        material_open(a, (size_t)out->samples, (size_t)out->labels, probabilities, truth, &m, err));
    values_of(&m, NULL, values);
    for (int i = 0; i < VALUES; i++) {
        list[i]->value = values[i];
    }
    per_label(&m, out);
    tub_status status = tub__bootstrap(ctx, m.n, seed, draws, values_of, &m, VALUES, list, err);
    material_close(a, &m);
    return status;
}

tub_status tub_label_metrics_compute(tub_context *ctx, int64_t n, int64_t labels,
                                     const float *probabilities, const int32_t *truth,
                                     uint64_t seed, int draws, tub_label_metrics **out,
                                     tub_error *err) {
    const tub_allocator *a = &ctx->allocator;
    tub_label_metrics *m = NULL;
    TUB__TRY(tub__judge_check_labels(n, labels, probabilities, truth, err));
    TUB__TRY(tub__judge_check_draws(draws, err));
    TUB__TRY(tub__alloc_array(a, 1, sizeof *m, (void **)&m, err));
    m->samples = n;
    m->labels = labels;
    tub_status status =
        tub__alloc_array(a, (size_t)labels, sizeof *m->per_label, (void **)&m->per_label, err);
    if (status == TUB_OK) {
        tub__fpenv saved = tub__fpenv_enter();
        status = fill(ctx, probabilities, truth, seed, draws, m, err);
        tub__fpenv_leave(saved);
    }
    if (status != TUB_OK) {
        tub_label_metrics_free(ctx, m);
        return status;
    }
    *out = m;
    return TUB_OK;
}

void tub_label_metrics_free(tub_context *ctx, tub_label_metrics *metrics) {
    if (metrics != NULL) {
        tub__free(&ctx->allocator, metrics->per_label);
        tub__free(&ctx->allocator, metrics);
    }
}

tub_status tub__label_scores(tub_context *ctx, int64_t n, int64_t labels,
                             const float *probabilities, const int32_t *truth, tub_scores *out,
                             tub_error *err) {
    double values[VALUES];
    material m;
    TUB__TRY(tub__judge_check_labels(n, labels, probabilities, truth, err));
    TUB__TRY(
        material_open(&ctx->allocator, (size_t)n, (size_t)labels, probabilities, truth, &m, err));
    values_of(&m, NULL, values);
    material_close(&ctx->allocator, &m);
    *out = (tub_scores){.loss = values[LOSS], .top1 = values[ACC], .top5 = NAN, .auc = values[AUC]};
    return TUB_OK;
}
