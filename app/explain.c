/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet explain: which places and times of a clip a model's answer rests on. */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval_result.h"
#include "explain_parts.h"
#include "interrupt.h"
#include "live.h"
#include "place.h"
#include "shell.h"

enum {
    KEY_METHOD = CLI_KEY_OWN,
    KEY_CLASS,
    KEY_AXES,
    KEY_LAYER,
    KEY_HEAD,
    KEY_BOX,
    KEY_STEP,
    KEY_PROBABILITY,
    KEY_STEPS,
    KEY_BASELINE,
    KEY_UPSAMPLE,
    KEY_OUT,
    KEY_RAW,
    KEY_FORCE,
    KEY_EVALUATE,
    KEY_WEIGHTS,
    KEY_SAMPLING,
    KEY_STRIDE,
    KEY_FROM,
    KEY_TO,
    KEY_SPLIT,
    KEY_SAMPLE,
    KEY_DATA_URL,
    STRIDE_LIMIT = 65536
};

static const struct argp_option options[] = {
    {"method", KEY_METHOD, "NAME", 0,
     "gradient-rollout, rollout, attention, occlusion or integrated-gradients (default "
     "gradient-rollout)",
     1},
    {"class", KEY_CLASS, "NAME", 0, "Class by its name or number (default: the most probable one)",
     1},
    {"axes", KEY_AXES, "WHICH", 0,
     "Attention over both, space or time, where a variant has them apart (default both)", 1},
    {"layer", KEY_LAYER, "N", 0, "Of attention: the layer, from 0 (default: the last)", 1},
    {"head", KEY_HEAD, "N", 0, "Of attention: the head, from 0 (default: the mean of all)", 1},
    {"box", KEY_BOX, "TxHxW", 0,
     "Of occlusion: the size of the box (default: a tubelet's, of networks without tubelets "
     "an eighth of the clip)",
     1},
    {"step", KEY_STEP, "TxHxW", 0, "Of occlusion: how far the box moves (default: its size)", 1},
    {"probability", KEY_PROBABILITY, NULL, 0,
     "Of occlusion: what the probability loses (default: the logit)", 1},
    {"steps", KEY_STEPS, "N", 0,
     "Of integrated gradients: points on the path (default: 64, or more until the map adds up "
     "within 1 %)",
     1},
    {"baseline", KEY_BASELINE, "KIND", 0,
     "What covers a box, where a path begins, and of --evaluate what covers the clip: black, zero "
     "or mean (default: black where a path begins, else mean)",
     1},
    {"upsample", KEY_UPSAMPLE, "HOW", 0,
     "From tubelets to voxels: nearest or trilinear (default nearest)", 1},
    {"out", KEY_OUT, "PREFIX", 0,
     "Write PREFIX.npy, .gif and .png, of volumes also slices across the other axes", 2},
    {"raw", KEY_RAW, NULL, 0, "With --out: also the arrays that the map is made of", 2},
    {"force", KEY_FORCE, NULL, 0, "Replace files that exist", 2},
    {"evaluate", KEY_EVALUATE, NULL, 0,
     "Also how the probability falls and rises as what the map shows goes and comes", 2},
    {"weights", KEY_WEIGHTS, "WHICH", 0, "last or best of a run (default: as its recipe says)", 3},
    {"sampling", KEY_SAMPLING, "KIND", 0,
     "Which frames: uniform, linspace, stride or segments (default: as the model's folder says, "
     "else uniform)",
     3},
    {"stride", KEY_STRIDE, "N", 0, "Every N-th frame, of --sampling stride or linspace", 3},
    {"from", KEY_FROM, "TIME", 0, "Begin at this time, such as 2.5 or 1m (default: the start)", 3},
    {"to", KEY_TO, "TIME", 0, "End before this time (default: the end)", 3},
    {"sample", KEY_SAMPLE, "N", 0, "Instead of a file: a sample of a data set, counted from 0", 4},
    {"data", 'd', "NAME", 0,
     "Data set of the sample (default: the one that the run was trained on)", 4},
    {"split", KEY_SPLIT, "SPLIT", 0, "Split of the sample: train, val or test (default test)", 4},
    {"data-url", KEY_DATA_URL, "URL", 0,
     "Folder of a mirror for the download (default: where the set is published)", 4},
    CLI_OPTIONS_COMPUTE,
    CLI_OPTION_PRECISION,
    CLI_OPTIONS_TALK,
    {0}};

typedef struct explain_options {
    cli_common common;
    const char *model, *file, *out, *wanted, *weights;
    tub_explain_options explain;
    tub_clip_read_options clip;
    members_data data; /* of a sample */
    long sample;       /* -1: of a file */
    bool split, sampled, raw, force, evaluate;
} explain_options;

/* ---- options ---- */

/* How names of files begin, not the folder that they are in. */
/* Names begin so, and end as the files are: out/a.gif would become out/a.gif.gif. */
static void cut_ending(char *out) {
    static const char *const endings[] = {".gif", ".png", ".npy"};
    const size_t length = strlen(out);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t end = strlen(endings[i]);
        if (length > end && out[length - end - 1] != '/' &&
            strcmp(out + length - end, endings[i]) == 0) {
            out[length - end] = '\0';
            return;
        }
    }
}

static error_t check_prefix(const char *out, struct argp_state *state) {
    const char *slash = strrchr(out, '/'), *last = slash == NULL ? out : slash + 1;
    return last[0] != '\0' && strcmp(last, ".") != 0 && strcmp(last, "..") != 0
               ? 0
               : cli_misuse(state,
                            "--out '%s' is a folder; say behind it how the files' names begin, as "
                            "in %s%smap",
                            out, out, last[0] != '\0' ? "/" : "");
}

static error_t check(const explain_options *o, struct argp_state *state) {
    if (o->common.help) {
        return 0;
    }
    if (o->model == NULL || (o->file == NULL && o->sample < 0)) {
        return cli_misuse(state,
                          "needs a model folder, and a file or a --sample of its data set to "
                          "explain");
    }
    if (o->file != NULL && o->sample >= 0) {
        return cli_misuse(state, "--sample and a file contradict each other; give one of them");
    }
    if (o->sample < 0 && (o->data.name != NULL || o->split)) {
        return cli_misuse(state, "%s works with --sample only: the number of a sample",
                          o->split ? "--split" : "--data");
    }
    if (o->sample >= 0 && o->sampled) {
        return cli_misuse(state, "--sampling, --stride, --from and --to work with files only; a "
                                 "sample is what the model was trained on");
    }
    if (o->out == NULL && (o->raw || o->force)) {
        return cli_misuse(state, "%s works with --out only", o->raw ? "--raw" : "--force");
    }
    if (o->clip.to >= 0 && o->clip.from >= o->clip.to) {
        return cli_misuse(state, "--from must be before --to");
    }
    return o->out != NULL ? check_prefix(o->out, state) : 0;
}

/* What the library's words say. */
static error_t told(tub_status status, const char *option, const tub_error *err,
                    struct argp_state *state) {
    return status == TUB_OK ? 0 : cli_misuse(state, "%s: %s", option, err->message);
}

static error_t parse_whole(int64_t *out, const char *option, const char *text, long low, long high,
                           struct argp_state *state) {
    long n;
    if (!cli_parse_int(state, option, text, low, high, &n)) {
        return ECANCELED;
    }
    *out = n;
    return 0;
}

/* "4x16x16". */
static error_t parse_size(int64_t out[3], const char *option, const char *text,
                          struct argp_state *state) {
    const char *at = text;
    for (int i = 0; i < 3; i++) {
        char *end = NULL;
        const long n = isdigit((unsigned char)*at) ? strtol(at, &end, 10) : 0;
        if (n < 1 || *end != (i < 2 ? 'x' : '\0')) {
            return cli_misuse(state,
                              "%s '%s' is not three numbers of at least 1 (frames, rows, columns), "
                              "as in 4x16x16",
                              option, text);
        }
        out[i] = n;
        at = end + 1;
    }
    return 0;
}

static error_t parse_clip(explain_options *o, int key, char *argument, struct argp_state *state) {
    tub_error err;
    o->sampled = true;
    switch (key) {
    case KEY_SAMPLING:
        return told(tub_sampling_parse(argument, &o->clip.sampling, &err), "--sampling", &err,
                    state);
    case KEY_STRIDE:
        return parse_whole(&o->clip.stride, "--stride", argument, 1, STRIDE_LIMIT, state);
    case KEY_FROM:
        return told(tub_time_parse(argument, &o->clip.from, &err), "--from", &err, state);
    default:
        return told(tub_time_parse(argument, &o->clip.to, &err), "--to", &err, state);
    }
}

static error_t parse_sample(explain_options *o, int key, char *argument, struct argp_state *state) {
    tub_error err;
    switch (key) {
    case 'd':
        return cli_parse_name(&o->data.name, "--data", argument, state);
    case KEY_SPLIT:
        o->split = true;
        return told(tub_split_parse(argument, &o->data.split, &err), "--split", &err, state);
    case KEY_DATA_URL:
        o->data.url = argument;
        return 0;
    default:
        return cli_parse_int(state, "--sample", argument, 0, LONG_MAX, &o->sample) ? 0 : ECANCELED;
    }
}

static error_t parse_method(explain_options *o, int key, char *argument, struct argp_state *state) {
    tub_explain_options *e = &o->explain;
    tub_error err;
    switch (key) {
    case KEY_METHOD:
        return told(tub_explain_method_parse(argument, &e->method, &err), "--method", &err, state);
    case KEY_AXES:
        return told(tub_axes_parse(argument, &e->axes, &err), "--axes", &err, state);
    case KEY_LAYER:
        return parse_whole(&e->layer, "--layer", argument, 0, LONG_MAX, state);
    case KEY_HEAD:
        return parse_whole(&e->head, "--head", argument, 0, LONG_MAX, state);
    case KEY_BOX:
        return parse_size(e->box, "--box", argument, state);
    case KEY_STEP:
        return parse_size(e->step, "--step", argument, state);
    case KEY_STEPS:
        return parse_whole(&e->steps, "--steps", argument, 1, TUB_EXPLAIN_STEPS, state);
    case KEY_BASELINE:
        return told(tub_baseline_parse(argument, &e->baseline, &err), "--baseline", &err, state);
    default:
        return told(tub_upsampling_parse(argument, &e->upsampling, &err), "--upsample", &err,
                    state);
    }
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    explain_options *o = state->input;
    switch (key) {
    case KEY_CLASS:
        o->wanted = argument;
        return 0;
    case KEY_PROBABILITY:
        o->explain.probability = 1;
        return 0;
    case KEY_OUT:
        cut_ending(argument);
        return cli_parse_name(&o->out, "--out", argument, state);
    case KEY_RAW:
        o->raw = true;
        return 0;
    case KEY_FORCE:
        o->force = true;
        return 0;
    case KEY_EVALUATE:
        o->evaluate = true;
        return 0;
    case KEY_WEIGHTS:
        return subject_parse_weights(&o->weights, argument, state);
    case 'd':
    case KEY_SPLIT:
    case KEY_SAMPLE:
    case KEY_DATA_URL:
        return parse_sample(o, key, argument, state);
    case ARGP_KEY_ARG:
        return o->model == NULL  ? cli_parse_name(&o->model, "MODEL", argument, state)
               : o->file == NULL ? cli_parse_name(&o->file, "FILE", argument, state)
                                 : cli_misuse(state, "more than two arguments: MODEL and FILE");
    case ARGP_KEY_END:
        return check(o, state);
    default:
        return key >= KEY_SAMPLING && key <= KEY_TO       ? parse_clip(o, key, argument, state)
               : key >= KEY_METHOD && key <= KEY_UPSAMPLE ? parse_method(o, key, argument, state)
                                                          : cli_parse_common(key, argument, state);
    }
}

/* ---- the class ---- */

static const char *label_word(const void *words, size_t index) {
    return (*((const char *const *)words + index));
}

/* The command line is wrong: CLI_MISUSE. */
static int fail_class(const cli_command *self, const explain_options *o, const tub_model *model,
                      const char *const *labels) {
    const size_t classes = (size_t)tub_model_describe(model)->classes;
    const size_t near = labels != NULL ? tub_nearest(o->wanted, labels, classes, label_word) : 0;
    if (labels == NULL) {
        (void)cli_fail_with(self,
                            "--class '%s': the model has no names of its classes; give a number "
                            "from 0 to %zu",
                            o->wanted, classes - 1);
    } else if (near < classes) {
        (void)cli_fail_with(self, "--class '%s' is none of the model's; did you mean '%s'?",
                            o->wanted, labels[near]);
    } else {
        (void)cli_fail_with(self, "--class '%s' is none of the model's %zu, from '%s' to '%s'",
                            o->wanted, classes, labels[0], labels[classes - 1]);
    }
    return CLI_MISUSE;
}

/* By its name, or by its number where no class has such a name. */
static int find_class(const cli_command *self, explain_options *o, const tub_model *model,
                      const char *const *labels) {
    const tub_model_config *c = tub_model_describe(model);
    char *end = NULL;
    if (o->wanted == NULL) {
        return CLI_GO;
    }
    for (int64_t k = 0; labels != NULL && k < c->classes; k++) {
        if (strcmp(labels[k], o->wanted) == 0) {
            o->explain.target = k;
            return CLI_GO;
        }
    }
    const long number = strtol(o->wanted, &end, 10);
    if (end == o->wanted || *end != '\0') {
        return fail_class(self, o, model, labels);
    }
    if (number < 0 || number >= c->classes) {
        (void)cli_fail_with(self, "--class %s: the model has %lld classes, from 0 to %lld",
                            o->wanted, (long long)c->classes, (long long)c->classes - 1);
        return CLI_MISUSE;
    }
    o->explain.target = number;
    return CLI_GO;
}

/* ---- work ---- */

/* Everything of one explanation that has to be given back. */
typedef struct work {
    const cli_command *self;
    const explain_options *options;
    members members; /* one */
    tub_model *model;
    explain_sample sample;
    explain_clip clip;
    tub_explanation explanation;
    explain_facts facts;
    tub_explain_curves curves;
    explain_files files;
    place_parents parents;
    bool placed; /* parents were made */
} work;

static bool of_sample(const work *w) {
    return w->options->sample >= 0;
}

static const char *const *labels_of(const work *w) {
    return of_sample(w) ? eval_result_labels(w->model, tub_dataset_describe(w->sample.data))
                        : tub_model_labels(w->model);
}

static int print(const work *w) {
    const explain_options *o = w->options;
    const explain_report report = {.file = of_sample(w) ? w->sample.file : o->file,
                                   .sample = of_sample(w) ? &w->sample : NULL,
                                   .weights = w->members.list[0].subject.weights,
                                   .options = &o->explain,
                                   .explanation = &w->explanation,
                                   .facts = &w->facts,
                                   .curves = o->evaluate ? &w->curves : NULL,
                                   .labels = labels_of(w),
                                   .files = o->out != NULL ? &w->files : NULL};
    if (w->clip.clip.damage[0] != '\0') {
        fprintf(stderr, "tubelet explain: %s: %s\n", o->file, w->clip.clip.damage);
    }
    return explain_print(w->self, &report, o->common.json);
}

/* As the library takes them: with --evaluate a baseline may be that of the curves alone. */
static tub_explain_options settings_of(const explain_options *o) {
    tub_explain_options e = o->explain;
    if (o->evaluate && explain_attends(e.method)) {
        e.baseline = TUB_BASELINE_DEFAULT;
    }
    return e;
}

/* Nothing is computed for files that are not to be replaced, or can't be made. */
static int prepare_files(work *w, tub_context *ctx) {
    const explain_options *o = w->options;
    const tub_explain_options e = settings_of(o);
    if (!explain_files_of(o->out, w->clip.volume, w->model, o->raw ? &e : NULL, &w->files)) {
        return cli_fail_with(w->self, "out of memory");
    }
    const int code =
        explain_files_check(w->self, &w->files, of_sample(w) ? w->sample.file : o->file, o->force);
    if (code != CLI_GO) {
        return code;
    }
    w->placed = true;
    place_make_parents(&w->parents, o->out);
    return explain_files_begin(w->self, ctx, &w->files, o->out);
}

/* The map, its curves, and its files but for their names. */
static tub_status make(work *w, tub_error *err) {
    const explain_options *o = w->options;
    tub_explain_options e = settings_of(o);
    char raw[PATH_MAX] = "";
    if (o->raw && stage_path(&w->files.stage, o->out, raw)) {
        e.raw = raw;
    }
    tub_status status = tub_explain(w->model, &e, w->clip.dtype, w->clip.x, &w->explanation, err);
    if (status == TUB_OK && o->evaluate) {
        status = tub_explanation_evaluate(w->model, &w->explanation, w->clip.dtype, w->clip.x, 0,
                                          o->explain.baseline, &w->curves, err);
    }
    if (status == TUB_OK && o->out != NULL) {
        status = explain_files_write(&w->files, &w->explanation, &w->clip.clip, err);
    }
    return status;
}

static int fail_made(const work *w, tub_error *err) {
    stage_rename_in(&w->files.stage, err->message);
    return err->status == TUB_E_CANCELLED ? cli_fail_with(w->self, "stopped; nothing was written")
                                          : cli_fail(w->self, err);
}

/* With files: a signal leaves none of them. */
static int make_files(work *w, tub_context *ctx) {
    tub_error err;
    interrupt_begin(ctx, "nothing will be written");
    int code = prepare_files(w, ctx);
    if (code == CLI_GO && make(w, &err) != TUB_OK) {
        code = fail_made(w, &err);
    }
    if (code == CLI_GO && interrupt_so_far() > 0) {
        code = cli_fail_with(w->self, "stopped; nothing was written");
    }
    if (code == CLI_GO) {
        code = explain_files_commit(w->self, &w->files, w->options->force);
    }
    stage_end(&w->files.stage);
    (void)interrupt_end();
    return code;
}

static int explain(work *w, tub_context *ctx) {
    const explain_options *o = w->options;
    tub_error err;
    const tub_status status =
        of_sample(w)
            ? explain_clip_sample(w->model, w->sample.data, w->sample.split, w->sample.number,
                                  &w->clip, &err)
            : explain_clip_read(ctx, w->model, o->file, &o->clip, o->sampled, &w->clip, &err);
    if (status != TUB_OK) {
        return cli_fail(w->self, &err);
    }
    const int code = o->out != NULL            ? make_files(w, ctx)
                     : make(w, &err) != TUB_OK ? fail_made(w, &err)
                                               : CLI_GO;
    if (code != CLI_GO) {
        return code;
    }
    return explain_facts_of(&w->explanation, &w->facts) ? CLI_GO
                                                        : cli_fail_with(w->self, "out of memory");
}

static void release(work *w, int code) {
    explain_files_free(&w->files);
    if (code != CLI_DONE && w->placed) {
        place_remove_parents(&w->parents);
    }
    explain_facts_free(&w->facts);
    tub_explain_curves_free(&w->curves);
    tub_explanation_free(&w->explanation);
    explain_clip_free(&w->clip);
    explain_sample_close(&w->sample);
    tub_model_close(w->model);
    members_free(&w->members);
}

/* Everything that can be wrong is found before the work. */
static int prepare(work *w, cli_work *cli, explain_options *o) {
    tub_error err;
    int code = members_resolve_one(w->self, cli->context, o->model, o->weights, &w->members);
    if (code == CLI_GO) {
        w->model = members_open(w->self, cli->context, &w->members.list[0], NULL, &code);
    }
    if (code == CLI_GO && of_sample(w)) {
        code = explain_sample_open(w->self, cli->context, &w->members, w->model, o->data, o->sample,
                                   &w->sample);
    }
    if (code == CLI_GO) {
        code = find_class(w->self, o, w->model, labels_of(w));
    }
    const tub_explain_options e = settings_of(o);
    return code == CLI_GO && tub_explain_check(w->model, &e, &err) != TUB_OK
               ? cli_fail_setting(w->self, &err)
               : code;
}

static int work_on(const cli_command *self, cli_work *cli, void *parsed) {
    explain_options *o = parsed;
    work w = {.self = self, .options = o};
    char program[SHELL_ROOM], first[SHELL_ROOM], second[SHELL_ROOM];
    if (o->file != NULL && !subject_is_model(o->model) && subject_is_model(o->file)) {
        return cli_fail_with(self, "%s is a model folder: give it first, as in %s explain %s %s",
                             o->file, shell_program(program), shell_path(first, o->file),
                             shell_path(second, o->model));
    }
    int code = prepare(&w, cli, o);
    if (code == CLI_GO) {
        code = explain(&w, cli->context);
    }
    (void)live_clear();
    if (code == CLI_GO) {
        code = print(&w);
    }
    release(&w, code);
    return code;
}

static int run(const cli_command *self, int argc, char **argv) {
    explain_options o = {.explain = tub_explain_options_default(),
                         .clip = tub_clip_read_options_default(),
                         .data = {.split_seed = -1, .split = TUB_TEST},
                         .sample = -1};
    return cli_run(self, argc, argv, &o, work_on);
}

const cli_command cli_explain = {
    .name = "explain",
    .arguments = "MODEL FILE\nMODEL --sample N",
    .summary = "shows which places and times of a clip an answer rests on",
    .description =
        "FILE is a video, an animation, a picture, a folder of pictures, a NIfTI volume, or a .npy "
        "or member of a .npz with one volume; or --sample is one of a data set's split, whose true "
        "class is told, too. Prints where the map of the class is largest; with --out writes it as "
        "an array and drawn over the clip. docs/explain.md says what each method computes.",
    .examples = "  tubelet explain runs/fight clip.mp4 --out out/clip\n"
                "  tubelet explain runs/fight clip.mp4 --class fight --method occlusion\n"
                "  tubelet explain runs/first --split test --sample 17 --out out/mistake\n"
                "  tubelet explain runs/first set.npz:test_images[5] --evaluate\n"
                "  tubelet explain runs/first volume.npy --method attention --head 2 --json\n"
                "  tubelet explain runs/second volume.npy --axes time --out out/time --raw",
    .options = options,
    .parser = parse,
    .run = run,
};
