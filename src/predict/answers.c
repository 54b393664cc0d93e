/* SPDX-License-Identifier: Apache-2.0 */
/* Means of several answers: of views of a clip, of several models. */
#include "base/context.h"
#include "base/error.h"
#include "predict/average.h"
#include <string.h>
#include <tubelet/predict.h>

struct tub_answers {
    const tub_allocator *allocator;
    tub__outputs outputs;
    size_t classes, n, room, added;
    tub_average average;
    double *logits, *probabilities; /* [room, classes] sums */
};

static const char *const averages[] = {"probabilities", "logits"};
enum { AVERAGES = sizeof averages / sizeof *averages };

const char *tub_average_name(tub_average average) {
    return (int)average >= 0 && (int)average < AVERAGES ? averages[average] : "unknown";
}

tub_status tub_average_parse(const char *text, tub_average *out, tub_error *err) {
    for (int i = 0; i < AVERAGES; i++) {
        if (strcmp(text, averages[i]) == 0) {
            *out = (tub_average)i;
            return TUB_OK;
        }
    }
    return tub__fail(err, TUB_E_ARGUMENT,
                     "'%.80s' can't be averaged: choose probabilities or logits", text);
}

tub_status tub_answers_create(tub_context *ctx, const tub_model_config *model, int64_t n,
                              tub_average average, tub_answers **out, tub_error *err) {
    const tub_allocator *a = &ctx->allocator;
    void *block = NULL;
    if (n < 1) {
        return tub__fail(err, TUB_E_ARGUMENT, "answers of %lld samples; at least 1 is needed",
                         (long long)n);
    }
    TUB__TRY(tub__alloc_array(a, 1, sizeof(tub_answers), &block, err));
    tub_answers *s = block;
    *s = (tub_answers){.allocator = a,
                       .outputs = tub__model_outputs(model),
                       .classes = (size_t)model->classes,
                       .n = (size_t)n,
                       .room = (size_t)n,
                       .average = average};
    const size_t row = s->classes * sizeof(double);
    tub_status status = tub__alloc_array(a, s->room, row, (void **)&s->logits, err);
    if (status == TUB_OK) {
        status = tub__alloc_array(a, s->room, row, (void **)&s->probabilities, err);
    }
    if (status != TUB_OK) {
        tub_answers_free(s);
        return status;
    }
    *out = s;
    return TUB_OK;
}

void tub_answers_free(tub_answers *s) {
    if (s != NULL) {
        tub__free(s->allocator, s->logits);
        tub__free(s->allocator, s->probabilities);
        tub__free(s->allocator, s);
    }
}

void tub_answers_reset(tub_answers *s, int64_t n) {
    s->n = (size_t)n < s->room ? (size_t)n : s->room;
    s->added = 0;
    memset(s->logits, 0, s->n * s->classes * sizeof *s->logits);
    memset(s->probabilities, 0, s->n * s->classes * sizeof *s->probabilities);
}

void tub_answers_add(tub_answers *s, const float *logits, const float *probabilities) {
    for (size_t i = 0; i < s->n * s->classes; i++) {
        s->logits[i] += (double)logits[i];
        s->probabilities[i] += (double)probabilities[i];
    }
    s->added++;
}

void tub_answers_mean(const tub_answers *s, float *logits, float *probabilities) {
    const double count = (double)s->added;
    const bool by_logits = s->average == TUB_AVERAGE_LOGITS && s->added > 1;
    for (size_t i = 0; i < s->n * s->classes; i++) {
        if (logits != NULL) {
            logits[i] = (float)(s->logits[i] / count);
        }
        if (probabilities != NULL && !by_logits) {
            probabilities[i] = (float)(s->probabilities[i] / count);
        }
    }
    for (size_t i = 0; probabilities != NULL && by_logits && i < s->n; i++) {
        const tub__logits sums = {NULL, s->logits + i * s->classes, count};
        tub__probabilities_of_mean(&s->outputs, s->classes, &sums, probabilities + i * s->classes);
    }
}

/* The first name that differs; -1: none, or one of the two has no names. */
static int64_t other_name(const tub_model *first, const tub_model *other) {
    for (int64_t k = 0; first->labels != NULL && other->labels != NULL && k < first->config.classes;
         k++) {
        if (strcmp(first->labels[k], other->labels[k]) != 0) {
            return k;
        }
    }
    return -1;
}

tub_status tub_models_agree(const tub_model *first, const tub_model *other, tub_error *err) {
    const tub_model_config *a = &first->config, *b = &other->config;
    const tub__outputs left = tub__model_outputs(a), right = tub__model_outputs(b);
    if (left.task != right.task) {
        return tub__fail(err, TUB_E_SHAPE,
                         "a model of task %s has no mean with one of task %s, the first",
                         tub_task_name(right.task), tub_task_name(left.task));
    }
    if (a->classes != b->classes) {
        return tub__fail(err, TUB_E_SHAPE,
                         "a model of %lld classes has no mean with one of %lld, the first",
                         (long long)b->classes, (long long)a->classes);
    }
    if (left.task == TUB_TASK_MULTI_HEAD &&
        memcmp(a->head_classes, b->head_classes, sizeof a->head_classes) != 0) {
        return tub__fail(err, TUB_E_SHAPE,
                         "its heads have other numbers of classes than the first model's");
    }
    const int64_t k = other_name(first, other);
    if (k >= 0) {
        return tub__fail(err, TUB_E_SHAPE,
                         "its class %lld is '%.60s', and the first model's is '%.60s': models of "
                         "other classes have no mean",
                         (long long)k, other->labels[k], first->labels[k]);
    }
    return TUB_OK;
}
