/* SPDX-License-Identifier: Apache-2.0 */
/* One row of probabilities held against its label. */
#include "predict/judge.h"

#include "base/error.h"
#include "base/scalar.h"

enum { TOP_K = 5 };

/* As NumPy's argmax: the first of equal values; the first NaN when there is one. */
static size_t first_highest(size_t classes, const float *row) {
    size_t best = 0;
    for (size_t k = 0; k < classes; k++) {
        if (row[k] != row[k]) {
            return k;
        }
        best = row[k] > row[best] ? k : best;
    }
    return best;
}

static bool among_top(size_t classes, const float *row, size_t label) {
    size_t higher = 0;
    for (size_t k = 0; k < classes; k++) {
        higher += row[k] > row[label];
    }
    return higher < TOP_K && row[label] == row[label];
}

double tub__log_loss(float probability) {
    const double low = 0x1p-23, high = 1.0 - 0x1p-23;
    double p = (double)probability;
    return -tub__log(p < low ? low : p > high ? high : p);
}

static double brier_score(size_t classes, const float *row, size_t label) {
    double sum = 0.0;
    for (size_t k = 0; k < classes; k++) {
        double d = (double)row[k] - (k == label ? 1.0 : 0.0);
        sum += d * d;
    }
    return classes == 2 ? 0.5 * sum : sum;
}

tub__verdict tub__judge(size_t classes, const float *row, int32_t label) {
    size_t truth = (size_t)label, predicted = first_highest(classes, row);
    tub__verdict v = {
        .predicted = (int32_t)predicted,
        .confidence = row[predicted],
        .top1 = predicted == truth,
        .top5 = among_top(classes, row, truth),
        .loss = tub__log_loss(row[truth]),
        .brier = brier_score(classes, row, truth),
    };
    v.acc = classes == 2 ? (row[1] > 0.5f) == (truth == 1) : v.top1;
    return v;
}

tub_status tub__judge_check(int64_t n, int64_t classes, const float *probabilities,
                            const int32_t *labels, tub_error *err) {
    if (n < 1 || classes < 1 || n > INT32_MAX || classes > INT32_MAX) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "metrics need at least one sample and one class, not %lld and %lld",
                         (long long)n, (long long)classes);
    }
    if (probabilities == NULL || labels == NULL) {
        return tub__fail(err, TUB_E_ARGUMENT, "metrics need probabilities and labels");
    }
    for (int64_t i = 0; i < n; i++) {
        if (labels[i] < 0 || labels[i] >= classes) {
            return tub__fail(err, TUB_E_RANGE, "label of sample %lld is %d, outside 0 to %lld",
                             (long long)i, (int)labels[i], (long long)classes - 1);
        }
    }
    return TUB_OK;
}

tub_status tub__judge_check_draws(int draws, tub_error *err) {
    return draws >= 0 && draws <= 1000000
               ? TUB_OK
               : tub__fail(err, TUB_E_ARGUMENT, "%d bootstrap draws: allowed are 0 to 1000000",
                           draws);
}
