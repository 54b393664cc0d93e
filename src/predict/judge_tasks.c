/* SPDX-License-Identifier: Apache-2.0 */
/* One row of probabilities held against several labels: of heads, or each there or not. */
#include "base/error.h"
#include "predict/judge.h"
#include <tubelet/data.h>

enum { TOP_K = 5 };

/* The highest scores of a head, falling; a NaN is above all. */
typedef struct best {
    float score[TOP_K];
    size_t count;
} best;

static bool above(float a, float b) {
    return a > b || (a != a && b == b);
}

static best best_of(size_t classes, const float *row) {
    best b = {.count = 0};
    for (size_t k = 0; k < classes; k++) {
        size_t at = b.count < TOP_K ? b.count++ : TOP_K;
        for (; at > 0 && above(row[k], b.score[at - 1]); at--) {
            if (at < TOP_K) {
                b.score[at] = b.score[at - 1];
            }
        }
        if (at < TOP_K) {
            b.score[at] = row[k];
        }
    }
    return b;
}

/* Combinations of heads from `head` on whose product, times that of the heads before, is above the
 * right one's. Five such are enough, and if there are five, there are five among the heads' five
 * best. */
static size_t higher(size_t heads, const best *b, size_t head, double before, double right) {
    size_t count = 0;
    if (head == heads) {
        return before > right || before != before;
    }
    for (size_t i = 0; i < b[head].count && count < TOP_K; i++) {
        count += higher(heads, b, head + 1, before * (double)b[head].score[i], right);
    }
    return count;
}

tub__joint_verdict tub__judge_heads(size_t heads, const int64_t *head_classes, const float *row,
                                    const int32_t *labels) {
    best b[TUB_HEAD_LIMIT];
    tub__joint_verdict v = {.top1 = true};
    double right = 1.0;
    for (size_t h = 0; h < heads; row += head_classes[h++]) {
        const size_t classes = (size_t)head_classes[h];
        const tub__verdict one = tub__judge(classes, row, labels[h]);
        v.top1 = v.top1 && one.top1;
        v.loss += one.loss / (double)heads;
        right *= (double)row[labels[h]];
        b[h] = best_of(classes, row);
    }
    v.top5 = right == right && higher(heads, b, 0, 1.0, right) < TOP_K;
    return v;
}

size_t tub__judge_labels(size_t labels, const float *row, const int32_t *truth, float threshold) {
    size_t right = 0;
    for (size_t k = 0; k < labels; k++) {
        right += (row[k] > threshold) == (truth[k] != 0);
    }
    return right;
}

double tub__labels_loss(size_t labels, const float *row, const int32_t *truth) {
    double loss = 0.0;
    for (size_t k = 0; k < labels; k++) {
        loss += truth[k] != 0 ? tub__log_loss(row[k]) : tub__log_loss(1.0f - row[k]);
    }
    return loss / (double)labels;
}

tub_status tub__judge_check_labels(int64_t n, int64_t labels, const float *probabilities,
                                   const int32_t *truth, tub_error *err) {
    if (n < 1 || labels < 2 || n > INT32_MAX || labels > INT32_MAX) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "metrics of labels need at least one sample and two labels, not %lld and "
                         "%lld",
                         (long long)n, (long long)labels);
    }
    if (probabilities == NULL || truth == NULL) {
        return tub__fail(err, TUB_E_ARGUMENT, "metrics need probabilities and labels");
    }
    for (int64_t i = 0; i < n * labels; i++) {
        if (truth[i] != 0 && truth[i] != 1) {
            return tub__fail(err, TUB_E_RANGE, "label %lld of sample %lld is %d, not 0 or 1",
                             (long long)(i % labels), (long long)(i / labels), (int)truth[i]);
        }
    }
    return TUB_OK;
}
