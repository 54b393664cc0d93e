/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet info: what a model, a preset, a data set or this machine is. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "info_files.h"
#include "info_folds.h"
#include "info_print.h"
#include "output.h"
#include "place.h"
#include "report/data_page.h"
#include "run_facts.h"
#include "settings.h"
#include "subject.h"
#include "train_folds.h"

enum {
    KEY_ARRAYS = CLI_KEY_OWN,
    KEY_BATCH,
    KEY_MICRO,
    KEY_RECOMPUTE,
    KEY_PRECISION,
    KEY_SHEET,
    KEY_RECIPE,
    KEY_SAMPLES,
    KEY_VERSIONS,
    KEY_EPOCH,
    KEY_OUT,
    KEY_HTML
};

static const struct argp_option options[] = {
    {"arrays", KEY_ARRAYS, NULL, 0, "List every parameter array of the model", 1},
    {"batch-size", KEY_BATCH, "N", 0, "Batch for the memory of training (default 32)", 1},
    {"micro-batch", KEY_MICRO, "N", 0, "Samples of it computed at once (default: all)", 1},
    {"recompute", KEY_RECOMPUTE, NULL, 0, "For training that recomputes its blocks", 1},
    {"precision", KEY_PRECISION, "f32|bf16", 0, "For training in this precision (default f32)", 1},
    {"html", KEY_HTML, "FILE", 0,
     "Of a data set: write a page with moving samples of each class, too", 2},
    {"show-augmented", KEY_SHEET, NULL, 0,
     "Of a data set: write a picture of samples beside what training makes of them", 2},
    {"recipe", KEY_RECIPE, "FILE", 0, "With --show-augmented: settings of a training", 2},
    {"samples", KEY_SAMPLES, "N", 0, "With --show-augmented: rows (default 8)", 2},
    {"versions", KEY_VERSIONS, "N", 0,
     "With --show-augmented: clips of each, one an epoch (default 6)", 2},
    {"epoch", KEY_EPOCH, "N", 0, "With --show-augmented: the first epoch shown (default 1)", 2},
    {"out", KEY_OUT, "FILE", 0, "With --show-augmented: where it goes (default augmented.png)", 2},
    CLI_OPTIONS_COMPUTE,
    CLI_OPTIONS_TALK,
    {0}};

typedef struct info_options {
    cli_common common;
    const char *what;
    tub_train_config training; /* what its memory is told of */
    bool arrays;
    settings settings; /* of a preset's model, or for the sheet */
    bool sheet;
    tub_sheet_options sheet_options;
    bool batch_given;
    const char *recipe, *out, *html; /* NULL: not given */
    const char *sheet_word; /* an option that is for the sheet alone; NULL: none was given */
} info_options;

static error_t set(info_options *o, const char *key, const char *text, struct argp_state *state) {
    tub_error err;
    if (tub_train_config_set(&o->training, key, text, &err) != TUB_OK) {
        return cli_misuse(state, "%s", err.message);
    }
    return 0;
}

static error_t set_count(info_options *o, const char *option, long most, const char *text,
                         int64_t *out, struct argp_state *state) {
    long number = 0;
    o->sheet_word = option;
    if (!cli_parse_int(state, option, text, 1, most, &number)) {
        return ECANCELED;
    }
    *out = number;
    return 0;
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    info_options *o = state->input;
    const error_t taken = settings_parse(&o->settings, key, argument, state);
    if (taken != ARGP_ERR_UNKNOWN) {
        return taken;
    }
    switch (key) {
    case KEY_ARRAYS:
        o->arrays = true;
        return 0;
    case KEY_BATCH:
        o->batch_given = true;
        return set(o, "batch_size", argument, state);
    case KEY_MICRO:
        return set(o, "micro_batch", argument, state);
    case KEY_RECOMPUTE:
        return set(o, "recompute", "true", state);
    case KEY_PRECISION:
        return set(o, "precision", argument, state);
    case KEY_SHEET:
        o->sheet = true;
        return 0;
    case KEY_RECIPE:
        o->sheet_word = "--recipe";
        return cli_parse_name(&o->recipe, "--recipe", argument, state);
    case KEY_OUT:
        o->sheet_word = "--out";
        return cli_parse_name(&o->out, "--out", argument, state);
    case KEY_HTML:
        return cli_parse_name(&o->html, "--html", argument, state);
    case KEY_SAMPLES:
        return set_count(o, "--samples", TUB_SHEET_SAMPLES, argument, &o->sheet_options.samples,
                         state);
    case KEY_VERSIONS:
        return set_count(o, "--versions", TUB_SHEET_VERSIONS, argument, &o->sheet_options.versions,
                         state);
    case KEY_EPOCH:
        return set_count(o, "--epoch", 1000000, argument, &o->sheet_options.epoch, state);
    case ARGP_KEY_ARG:
        return cli_parse_argument(&o->what, argument, state);
    default:
        return cli_parse_common(key, argument, state);
    }
}

/* A folder of int8 weights opens in a context of that precision only: *whole, which stays NULL for
 * others. */
static tub_status open_any(tub_context *ctx, const info_options *o, tub_context **whole,
                           tub_model **model, tub_error *err) {
    tub_error again;
    tub_status status = tub_model_open(ctx, o->what, model, err);
    if (status != TUB_E_UNSUPPORTED ||
        cli_context_in(&o->common, TUB_PRECISION_INT8, whole, &again) != TUB_OK) {
        return status;
    }
    if (tub_model_open(*whole, o->what, model, &again) == TUB_OK) {
        return TUB_OK;
    }
    tub_context_destroy(*whole);
    *whole = NULL;
    return status;
}

/* The page is of a data set. */
static int refuse_page(const cli_command *self, const info_options *o) {
    if (o->html == NULL) {
        return CLI_GO;
    }
    (void)cli_fail_with(self, "--html writes a page about a data set, and %s%s",
                        o->what != NULL ? o->what : "none is named",
                        o->what != NULL ? " is none; tubelet report writes one about a run" : "");
    return CLI_MISUSE;
}

static int show_model(const cli_command *self, tub_context *ctx, const info_options *o,
                      const tub_model_config *preset) {
    tub_model *model = NULL;
    tub_error err;
    int code = refuse_page(self, o);
    if (code != CLI_GO) {
        return code;
    }
    code = CLI_DONE;
    run_facts run;
    bool is_run = preset == NULL && run_facts_is_run(o->what);
    if (is_run && run_facts_read(ctx, o->what, &run, &err) != TUB_OK) {
        return cli_fail_setting(self, &err); /* a recipe like any other */
    }
    /* A preset needs memory for its parameters only when their arrays are listed. */
    tub_status status = TUB_OK;
    tub_context *whole = NULL;
    if (preset == NULL) {
        status = open_any(ctx, o, &whole, &model, &err);
    } else if (o->arrays) {
        status = tub_model_create(ctx, preset, 0, &model, &err);
    }
    info_model m = {.name = o->what,
                    .batch = o->training.batch_size,
                    .model = model,
                    .arrays = o->arrays,
                    .int8 = whole != NULL,
                    .run = is_run ? &run : NULL};
    if (status == TUB_OK) {
        m.config = preset != NULL ? preset : tub_model_describe(model);
        status = tub_model_cost_of(m.config, 1, &m.cost, &err);
    }
    if (status == TUB_OK) {
        tub_train_config training = o->training;
        training.model = *m.config;
        status = tub_train_memory_of(&training, NULL, tub_context_threads(ctx), &m.memory, &err);
    }
    if (status != TUB_OK) {
        code = cli_fail_setting(self, &err);
    } else if (o->common.json) {
        code = cli_print_json(self, info_model_json(&m));
    } else {
        info_print_model(&m);
    }
    tub_model_close(model);
    tub_context_destroy(whole);
    return code;
}

/* The settings that a data set is opened with. */
static bool is_split_seed(const tub_option *setting) {
    return strcmp(setting->key, "split_seed") == 0;
}

/* Of sets of files. */
static bool is_clip_setting(const tub_option *setting) {
    const char *key = setting->key;
    return strncmp(key, "clip.", 5) == 0 || strcmp(key, "model.frames") == 0 ||
           strcmp(key, "model.height") == 0 || strcmp(key, "model.width") == 0;
}

/* CLI_GO, or the exit code after a sentence: nothing else is split. */
static int refuse_split_seed(const cli_command *self, const info_options *o) {
    if (settings_find(&o->settings, "split_seed") == NULL) {
        return CLI_GO;
    }
    if (o->what == NULL) {
        (void)cli_fail_with(self, "--split-seed is for a data set, and none is named");
    } else {
        (void)cli_fail_with(self, "--split-seed is for a data set, which %s is not", o->what);
    }
    return CLI_MISUSE;
}

static const tub_known_dataset *known(const char *name) {
    size_t n = 0;
    const tub_known_dataset *table = tub_known_datasets(&n);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(table[i].name, name) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

/* Training says it, too; and here is where one looks at a new file. */
static void warn_layout(const tub_dataset_info *info) {
    if (info->channels_first) {
        fprintf(stderr,
                "tubelet info: warning: %s: samples of [%lld,%lld,%lld,%lld] look like channels "
                "first; tubelet takes channels last, [T,H,W,C]\n",
                info->name, (long long)info->frames, (long long)info->height,
                (long long)info->width, (long long)info->channels);
    }
}

/* A seed that is given and changes nothing is a mistake. */
static void warn_split_seed(const info_options *o, const tub_dataset *data) {
    if (settings_find(&o->settings, "split_seed") != NULL && !tub_dataset_split_by_seed(data)) {
        fprintf(stderr,
                "tubelet info: warning: --split-seed has no effect: %s says its splits itself\n",
                tub_dataset_describe(data)->name);
    }
}

static void warn_clip_settings(const info_options *o, const tub_dataset *data) {
    for (int i = 0; i < o->settings.count && tub_dataset_files(data) == 0; i++) {
        char option[48];
        if (is_clip_setting(o->settings.given[i].setting)) {
            cli_setting_name(o->settings.given[i].setting->key, option, sizeof option);
            fprintf(stderr, "tubelet info: warning: --%s has no effect but on a set of files\n",
                    option);
        }
    }
}

static int print_data(const cli_command *self, const tub_dataset *data, uint64_t split_seed) {
    info_print_data(tub_dataset_describe(data));
    return info_print_files(data, split_seed) ? CLI_DONE : cli_fail_with(self, "out of memory");
}

/* NULL: no memory. */
static json_t *data_json(const tub_dataset *data, uint64_t split_seed) {
    json_t *object = info_data_json(tub_dataset_describe(data));
    if (object != NULL && tub_dataset_files(data) > 0 &&
        json_object_set_new(object, "files", info_files_json(data, split_seed)) != 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static int show_data(const cli_command *self, tub_context *ctx, const info_options *o) {
    tub_dataset_options offline = tub_dataset_options_default();
    tub_dataset *data = NULL;
    tub_error err;
    offline.offline = 1; /* info tells, it does not download */
    offline.quiet = 1;   /* it names all files that can't be read itself */
    tub_train_config config = tub_train_config_default();
    if (settings_apply(&o->settings, NULL, &config, &err) != TUB_OK) {
        return cli_fail_setting(self, &err);
    }
    offline.split_seed = config.split_seed;
    offline.clip = tub_train_dataset_options(&config).clip;
    int code = CLI_DONE;
    if (tub_dataset_open(ctx, o->what, &offline, &data, &err) == TUB_OK) {
        const tub_dataset_info *info = tub_dataset_describe(data);
        warn_layout(info);
        warn_split_seed(o, data);
        warn_clip_settings(o, data);
        code = o->html != NULL ? data_page_write(self, ctx, data, o->html) : CLI_GO;
        if (code == CLI_GO) {
            code = o->common.json ? cli_print_json(self, data_json(data, offline.split_seed))
                                  : print_data(self, data, offline.split_seed);
        }
        tub_dataset_close(data);
        return code;
    }
    const tub_known_dataset *k = known(o->what);
    if (k == NULL || o->html != NULL ||
        (err.status != TUB_E_NOT_FOUND && err.status != TUB_E_NETWORK)) {
        return cli_fail(self, &err);
    }
    if (o->common.json) {
        return cli_print_json(self, info_known_json(k));
    }
    info_print_known(k);
    return CLI_DONE;
}

static int show_machine(const cli_command *self, tub_context *ctx, bool json) {
    tub_machine machine;
    tub_machine_describe(&machine);
    if (json) {
        return cli_print_json(self, info_machine_json(ctx, &machine));
    }
    info_print_machine(ctx, &machine);
    return CLI_DONE;
}

/* What can be named: presets and data sets. */
static const char *name_word(const void *words, size_t index) {
    static const char *const presets[] = {"vivit-tiny", "vivit-b", "vivit-l", "vivit-h"};
    enum { PRESETS = sizeof presets / sizeof *presets };
    size_t n = 0;
    const tub_known_dataset *k = tub_known_datasets(&n);
    (void)words;
    if (index < n + PRESETS) {
        return index < n ? k[index].name : presets[index - n];
    }
    const char *built_in = tub_built_in_dataset(index - n - PRESETS);
    return built_in != NULL ? built_in : "";
}

static bool is_built_in(const char *name) {
    const char *built_in = "";
    for (size_t i = 0; built_in != NULL && strcmp(name, built_in) != 0; i++) {
        built_in = tub_built_in_dataset(i);
    }
    return built_in != NULL;
}

static int fail_unknown(const cli_command *self, const char *what) {
    enum { WORDS = 32 }; /* more than there are */
    size_t near = tub_nearest(what, NULL, WORDS, name_word);
    if (near < WORDS) {
        return cli_fail_with(self,
                             "'%s' is no model folder, preset, data set or file; did you mean "
                             "'%s'?",
                             what, name_word(NULL, near));
    }
    return cli_fail_with(self,
                         "'%s' is no model folder, preset (vivit-tiny, vivit-b, vivit-l, vivit-h), "
                         "data set (tubelet fetch lists them) or file",
                         what);
}

/* Settings change a preset: what is already there is as it is. */
static int refuse_settings(const cli_command *self, const info_options *o, bool data) {
    char option[48];
    int i = 0;
    while (i < o->settings.count && (is_split_seed(o->settings.given[i].setting) ||
                                     (data && is_clip_setting(o->settings.given[i].setting)))) {
        i++;
    }
    if (i == o->settings.count) {
        return CLI_GO;
    }
    cli_setting_name(o->settings.given[i].setting->key, option, sizeof option);
    if (o->what == NULL) {
        (void)cli_fail_with(self, "--%s changes a preset, and none is named", option);
    } else {
        (void)cli_fail_with(self, "--%s changes a preset, which %s is not", option, o->what);
    }
    return CLI_MISUSE;
}

/* A preset's model with the settings that were given. */
static int show_preset(const cli_command *self, tub_context *ctx, const info_options *o,
                       const tub_model_config *preset) {
    tub_train_config config = tub_train_config_default();
    tub_error err;
    config.model = *preset;
    tub_status status = settings_apply(&o->settings, NULL, &config, &err);
    if (status == TUB_OK) {
        status = tub_model_config_check(&config.model, &err);
    }
    return status == TUB_OK ? show_model(self, ctx, o, &config.model)
                            : cli_fail_setting(self, &err);
}

/* Samples beside what a training with these settings makes of them. */
static int show_augmented(const cli_command *self, tub_context *ctx, const info_options *o) {
    tub_train_config config = tub_train_config_default();
    tub_error err;
    const char *out = o->out != NULL ? o->out : "augmented.png";
    if (o->what == NULL) {
        (void)cli_fail_with(self, "--show-augmented needs a data set");
        return CLI_MISUSE;
    }
    tub_status status = o->recipe != NULL ? tub_recipe_read(ctx, o->recipe, &config, &err) : TUB_OK;
    if (o->batch_given) {
        config.batch_size = o->training.batch_size; /* an option, which wins over the recipe */
    }
    if (status == TUB_OK) {
        status = settings_apply(&o->settings, NULL, &config, &err);
    }
    if (status == TUB_OK) {
        status = tub_train_config_set(&config, "data", o->what, &err);
    }
    if (status == TUB_OK) {
        status = tub_train_config_check(&config, &err);
    }
    if (status != TUB_OK) {
        return cli_fail_setting(self, &err);
    }
    place_parents above;
    place_make_parents(&above, out);
    if (tub_augment_sheet(ctx, &config, NULL, &o->sheet_options, out, &err) != TUB_OK) {
        place_remove_parents(&above);
        return cli_fail(self, &err);
    }
    if (o->common.json) {
        return cli_print_json(self,
                              json_pack("{s:s,s:o}", "kind", "sheet", "sheet", output_text(out)));
    }
    printf("%s\n", out);
    return CLI_DONE;
}

/* An option that only the sheet has a use for; NULL: none was given. */
static const char *sheet_option(const info_options *o, bool data, char *room, size_t size) {
    for (int i = 0; i < o->settings.count; i++) {
        const char *key = o->settings.given[i].setting->key;
        if (strncmp(key, "model.", 6) != 0 && !is_split_seed(o->settings.given[i].setting) &&
            !(data && is_clip_setting(o->settings.given[i].setting))) {
            snprintf(room, size, "--");
            cli_setting_name(key, room + 2, size - 2);
            return room;
        }
    }
    return o->sheet_word;
}

/* A known name, a file, or a folder that is no model, no run, not that of all runs and not that of all folds.
 * there: what lies there, or NULL. */
static bool names_data(const char *what, const struct stat *there) {
    if (what == NULL || there == NULL) {
        return what != NULL && (known(what) != NULL || is_built_in(what));
    }
    return !S_ISDIR(there->st_mode) || (!subject_is_model(what) && !run_facts_is_run(what) &&
                                        !subject_has_models(what) && !train_folds_is(what));
}

/* A name that is a preset is one, unless a folder of that name lies here. */
static int show(const cli_command *self, cli_work *work, void *parsed) {
    info_options *o = parsed;
    tub_context *ctx = work->context;
    tub_model_config preset;
    tub_error err;
    struct stat status;
    char local[PATH_MAX];
    const int got = o->what != NULL ? subject_local(self, ctx, o->what, local, &o->what) : CLI_GO;
    if (got != CLI_GO) {
        return got;
    }
    if (o->sheet) {
        return show_augmented(self, ctx, o);
    }
    char option[48];
    const bool there = o->what != NULL && stat(o->what, &status) == 0;
    const bool data = names_data(o->what, there ? &status : NULL);
    const char *lost = sheet_option(o, data, option, sizeof option);
    if (lost != NULL) {
        (void)cli_fail_with(self, "%s is for --show-augmented, which is not there", lost);
        return CLI_MISUSE;
    }
    const bool is_preset =
        !there && o->what != NULL && tub_model_preset(o->what, &preset, &err) == TUB_OK;
    if (!data && !there && !is_preset && o->what != NULL) {
        return fail_unknown(self, o->what);
    }
    int code = data ? CLI_GO : refuse_split_seed(self, o);
    if (code == CLI_GO && !is_preset) {
        code = refuse_settings(self, o, data);
    }
    if (code != CLI_GO) {
        return code;
    }
    if (is_preset) {
        return show_preset(self, ctx, o, &preset);
    }
    if (o->what == NULL) {
        const int refused = refuse_page(self, o);
        return refused == CLI_GO ? show_machine(self, ctx, o->common.json) : refused;
    }
    if (train_folds_is(o->what)) {
        const int refused = refuse_page(self, o);
        return refused == CLI_GO ? info_folds(self, ctx, o->what, o->common.json) : refused;
    }
    if (data) {
        return show_data(self, ctx, o);
    }
    code = subject_check_folder(self, o->what);
    return code == CLI_GO ? show_model(self, ctx, o, NULL) : code;
}

static int run(const cli_command *self, int argc, char **argv) {
    info_options o = {.training = tub_train_config_default(),
                      .sheet_options = tub_sheet_options_default()};
    return cli_run(self, argc, argv, &o, show);
}

const cli_command cli_info = {
    .name = "info",
    .arguments = "[WHAT]",
    .summary = "tells what a model, a data set or this machine is",
    .description =
        "WHAT is a model folder or run folder, hf:OWNER/NAME of a hub, the folder of a "
        "cross-validation, a preset "
        "(vivit-tiny, vivit-b, vivit-l, vivit-h), a data set, a .npz file, or a folder or .csv of "
        "files. Without it: "
        "this machine and the kernels "
        "chosen.",
    .examples = "  tubelet info\n"
                "  tubelet info vivit-tiny\n"
                "  tubelet info vivit-b --variant factorised_encoder\n"
                "  tubelet info runs/first --arrays\n"
                "  tubelet info runs/cv\n"
                "  tubelet info organmnist3d --json\n"
                "  tubelet info organmnist3d --show-augmented --augment-rotate 9",
    .options = options,
    .settings = "model.|augment.|clip.|sampling|seed|split_seed",
    .parser = parse,
    .run = run,
};
