/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet predict: classes and probabilities of volumes in files or of a data set's split. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "output.h"
#include "predict_files.h"
#include "predict_print.h"
#include "shell.h"
#include "subject.h"

enum { KEY_CSV = CLI_KEY_OWN, KEY_NO_PREPROCESS, KEY_WEIGHTS, KEY_SPLIT, KEY_FIRST, KEY_DATA_URL };

static const struct argp_option options[] = {
    {"csv", KEY_CSV, NULL, 0, "Print comma-separated values with a header line", 1},
    {"weights", KEY_WEIGHTS, "WHICH", 0, "last or best of a run (default: as its recipe says)", 1},
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
    const char *model, *data, *weights;
    tub_dataset_options data_options;
    tub_split split;
    long first;
    bool csv, no_preprocess, split_given;
    predict_taking taking;
    const char **files;
    int count;
} predict_options;

/* Options that contradict each other, once all are read. */
static error_t check(predict_options *o, struct argp_state *state) {
    if (o->model == NULL) {
        return cli_misuse(state, "needs a model folder and files to classify");
    }
    if (o->data == NULL && o->count == 0) {
        return cli_misuse(state, "nothing to classify; name files, or a data set with --data");
    }
    if (o->data != NULL && o->count > 0) {
        return cli_misuse(state, "--data and files contradict each other; give one of them");
    }
    if (o->data == NULL && (o->split_given || o->first > 0)) {
        return cli_misuse(state, "%s works with --data only",
                          o->split_given ? "--split" : "--first");
    }
    if (o->data != NULL && o->no_preprocess) {
        return cli_misuse(state, "--no-preprocess works with files only");
    }
    if (o->csv && o->common.json) {
        return cli_misuse(state, "--csv and --json contradict each other");
    }
    if (o->data != NULL && (o->taking.sampled || o->taking.window > 0)) {
        return cli_misuse(state, "views, sampling and windows work with files only");
    }
    if (o->no_preprocess && (o->taking.sampled || o->taking.window > 0)) {
        return cli_misuse(state, "--no-preprocess takes values as they are; sampling and windows "
                                 "contradict it");
    }
    return predict_taking_check(&o->taking, state);
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    predict_options *o = state->input;
    tub_error err;
    switch (key) {
    case KEY_CSV:
        o->csv = true;
        return 0;
    case KEY_NO_PREPROCESS:
        o->no_preprocess = true;
        return 0;
    case KEY_WEIGHTS:
        return subject_parse_weights(&o->weights, argument, state);
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
        o->data_options.data_url = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (o->model == NULL) {
            o->model = argument;
        } else {
            o->files[o->count++] = argument;
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

/* Labels of a volume, where the file has as many as the model's task. */
static const int32_t *truth_of(const predict_block *block, const tub_model_config *c, int64_t i) {
    return block->truth != NULL && block->truth_columns == predict_columns(c)
               ? block->truth + i * block->truth_columns
               : NULL;
}

/* Volumes of a block at a time: the first lines appear at once and memory stays small, more so where
 * each has a copy that is prepared. A batch's size changes no bit. */
enum { BATCH = 32, PREPARED_BATCH = 4 };

/* Classifies n volumes from x on. prepared: room for them as the model takes them; NULL: they are. */
static tub_status classify_batch(tub_model *model, const predict_block *block, int64_t n,
                                 const void *x, float *prepared, float *logits,
                                 float *probabilities, tub_error *err) {
    if (prepared == NULL) {
        return tub_model_forward(model, n, block->dtype, x, logits, probabilities, err);
    }
    const tub_status status = tub_model_prepare(model, n, block->shape, x, prepared, err);
    return status != TUB_OK
               ? status
               : tub_model_forward(model, n, TUB_F32, prepared, logits, probabilities, err);
}

/* The same of all, printing each. out: room for a batch's logits and probabilities. */
static tub_status classify_all(predict_printer *printer, tub_model *model,
                               const predict_block *block, float *prepared, float *out,
                               tub_error *err) {
    const tub_model_config *c = tub_model_describe(model);
    const int64_t *shape = block->shape, classes = c->classes;
    const size_t element = block->dtype == TUB_U8 ? 1 : sizeof(float);
    const size_t volume = (size_t)(shape[0] * shape[1] * shape[2] * shape[3]) * element;
    const int64_t most = prepared != NULL ? PREPARED_BATCH : BATCH;
    float *probabilities = out + BATCH * classes;
    tub_status status = TUB_OK;
    for (int64_t i = 0; i < block->count && status == TUB_OK; i += most) {
        const int64_t n = block->count - i < most ? block->count - i : most;
        const double start = predict_clock();
        status = classify_batch(model, block, n, (const char *)block->samples + (size_t)i * volume,
                                prepared, out, probabilities, err);
        const double milliseconds = (predict_clock() - start) * 1e3 / (double)n;
        for (int64_t k = 0; k < n && status == TUB_OK; k++) {
            const predict_line line = {.file = block->file,
                                       .index = block->first + i + k,
                                       .truth = truth_of(block, c, i + k),
                                       .logits = out + k * classes,
                                       .probabilities = probabilities + k * classes,
                                       .milliseconds = milliseconds};
            predict_print(printer, &line);
        }
    }
    return status;
}

static tub_status classify(predict_printer *printer, tub_model *model, const predict_block *block,
                           tub_error *err) {
    const tub_model_config *c = tub_model_describe(model);
    const bool prepares = block->dtype == TUB_U8 && tub_model_prepares(model);
    const size_t input = (size_t)(c->frames * c->height * c->width * c->channels);
    float *out = calloc((size_t)c->classes * 2 * BATCH, sizeof(float));
    float *prepared = prepares ? calloc(input, PREPARED_BATCH * sizeof(float)) : NULL;
    tub_status status = TUB_E_MEMORY;
    if (out == NULL || (prepares && prepared == NULL)) {
        *err = (tub_error){.status = TUB_E_MEMORY, .message = "out of memory"};
    } else {
        status = classify_all(printer, model, block, prepared, out, err);
    }
    free(prepared);
    free(out);
    return status;
}

/* The library's sentence, with the name of what does not fit before it. */
static tub_status check_shape(const tub_model *model, const char *name, const predict_block *block,
                              tub_error *err) {
    tub_error plain;
    const tub_status status = tub_model_accepts(model, block->dtype, block->shape, &plain);
    if (status != TUB_OK) {
        err->status = status;
        snprintf(err->message, sizeof err->message, "%.200s: %.300s", name, plain.message);
    }
    return status;
}

static tub_status classify_file(predict_printer *printer, tub_context *ctx, tub_model *model,
                                const char *file, bool as_is, tub_error *err) {
    const tub_model_config *c = tub_model_describe(model);
    const int64_t want[4] = {c->frames, c->height, c->width, c->channels};
    tub_volumes v;
    tub_status status = tub_volumes_read(ctx, file, want, &v, err);
    if (status != TUB_OK) {
        return status;
    }
    const predict_block block = {
        file,   v.first, v.count,        v.dtype, {v.frames, v.height, v.width, v.channels},
        v.data, v.truth, v.truth_columns};
    status = check_shape(model, file, &block, err);
    if (status == TUB_OK && as_is && v.dtype != TUB_F32) {
        err->status = status = TUB_E_SHAPE;
        snprintf(err->message, sizeof err->message,
                 "%.300s: --no-preprocess takes float32 values, the file has uint8; leave the "
                 "option away",
                 file);
    } else if (status == TUB_OK) {
        status = classify(printer, model, &block, err);
    }
    tub_volumes_free(&v);
    return status;
}

/* A volume in an array is taken as it is, unless the model was trained on files or an option asks for
 * more. */
static bool is_volume(const tub_model *model, const predict_options *o, const char *file) {
    const bool as_file = tub_model_takes_files(model) || o->taking.sampled || o->taking.window > 0;
    return predict_is_array(file) && (!as_file || o->no_preprocess);
}

/* One volume in an array, or as many other files as follow each other. */
static int classify_some(const cli_command *self, predict_printer *printer, cli_work *work,
                         tub_model *model, const predict_options *o, int first, int *n, int *bad) {
    const char *const *files = o->files + first;
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
        return predict_clips(self, printer, model, &o->taking, files, *n, bad);
    }
    if (classify_file(printer, work->context, model, files[0], o->no_preprocess, &err) != TUB_OK) {
        fflush(stdout); /* the sentence stands where the file would */
        output_note();
        (void)cli_fail(self, &err);
        (*bad)++;
    }
    return CLI_DONE;
}

/* Every file; a bad one is named and counted, and the work goes on. */
static int classify_files(const cli_command *self, predict_printer *printer, cli_work *work,
                          tub_model *model, const predict_options *o) {
    int bad = 0, n;
    for (int i = 0; i < o->count; i += n) {
        const int code = classify_some(self, printer, work, model, o, i, &n, &bad);
        if (code != CLI_DONE) {
            return code;
        }
    }
    if (bad > 0 && o->count > 1) {
        (void)cli_fail_with(self, "%d of %d files could not be classified", bad, o->count);
    }
    return bad > 0 ? CLI_FAILED : CLI_DONE;
}

/* Samples in files: the library reads them and takes them as the model does, a few at a time. */
static tub_status classify_samples(predict_printer *printer, tub_model *model,
                                   const tub_dataset *data, tub_split split,
                                   const predict_block *whole, tub_error *err) {
    const tub_model_config *c = tub_model_describe(model);
    float *out = calloc((size_t)c->classes * 2 * PREPARED_BATCH, sizeof(float));
    tub_status status = TUB_OK;
    if (out == NULL) {
        *err = (tub_error){.status = TUB_E_MEMORY, .message = "out of memory"};
        return TUB_E_MEMORY;
    }
    float *probabilities = out + PREPARED_BATCH * c->classes;
    for (int64_t i = 0; i < whole->count && status == TUB_OK; i += PREPARED_BATCH) {
        const int64_t n = whole->count - i < PREPARED_BATCH ? whole->count - i : PREPARED_BATCH;
        const double start = predict_clock();
        status = tub_predict_samples(model, data, split, i, n, n, out, probabilities, err);
        const double milliseconds = (predict_clock() - start) * 1e3 / (double)n;
        for (int64_t k = 0; k < n && status == TUB_OK; k++) {
            tub_file file;
            status =
                tub_dataset_file(data, tub_dataset_sample_file(data, split, i + k), &file, err);
            if (status == TUB_OK) {
                const predict_line line = {.file = file.path,
                                           .index = i + k,
                                           .truth = truth_of(whole, c, i + k),
                                           .logits = out + k * c->classes,
                                           .probabilities = probabilities + k * c->classes,
                                           .milliseconds = milliseconds};
                predict_print(printer, &line);
            }
        }
    }
    free(out);
    return status;
}

static int classify_data(const cli_command *self, predict_printer *printer, cli_work *work,
                         tub_model *model, const predict_options *o, uint64_t split_seed) {
    tub_dataset *data = NULL;
    tub_error err;
    tub_dataset_options opening = tub_model_dataset_options(model);
    opening.data_url = o->data_options.data_url;
    opening.split_seed = split_seed;
    if (tub_dataset_open(work->context, o->data, &opening, &data, &err) != TUB_OK) {
        return cli_fail(self, &err);
    }
    const tub_dataset_info *info = tub_dataset_describe(data);
    const tub_model_config *c = tub_model_describe(model);
    int64_t count = info->count[o->split];
    tub_status status = TUB_OK;
    int code = CLI_DONE;
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
                                     info->label_columns};
        progress_clear(&work->progress);
        if (tub_model_labels(model) == NULL && info->classes == c->classes) {
            printer->labels = info->labels;
        }
        status = check_shape(model, o->data, &block, &err);
        if (status == TUB_OK) {
            status = block.samples != NULL
                         ? classify(printer, model, &block, &err)
                         : classify_samples(printer, model, data, o->split, &block, &err);
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

static int open_and_classify(const cli_command *self, cli_work *work, void *parsed) {
    const predict_options *o = parsed;
    tub_model *model = NULL;
    tub_error err;
    subject s;
    if (o->count > 0 && !subject_is_model(o->model) && subject_is_model(o->files[0])) {
        return fail_swapped(self, o->files[0], o->model);
    }
    int code = subject_resolve(self, work->context, o->model, o->weights, &s);
    if (code != CLI_GO) {
        return code;
    }
    if (tub_model_open(work->context, s.folder, &model, &err) != TUB_OK) {
        return cli_fail(self, &err);
    }
    if (s.is_run && !o->common.quiet && !o->common.json) {
        fprintf(stderr, "%s (%s weights)\n", s.folder, s.weights);
    }
    predict_printer printer;
    const predict_format format = o->common.json ? PREDICT_JSON
                                  : o->csv       ? PREDICT_CSV
                                                 : PREDICT_TEXT;
    if (predict_printer_open(&printer, format, model)) {
        printer.weights = s.weights;
        code = o->data != NULL ? classify_data(self, &printer, work, model, o,
                                               s.is_run ? s.config.split_seed : 0)
                               : classify_files(self, &printer, work, model, o);
    } else {
        code = cli_fail_with(self, "out of memory");
    }
    predict_printer_close(&printer);
    tub_model_close(model);
    return code;
}

static int run(const cli_command *self, int argc, char **argv) {
    predict_options o = {.data_options = tub_dataset_options_default(),
                         .split = TUB_TEST,
                         .taking = predict_taking_default()};
    o.files = calloc((size_t)argc + 1, sizeof *o.files);
    if (o.files == NULL) {
        return cli_fail_with(self, "out of memory");
    }
    int code = cli_run(self, argc, argv, &o, open_and_classify);
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
        "set.npz:test_images[5], set.npz:test_images[5:10]. A bad file among many is named and the "
        "work goes on; the exit code is 1 then.",
    .examples = "  tubelet predict runs/first volume.npy\n"
                "  tubelet predict runs/fight *.mp4 --csv > classes.csv\n"
                "  tubelet predict runs/fight long.mp4 --window 2s --hop 1s\n"
                "  tubelet predict runs/fight clip.mp4 --views 4 --crops 3\n"
                "  tubelet predict runs/first organmnist3d.npz:test_images[5] --json\n"
                "  tubelet predict runs/first --data phantom3d --split test --first 5\n"
                "  tubelet predict runs/first volume.npy --weights best",
    .options = options,
    .parser = parse,
    .run = run,
};
