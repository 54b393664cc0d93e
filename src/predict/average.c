/* SPDX-License-Identifier: Apache-2.0 */
/* Means over the views of a sample, and probabilities of mean logits. */
#include "predict/average.h"

#include <string.h>

#include "base/fpenv.h"
#include "base/scalar.h"

/* The largest is taken off first, so that nothing overflows. */
static void softmax(const float *logits, size_t n, float *out) {
    double largest = (double)logits[0], sum = 0;
    for (size_t k = 1; k < n; k++) {
        largest = (double)logits[k] > largest ? (double)logits[k] : largest;
    }
    for (size_t k = 0; k < n; k++) {
        sum += tub__exp((double)logits[k] - largest);
    }
    for (size_t k = 0; k < n; k++) {
        out[k] = (float)(tub__exp((double)logits[k] - largest) / sum);
    }
}

/* Both forms are exact where the other would overflow or lose digits. */
static double sigmoid(double x) {
    return x >= 0 ? 1 / (1 + tub__exp(-x)) : tub__exp(x) / (1 + tub__exp(x));
}

void tub__probabilities_of(const tub_model_config *c, const float *logits, float *out) {
    if (c->task == TUB_TASK_MULTI_LABEL) {
        for (size_t k = 0; k < (size_t)c->classes; k++) {
            out[k] = (float)sigmoid((double)logits[k]);
        }
    } else if (c->task == TUB_TASK_MULTI_HEAD) {
        size_t begin = 0;
        for (int h = 0; h < TUB_HEAD_LIMIT && c->head_classes[h] != 0; h++) {
            softmax(logits + begin, (size_t)c->head_classes[h], out + begin);
            begin += (size_t)c->head_classes[h];
        }
    } else {
        softmax(logits, (size_t)c->classes, out);
    }
}

static void mean(int64_t views, size_t classes, const float *rows, float *out) {
    for (size_t k = 0; k < classes; k++) {
        double sum = 0;
        for (int64_t v = 0; v < views; v++) {
            sum += (double)rows[(size_t)v * classes + k];
        }
        out[k] = (float)(sum / (double)views);
    }
}

void tub__average_views(const tub_model_config *c, tub_average average, int64_t views,
                        const float *logits, const float *probabilities, float *mean_logits,
                        float *mean_probabilities) {
    const size_t classes = (size_t)c->classes;
    if (views == 1) {
        memcpy(mean_logits, logits, classes * sizeof *logits);
        memcpy(mean_probabilities, probabilities, classes * sizeof *probabilities);
        return;
    }
    const tub__fpenv saved = tub__fpenv_enter();
    mean(views, classes, logits, mean_logits);
    if (average == TUB_AVERAGE_PROBABILITIES) {
        mean(views, classes, probabilities, mean_probabilities);
    } else {
        tub__probabilities_of(c, mean_logits, mean_probabilities);
    }
    tub__fpenv_leave(saved);
}
