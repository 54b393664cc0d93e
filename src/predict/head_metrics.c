/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of several heads: each one's own, and those of all heads together. */
#include <math.h>
#include <string.h>
#include <tubelet/predict.h>

#include "base/context.h"
#include "base/error.h"
#include "base/fpenv.h"
#include "predict/bootstrap.h"
#include "predict/judge.h"
#include "predict/task_scores.h"

/* Heads side by side in rows of K probabilities, and [n, heads] labels. */
typedef struct material {
    size_t n, heads, classes; /* classes: K */
    const int64_t *head_classes;
    const float *probabilities;
    const int32_t *labels;
} material;

static material material_of(int64_t n, int64_t heads, const int64_t *head_classes,
                            const float *probabilities, const int32_t *labels) {
    material m = {.n = (size_t)n,
                  .heads = (size_t)heads,
                  .head_classes = head_classes,
                  .probabilities = probabilities,
                  .labels = labels};
    for (int64_t h = 0; h < heads; h++) {
        m.classes += (size_t)head_classes[h];
    }
    return m;
}

static tub_status check(int64_t n, int64_t heads, const int64_t *head_classes,
                        const float *probabilities, const int32_t *labels, tub_error *err) {
    if (n < 1 || n > INT32_MAX || heads < 1 || heads > TUB_HEAD_LIMIT || head_classes == NULL ||
        probabilities == NULL || labels == NULL) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "metrics of heads need samples, probabilities, labels and 1 to %d heads",
                         TUB_HEAD_LIMIT);
    }
    for (int64_t h = 0; h < heads; h++) {
        TUB__TRY(tub__in_range("head_classes", head_classes[h], 1, TUB_LABEL_LIMIT, err));
    }
    return TUB_OK;
}

/* One head's columns and labels, without the others'. */
typedef struct alone {
    float *probabilities; /* [n, classes of the head] */
    int32_t *labels;      /* [n] */
} alone;

static void alone_free(const tub_allocator *a, alone *o) {
    tub__free(a, o->probabilities);
    tub__free(a, o->labels);
    *o = (alone){0};
}

static tub_status alone_make(const tub_allocator *a, const material *m, size_t head, size_t first,
                             alone *out, tub_error *err) {
    const size_t classes = (size_t)m->head_classes[head];
    alone o = {0};
    tub_status status = tub__alloc_array(a, m->n, classes * sizeof *o.probabilities,
                                         (void **)&o.probabilities, err);
    if (status == TUB_OK) {
        status = tub__alloc_array(a, m->n, sizeof *o.labels, (void **)&o.labels, err);
    }
    if (status != TUB_OK) {
        alone_free(a, &o);
        return status;
    }
    for (size_t i = 0; i < m->n; i++) {
        memcpy(o.probabilities + i * classes, m->probabilities + i * m->classes + first,
               classes * sizeof *o.probabilities);
        o.labels[i] = m->labels[i * m->heads + head];
    }
    *out = o;
    return TUB_OK;
}

/* What all heads together say of each sample. */
typedef struct joint {
    size_t n;
    bool *top1, *top5;
    double *loss;
} joint;

enum { TOP1, TOP5, LOSS, VALUES };

static void values_of(const void *user, const uint32_t *times, double *values) {
    const joint *j = user;
    uint64_t top1 = 0, top5 = 0;
    double loss = 0.0;
    for (size_t i = 0; i < j->n; i++) {
        const uint64_t often = times == NULL ? 1 : times[i];
        top1 += j->top1[i] ? often : 0;
        top5 += j->top5[i] ? often : 0;
        loss += often == 0 ? 0.0 : j->loss[i] * (double)often;
    }
    values[TOP1] = (double)top1 / (double)j->n;
    values[TOP5] = (double)top5 / (double)j->n;
    values[LOSS] = loss / (double)j->n;
}

static void joint_free(const tub_allocator *a, joint *j) {
    tub__free(a, j->top1);
    tub__free(a, j->top5);
    tub__free(a, j->loss);
}

static tub_status joint_make(const tub_allocator *a, const material *m, joint *out,
                             tub_error *err) {
    joint j = {.n = m->n};
    tub_status status = tub__alloc_array(a, m->n, sizeof *j.top1, (void **)&j.top1, err);
    if (status == TUB_OK) {
        status = tub__alloc_array(a, m->n, sizeof *j.top5, (void **)&j.top5, err);
    }
    if (status == TUB_OK) {
        status = tub__alloc_array(a, m->n, sizeof *j.loss, (void **)&j.loss, err);
    }
    if (status != TUB_OK) {
        joint_free(a, &j);
        return status;
    }
    for (size_t i = 0; i < m->n; i++) {
        const tub__joint_verdict v = tub__judge_heads(
            m->heads, m->head_classes, m->probabilities + i * m->classes, m->labels + i * m->heads);
        j.top1[i] = v.top1;
        j.top5[i] = v.top5;
        j.loss[i] = v.loss;
    }
    *out = j;
    return TUB_OK;
}

static tub_status fill_joint(tub_context *ctx, const material *m, uint64_t seed, int draws,
                             tub_head_metrics *out, tub_error *err) {
    tub_interval *const list[VALUES] = {&out->top1, &out->top5, &out->loss};
    double values[VALUES];
    joint j;
    TUB__TRY(joint_make(&ctx->allocator, m, &j, err));
    values_of(&j, NULL, values);
    for (int i = 0; i < VALUES; i++) {
        list[i]->value = values[i];
    }
    tub_status status = tub__bootstrap(ctx, m->n, seed, draws, values_of, &j, VALUES, list, err);
    joint_free(&ctx->allocator, &j);
    return status;
}

static tub_status fill_heads(tub_context *ctx, const material *m, uint64_t seed, int draws,
                             tub_head_metrics *out, tub_error *err) {
    for (size_t h = 0, first = 0; h < m->heads; first += (size_t)m->head_classes[h++]) {
        alone o;
        TUB__TRY(alone_make(&ctx->allocator, m, h, first, &o, err));
        tub_status status =
            tub_metrics_compute(ctx, (int64_t)m->n, m->head_classes[h], o.probabilities, o.labels,
                                seed, draws, &out->head[h], err);
        alone_free(&ctx->allocator, &o);
        if (status != TUB_OK) {
            return tub__prefix(err, status, "head %zu", h + 1);
        }
    }
    return TUB_OK;
}

tub_status tub_head_metrics_compute(tub_context *ctx, int64_t n, int64_t heads,
                                    const int64_t *head_classes, const float *probabilities,
                                    const int32_t *labels, uint64_t seed, int draws,
                                    tub_head_metrics **out, tub_error *err) {
    tub_head_metrics *result = NULL;
    TUB__TRY(check(n, heads, head_classes, probabilities, labels, err));
    const material m = material_of(n, heads, head_classes, probabilities, labels);
    TUB__TRY(tub__alloc_array(&ctx->allocator, 1, sizeof *result, (void **)&result, err));
    result->samples = n;
    result->heads = heads;
    tub_status status = fill_heads(ctx, &m, seed, draws, result, err); /* checks the labels, too */
    if (status == TUB_OK) {
        tub__fpenv saved = tub__fpenv_enter();
        status = fill_joint(ctx, &m, seed, draws, result, err);
        tub__fpenv_leave(saved);
    }
    if (status != TUB_OK) {
        tub_head_metrics_free(ctx, result);
        return status;
    }
    *out = result;
    return TUB_OK;
}

void tub_head_metrics_free(tub_context *ctx, tub_head_metrics *metrics) {
    if (metrics != NULL) {
        for (int h = 0; h < TUB_HEAD_LIMIT; h++) {
            tub_metrics_free(ctx, metrics->head[h]);
        }
        tub__free(&ctx->allocator, metrics);
    }
}

/* The mean of the heads' areas. */
static tub_status mean_auc(tub_context *ctx, const material *m, double *out, tub_error *err) {
    double sum = 0.0;
    for (size_t h = 0, first = 0; h < m->heads; first += (size_t)m->head_classes[h++]) {
        alone o;
        tub_scores scores;
        TUB__TRY(alone_make(&ctx->allocator, m, h, first, &o, err));
        tub_status status = tub_scores_compute(ctx, (int64_t)m->n, m->head_classes[h],
                                               o.probabilities, o.labels, &scores, err);
        alone_free(&ctx->allocator, &o);
        TUB__TRY(status);
        sum += scores.auc;
    }
    *out = sum / (double)m->heads;
    return TUB_OK;
}

tub_status tub__head_scores(tub_context *ctx, int64_t n, int64_t heads, const int64_t *head_classes,
                            const float *probabilities, const int32_t *labels, tub_scores *out,
                            tub_error *err) {
    double auc = NAN, values[VALUES];
    joint j;
    TUB__TRY(check(n, heads, head_classes, probabilities, labels, err));
    const material m = material_of(n, heads, head_classes, probabilities, labels);
    TUB__TRY(mean_auc(ctx, &m, &auc, err));
    TUB__TRY(joint_make(&ctx->allocator, &m, &j, err));
    values_of(&j, NULL, values);
    joint_free(&ctx->allocator, &j);
    *out =
        (tub_scores){.loss = values[LOSS], .top1 = values[TOP1], .top5 = values[TOP5], .auc = auc};
    return TUB_OK;
}
