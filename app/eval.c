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
#include "eval_print.h"
#include "eval_views.h"
#include "output.h"
#include "predict_files.h"
#include "subject.h"

enum { FLAG_ROOM = 128 };
enum {
    KEY_SPLIT = CLI_KEY_OWN,
    KEY_WEIGHTS,
    KEY_BATCH,
    KEY_DRAWS,
    KEY_NO_FILES,
    KEY_DATA_URL,
    KEY_FRAMES,
    KEY_FRAMES_SEED,
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
    const char *model, *data, *weights, *out;
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
        return subject_parse_weights(&o->weights, argument, state);
    case 'o':
        return cli_parse_name(&o->out, "--out", argument, state);
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
        return cli_parse_argument(&o->model, argument, state);
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
        return key >= PREDICT_KEY_VIEWS && key <= PREDICT_KEY_AVERAGE
                   ? predict_taking_parse(&o->taking, key, argument, state)
                   : cli_parse_common(key, argument, state);
    }
}

/* What is evaluated, once names and defaults are resolved. */
typedef struct eval_job {
    eval_subject subject;
    subject model;
    char data[TUB_PATH_LENGTH];
    bool own_data; /* what the run was trained on */
} eval_job;

/* The same name, or the same file by another path. */
static bool same_data(const char *a, const char *b) {
    struct stat one, other;
    return strcmp(a, b) == 0 || (stat(a, &one) == 0 && stat(b, &other) == 0 &&
                                 one.st_dev == other.st_dev && one.st_ino == other.st_ino);
}

/* Somebody gave the folder best/ of a run. */
static bool is_below_run(const char *model) {
    char path[PATH_MAX];
    return snprintf(path, sizeof path, "%s/../recipe.yaml", model) < (int)sizeof path &&
           access(path, F_OK) == 0;
}

/* The data set and the weights that the run's own recipe means, where the options leave them open.
 */
static int resolve(const cli_command *self, tub_context *ctx, const eval_options *o,
                   eval_job *job) {
    int code = subject_resolve(self, ctx, o->model, o->weights, &job->model);
    if (code != CLI_GO) {
        return code;
    }
    if (!job->model.is_run && access(o->model, F_OK) == 0 && o->data == NULL) {
        fprintf(stderr, "tubelet eval: %s does not say its data set; name one with --data%s\n",
                o->model,
                is_below_run(o->model) ? ", or evaluate the run with its best weights (--weights "
                                         "best)"
                                       : "");
        return CLI_MISUSE;
    }
    job->subject.weights = job->model.weights;
    snprintf(job->data, sizeof job->data, "%s",
             o->data != NULL     ? o->data
             : job->model.is_run ? job->model.config.data
                                 : "");
    job->own_data = job->model.is_run && same_data(job->data, job->model.config.data);
    if (o->data == NULL && job->data[0] == '/' && access(job->data, F_OK) != 0 && errno == ENOENT) {
        return cli_fail_with(self, "the run's data set is not at %s any more; name it with --data",
                             job->data);
    }
    return CLI_GO;
}

/* Result files go into a folder that exists and can be written: seen before the work, not after it.
 */
static int check_out(const cli_command *self, const eval_options *o) {
    if (o->no_files) {
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

/* How result files name a data set, as MedMNIST does: "organmnist3d", "organmnist3d_64". */
static void data_flag(char out[FLAG_ROOM], const char *data) {
    snprintf(out, FLAG_ROOM, "%.*s", (int)strcspn(data, "."), data);
    for (char *c = strchr(out, '@'); c != NULL; c = strchr(c, '@')) {
        *c = '_';
    }
}

/* Appends a part of a name, if there is one. */
static void add_part(char name[PATH_MAX], const char *separator, const char *part) {
    size_t used = strlen(name);
    snprintf(name + used, PATH_MAX - used, "%s%s", part[0] != '\0' ? separator : "", part);
}

/* What tells an evaluation from the plain one of float32: the order of the frames, the precision. */
static void add_ways(char name[PATH_MAX], const char *separator, const eval_options *o) {
    static const char *const precisions[] = {
        [TUB_PRECISION_F32] = "", [TUB_PRECISION_BF16] = "bf16", [TUB_PRECISION_INT8] = "int8"};
    add_part(name, separator,
             o->frames == TUB_FRAMES_ORIGINAL ? "" : tub_frame_order_name(o->frames));
    add_part(name, separator, precisions[o->common.precision]);
}

/* The benchmark knows one class and labels, but no heads. */
static tub_status medmnist_file(tub_context *ctx, const char *folder, const char *flag,
                                const char *which, const eval_subject *s,
                                const float *probabilities, char path[PATH_MAX], tub_error *err) {
    const tub_label_metrics *l = s->label_metrics;
    const tub_metrics *m = s->metrics;
    return l != NULL
               ? tub_medmnist_result(ctx, folder, flag, s->split, which, l->samples, l->labels,
                                     probabilities, l->auc.value, l->acc.value, path, PATH_MAX, err)
               : tub_medmnist_result(ctx, folder, flag, s->split, which, m->samples, m->classes,
                                     probabilities, m->auc.value, m->acc.value, path, PATH_MAX,
                                     err);
}

/* eval-SPLIT.json of the data that the run was trained on, eval-DATA-SPLIT.json of any other, with
 * -best behind it for the best weights, then -shuffled or -reversed for frames in such an order and
 * -bf16 or -int8 for those precisions; and MedMNIST's result file, which names the data anyway. */
static int write_files(const cli_command *self, tub_context *ctx, const eval_options *o,
                       const eval_job *job, const float *probabilities) {
    const eval_subject *s = &job->subject;
    const char *folder = o->out != NULL ? o->out : o->model;
    char path[PATH_MAX], why[PATH_MAX + 128], csv[PATH_MAX] = "", flag[FLAG_ROOM];
    char which[PATH_MAX];
    tub_error err;
    data_flag(flag, s->data);
    snprintf(which, sizeof which, "%s", s->weights != NULL ? s->weights : "model");
    add_ways(which, "_", o);
    if (s->head_metrics == NULL &&
        medmnist_file(ctx, folder, flag, which, s, probabilities, csv, &err) != TUB_OK) {
        return cli_fail(self, &err);
    }
    bool best = s->weights != NULL && strcmp(s->weights, "best") == 0;
    snprintf(path, sizeof path, "%s/eval", folder);
    add_part(path, "-", job->own_data ? "" : flag);
    add_part(path, "-", s->split);
    add_part(path, "-", best ? "best" : "");
    add_ways(path, "-", o);
    add_part(path, "", ".json");
    if (strlen(path) + 1 == sizeof path) {
        return cli_fail_with(self, "the path of the result is too long");
    }
    if (!output_file(eval_json(s), path, why, sizeof why)) {
        return cli_fail_with(self, "%s", why);
    }
    if (!o->common.quiet) {
        fprintf(stderr, "Written: %s%s%s\n", path, csv[0] != '\0' ? ", " : "", csv);
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

static tub_status run_model(const eval_options *o, tub_model *model, const tub_dataset *data,
                            float *probabilities, tub_error *err) {
    return o->taking.sampled
               ? eval_views(model, data, o->split, &o->taking.file, probabilities, err)
               : tub_predict_split(model, data, o->split, o->batch, NULL, probabilities, err);
}

/* Runs the model over the split and reports. */
static int evaluate(const cli_command *self, cli_work *work, const eval_options *o, eval_job *job,
                    tub_model *model, tub_dataset *data) {
    tub_context *ctx = work->context;
    const tub_dataset_info *info = tub_dataset_describe(data);
    eval_subject *s = &job->subject;
    tub_error err;
    const tub_model_config *c = tub_model_describe(model);
    int64_t n = info->count[o->split];
    float *probabilities = calloc((size_t)(n > 0 ? n : 1), (size_t)c->classes * sizeof(float));
    int code = CLI_DONE;
    if (probabilities == NULL) {
        return cli_fail_with(self, "out of memory");
    }
    eval_result result = {0};
    if (tub_dataset_order_frames(data, o->split, s->frames, s->frames_seed, &err) != TUB_OK ||
        run_model(o, model, data, probabilities, &err) != TUB_OK ||
        compute(ctx, c, n, probabilities, tub_dataset_labels(data, o->split), (int)o->draws,
                &result, &err) != TUB_OK) {
        progress_clear(&work->progress);
        code = cli_fail(self, &err);
        goto done;
    }
    progress_clear(&work->progress);
    s->data = info->name;
    s->task = c->task == TUB_TASK_DATA ? TUB_TASK_MULTI_CLASS : c->task;
    s->metrics = result.metrics;
    s->label_metrics = result.labels;
    s->head_metrics = result.heads;
    s->labels = tub_model_labels(model) != NULL ? tub_model_labels(model)
                : c->classes == info->classes   ? info->labels
                                                : NULL;
    if (!o->no_files && write_files(self, ctx, o, job, probabilities) != CLI_GO) {
        code = CLI_FAILED;
        goto done;
    }
    if (o->common.json) {
        code = cli_print_json(self, eval_json(s));
    } else {
        eval_print(s);
    }
done:
    free_result(ctx, &result);
    free(probabilities);
    return code;
}

/* Of a set of files that does not say its splits: as the run had it. */
static uint64_t split_seed(const eval_options *o, const eval_job *job) {
    return o->split_seed >= 0  ? (uint64_t)o->split_seed
           : job->model.is_run ? job->model.config.split_seed
                               : 0;
}

/* Everything is opened, and the place of the result files looked at, before the work. */
static int open_and_evaluate(const cli_command *self, cli_work *work, void *parsed) {
    const eval_options *o = parsed;
    eval_job job = {0};
    tub_model *model = NULL;
    tub_dataset *data = NULL;
    tub_error err;
    int code = resolve(self, work->context, o, &job);
    if (code != CLI_GO) {
        return code;
    }
    job.subject.model = job.model.folder;
    job.subject.split = tub_split_name(o->split);
    job.subject.frames = o->frames;
    job.subject.frames_seed = o->frames_seed == 0 ? 1 : (uint64_t)o->frames_seed;
    if (tub_model_open(work->context, job.model.folder, &model, &err) != TUB_OK) {
        return cli_fail(self, &err);
    }
    code = check_out(self, o);
    if (code == CLI_GO) {
        tub_dataset_options opening = tub_model_dataset_options(model);
        opening.data_url = o->data_options.data_url;
        opening.split_seed = split_seed(o, &job);
        code = tub_dataset_open(work->context, job.data, &opening, &data, &err) == TUB_OK
                   ? evaluate(self, work, o, &job, model, data)
                   : cli_fail(self, &err);
    }
    tub_dataset_close(data);
    tub_model_close(model);
    return code;
}

static int run(const cli_command *self, int argc, char **argv) {
    eval_options o = {.data_options = tub_dataset_options_default(),
                      .split = TUB_TEST,
                      .batch = 32,
                      .draws = 1000,
                      .split_seed = -1,
                      .taking = predict_taking_default()};
    return cli_run(self, argc, argv, &o, open_and_evaluate);
}

const cli_command cli_eval = {
    .name = "eval",
    .arguments = "MODEL",
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
        "files have the order in their names.",
    .examples = "  tubelet eval runs/first\n"
                "  tubelet eval runs/first --weights best --split val\n"
                "  tubelet eval runs/first --data other.npz --out results --json",
    .options = options,
    .parser = parse,
    .run = run,
};
