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
#include "eval_result.h"
#include "judged.h"
#include "output.h"
#include "place.h"
#include "predict_files.h"
#include "subject.h"

enum { KEY_NO_FILES = CLI_KEY_OWN, KEY_FRAMES, KEY_FRAMES_SEED };

static const struct argp_option options[] = {
    JUDGING_OPTIONS,
    MEMBERS_OPTIONS,
    {"out", 'o', "FOLDER", 0,
     "Where the result files go (default: the model folder; of a model of a hub nowhere)", 1},
    {"frames", KEY_FRAMES, "ORDER", 0,
     "Order of each sample's frames: original, shuffled or reversed (default original)", 1},
    {"frames-seed", KEY_FRAMES_SEED, "N", 0, "Seed of --frames shuffled (default 1)", 1},
    PREDICT_OPTIONS_VIEWS,
    {"no-files", KEY_NO_FILES, NULL, 0, "Write no result files", 1},
    CLI_OPTIONS_COMPUTE,
    CLI_OPTION_PRECISION,
    CLI_OPTIONS_TALK,
    {0}};

typedef struct eval_options {
    cli_common common;
    const char *model, *out; /* model: the first of them */
    const char **models;
    int count;
    members_options members;
    judging judging; /* weights and the seed of the split are the members' */
    tub_frame_order frames;
    long frames_seed; /* 0: not given */
    bool no_files;
    predict_taking taking; /* views of files */
} eval_options;

static error_t parse(int key, char *argument, struct argp_state *state) {
    eval_options *o = state->input;
    tub_error err;
    const error_t of_members = members_parse(&o->members, key, argument, state);
    const error_t taken = of_members != ARGP_ERR_UNKNOWN
                              ? of_members
                              : judging_parse(&o->judging, key, argument, state);
    if (taken != ARGP_ERR_UNKNOWN) {
        return taken;
    }
    switch (key) {
    case 'o':
        return cli_parse_name(&o->out, "--out", argument, state);
    case KEY_NO_FILES:
        o->no_files = true;
        return 0;
    case KEY_FRAMES:
        return tub_frame_order_parse(argument, &o->frames, &err) == TUB_OK
                   ? 0
                   : cli_misuse(state, "--frames: %s", err.message);
    case KEY_FRAMES_SEED:
        return cli_parse_int(state, "--frames-seed", argument, 1, LONG_MAX, &o->frames_seed)
                   ? 0
                   : ECANCELED;
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
        if (o->members.average_given) {
            o->taking.file.average = o->members.average;
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
    s->average = o->members.average;
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
    code = eval_check_subject(self, ctx, m, o->judging.split, o->judging.data);
    if (code != CLI_GO) {
        return code;
    }
    if (m->folds && o->judging.split == TUB_TRAIN) {
        return cli_fail_with(self,
                             "%s: each fold has another train split; evaluate a single one "
                             "(%s/fold-0), or all of them on val or test",
                             o->model, o->model);
    }
    job->out_of_fold = m->folds && o->judging.split == TUB_VAL;
    name_subject(o, job);
    snprintf(job->data, sizeof job->data, "%s",
             o->judging.data != NULL ? o->judging.data
             : first->is_run         ? (m->folds ? m->folds_config.data : first->config.data)
                                     : "");
    return CLI_GO;
}

/* The means of several models are nobody's, and the cache of a hub is for its files alone: they
 * are written only where one says so. */
static bool writes_files(const eval_options *o) {
    return !o->no_files && (o->out != NULL || (o->count == 1 && !tub_hub_is_name(o->model)));
}

/* Result files go into a folder that exists and can be written: seen before the work, not after it.
 */
static int check_out(const cli_command *self, const eval_options *o) {
    if (!writes_files(o)) {
        return CLI_GO;
    }
    const char *folder = o->out != NULL ? o->out : o->model;
    if (o->out != NULL) {
        place_parents above;
        place_make_parents(&above, folder);
    }
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
    const tub_status status = eval_result_compute(ctx, c, a->samples, a->probabilities, a->truth,
                                                  (int)o->judging.draws, &result, &err);
    (void)live_clear();
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
    s->labels = eval_result_labels(a->first, info);
    const eval_files files = {o->out != NULL ? o->out : o->model, a->own != 0, o->common.quiet,
                              o->common.precision};
    if (writes_files(o) && eval_files_write(self, ctx, &files, s, a->probabilities) != CLI_GO) {
        code = CLI_FAILED;
    } else if (o->common.json) {
        code = cli_print_json(self, eval_json(s));
    } else {
        eval_print(s);
    }
    eval_result_free(ctx, &result);
    return code;
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
    job->subject.split = tub_split_name(o->judging.split);
    job->subject.frames = o->frames;
    job->subject.file_views = o->taking.file.views;
    job->subject.crops = o->taking.file.crops;
    job->subject.file_average = o->taking.file.average;
    job->subject.frames_seed = o->frames_seed == 0 ? 1 : (uint64_t)o->frames_seed;
    const eval_how how = {.data = job->data,
                          .data_url = o->judging.data_url,
                          .split_seed = o->members.split_seed,
                          .split = o->judging.split,
                          .frames = o->frames,
                          .frames_seed = job->subject.frames_seed,
                          .batch = o->judging.batch,
                          .average = o->members.average,
                          .views = o->taking.sampled ? &o->taking.file : NULL};
    if (code == CLI_GO) {
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
    eval_options o = {.judging = judging_default(),
                      .members = members_options_default(),
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
