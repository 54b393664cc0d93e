/* SPDX-License-Identifier: Apache-2.0 */
/* Ranked scores: a stable radix sort per column, and the AUC as an exact count of ordered pairs. */
#include "predict/ranking.h"

#include <math.h>
#include <string.h>

#include "base/error.h"

enum { BYTE_VALUES = 256 };
static const uint32_t NEW_SCORE = UINT32_C(1) << 31;

/* One sample during sorting: its score as an unsigned number of the same order, and its index. */
typedef struct ranked {
    uint32_t key, index;
} ranked;

/* Maps a float's bits to unsigned numbers of the same order; both zeros give one key, because they
 * are equal. */
static uint32_t order_key(float score) {
    uint32_t bits;
    float same = score == 0.0f ? 0.0f : score;
    memcpy(&bits, &same, sizeof bits);
    return bits & NEW_SCORE ? ~bits : bits | NEW_SCORE;
}

/* Least significant byte first; four passes leave the result in `items`. */
static void radix_sort(ranked *items, ranked *spare, size_t n) {
    for (int shift = 0; shift < 32; shift += 8) {
        size_t start[BYTE_VALUES + 1] = {0};
        for (size_t i = 0; i < n; i++) {
            start[(items[i].key >> shift & 255) + 1]++;
        }
        for (int v = 0; v < BYTE_VALUES; v++) {
            start[v + 1] += start[v];
        }
        for (size_t i = 0; i < n; i++) {
            spare[start[items[i].key >> shift & 255]++] = items[i];
        }
        ranked *swap = items;
        items = spare;
        spare = swap;
    }
}

static void rank_column(tub__ranking *r, size_t column, const float *scores, ranked *items,
                        ranked *spare) {
    for (size_t i = 0; i < r->n; i++) {
        float score = scores[i * r->classes + column];
        if (score != score) {
            r->undefined[column] = 1;
        }
        items[i] = (ranked){order_key(score), (uint32_t)i};
    }
    radix_sort(items, spare, r->n);
    uint32_t *order = r->order + column * r->n;
    for (size_t i = 0; i < r->n; i++) {
        bool differs = i == 0 || items[i].key != items[i - 1].key;
        order[i] = items[i].index | (differs ? NEW_SCORE : 0);
    }
}

tub_status tub__ranking_create(const tub_allocator *a, size_t n, size_t classes,
                               const float *scores, tub__ranking *out, tub_error *err) {
    tub__ranking r = {.n = n, .classes = classes, .allocator = a};
    ranked *items = NULL;
    size_t numbers;
    tub_status status;
    if (n >= NEW_SCORE || !tub__mul(n, classes, &numbers)) {
        return tub__fail(err, TUB_E_MEMORY, "%zu samples of %zu classes are too many to rank", n,
                         classes);
    }
    status = tub__alloc_array(a, numbers, sizeof *r.order, (void **)&r.order, err);
    if (status == TUB_OK) {
        status = tub__alloc_array(a, classes, 1, (void **)&r.undefined, err);
    }
    if (status == TUB_OK) {
        status = tub__alloc_array(a, 2 * n, sizeof *items, (void **)&items, err);
    }
    if (status != TUB_OK) {
        tub__ranking_destroy(&r);
        return status;
    }
    for (size_t column = 0; column < classes; column++) {
        rank_column(&r, column, scores, items, items + n);
    }
    tub__free(a, items);
    *out = r;
    return TUB_OK;
}

void tub__ranking_destroy(tub__ranking *r) {
    if (r->allocator != NULL) {
        tub__free(r->allocator, r->order);
        tub__free(r->allocator, r->undefined);
    }
    *r = (tub__ranking){0};
}

/* Twice the number of (positive, negative) pairs in the right order, ties as one half each: whole
 * numbers, so that the result does not depend on the order of the sum. */
double tub__ranking_auc(const tub__ranking *r, size_t column, const tub__truth *truth,
                        const uint32_t *weight) {
    if (r->undefined[column]) {
        return NAN;
    }
    const uint32_t *order = r->order + column * r->n;
    uint64_t pairs = 0, positives = 0, below = 0, tied_positive = 0, tied_negative = 0;
    for (size_t i = 0; i < r->n; i++) {
        uint32_t sample = order[i] & ~NEW_SCORE;
        uint64_t times = weight == NULL ? 1 : weight[sample];
        if (order[i] & NEW_SCORE) {
            pairs += tied_positive * (2 * below + tied_negative);
            positives += tied_positive;
            below += tied_negative;
            tied_positive = tied_negative = 0;
        }
        bool positive = tub__truth_of(truth, sample, column);
        tied_positive += positive ? times : 0;
        tied_negative += positive ? 0 : times;
    }
    pairs += tied_positive * (2 * below + tied_negative);
    positives += tied_positive;
    below += tied_negative;
    if (positives == 0 || below == 0) {
        return NAN;
    }
    return (double)pairs / (2.0 * (double)positives * (double)below);
}

double tub__ranking_medmnist_auc(const tub__ranking *r, const tub__truth *truth,
                                 const uint32_t *weight) {
    if (r->classes == 2 && truth->columns == 1) {
        return tub__ranking_auc(r, 1, truth, weight);
    }
    double sum = 0.0;
    for (size_t column = 0; column < r->classes; column++) {
        sum += tub__ranking_auc(r, column, truth, weight);
    }
    return sum / (double)r->classes;
}

double tub__ranking_precision(const tub__ranking *r, size_t column, const tub__truth *truth,
                              const uint32_t *weight) {
    if (r->undefined[column]) {
        return NAN;
    }
    const uint32_t *order = r->order + column * r->n;
    uint64_t positives = 0, above = 0, tied = 0;
    double sum = 0.0;
    for (size_t i = r->n; i-- > 0;) { /* from the highest score down */
        uint32_t sample = order[i] & ~NEW_SCORE;
        uint64_t times = weight == NULL ? 1 : weight[sample];
        above += times;
        tied += tub__truth_of(truth, sample, column) ? times : 0;
        if (order[i] & NEW_SCORE) { /* the last one of its score */
            positives += tied;
            if (tied > 0) {
                sum += (double)tied * ((double)positives / (double)above);
            }
            tied = 0;
        }
    }
    return positives == 0 ? 0.0 : sum / (double)positives;
}

double tub__ranking_mean_precision(const tub__ranking *r, const tub__truth *truth,
                                   const uint32_t *weight) {
    double sum = 0.0;
    for (size_t column = 0; column < r->classes; column++) {
        sum += tub__ranking_precision(r, column, truth, weight);
    }
    return sum / (double)r->classes;
}
