/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet convert: a model to and from other programs' files, or its kernels to int8, measured against
 * float32 before anything is written. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "convert_files.h"
#include "eval_result.h"
#include "output.h"
#include "subject.h"

enum { KEY_CALIBRATE = CLI_KEY_OWN, KEY_WEIGHTS, KEY_LIMIT, KEY_DATA_URL };

static const struct argp_option options[] = {
    CONVERT_FILES_OPTIONS,
    {NULL, 0, NULL, 0, "To int8:", 5},
    {"calibrate", KEY_CALIBRATE, "DATA", 0,
     "Data set whose test split shows the loss (default: the one that the run was trained on)", 5},
    {"out", 'o', "FOLDER", 0, "Where the int8 model goes (default: MODEL-int8)", 5},
    {"weights", KEY_WEIGHTS, "WHICH", 0, "last or best of a run (default: as its recipe says)", 5},
    {"max-loss", KEY_LIMIT, "POINTS", 0,
     "Write nothing when top-1 loses more percentage points (default 0.5)", 5},
    {"data-url", KEY_DATA_URL, "URL", 0,
     "Folder of a mirror for the download (default: where the set is published)", 5},
    {"precision", CLI_KEY_PRECISION, "KIND", 0, "Precision of the new weights: int8", 5},
    CLI_OPTIONS_COMPUTE,
    CLI_OPTIONS_TALK,
    {0}};

typedef struct convert_options {
    cli_common common;
    const char *model, *to, *data, *out, *weights;
    const char *data_url;
    tub_convert_options files; /* of a conversion to `to` */
    double limit;              /* points */
    bool limit_given, files_given;
} convert_options;

static error_t parse_limit(convert_options *o, const char *text, struct argp_state *state) {
    char *end;
    o->limit_given = true;
    o->limit = strtod(text, &end);
    if (end == text || *end != '\0' || !(o->limit >= 0 && o->limit <= 100)) {
        return cli_misuse(state, "--max-loss '%s': give percentage points from 0 to 100", text);
    }
    return 0;
}

/* A second name: a conversion of files. */
static error_t check_files(const convert_options *o, struct argp_state *state) {
    if (o->common.precision != TUB_PRECISION_F32 || o->data != NULL || o->out != NULL ||
        o->limit_given || o->data_url != NULL) {
        return cli_misuse(state,
                          "%s: --precision, --calibrate, --out, --max-loss and --data-url belong "
                          "to int8, which takes one name",
                          o->to);
    }
    if (o->weights != NULL && tub_convert_knows(o->model)) {
        return cli_misuse(state, "--weights %s: %s is a file, and only a run has two kinds",
                          o->weights, o->model);
    }
    return 0;
}

static error_t check(const convert_options *o, struct argp_state *state) {
    if (o->model == NULL) {
        return cli_misuse(state,
                          "needs a model folder or run folder, or a file of another program");
    }
    if (o->to != NULL) {
        return check_files(o, state);
    }
    if (tub_convert_knows(o->model)) {
        return cli_misuse(state, "needs the name of the model folder that %s is to become",
                          o->model);
    }
    if (o->common.precision != TUB_PRECISION_INT8) {
        return cli_misuse(state, "needs --precision int8, or a second name: what the model is to "
                                 "become");
    }
    if (o->files_given) {
        return cli_misuse(state, "--gelu, --like, --dry-run and what else says how files are read "
                                 "and written belong to two names; int8 has none of them");
    }
    return 0;
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    convert_options *o = state->input;
    switch (key) {
    case KEY_CALIBRATE:
        return cli_parse_name(&o->data, "--calibrate", argument, state);
    case 'o':
        return cli_parse_name(&o->out, "--out", argument, state);
    case KEY_WEIGHTS:
        return subject_parse_weights(&o->weights, argument, state);
    case KEY_LIMIT:
        return parse_limit(o, argument, state);
    case KEY_DATA_URL:
        o->data_url = argument;
        return 0;
    case ARGP_KEY_ARG:
        return cli_parse_argument(o->model == NULL ? &o->model : &o->to, argument, state);
    case ARGP_KEY_END:
        return check(o, state);
    default: {
        const error_t code = convert_files_parse(&o->files, key, argument, state);
        o->files_given = o->files_given || code != ARGP_ERR_UNKNOWN;
        return code == ARGP_ERR_UNKNOWN ? cli_parse_common(key, argument, state) : code;
    }
    }
}

/* From where to where, and with what data. */
typedef struct job {
    subject from;
    const char *data;
    char out[PATH_MAX];
} job;

/* Anything of that name, a link that leads nowhere included. */
static int check_free(const cli_command *self, const char *out) {
    struct stat st;
    return lstat(out, &st) != 0
               ? CLI_GO
               : cli_fail_with(self, "%s is there already; name another folder with --out", out);
}

static int resolve(const cli_command *self, tub_context *ctx, const convert_options *o, job *j) {
    int code = subject_resolve(self, ctx, o->model, o->weights, &j->from);
    if (code != CLI_GO) {
        return code;
    }
    j->data = o->data != NULL ? o->data : j->from.is_run ? j->from.config.data : NULL;
    const bool of_hub = tub_hub_is_name(o->model);
    if (!of_hub && access(o->model, F_OK) != 0) {
        return cli_fail_with(self, "%s: %s", o->model, strerror(errno));
    }
    if (j->data == NULL) {
        fprintf(stderr,
                "tubelet convert: %s does not say its data set; name one with --calibrate, to "
                "measure what int8 loses\n",
                o->model);
        return CLI_MISUSE;
    }
    const char *name = of_hub ? strpbrk(o->model, "/:") + 1 : o->model;
    name = of_hub && strchr(name, '/') != NULL ? strchr(name, '/') + 1 : name;
    size_t length = of_hub ? strcspn(name, "@") : strlen(name);
    while (length > 1 && name[length - 1] == '/') {
        length--;
    }
    const int size = o->out != NULL
                         ? snprintf(j->out, sizeof j->out, "%s", o->out)
                         : snprintf(j->out, sizeof j->out, "%.*s-int8", (int)length, name);
    if (size >= (int)sizeof j->out) {
        return cli_fail_with(self, "the path of the new model is too long");
    }
    return check_free(self, j->out);
}

enum { REAL, INT8, KINDS };

/* What both precisions say of the test split. */
typedef struct comparison {
    int64_t samples;
    bool top5; /* it says anything of that many classes */
    tub_scores scores[KINDS];
    double change, largest; /* of the logits: the largest change, and the largest of them */
} comparison;

/* logits: [samples, K] of the test split, the caller's to free. */
static tub_status answers(tub_context *ctx, const char *folder, const tub_dataset *data,
                          float **logits, size_t *count, tub_scores *scores, tub_error *err) {
    enum { BATCH = 32 };
    const int64_t samples = tub_dataset_describe(data)->count[TUB_TEST];
    tub_model *model;
    tub_status status = tub_model_open(ctx, folder, &model, err);
    if (status != TUB_OK) {
        return status;
    }
    const tub_model_config *c = tub_model_describe(model);
    *count = (size_t)(samples > 0 ? samples : 1) * (size_t)c->classes;
    float *probabilities = calloc(*count, sizeof *probabilities);
    *logits = calloc(*count, sizeof **logits);
    if (probabilities == NULL || *logits == NULL) {
        *err = (tub_error){.status = TUB_E_MEMORY, .message = "out of memory"};
        status = TUB_E_MEMORY;
    }
    if (status == TUB_OK) {
        status = tub_predict_split(model, data, TUB_TEST, BATCH, *logits, probabilities, err);
    }
    if (status == TUB_OK) {
        status = tub_task_scores_compute(ctx, c, samples, probabilities,
                                         tub_dataset_labels(data, TUB_TEST), scores, err);
    }
    free(probabilities);
    tub_model_close(model);
    return status;
}

/* NaN wins. */
static double larger(double a, double b) {
    return a >= b || a != a ? a : b;
}

static void compare_logits(const float *real, const float *int8, size_t n, comparison *c) {
    for (size_t i = 0; i < n; i++) {
        c->change = larger(c->change, fabs((double)int8[i] - (double)real[i]));
        c->largest = larger(c->largest, fabs((double)real[i]));
    }
}

static tub_status compare(tub_context *const ctx[KINDS], const job *j, const tub_dataset *data,
                          comparison *c, tub_error *err) {
    float *logits[KINDS] = {NULL};
    size_t n = 0;
    const tub_dataset_info *info = tub_dataset_describe(data);
    c->samples = info->count[TUB_TEST];
    c->top5 = info->task == TUB_TASK_MULTI_CLASS && eval_result_top5(info->classes);
    tub_status status = TUB_OK;
    for (int i = REAL; i < KINDS && status == TUB_OK; i++) {
        status = answers(ctx[i], j->from.folder, data, &logits[i], &n, &c->scores[i], err);
    }
    if (status == TUB_OK) {
        compare_logits(logits[REAL], logits[INT8], n, c);
    }
    free(logits[REAL]);
    free(logits[INT8]);
    return status;
}

static double points_lost(const comparison *c) {
    return 100 * (c->scores[REAL].top1 - c->scores[INT8].top1);
}

static json_t *scores_json(const tub_scores *s) {
    return json_pack("{s:o,s:o,s:o,s:o}", "top1", output_number(s->top1), "top5",
                     output_number(s->top5), "auc", output_number(s->auc), "loss",
                     output_number(s->loss));
}

static int report(const cli_command *self, const convert_options *o, const job *j,
                  const comparison *c) {
    static const char *const names[KINDS] = {"float32", "int8"};
    if (o->common.json) {
        return cli_print_json(
            self,
            json_pack("{s:s,s:o,s:o,s:o,s:I,s:o,s:o,s:o,s:o,s:o}", "convert", "int8", "model",
                      output_text(j->from.folder), "out", output_text(j->out), "data",
                      output_text(j->data), "samples", (json_int_t)c->samples, "f32",
                      scores_json(&c->scores[REAL]), "int8", scores_json(&c->scores[INT8]),
                      "top1_points_lost", output_number(points_lost(c)), "largest_logit_change",
                      output_number(c->change), "largest_logit", output_number(c->largest)));
    }
    printf("%-8s %8s%s %8s %8s   (test split of %s, %lld samples)\n", "", "top-1",
           c->top5 ? "    top-5" : "", "AUC", "loss", j->data, (long long)c->samples);
    for (int i = REAL; i < KINDS; i++) {
        const tub_scores *s = &c->scores[i];
        const double values[] = {s->top1, s->top5, s->auc, s->loss};
        printf("%-8s", names[i]);
        for (int k = 0; k < 4; k++) {
            char figure[OUTPUT_FIGURE];
            if (k == 1 && !c->top5) {
                continue;
            }
            printf(" %8s", output_figure(figure, values[k]));
        }
        putchar('\n');
    }
    printf("top-1 loses %.2f points; the logits change by %.3g at most, the largest is %.3g\n",
           points_lost(c) + 0.0, c->change, c->largest);
    return CLI_DONE;
}

/* Opens the model as int8 again, and writes it. */
static int write_model(const cli_command *self, tub_context *ctx, const convert_options *o,
                       const job *j) {
    tub_model *model = NULL;
    tub_error err;
    int code = CLI_GO;
    tub_status status = tub_model_open(ctx, j->from.folder, &model, &err);
    if (status == TUB_OK) {
        code = check_free(self, j->out); /* the evaluation took its time */
    }
    if (status == TUB_OK && code == CLI_GO) {
        status = tub_model_save(model, j->out, &err);
    }
    tub_model_close(model);
    if (code != CLI_GO) {
        return code;
    }
    if (status != TUB_OK) {
        return cli_fail(self, &err);
    }
    if (!o->common.quiet) {
        fprintf(stderr, "Written: %s\n", j->out);
    }
    return CLI_DONE;
}

/* As evaluation opens it for the model: files in its clips, by the split that it was trained on. */
static tub_status open_data(tub_context *reader, tub_context *ctx, const convert_options *o,
                            const job *j, tub_dataset **data, tub_error *err) {
    tub_model *model;
    tub_status status = tub_model_open(reader, j->from.folder, &model, err);
    if (status == TUB_OK) {
        tub_dataset_options opening = tub_model_dataset_options(model);
        opening.data_url = o->data_url;
        opening.split_seed = j->from.is_run ? j->from.config.split_seed : opening.split_seed;
        status = tub_dataset_open(ctx, j->data, &opening, data, err);
        tub_model_close(model);
    }
    return status;
}

static int convert_to_int8(const cli_command *self, cli_work *work, const convert_options *o) {
    job j = {0};
    comparison c = {0};
    tub_context *ctx[KINDS] = {[INT8] = work->context};
    tub_dataset *data = NULL;
    tub_error err;
    int code = resolve(self, work->context, o, &j);
    if (code != CLI_GO) {
        return code;
    }
    tub_status status = cli_context_in(&o->common, TUB_PRECISION_F32, &ctx[REAL], &err);
    if (status == TUB_OK) {
        status = open_data(ctx[REAL], work->context, o, &j, &data, &err);
    }
    if (status == TUB_OK) {
        status = compare(ctx, &j, data, &c, &err);
    }
    (void)live_clear();
    tub_dataset_close(data);
    tub_context_destroy(ctx[REAL]);
    if (status != TUB_OK) {
        return cli_fail(self, &err);
    }
    code = report(self, o, &j, &c);
    if (code == CLI_DONE && !(points_lost(&c) <= o->limit)) {
        return cli_fail_with(
            self,
            "top-1 loses %.2f points, more than %g: nothing was written (--max-loss "
            "allows more)",
            points_lost(&c), o->limit);
    }
    return code == CLI_DONE ? write_model(self, work->context, o, &j) : code;
}

static int convert(const cli_command *self, cli_work *work, void *parsed) {
    const convert_options *o = parsed;
    const convert_files_options files = {.in = o->model,
                                         .out = o->to,
                                         .weights = o->weights,
                                         .convert = o->files,
                                         .json = o->common.json,
                                         .quiet = o->common.quiet};
    return o->to != NULL ? convert_files(self, work, &files) : convert_to_int8(self, work, o);
}

static int run(const cli_command *self, int argc, char **argv) {
    convert_options o = {.files = tub_convert_options_default(), .limit = 0.5};
    return cli_run(self, argc, argv, &o, convert);
}

const cli_command cli_convert = {
    .name = "convert",
    .arguments = "MODEL [OUT]",
    .summary = "a model to and from other programs' files, or to int8 with what it loses",
    .description =
        "With two names: turns a model of any kind, found by what is in the file, into another. "
        "Read "
        "are "
        "folders of this program and of transformers' VivitForVideoClassification and VivitModel, "
        ".keras and .weights.h5 files of Keras 3 with the model of its example \"Video Vision "
        "Transformer\" "
        "in any size, and checkpoints of scenic. OUT becomes a file of Keras where it ends in "
        ".keras "
        "or "
        ".weights.h5, an ONNX file (opset 17) where it ends in .onnx, else a model folder. The "
        "state of Adam goes along (optimizer.safetensors in "
        "a "
        "folder; of a run, with its last weights). What was written is read again, and gets its "
        "name only when all bits are the "
        "same; nothing is ever replaced. "
        "With one name and --precision int8: evaluates the model "
        "in float32 and in int8 on the test split of a data set, and writes a model folder whose "
        "kernels are whole numbers of eight bits with a scale for each output channel: about a "
        "quarter "
        "of the size. What goes into the layers is scaled row by row as it comes, so the data only "
        "measures; it sets nothing. Use the folder with --precision int8.",
    .examples = "  tubelet convert checkpoint_30 model --frames 32 --pixels signed\n"
                "  tubelet convert vivit.keras model\n"
                "  tubelet convert runs/first first.keras --weights best\n"
                "  tubelet convert runs/first first.onnx --uint8-input\n"
                "  tubelet convert google-vivit encoder --encoder-only --shard-size 200MB\n"
                "  tubelet convert vivit.weights.h5 model --like vivit-tiny --dry-run\n"
                "  tubelet convert runs/first --precision int8\n"
                "  tubelet convert model --precision int8 --calibrate volumes.npz --out small",
    .options = options,
    .parser = parse,
    .run = run,
};
