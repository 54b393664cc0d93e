/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet eval: the metrics of a model on a split, with confidence intervals. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "eval_files.h"
#include "eval_members.h"
#include "eval_print.h"
#include "output.h"
#include "predict_files.h"
#include "subject.h"

enum {
    KEY_SPLIT = CLI_KEY_OWN,
    KEY_WEIGHTS,
    KEY_BATCH,
    KEY_DRAWS,
    KEY_NO_FILES,
    KEY_DATA_URL,
    KEY_FRAMES,
    KEY_FRAMES_SEED,
    KEY_TTA,
    KEY_AVERAGE,
    KEY_SPLIT_SEED
};

static const struct argp_option options[] = {
    {"data", 'd', "NAME", 0, "Data set (default: the one that the run was trained on)", 1},
    {"split", KEY_SPLIT, "SPLIT", 0, "train, val or test (default test)", 1},
    {"weights", KEY_WEIGHTS, "WHICH", 0, "last or best of a run (default: as its recipe says)", 1},
    {"out", 'o', "FOLDER", 0, "Where the result files go (default: the model folder)", 1},
    {"frames", KEY_FRAMES, "ORDER", 0,
     "Order of each sample's frames: original, shuffled or reversed (default original)", 1},
    {"frames-seed", KEY_FRAMES_SEED, "N", 0, "Seed of --frames shuffled (default 1)", 1},
    {"tta", KEY_TTA, "VIEWS", 0,
     "Average over views of each sample: none, flip, shift or all (default: as the run's recipe "
     "says)",
     1},
    {"average", KEY_AVERAGE, "WHAT", 0,
     "What is averaged, probabilities or logits (default: logits of a file's views, else "
     "probabilities)",
     1},
    {"split-seed", KEY_SPLIT_SEED, "N", 0,
     "Seed of the split of a set of files without one (default: the run's, else 0)", 1},
    PREDICT_OPTIONS_VIEWS,
    {"no-files", KEY_NO_FILES, NULL, 0, "Write no result files", 1},
    {"batch-size", KEY_BATCH, "N", 0, "Samples at a time (default 32); changes no digit", 1},
    {"draws", KEY_DRAWS, "N", 0, "Bootstrap draws for the intervals (default 1000, 0 none)", 1},
    {"data-url", KEY_DATA_URL, "URL", 0,
     "Folder of a mirror for the download (default: where the set is published)", 1},
    CLI_OPTIONS_COMPUTE,
    CLI_OPTION_PRECISION,
    CLI_OPTIONS_TALK,
    {0}};

typedef struct eval_options {
    cli_common common;
    const char *model, *data, *out; /* model: the first of them */
    const char **models;
    int count;
    members_options members;
    tub_average average;
    tub_dataset_options data_options;
    tub_split split;
    long batch, draws;
    tub_frame_order frames;
    long frames_seed; /* 0: not given */
    long split_seed;  /* -1: not given */
    bool no_files;
    predict_taking taking; /* views of files */
} eval_options;

static error_t parse(int key, char *argument, struct argp_state *state) {
    eval_options *o = state->input;
    tub_error err;
    switch (key) {
    case 'd':
        o->data = argument;
        return 0;
    case KEY_SPLIT:
        return tub_split_parse(argument, &o->split, &err) == TUB_OK
                   ? 0
                   : cli_misuse(state, "--split: %s", err.message);
    case KEY_WEIGHTS:
        return subject_parse_weights(&o->members.weights, argument, state);
    case 'o':
        return cli_parse_name(&o->out, "--out", argument, state);
    case KEY_TTA:
        o->members.views_given = true;
        return tub_views_parse(argument, &o->members.views, &err) == TUB_OK
                   ? 0
                   : cli_misuse(state, "--tta: %s", err.message);
    case KEY_AVERAGE:
        if (tub_average_parse(argument, &o->average, &err) != TUB_OK) {
            return cli_misuse(state, "--average: %s", err.message);
        }
        o->taking.file.average = o->average;
        return 0;
    case KEY_NO_FILES:
        o->no_files = true;
        return 0;
    case KEY_BATCH:
        return cli_parse_int(state, "--batch-size", argument, 1, 65536, &o->batch) ? 0 : ECANCELED;
    case KEY_DRAWS:
        return cli_parse_int(state, "--draws", argument, 0, 1000000, &o->draws) ? 0 : ECANCELED;
    case KEY_FRAMES:
        return tub_frame_order_parse(argument, &o->frames, &err) == TUB_OK
                   ? 0
                   : cli_misuse(state, "--frames: %s", err.message);
    case KEY_FRAMES_SEED:
        return cli_parse_int(state, "--frames-seed", argument, 1, LONG_MAX, &o->frames_seed)
                   ? 0
                   : ECANCELED;
    case KEY_SPLIT_SEED:
        return cli_parse_int(state, "--split-seed", argument, 0, LONG_MAX, &o->split_seed)
                   ? 0
                   : ECANCELED;
    case KEY_DATA_URL:
        o->data_options.data_url = argument;
        return 0;
    case ARGP_KEY_ARG:
        o->models[o->count++] = argument;
        o->model = o->models[0];
        return 0;
    case ARGP_KEY_END:
        if (o->model == NULL) {
            return cli_misuse(state, "needs a model folder or run folder");
        }
        if (o->frames_seed != 0 && o->frames != TUB_FRAMES_SHUFFLED) {
            return cli_misuse(state, "--frames-seed has no meaning without --frames shuffled");
        }
        if (o->taking.sampled && o->frames != TUB_FRAMES_ORIGINAL) {
            return cli_misuse(state, "--frames and views contradict each other");
        }
        return o->no_files && o->out != NULL
                   ? cli_misuse(state, "--out and --no-files contradict each other")
                   : 0;
    default:
        return key >= PREDICT_KEY_VIEWS && key <= PREDICT_KEY_CROPS
                   ? predict_taking_parse(&o->taking, key, argument, state)
                   : cli_parse_common(key, argument, state);
    }
}

/* What is evaluated, once names and defaults are resolved. */
typedef struct eval_job {
    eval_subject subject;
    members members;
    bool out_of_fold;
    char data[TUB_PATH_LENGTH];
} eval_job;

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

/* What the whole is called: one model's folder, that of all folds, or how many there are. */
static void name_subject(const eval_options *o, eval_job *job) {
    const members *m = &job->members;
    eval_subject *s = &job->subject;
    s->model = o->count == 1 && !m->folds ? m->list[0].subject.folder : o->model;
    s->weights = m->list[0].subject.weights;
    s->count = m->count;
    s->views = m->list[0].views;
    for (int i = 1; i < m->count; i++) {
        const char *weights = m->list[i].subject.weights;
        s->weights = s->weights != NULL && weights != NULL && strcmp(s->weights, weights) == 0
                         ? weights
                         : NULL;
        s->views = m->list[i].views == s->views ? s->views : TUB_VIEWS_KINDS;
    }
    s->average = o->average;
}

/* The data set and the weights that the run's own recipe means, where the options leave them open.
 */
static int resolve(const cli_command *self, tub_context *ctx, const eval_options *o,
                   eval_job *job) {
    int code = members_resolve(self, ctx, o->models, o->count, &o->members, &job->members);
    if (code != CLI_GO) {
        return code;
    }
    const members *m = &job->members;
    const subject *first = &m->list[0].subject;
    for (int i = 0; i < m->count && o->split != TUB_TEST; i++) {
        if (!m->list[i].subject.is_run && is_below_fold(ctx, m->list[i].path)) {
            return cli_fail_with(self,
                                 "%s is the best model of a fold, whose val split is not the data "
                                 "set's; evaluate the run itself with --weights best",
                                 m->list[i].path);
        }
    }
    if (!first->is_run && access(o->model, F_OK) == 0 && o->data == NULL) {
        fprintf(stderr, "tubelet eval: %s does not say its data set; name one with --data%s\n",
                o->model,
                is_below_run(o->model) ? ", or evaluate the run with its best weights (--weights "
                                         "best)"
                                       : "");
        return CLI_MISUSE;
    }
    if (m->folds && o->split == TUB_TRAIN) {
        return cli_fail_with(self,
                             "%s: each fold has another train split; evaluate a single one "
                             "(%s/fold-0), or all of them on val or test",
                             o->model, o->model);
    }
    job->out_of_fold = m->folds && o->split == TUB_VAL;
    name_subject(o, job);
    snprintf(job->data, sizeof job->data, "%s",
             o->data != NULL ? o->data
             : first->is_run ? (m->folds ? m->folds_config.data : first->config.data)
                             : "");
    if (o->data == NULL && job->data[0] == '/' && access(job->data, F_OK) != 0 && errno == ENOENT) {
        return cli_fail_with(self, "the run's data set is not at %s any more; name it with --data",
                             job->data);
    }
    return CLI_GO;
}

/* The means of several models are nobody's: they are written only where one says so. */
static bool writes_files(const eval_options *o) {
    return !o->no_files && (o->out != NULL || o->count == 1);
}

/* Result files go into a folder that exists and can be written: seen before the work, not after it.
 */
static int check_out(const cli_command *self, const eval_options *o) {
    if (!writes_files(o)) {
        return CLI_GO;
    }
    const char *folder = o->out != NULL ? o->out : o->model;
    if (o->out != NULL && mkdir(folder, 0777) != 0 && errno != EEXIST) {
        return cli_fail_with(self, "%s can't be made: %s", folder, strerror(errno));
    }
    if (access(folder, W_OK) != 0) {
        return cli_fail_with(self,
                             "%s can't be written: %s; choose another folder with --out, or "
                             "--no-files",
                             folder, strerror(errno));
    }
    return CLI_GO;
}

/* The metrics of the model's task. */
typedef struct eval_result {
    tub_metrics *metrics;
    tub_label_metrics *labels;
    tub_head_metrics *heads;
} eval_result;

static tub_status compute(tub_context *ctx, const tub_model_config *c, int64_t n,
                          const float *probabilities, const int32_t *labels, int draws,
                          eval_result *out, tub_error *err) {
    int64_t heads = 0;
    while (heads < TUB_HEAD_LIMIT && c->head_classes[heads] != 0) {
        heads++;
    }
    switch (c->task) {
    case TUB_TASK_MULTI_LABEL:
        return tub_label_metrics_compute(ctx, n, c->classes, probabilities, labels, 1, draws,
                                         &out->labels, err);
    case TUB_TASK_MULTI_HEAD:
        return tub_head_metrics_compute(ctx, n, heads, c->head_classes, probabilities, labels, 1,
                                        draws, &out->heads, err);
    default:
        return tub_metrics_compute(ctx, n, c->classes, probabilities, labels, 1, draws,
                                   &out->metrics, err);
    }
}

static void free_result(tub_context *ctx, eval_result *r) {
    tub_metrics_free(ctx, r->metrics);
    tub_label_metrics_free(ctx, r->labels);
    tub_head_metrics_free(ctx, r->heads);
}

/* The metrics of the answers, and where they go. */
static int report(const cli_command *self, cli_work *work, const eval_options *o, eval_job *job,
                  const eval_answers *a) {
    tub_context *ctx = work->context;
    const tub_dataset_info *info = tub_dataset_describe(a->data);
    const tub_model_config *c = tub_model_describe(a->first);
    eval_subject *s = &job->subject;
    eval_result result = {0};
    tub_error err;
    int code = CLI_DONE;
    const tub_status status =
        compute(ctx, c, a->samples, a->probabilities, a->truth, (int)o->draws, &result, &err);
    progress_clear(&work->progress);
    if (status != TUB_OK) {
        return cli_fail(self, &err);
    }
    s->data = info->name;
    s->task = c->task == TUB_TASK_DATA ? TUB_TASK_MULTI_CLASS : c->task;
    s->metrics = result.metrics;
    s->label_metrics = result.labels;
    s->head_metrics = result.heads;
    s->folds = a->folds;
    s->mean = a->mean;
    s->deviation = a->deviation;
    s->labels = tub_model_labels(a->first) != NULL ? tub_model_labels(a->first)
                : c->classes == info->classes      ? info->labels
                                                   : NULL;
    const eval_files files = {o->out != NULL ? o->out : o->model, a->own != 0, o->common.quiet,
                              o->common.precision};
    if (writes_files(o) && eval_files_write(self, ctx, &files, s, a->probabilities) != CLI_GO) {
        code = CLI_FAILED;
    } else if (o->common.json) {
        code = cli_print_json(self, eval_json(s));
    } else {
        eval_print(s);
    }
    free_result(ctx, &result);
    return code;
}

/* Of a set of files that does not say its splits: as the run had it. */
static uint64_t split_seed(const eval_options *o, const eval_job *job) {
    const subject *first = &job->members.list[0].subject;
    return o->split_seed >= 0 ? (uint64_t)o->split_seed
           : first->is_run    ? first->config.split_seed
                              : 0;
}

/* Everything is opened, and the place of the result files looked at, before the work. */
static int open_and_evaluate(const cli_command *self, cli_work *work, void *parsed) {
    const eval_options *o = parsed;
    eval_job *job = calloc(1, sizeof *job);
    eval_answers answers = {0};
    if (job == NULL) {
        return cli_fail_with(self, "out of memory");
    }
    int code = resolve(self, work->context, o, job);
    job->subject.split = tub_split_name(o->split);
    job->subject.frames = o->frames;
    job->subject.frames_seed = o->frames_seed == 0 ? 1 : (uint64_t)o->frames_seed;
    tub_dataset_options data_options = o->data_options;
    eval_how how = {.data = job->data,
                    .options = &data_options,
                    .split = o->split,
                    .frames = o->frames,
                    .frames_seed = job->subject.frames_seed,
                    .batch = o->batch,
                    .average = o->average,
                    .views = o->taking.sampled ? &o->taking.file : NULL};
    if (code == CLI_GO) {
        data_options.split_seed = split_seed(o, job);
        how.seeded = o->split_seed >= 0 || job->members.list[0].subject.is_run;
        code = eval_answers_open(self, work, &job->members, &answers);
    }
    if (code == CLI_GO) {
        code = check_out(self, o);
    }
    if (code == CLI_GO) {
        code = job->out_of_fold
                   ? eval_answers_out_of_fold(self, work, &job->members, &how, &answers)
                   : eval_answers_mean(self, work, &job->members, &how, &answers);
    }
    if (code == CLI_GO) {
        code = report(self, work, o, job, &answers);
    }
    eval_answers_free(&answers);
    members_free(&job->members);
    free(job);
    return code;
}

static int run(const cli_command *self, int argc, char **argv) {
    eval_options o = {.data_options = tub_dataset_options_default(),
                      .split = TUB_TEST,
                      .batch = 32,
                      .draws = 1000,
                      .split_seed = -1,
                      .taking = predict_taking_default(),
                      .models = calloc((size_t)argc + 1, sizeof *o.models)};
    if (o.models == NULL) {
        return cli_fail_with(self, "out of memory");
    }
    const int code = cli_run(self, argc, argv, &o, open_and_evaluate);
    free(o.models);
    return code;
}

const cli_command cli_eval = {
    .name = "eval",
    .arguments = "MODEL...",
    .summary = "prints the metrics of a model on a data set",
    .description =
        "Top-1, top-5 and AUC with 95 % bootstrap intervals, a table of the classes and the "
        "confusion matrix; of a model for labels AUC, ACC, mean average precision and F1; of one "
        "with heads all this for each, and how often all of them are right. Writes eval-SPLIT.json "
        "(of best weights: eval-SPLIT-best.json; of data "
        "that "
        "the run was not trained on: eval-DATA-SPLIT.json) and the result file of the MedMNIST "
        "benchmark. --frames shuffled and reversed show what a model makes of time: a model "
        "that looks at single frames only scores on shuffled ones as on the original; their result "
        "files have the order in their names. Several MODELs are averaged, and written only to "
        "--out. The folder of a cross-validation (tubelet train --folds) stands for all its folds: "
        "on test they are averaged, and on val each predicts the samples that it was trained "
        "without.",
    .examples = "  tubelet eval runs/first\n"
                "  tubelet eval runs/first --weights best --split val\n"
                "  tubelet eval runs/first --data other.npz --out results --json\n"
                "  tubelet eval runs/seed-1 runs/seed-2 runs/seed-3\n"
                "  tubelet eval runs/cv --split val",
    .options = options,
    .parser = parse,
    .run = run,
};
