/* SPDX-License-Identifier: Apache-2.0 */
/* One training step, the same bits for any number of micro-batches and ranks. */
#include "base/clock.h"
#include "base/error.h"
#include "predict/judge.h"
#include "train/events.h"
#include "train/trainer.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

static void add_slab(void *user, void *to, const void *from, size_t elements) {
    tub__backend *be = user;
    be->ops->add(be, to, from, elements);
}

static void add_doubles(void *user, void *to, const void *from, size_t elements) {
    (void)user;
    double *sum = to;
    const double *more = from;
    for (size_t i = 0; i < elements; i++) {
        sum[i] += more[i];
    }
}

/* Adds part `number`'s gradient to the tree, which works like a binary counter: while the
 * bit of a level is set, a finished left subtree waits there, and the new one is its right
 * sibling. Returns the sum when the tree is whole, else NULL. */
static void *tree_push(tub__trainer *t, size_t number, void *gradient) {
    tub__backend *be = t->model->backend;
    size_t elements = t->model->params.elements, level = 0;
    void *sum = gradient;
    for (; (number >> level & 1) != 0; level++) {
        be->ops->add(be, t->left[level], sum, elements);
        sum = t->left[level];
    }
    if (level == t->split.levels) {
        return sum;
    }
    if (sum == gradient) {
        be->ops->copy(be, t->left[level], gradient, elements);
    } else {
        t->left[level - 1] = t->left[level]; /* trade: the sum moves up, the free slab down */
        t->left[level] = sum;
    }
    return NULL;
}

/* The sum of a tree whose last parts are absent: `count` of them came. Lower levels are
 * further right. */
static void *tree_fold(tub__trainer *t, size_t count) {
    tub__backend *be = t->model->backend;
    void *sum = NULL;
    for (size_t level = 0; level < t->split.levels; level++) {
        if ((count >> level & 1) != 0) {
            if (sum != NULL) {
                be->ops->add(be, t->left[level], sum, t->model->params.elements);
            }
            sum = t->left[level];
        }
    }
    return sum;
}

/* Top-1 and top-5 of a sample, as tub_task_scores_compute counts them; row: probabilities, or logits
 * of one softmax, whose order is the same. */
static void judge(const tub_model_config *c, const float *row, const int32_t *labels,
                  double hits[2]) {
    const tub__outputs outputs = tub__model_outputs(c);
    const size_t classes = (size_t)c->classes;
    if (outputs.task == TUB_TASK_MULTI_LABEL) {
        hits[0] = (double)tub__judge_labels(classes, row, labels, 0.5f) / (double)classes;
        hits[1] = NAN;
    } else if (outputs.task == TUB_TASK_MULTI_HEAD) {
        const tub__joint_verdict v = tub__judge_heads(outputs.heads, c->head_classes, row, labels);
        hits[0] = v.top1;
        hits[1] = v.top5;
    } else {
        const tub__verdict v = tub__judge(classes, row, labels[0]);
        hits[0] = v.top1;
        hits[1] = v.top5;
    }
}

/* What a sample is judged by: of a mixed one the label with the larger share. */
static const int32_t *main_labels(const tub__batch *batch, size_t i, size_t columns) {
    return batch->second != NULL && batch->share[i] > 0.5f ? batch->second + i
                                                           : batch->labels + i * columns;
}

/* Forward, loss and backward of samples [begin, end) of the share; more: they go on with a group. */
static void run_piece(tub__trainer *t, const tub__batch *batch, size_t begin, size_t end, bool more,
                      double *results) {
    const tub_train_config *c = t->run->config;
    const tub__outputs outputs = tub__model_outputs(&c->model);
    size_t classes = (size_t)c->model.classes, samples = end - begin,
           columns = tub__outputs_columns(&outputs, classes);
    tub__dropout dropout = {.rate = c->model.attention_dropout,
                            .key = tub__random_key(c->seed, TUB__RANDOM_DROPOUT),
                            .epoch = batch->epoch,
                            .position = (uint32_t)(batch->position + begin)};
    tub__targets targets = {.labels = batch->labels + begin * columns,
                            .class_weight = t->class_weight,
                            .smoothing = c->label_smoothing,
                            .global_batch = batch->whole};
    if (batch->second != NULL) {
        targets.second = batch->second + begin;
        targets.share = batch->share + begin;
    }
    tub__pass_forward(t->pass, samples, batch->dtype,
                      (const char *)batch->samples + begin * batch->sample_bytes, &dropout);
    tub__pass_loss(t->pass, &targets, t->losses);
    if (outputs.task == TUB_TASK_MULTI_CLASS) {
        tub__pass_logits(t->pass, TUB_F32, t->answers);
    } else {
        tub__pass_probabilities(t->pass, TUB_F32, t->answers);
    }
    tub__pass_backward(t->pass, more);
    for (size_t i = 0; i < samples; i++) {
        double *r = results + 3 * (begin + i);
        r[0] = t->losses[i];
        judge(&c->model, t->answers + i * classes, main_labels(batch, begin + i, columns), r + 1);
    }
}

/* The gradient of this rank's share, or NULL when it has no samples in a short last batch. */
static void *run_share(tub__trainer *t, const tub__batch *batch, double *results) {
    size_t done = 0;
    void *whole = NULL;
    for (; done * t->split.unit < batch->count; done++) {
        const size_t begin = done * t->split.unit,
                     end = tub__min(begin + t->split.unit, batch->count);
        for (size_t s = begin; s < end; s += t->split.piece) {
            run_piece(t, batch, s, tub__min(s + t->split.piece, end), s > begin, results);
        }
        whole = tree_push(t, done, tub__pass_gradients(t->pass));
    }
    return done == 0 || whole != NULL ? whole : tree_fold(t, done);
}

/* Adds the batch's results, gathered from all ranks, to the epoch's sums in the order of its
 * samples. False: not finite. */
static bool count_results(tub__progress *p, const double *results, size_t whole) {
    double loss = 0.0;
    for (size_t i = 0; i < whole; i++) {
        loss += results[3 * i];
        p->loss += results[3 * i];
        p->top1 += results[3 * i + 1];
        p->top5 += results[3 * i + 2];
    }
    p->samples += whole;
    return isfinite(loss);
}

static tub_status not_finite(const tub__trainer *t, const char *what, tub_error *err) {
    return tub__fail(
        err, TUB_E_NUMERIC,
        "step %" PRIu64
        ": the %s is not a finite number, and going on would end here again; start a new run "
        "with a lower lr (now %g) or with clip_norm, and look for NaN in the data",
        t->progress.step + 1, what, t->lr);
}

/* Sums the gradients over the ranks and updates the weights. */
static tub_status apply(tub__trainer *t, void *gradient, tub_error *err) {
    tub__backend *be = t->model->backend;
    bool present = gradient != NULL;
    if (!present) {
        gradient = tub__pass_gradients(t->pass); /* room for the sum */
    }
    t->dist.tree_sum(&t->dist, gradient, t->model->params.elements, be->real_size, present,
                     add_slab, be);
    double norm = tub__gradient_norm(&t->optimizer, gradient);
    if (!isfinite(norm)) {
        return not_finite(t, "gradient", err);
    }
    tub__optimizer_step(&t->optimizer, gradient, norm, t->progress.step + 1, t->lr);
    t->gradient = gradient;
    return TUB_OK;
}

tub_status tub__trainer_step(tub__trainer *t, tub_error *err) {
    size_t count = 1 + 3 * (size_t)t->run->config->batch_size, offset = 0;
    tub__progress after = t->progress;
    tub__batch batch = {0};
    void *gradient = NULL;
    memset(t->results, 0, count * sizeof *t->results);
    const double asked = tub__seconds();
    tub_status status =
        t->pending != TUB_OK ? t->pending : tub__loader_next(t->loader, &batch, err);
    after.data_wait += tub__seconds() - asked;
    if (status == TUB_OK && t->progress.step == 0 && t->dist.rank == 0 && t->run->events != NULL) {
        tub__train_events_batch(t->run->events, &batch);
    }
    if (status == TUB_OK) {
        offset = batch.position - batch.batch * (size_t)t->run->config->batch_size;
        gradient = run_share(t, &batch, t->results + 1 + 3 * offset);
        tub__loader_release(t->loader);
    }
    /* Every entry but the first is written by one rank and zero on the others: the sum gathers
     * them exactly, and the first says whether all can go on. */
    t->results[0] = status != TUB_OK;
    t->dist.tree_sum(&t->dist, t->results, count, sizeof *t->results, true, add_doubles, NULL);
    if (t->results[0] != 0.0) {
        return status != TUB_OK ? status : TUB_E_CANCELLED;
    }
    t->lr = tub__rate(&t->rates, t->progress.step);
    if (!count_results(&after, t->results + 1, batch.whole)) {
        return not_finite(t, "loss", err);
    }
    TUB__TRY(apply(t, gradient, err));
    after.step++;
    after.batch++;
    t->progress = after;
    return TUB_OK;
}
