/* SPDX-License-Identifier: Apache-2.0 */
/* Two models on the same samples: how much the second is better, and whether that may be chance. */
#include <tubelet/predict.h>

#include "base/context.h"
#include "base/error.h"
#include "base/fpenv.h"
#include "predict/bootstrap.h"
#include "predict/judge.h"
#include "predict/ranking.h"

/* One of the two. */
typedef struct side {
    tub__verdict *verdicts; /* [n] */
    tub__ranking ranking;
} side;

typedef struct pair {
    side side[2];
    tub__truth truth;
    size_t n;
} pair;

enum { TOP1, TOP5, AUC, ACC, LOSS, DIFFERENCES };

static tub_status side_create(const tub_allocator *a, size_t n, size_t classes,
                              const float *probabilities, const int32_t *labels, side *out,
                              tub_error *err) {
    TUB__TRY(tub__alloc_array(a, n, sizeof *out->verdicts, (void **)&out->verdicts, err));
    for (size_t i = 0; i < n; i++) {
        out->verdicts[i] = tub__judge(classes, probabilities + i * classes, labels[i]);
    }
    return tub__ranking_create(a, n, classes, probabilities, &out->ranking, err);
}

static void side_destroy(const tub_allocator *a, side *s) {
    tub__ranking_destroy(&s->ranking);
    tub__free(a, s->verdicts);
}

/* The second's metrics minus the first's, over the same draw of samples: what both find easy or hard
 * falls out. times NULL: every sample once. */
static void differences(const void *user, const uint32_t *times, double *values) {
    const pair *p = user;
    const double n = (double)p->n;
    int64_t top1 = 0, top5 = 0, acc = 0;
    double loss = 0.0;
    for (size_t i = 0; i < p->n; i++) {
        const tub__verdict *a = &p->side[0].verdicts[i], *b = &p->side[1].verdicts[i];
        const int64_t count = times != NULL ? (int64_t)times[i] : 1;
        top1 += (b->top1 - a->top1) * count;
        top5 += (b->top5 - a->top5) * count;
        acc += (b->acc - a->acc) * count;
        loss += count == 0 ? 0.0 : (b->loss - a->loss) * (double)count;
    }
    values[TOP1] = (double)top1 / n;
    values[TOP5] = (double)top5 / n;
    values[ACC] = (double)acc / n;
    values[LOSS] = loss / n;
    values[AUC] = tub__ranking_medmnist_auc(&p->side[1].ranking, &p->truth, times) -
                  tub__ranking_medmnist_auc(&p->side[0].ranking, &p->truth, times);
}

/* Exact test of McNemar: were both equally good, each sample that only one of them has right would be either's
 * with the chance of a coin. Twice the smaller tail of the binomial distribution, at most 1: the sum of
 * C(n, k) for k up to the smaller count, times 2 to the power of 1 - n. The sum is kept below 2^512 by taking
 * powers of two out of it, which costs no digit. */
static double coin_test(int64_t b, int64_t c) {
    const int64_t n = b + c, fewer = b < c ? b : c;
    int64_t halvings = n - 1;
    double term = 1.0, tail = 0.0;
    for (int64_t k = 0; k <= fewer; k++) {
        tail += term;
        term *= (double)(n - k) / (double)(k + 1);
        for (; term > 0x1p512 || tail > 0x1p512; halvings -= 512) {
            term *= 0x1p-512;
            tail *= 0x1p-512;
        }
    }
    for (; halvings > 0 && tail > 0.0; halvings--) {
        tail *= 0.5;
    }
    return n == 0 || tail > 1.0 ? 1.0 : tail;
}

static void count_discordant(const pair *p, tub_difference *out) {
    for (size_t i = 0; i < p->n; i++) {
        const bool first = p->side[0].verdicts[i].top1, second = p->side[1].verdicts[i].top1;
        out->only_first += first && !second;
        out->only_second += second && !first;
    }
    out->p_value = coin_test(out->only_first, out->only_second);
}

static tub_status fill(tub_context *ctx, const pair *p, uint64_t seed, int draws,
                       tub_difference *out, tub_error *err) {
    tub_interval *const list[DIFFERENCES] = {[TOP1] = &out->top1,
                                             [TOP5] = &out->top5,
                                             [AUC] = &out->auc,
                                             [ACC] = &out->acc,
                                             [LOSS] = &out->loss};
    double values[DIFFERENCES];
    differences(p, NULL, values);
    for (int i = 0; i < DIFFERENCES; i++) {
        list[i]->value = values[i];
    }
    count_discordant(p, out);
    return tub__bootstrap(ctx, p->n, seed, draws, differences, p, DIFFERENCES, list, err);
}

tub_status tub_metrics_difference(tub_context *ctx, int64_t n, int64_t classes, const float *first,
                                  const float *second, const int32_t *labels, uint64_t seed,
                                  int draws, tub_difference *out, tub_error *err) {
    const tub_allocator *a = &ctx->allocator;
    TUB__TRY(tub__judge_check(n, classes, first, labels, err));
    TUB__TRY(tub__judge_check(n, classes, second, labels, err));
    TUB__TRY(tub__judge_check_draws(draws, err));
    pair p = {.truth = {labels, 1}, .n = (size_t)n};
    tub_difference made = {.samples = n};
    const tub__fpenv saved = tub__fpenv_enter();
    tub_status status = side_create(a, p.n, (size_t)classes, first, labels, &p.side[0], err);
    if (status == TUB_OK) {
        status = side_create(a, p.n, (size_t)classes, second, labels, &p.side[1], err);
    }
    if (status == TUB_OK) {
        status = fill(ctx, &p, seed, draws, &made, err);
    }
    side_destroy(a, &p.side[0]);
    side_destroy(a, &p.side[1]);
    tub__fpenv_leave(saved);
    if (status == TUB_OK) {
        *out = made;
    }
    return status;
}
