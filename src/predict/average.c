/* SPDX-License-Identifier: Apache-2.0 */
/* Means over the views of a sample, and probabilities of mean logits. */
#include "predict/average.h"

#include <string.h>

#include "base/fpenv.h"
#include "base/scalar.h"

static double sum_at(const tub__logits *l, size_t k) {
    return l->sums != NULL ? l->sums[k] : (double)l->values[k];
}

/* The largest is taken off first, so that nothing overflows. */
static double raised(const tub__logits *l, size_t k, double largest) {
    return tub__exp((sum_at(l, k) - largest) / l->count);
}

/* Of classes [begin, begin + n). */
static void softmax(const tub__logits *l, size_t begin, size_t n, float *out) {
    double largest = sum_at(l, begin), sum = 0;
    for (size_t k = begin + 1; k < begin + n; k++) {
        const double value = sum_at(l, k);
        largest = value > largest ? value : largest;
    }
    for (size_t k = begin; k < begin + n; k++) {
        sum += raised(l, k, largest);
    }
    for (size_t k = begin; k < begin + n; k++) {
        out[k] = (float)(raised(l, k, largest) / sum);
    }
}

/* Both forms are exact where the other would overflow or lose digits. */
static double sigmoid(double x) {
    return x >= 0 ? 1 / (1 + tub__exp(-x)) : tub__exp(x) / (1 + tub__exp(x));
}

void tub__probabilities_of_mean(const tub__outputs *o, size_t classes, const tub__logits *logits,
                                float *out) {
    if (o->task == TUB_TASK_MULTI_LABEL) {
        for (size_t k = 0; k < classes; k++) {
            out[k] = (float)sigmoid(sum_at(logits, k) / logits->count);
        }
    } else if (o->task == TUB_TASK_MULTI_HEAD) {
        for (size_t h = 0, begin = 0; h < o->heads; h++) {
            softmax(logits, begin, o->head_classes[h], out);
            begin += o->head_classes[h];
        }
    } else {
        softmax(logits, 0, classes, out);
    }
}

void tub__probabilities_of(const tub_model_config *c, const float *logits, float *out) {
    const tub__outputs o = tub__model_outputs(c);
    tub__probabilities_of_mean(&o, (size_t)c->classes, &(tub__logits){logits, NULL, 1.0}, out);
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
