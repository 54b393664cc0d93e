/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet predict: classes and probabilities of volumes in files or of a data set's split. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "output.h"
#include "predict_files.h"
#include "predictor.h"
#include "shell.h"
#include "subject.h"

enum { KEY_CSV = CLI_KEY_OWN, KEY_NO_PREPROCESS, KEY_SPLIT, KEY_FIRST, KEY_DATA_URL, KEY_WITH };

static const struct argp_option options[] = {
    {"csv", KEY_CSV, NULL, 0, "Print comma-separated values with a header line", 1},
    MEMBERS_OPTIONS,
    {"with", KEY_WITH, "MODEL", 0,
     "Average with another model, as often as you like; a cross-validation's folder stands for all "
     "its folds",
     1},
    {"no-preprocess", KEY_NO_PREPROCESS, NULL, 0,
     "Refuse uint8 files: the values must be float32 already, as the model takes them", 1},
    {"data", 'd', "NAME", 0, "Take the volumes from a data set instead of files", 1},
    {"split", KEY_SPLIT, "SPLIT", 0, "Split of that data set (default test)", 1},
    {"first", KEY_FIRST, "N", 0, "Only the first N volumes of the split (default: all)", 1},
    {"data-url", KEY_DATA_URL, "URL", 0,
     "Folder of a mirror for the download (default: where the set is published)", 1},
    PREDICT_OPTIONS_VIEWS,
    PREDICT_OPTIONS_FILES,
    CLI_OPTIONS_COMPUTE,
    CLI_OPTION_PRECISION,
    CLI_OPTIONS_TALK,
    {0}};

typedef struct predict_options {
    cli_common common;
    const char *model, *data;
    const char **models; /* the model, and those beside it */
    int model_count;
    members_options members;
    const char *data_url;
    tub_split split;
    long first;
    bool csv, no_preprocess, split_given;
    predict_taking taking;
    const char **files;
    int count;
} predict_options;

/* The first argument alone: a model without files, or a file whose model was forgotten. */
static error_t nothing_to_do(const char *model, struct argp_state *state) {
    char program[SHELL_ROOM], file[SHELL_ROOM];
    struct stat facts;
    return stat(model, &facts) == 0 && !S_ISDIR(facts.st_mode)
               ? cli_misuse(
                     state,
                     "%s is a file to classify: the MODEL comes first, as in %s predict MODEL %s",
                     model, shell_program(program), shell_path(file, model))
               : cli_misuse(state, "nothing to classify; name files, or a data set with --data");
}

/* Options that contradict each other, once all are read. */
static error_t check(predict_options *o, struct argp_state *state) {
    if (o->model == NULL) {
        return cli_misuse(state, "needs a model folder and files to classify");
    }
    if (o->data == NULL && o->count == 0) {
        return nothing_to_do(o->model, state);
    }
    if (o->data != NULL && o->count > 0) {
        return cli_misuse(state, "--data and files contradict each other; give one of them");
    }
    if (o->data == NULL && (o->split_given || o->first > 0 || o->members.split_seed >= 0)) {
        return cli_misuse(state, "%s works with --data only",
                          o->split_given ? "--split"
                          : o->first > 0 ? "--first"
                                         : "--split-seed");
    }
    if (o->data != NULL && o->no_preprocess) {
        return cli_misuse(state, "--no-preprocess works with files only");
    }
    if (o->csv && o->common.json) {
        return cli_misuse(state, "--csv and --json contradict each other");
    }
    if (o->data != NULL && (o->taking.chosen || o->taking.window > 0)) {
        return cli_misuse(state,
                          "sampling, parts and windows work with files only; a data set says "
                          "its own");
    }
    if (o->no_preprocess && (o->taking.sampled || o->taking.window > 0)) {
        return cli_misuse(state, "--no-preprocess takes values as they are; sampling and windows "
                                 "contradict it");
    }
    if (o->members.average_given) {
        o->taking.file.average = o->members.average;
    }
    return predict_taking_check(&o->taking, state);
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    predict_options *o = state->input;
    tub_error err;
    const error_t taken = members_parse(&o->members, key, argument, state);
    if (taken != ARGP_ERR_UNKNOWN) {
        return taken;
    }
    switch (key) {
    case KEY_CSV:
        o->csv = true;
        return 0;
    case KEY_NO_PREPROCESS:
        o->no_preprocess = true;
        return 0;
    case KEY_WITH:
        o->models[++o->model_count] = argument;
        return 0;
    case 'd':
        o->data = argument;
        return 0;
    case KEY_SPLIT:
        o->split_given = true;
        return tub_split_parse(argument, &o->split, &err) == TUB_OK
                   ? 0
                   : cli_misuse(state, "--split: %s", err.message);
    case KEY_FIRST:
        return cli_parse_int(state, "--first", argument, 1, LONG_MAX, &o->first) ? 0 : ECANCELED;
    case KEY_DATA_URL:
        o->data_url = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (o->model == NULL) {
            o->model = o->models[0] = argument;
        } else {
            o->files[o->count++] = cli_input_name(argument);
        }
        return 0;
    case ARGP_KEY_END:
        return check(o, state);
    default:
        return key >= PREDICT_KEY_VIEWS && key <= PREDICT_KEY_HOP
                   ? predict_taking_parse(&o->taking, key, argument, state)
                   : cli_parse_common(key, argument, state);
    }
}

/* The first class of a published file that is called otherwise than the model's; -1: none is. */
static int64_t first_other_name(const tub_model *model, const tub_volumes *v) {
    const char *const *labels = tub_model_labels(model);
    const int64_t classes = tub_model_describe(model)->classes;
    if (labels == NULL || v->labels == NULL) {
        return -1;
    }
    for (int64_t k = 0; k < v->classes; k++) {
        if (k >= classes || strcmp(v->labels[k], labels[k]) != 0) {
            return k;
        }
    }
    return -1;
}

/* Before the lines of the file. */
static void tell_other_name(const char *file, const tub_volumes *v, int64_t k,
                            const tub_model *model) {
    char name[OUTPUT_NAME];
    const bool beyond = k >= tub_model_describe(model)->classes;
    fflush(stdout);
    output_note();
    fprintf(stderr, "note: %s: its class %lld is '%s', %s%s%s: the truth is told by its number\n",
            file, (long long)k, v->labels[k],
            beyond ? "which the model does not have" : "and the model's is '",
            beyond ? "" : output_name(name, tub_model_labels(model)[k]), beyond ? "" : "'");
}

static tub_status classify_file(predict_printer *printer, tub_context *ctx, const predictor *p,
                                const char *file, const predict_options *o, tub_error *err) {
    const tub_model_config *c = tub_model_describe(p->list[0]);
    const int64_t want[4] = {c->frames, c->height, c->width, c->channels};
    tub_volumes v;
    tub_status status = tub_volumes_read(ctx, file, want, &v, err);
    if (status != TUB_OK) {
        return status;
    }
    const int64_t other = v.truth != NULL ? first_other_name(p->list[0], &v) : -1;
    const predict_block block = {
        file,   v.first, v.count,         v.dtype,   {v.frames, v.height, v.width, v.channels},
        v.data, v.truth, v.truth_columns, other >= 0};
    status = predictor_check_shape(p, file, &block, err);
    if (status == TUB_OK && other >= 0 && !o->common.quiet) {
        tell_other_name(file, &v, other, p->list[0]);
    }
    if (status == TUB_OK && o->no_preprocess && v.dtype != TUB_F32) {
        err->status = status = TUB_E_SHAPE;
        snprintf(err->message, sizeof err->message,
                 "%.300s: --no-preprocess takes float32 values, the file has uint8; leave the "
                 "option away",
                 file);
    } else if (status == TUB_OK) {
        status = predictor_classify(p, printer, &block, err);
    }
    tub_volumes_free(&v);
    return status;
}

/* A volume in an array is taken as it is, unless the model was trained on files or an option
 * asks for more. */
static bool is_volume(const tub_model *model, const predict_options *o, const char *file) {
    const bool as_file = tub_model_takes_files(model) || o->taking.sampled || o->taking.window > 0;
    return predict_is_array(file) && (!as_file || o->no_preprocess);
}

/* One volume in an array, or as many other files as follow each other. */
static int classify_some(const cli_command *self, predict_printer *printer, cli_work *work,
                         const predictor *p, const predict_options *o, int first, int *n,
                         int *bad) {
    const char *const *files = o->files + first;
    tub_model *model = p->list[0];
    tub_error err;
    *n = 1;
    if (!is_volume(model, o, files[0])) {
        if (o->no_preprocess) {
            (*bad)++;
            (void)cli_fail_with(self,
                                "%s: --no-preprocess takes float32 values in .npy and .npz "
                                "files; leave the option away",
                                files[0]);
            return CLI_DONE;
        }
        while (first + *n < o->count && !is_volume(model, o, files[*n])) {
            (*n)++;
        }
        return predict_clips(self, work, printer, p, &o->taking, files, *n, bad);
    }
    if (classify_file(printer, work->context, p, files[0], o, &err) != TUB_OK) {
        fflush(stdout); /* the sentence stands where the file would */
        output_note();
        (void)cli_fail(self, &err);
        (*bad)++;
    }
    return CLI_DONE;
}

/* Every file; a bad one is named and counted, and the work goes on. */
static int classify_files(const cli_command *self, predict_printer *printer, cli_work *work,
                          const predictor *p, const predict_options *o) {
    int bad = 0, n;
    for (int i = 0; i < o->count; i += n) {
        const int code = classify_some(self, printer, work, p, o, i, &n, &bad);
        if (code != CLI_DONE) {
            return code;
        }
    }
    if (bad > 0 && o->count > 1) {
        (void)cli_fail_with(self, "%d of %d files could not be classified", bad, o->count);
    }
    return bad > 0 ? CLI_FAILED : CLI_DONE;
}

static int classify_data(const cli_command *self, predict_printer *printer, cli_work *work,
                         const predictor *p, const predict_options *o) {
    tub_model *model = p->list[0];
    tub_dataset *data = NULL;
    tub_error err;
    int own;
    const members_data which = {o->data, o->data_url, o->members.split_seed, o->split};
    int code = members_open_data(self, work->context, &p->members, model, &which, &data, &own);
    if (code != CLI_GO) {
        tub_dataset_close(data);
        return code;
    }
    const tub_dataset_info *info = tub_dataset_describe(data);
    const tub_model_config *c = tub_model_describe(model);
    int64_t count = info->count[o->split];
    tub_status status = TUB_OK;
    code = CLI_DONE;
    if (count == 0) {
        code = cli_fail_with(self, "%s has no %s split", o->data, tub_split_name(o->split));
    } else {
        const predict_block block = {o->data,
                                     0,
                                     o->first > 0 && o->first < count ? o->first : count,
                                     info->dtype,
                                     {info->frames, info->height, info->width, info->channels},
                                     tub_dataset_samples(data, o->split),
                                     tub_dataset_labels(data, o->split),
                                     info->label_columns,
                                     false};
        (void)live_clear();
        if (tub_model_labels(model) == NULL && info->classes == c->classes) {
            printer->labels = info->labels;
        }
        status = tub_predict_check_classes(model, data, &err);
        if (status == TUB_OK) {
            status = predictor_check_shape(p, o->data, &block, &err);
        }
        if (status == TUB_OK) {
            status = block.samples != NULL && !o->taking.sampled
                         ? predictor_classify(p, printer, &block, &err)
                         : predictor_classify_files(p, printer, data, o->split,
                                                    o->taking.sampled ? &o->taking.file : NULL,
                                                    &block, &err);
        }
    }
    if (status != TUB_OK) {
        code = cli_fail(self, &err);
    }
    tub_dataset_close(data);
    return code;
}

static int fail_swapped(const cli_command *self, const char *model, const char *volume) {
    char program[SHELL_ROOM], first[SHELL_ROOM], second[SHELL_ROOM];
    return cli_fail_with(self, "%s is a model folder: give it first, as in %s predict %s %s", model,
                         shell_program(program), shell_path(first, model),
                         shell_path(second, volume));
}

static int print_all(const cli_command *self, cli_work *work, const predictor *p,
                     const predict_options *o) {
    const subject *s = &p->members.list[0].subject;
    predict_printer printer;
    int code = CLI_FAILED;
    const predict_format format = o->common.json ? PREDICT_JSON
                                  : o->csv       ? PREDICT_CSV
                                                 : PREDICT_TEXT;
    if (predict_printer_open(&printer, format, p->list[0])) {
        printer.weights = p->members.count == 1 ? s->weights : NULL;
        code = o->data != NULL ? classify_data(self, &printer, work, p, o)
                               : classify_files(self, &printer, work, p, o);
    } else {
        code = cli_fail_with(self, "out of memory");
    }
    predict_printer_close(&printer);
    return code;
}

static int open_and_classify(const cli_command *self, cli_work *work, void *parsed) {
    const predict_options *o = parsed;
    predictor p = {.average = o->members.average};
    if (o->count > 0 && !subject_is_model(o->model) && subject_is_model(o->files[0])) {
        return fail_swapped(self, o->files[0], o->model);
    }
    int code = members_resolve(self, work->context, o->models, o->model_count + 1, &o->members,
                               &p.members);
    if (code == CLI_GO) {
        code = predictor_open(self, work, &p);
    }
    if (code == CLI_GO) {
        const subject *s = &p.members.list[0].subject;
        if (p.members.count > 1 && !o->common.quiet && !o->common.json) {
            fprintf(stderr, "The mean %s of %d models\n", tub_average_name(o->members.average),
                    p.members.count);
        } else if (s->is_run && !o->common.quiet && !o->common.json) {
            fprintf(stderr, "%s (%s weights)\n", s->folder, s->weights);
        }
        code = print_all(self, work, &p, o);
    }
    predictor_close(&p);
    return code;
}

static int run(const cli_command *self, int argc, char **argv) {
    predict_options o = {.split = TUB_TEST,
                         .members = members_options_default(),
                         .taking = predict_taking_default()};
    o.files = calloc((size_t)argc + 1, sizeof *o.files);
    o.models = calloc((size_t)argc + 1, sizeof *o.models);
    int code = o.files == NULL || o.models == NULL
                   ? cli_fail_with(self, "out of memory")
                   : cli_run(self, argc, argv, &o, open_and_classify);
    free(o.models);
    free(o.files);
    return code;
}

const cli_command cli_predict = {
    .name = "predict",
    .arguments = "MODEL FILE...\nMODEL --data NAME",
    .summary = "classifies videos and volumes",
    .description =
        "FILE is a video, an animation, a picture, a folder of pictures, a NIfTI volume; or a .npy "
        "of "
        "one volume or a stack, a .npz with one array, or a member of one: set.npz:test_images, "
        "set.npz:test_images[5], set.npz:test_images[5:10]. FILE - is a video on the standard "
        "input. "
        "A bad file among many is named and the work goes on; the exit code is 1 then.",
    .examples = "  tubelet predict runs/first volume.npy\n"
                "  tubelet predict runs/fight *.mp4 --csv > classes.csv\n"
                "  tubelet predict runs/fight long.mp4 --window 2s --hop 1s\n"
                "  tubelet predict runs/fight clip.mp4 --views 4 --crops 3\n"
                "  cat long.mp4 | tubelet predict runs/fight - --window 2s\n"
                "  tubelet predict runs/first organmnist3d.npz:test_images[5] --json\n"
                "  tubelet predict runs/first --data phantom3d --split test --first 5\n"
                "  tubelet predict runs/first volume.npy --weights best\n"
                "  tubelet predict runs/first volume.npy --with runs/second --tta shift\n"
                "  tubelet predict runs/first *.npy --csv > classes.csv",
    .options = options,
    .parser = parse,
    .run = run,
};
