/* SPDX-License-Identifier: Apache-2.0 */
/* The answers that an evaluation judges. */
#include "eval_members.h"

#include "eval_views.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int eval_answers_open(const cli_command *self, cli_work *work, const members *m,
                      eval_answers *out) {
    int code = CLI_GO;
    *out = (eval_answers){0};
    out->first = members_open(self, work->context, &m->list[0], NULL, &code);
    return code;
}

void eval_answers_free(eval_answers *a) {
    free(a->joined_truth);
    free(a->probabilities);
    tub_dataset_close(a->data);
    tub_model_close(a->first);
    *a = (eval_answers){0};
}

static float *take_room(int64_t n, int64_t classes) {
    return calloc((size_t)(n > 0 ? n : 1), (size_t)classes * sizeof(float));
}

/* Member i's answers, [count of the split, K]. */
static int predict(const cli_command *self, cli_work *work, const members *m, int i,
                   const eval_how *how, eval_answers *a, const tub_dataset *data, float *logits,
                   float *probabilities) {
    tub_error err;
    int code = CLI_GO;
    tub_model *model =
        i == 0 ? a->first : members_open(self, work->context, &m->list[i], a->first, &code);
    if (model == NULL) {
        return code;
    }
    const tub_views tta = m->list[i].views;
    tub_status status;
    if (how->views != NULL) {
        const eval_part whole = {data, how->split, 0,
                                 tub_dataset_describe(data)->count[how->split]};
        tub_file_options o = *how->views;
        o.tta = tta;
        o.tta_average = how->average;
        status = eval_views(model, &whole, &o, logits, probabilities, &err);
    } else {
        status = tub_predict_views(model, data, how->split, how->batch, tta, how->average, logits,
                                   probabilities, &err);
    }
    if (status != TUB_OK) {
        code = cli_fail(self, &err);
    }
    if (i > 0) {
        tub_model_close(model);
    }
    return code;
}

static int add_all(const cli_command *self, cli_work *work, const members *m, const eval_how *how,
                   eval_answers *a, float *logits) {
    tub_answers *sums = NULL;
    tub_error err;
    int code = CLI_GO;
    if (tub_answers_create(work->context, tub_model_describe(a->first), a->samples, how->average,
                           &sums, &err) != TUB_OK) {
        return cli_fail(self, &err);
    }
    for (int i = 0; i < m->count && code == CLI_GO; i++) {
        code = predict(self, work, m, i, how, a, a->data, logits, a->probabilities);
        if (code == CLI_GO) {
            tub_answers_add(sums, logits, a->probabilities);
        }
    }
    if (code == CLI_GO) {
        tub_answers_mean(sums, NULL, a->probabilities);
    }
    tub_answers_free(sums);
    return code;
}

int eval_answers_mean(const cli_command *self, cli_work *work, const members *m,
                      const eval_how *how, eval_answers *a) {
    const int64_t classes = tub_model_describe(a->first)->classes;
    const members_data which = {how->data, how->data_url, how->split_seed, how->split};
    tub_error err;
    int code = members_open_data(self, work->context, m, a->first, &which, &a->data, &a->own);
    if (code != CLI_GO) {
        return code;
    }
    a->samples = tub_dataset_describe(a->data)->count[how->split];
    a->truth = tub_dataset_labels(a->data, how->split);
    if (tub_dataset_order_frames(a->data, how->split, how->frames, how->frames_seed, &err) !=
        TUB_OK) {
        return cli_fail(self, &err);
    }
    a->probabilities = take_room(a->samples, classes);
    if (a->probabilities == NULL) {
        return cli_fail_with(self, "out of memory");
    }
    if (m->count == 1 || a->samples < 1) { /* which predict refuses */
        return predict(self, work, m, 0, how, a, a->data, NULL, a->probabilities);
    }
    float *logits = take_room(a->samples, classes);
    code = logits != NULL ? add_all(self, work, m, how, a, logits)
                          : cli_fail_with(self, "out of memory");
    free(logits);
    return code;
}

/* ---- out of fold ---- */

static int64_t left_out_of(const int32_t *part, int64_t n, int fold, int64_t after) {
    while (after < n && part[after] != fold) {
        after++;
    }
    return after;
}

/* One fold: its answers go to the places that its samples have in train and val. */
static int add_fold(const cli_command *self, cli_work *work, const members *m, int i,
                    const eval_how *how, eval_answers *a, const int32_t *part, tub_scores *scores) {
    const tub_train_config *c = &m->folds_config;
    const tub_model_config *model = tub_model_describe(a->first);
    const size_t row = (size_t)model->classes;
    tub_dataset *fold = NULL;
    tub_error err;
    float *found = NULL;
    int code = CLI_GO;
    if (tub_dataset_fold(a->data, c->folds, i, c->fold_seed, &fold, &err) != TUB_OK ||
        tub_dataset_order_frames(fold, TUB_VAL, how->frames, how->frames_seed, &err) != TUB_OK) {
        tub_dataset_close(fold);
        return cli_fail(self, &err);
    }
    const int64_t n = tub_dataset_describe(fold)->count[TUB_VAL];
    found = take_room(n, model->classes);
    code = found == NULL ? cli_fail_with(self, "out of memory")
                         : predict(self, work, m, i, how, a, fold, NULL, found);
    if (code == CLI_GO &&
        tub_task_scores_compute(work->context, model, n, found, tub_dataset_labels(fold, TUB_VAL),
                                scores, &err) != TUB_OK) {
        code = cli_fail(self, &err);
    }
    for (int64_t k = 0, at = 0; code == CLI_GO && k < n; k++, at++) {
        at = left_out_of(part, a->samples, i, at);
        memcpy(a->probabilities + (size_t)at * row, found + (size_t)k * row, row * sizeof *found);
    }
    free(found);
    tub_dataset_close(fold);
    return code;
}

static double *score_at(tub_scores *s, int which) {
    double *const all[] = {&s->loss, &s->top1, &s->top5, &s->auc};
    return all[which];
}

static void sum_up(tub_scores *list, int n, tub_scores *mean, tub_scores *deviation) {
    for (int w = 0; w < 4; w++) {
        double sum = 0.0, squares = 0.0;
        for (int i = 0; i < n; i++) {
            sum += *score_at(&list[i], w);
        }
        for (int i = 0; i < n; i++) {
            const double d = *score_at(&list[i], w) - sum / n;
            squares += d * d;
        }
        *score_at(mean, w) = sum / n;
        *score_at(deviation, w) = sqrt(squares / (n - 1));
    }
}

/* Labels of train and val, one after the other. */
static bool join_truth(eval_answers *a) {
    const tub_dataset_info *info = tub_dataset_describe(a->data);
    const size_t row = (size_t)info->label_columns * sizeof(int32_t),
                 train = (size_t)info->count[TUB_TRAIN], val = (size_t)info->count[TUB_VAL];
    a->joined_truth = malloc((train + val) * row);
    if (a->joined_truth == NULL) {
        return false;
    }
    memcpy(a->joined_truth, tub_dataset_labels(a->data, TUB_TRAIN), train * row);
    if (val > 0) {
        memcpy((char *)a->joined_truth + train * row, tub_dataset_labels(a->data, TUB_VAL),
               val * row);
    }
    a->truth = a->joined_truth;
    return true;
}

static int all_folds(const cli_command *self, cli_work *work, const members *m, const eval_how *how,
                     eval_answers *a, int32_t *part, tub_scores *scores) {
    const tub_train_config *c = &m->folds_config;
    tub_error err;
    int code = CLI_GO;
    if (tub_dataset_folds(a->data, c->folds, c->fold_seed, part, &err) != TUB_OK) {
        return cli_fail(self, &err);
    }
    for (int i = 0; i < m->count && code == CLI_GO; i++) {
        code = add_fold(self, work, m, i, how, a, part, &scores[i]);
    }
    if (code == CLI_GO) {
        a->folds = m->count;
        sum_up(scores, m->count, &a->mean, &a->deviation);
    }
    return code;
}

int eval_answers_out_of_fold(const cli_command *self, cli_work *work, const members *m,
                             const eval_how *how, eval_answers *a) {
    char digest[33];
    tub_error err;
    const tub_dataset_options opening =
        members_opening(m, a->first, how->data_url, how->split_seed);
    if (tub_dataset_open(work->context, how->data, &opening, &a->data, &err) != TUB_OK) {
        return cli_fail(self, &err);
    }
    const tub_dataset_info *info = tub_dataset_describe(a->data);
    tub_dataset_digest(a->data, digest);
    if (strcmp(digest, m->folds_config.data_digest) != 0) {
        return cli_fail_with(self,
                             "%s: its train and val samples are not those that the folds were made "
                             "of, so no fold is known to have left any of them out",
                             how->data);
    }
    a->own = 1;
    a->samples = info->count[TUB_TRAIN] + info->count[TUB_VAL];
    a->probabilities = take_room(a->samples, tub_model_describe(a->first)->classes);
    int32_t *part = malloc((size_t)a->samples * sizeof *part);
    tub_scores *scores = calloc((size_t)m->count, sizeof *scores);
    const int code = a->probabilities == NULL || part == NULL || scores == NULL || !join_truth(a)
                         ? cli_fail_with(self, "out of memory")
                         : all_folds(self, work, m, how, a, part, scores);
    free(scores);
    free(part);
    return code;
}

/* ---- what can't be judged ---- */

/* Somebody gave the folder best/ of a run. */
static bool is_below_run(const char *model) {
    char path[PATH_MAX];
    return snprintf(path, sizeof path, "%s/../recipe.yaml", model) < (int)sizeof path &&
           access(path, F_OK) == 0;
}

/* And that run is a fold: its own recipe knows which samples it was trained without. */
static bool is_below_fold(tub_context *ctx, const char *model) {
    char run[PATH_MAX];
    tub_error err;
    tub_train_config *c = malloc(sizeof *c);
    const bool below = is_below_run(model) && c != NULL &&
                       snprintf(run, sizeof run, "%s/..", model) < (int)sizeof run &&
                       tub_run_config(ctx, run, c, &err) == TUB_OK && c->folds > 0;
    free(c);
    return below;
}

static int check_folds(const cli_command *self, tub_context *ctx, const members *m,
                       tub_split split) {
    for (int i = 0; i < m->count && split != TUB_TEST; i++) {
        if (!m->list[i].subject.is_run && is_below_fold(ctx, m->list[i].path)) {
            return cli_fail_with(self,
                                 "%s is the best model of a fold, whose val split is not the data "
                                 "set's; name the run itself with --weights best",
                                 m->list[i].path);
        }
    }
    return CLI_GO;
}

int eval_check_subject(const cli_command *self, tub_context *ctx, const members *m, tub_split split,
                       const char *data) {
    const member *first = &m->list[0];
    const char *own = m->folds ? m->folds_config.data : first->subject.config.data;
    const int code = check_folds(self, ctx, m, split);
    if (code != CLI_GO || data != NULL) {
        return code;
    }
    if (!first->subject.is_run &&
        (tub_hub_is_name(first->path) || access(first->path, F_OK) == 0)) {
        (void)cli_fail_with(
            self, "%s does not say its data set; name one with --data%s", first->path,
            is_below_run(first->path) ? ", or the run with its best weights (--weights best)" : "");
        return CLI_MISUSE;
    }
    if (first->subject.is_run && own[0] == '/' && access(own, F_OK) != 0 && errno == ENOENT) {
        return cli_fail_with(self, "the run's data set is not at %s any more; name it with --data",
                             own);
    }
    return CLI_GO;
}
