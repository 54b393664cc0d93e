/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet train: from a data set, a recipe and options to a run folder; or on with an interrupted
 * run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "forecast.h"
#include "interrupt.h"
#include "output.h"
#include "place.h"
#include "recipe.h"
#include "settings.h"
#include "shell.h"
#include "train_folds.h"

static const char KEPT[] = "what is done so far will be kept";

enum { KEY_RECIPE = CLI_KEY_OWN, KEY_OUT, KEY_RESUME, KEY_FORCE, KEY_DRY_RUN, KEY_BUDGET };

static const struct argp_option options[] = {
    {"recipe", KEY_RECIPE, "FILE", 0,
     "Read settings from a YAML recipe first: a file, or one that comes with tubelet "
     "(docs/training.md lists them)",
     1},
    {"out", 'o', "RUN", 0, "Run folder to make (default: runs/DATA-NUMBER)", 1},
    {"resume", KEY_RESUME, "RUN", 0,
     "Go on with this run; of the settings only --epochs and --max-steps may change, and --data "
     "may name the same data's new place",
     1},
    {"force", KEY_FORCE, NULL, 0,
     "Replace the run folder if it exists and only a run and its results lie in it", 1},
    {"dry-run", KEY_DRY_RUN, NULL, 0,
     "Read the data, print the resolved recipe and the plan with its memory and time, and stop; "
     "writes nothing",
     1},
    {"budget", KEY_BUDGET, "TIME", 0,
     "Train as many epochs as fit into this time (seconds, or 10m, 2h), by steps timed first; the "
     "run's recipe has them, "
     "and --dry-run tells them",
     1},
    CLI_OPTIONS_COMPUTE,
    CLI_OPTIONS_TALK,
    {0}};

typedef struct train_options {
    cli_common common;
    const char *recipe, *out, *resume;
    bool force, dry_run;
    double budget; /* seconds; 0: not given */
    settings settings;
} train_options;

/* Only what does not change the run's past may be given with --resume. */
static error_t check_resume(const train_options *o, struct argp_state *state) {
    const char *wrong = o->recipe != NULL ? "recipe"
                        : o->out != NULL  ? "out"
                        : o->force        ? "force"
                        : o->dry_run      ? "dry-run"
                        : o->budget > 0   ? "budget"
                                          : NULL;
    if (wrong != NULL) {
        return cli_misuse(state,
                          "--resume and --%s contradict each other; a resumed run keeps its "
                          "folder and recipe",
                          wrong);
    }
    for (int i = 0; i < o->settings.count; i++) {
        const char *key = o->settings.given[i].setting->key;
        if (strcmp(key, "epochs") != 0 && strcmp(key, "max_steps") != 0 &&
            strcmp(key, "data") != 0) {
            return cli_misuse(state,
                              "--resume keeps the run's recipe: %s can't change, only "
                              "--epochs, --max-steps and the place of --data can",
                              key);
        }
    }
    return 0;
}

static error_t check_start(const train_options *o, struct argp_state *state) {
    if (o->budget > 0 && settings_find(&o->settings, "epochs") != NULL) {
        return cli_misuse(state, "--budget and --epochs contradict each other; the time says how "
                                 "many epochs there are");
    }
    return settings_check_start(&o->settings, state);
}

static error_t parse_budget(double *out, const char *text, struct argp_state *state) {
    const int64_t second = 1000000000;
    int64_t time;
    tub_error err;
    if (tub_time_parse(text, &time, &err) != TUB_OK) {
        return cli_misuse(state, "--budget: %s", err.message);
    }
    *out = (double)time / (double)second;
    return time < second ? cli_misuse(state, "--budget '%s' is less than a second", text) : 0;
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    train_options *o = state->input;
    error_t taken = settings_parse(&o->settings, key, argument, state);
    if (taken != ARGP_ERR_UNKNOWN) {
        return taken;
    }
    switch (key) {
    case KEY_RECIPE:
        return cli_parse_name(&o->recipe, "--recipe", argument, state);
    case 'o':
        return cli_parse_name(&o->out, "--out", argument, state);
    case KEY_RESUME:
        return cli_parse_name(&o->resume, "--resume", argument, state);
    case KEY_FORCE:
        o->force = true;
        return 0;
    case KEY_DRY_RUN:
        o->dry_run = true;
        return 0;
    case KEY_BUDGET:
        return parse_budget(&o->budget, argument, state);
    case ARGP_KEY_END:
        return o->resume != NULL ? check_resume(o, state) : check_start(o, state);
    default:
        return cli_parse_common(key, argument, state);
    }
}

/* The model's values as they are in the model to start from, of which only init_clip may say more.
 * What is wrong with that model's files is no misuse. */
static int start(const cli_command *self, tub_context *ctx, const train_options *o,
                 tub_train_config *config) {
    const char *from = settings_find(&o->settings, "init_from");
    const char *clip = settings_find(&o->settings, "init_clip");
    tub_error err;
    if (clip != NULL && tub_train_config_set(config, "init_clip", clip, &err) != TUB_OK) {
        return cli_fail_setting(self, &err);
    }
    return from == NULL || tub_train_config_start(ctx, from, config, &err) == TUB_OK
               ? CLI_GO
               : cli_fail(self, &err);
}

/* Defaults, then the recipe, then the command line; a preset or a model to start from first, because
 * it sets every value of the model. */
static int resolve(const cli_command *self, tub_context *ctx, const train_options *o,
                   tub_train_config *config) {
    tub_error err;
    *config = tub_train_config_default();
    tub_status status = TUB_OK;
    if (o->recipe != NULL) {
        status = tub_recipe_read(ctx, o->recipe, config, &err);
    }
    const char *preset = settings_find(&o->settings, "preset");
    if (status == TUB_OK && preset != NULL) {
        status = tub_train_config_set(config, "preset", preset, &err);
    }
    const int code = status == TUB_OK ? start(self, ctx, o, config) : CLI_GO;
    if (code != CLI_GO) {
        return code;
    }
    if (status == TUB_OK) {
        status = settings_apply(&o->settings, "preset", config, &err);
    }
    if (status == TUB_OK) {
        status = tub_train_config_check(config, &err);
    }
    return status == TUB_OK ? CLI_GO : cli_fail_setting(self, &err);
}

static const char *plural(int64_t n) {
    return n == 1 ? "" : "s";
}

static void print_result(const train_options *o, const char *run, const tub_train_result *result) {
    char a[OUTPUT_FIGURE], b[OUTPUT_FIGURE], c[OUTPUT_FIGURE];
    char program[SHELL_ROOM], path[SHELL_ROOM];
    if (result->stopped) {
        fprintf(stderr,
                "Stopped after step %lld, everything is saved. Go on with: %s train --resume %s\n",
                (long long)result->steps, shell_program(program), shell_path(path, run));
        return;
    }
    if (!o->common.json) {
        printf("%s: %lld epoch%s%s, loss %s, val top-1 %s, val AUC %s\n", run,
               (long long)result->epochs, plural(result->epochs),
               result->partial_epoch ? " (the last one in part)" : "",
               output_figure(a, result->train.loss), output_figure(b, result->val.top1),
               output_figure(c, result->val.auc));
        if (result->best_epoch > 0) {
            printf("%s/best: epoch %lld, val top-1 %s, val AUC %s\n", run,
                   (long long)result->best_epoch, output_figure(a, result->best_val.top1),
                   output_figure(b, result->best_val.auc));
        }
    }
    if (!o->common.quiet) {
        fprintf(stderr, "Evaluate it with: %s eval %s --split test\n", shell_program(program),
                shell_path(path, run));
    }
}

/* After the training, with Ctrl-C's own meaning again. */
static int finish(const cli_command *self, const train_options *o, const char *run,
                  tub_status status, const tub_train_result *result, const tub_error *err) {
    (void)interrupt_end();
    if (status != TUB_OK) {
        return cli_fail(self, err);
    }
    print_result(o, run, result);
    return result->stopped ? CLI_FAILED : CLI_DONE;
}

/* The value of a limit given on the command line, checked as a recipe's. */
static tub_status limit(const train_options *o, const char *key, int64_t keep, int64_t *out,
                        tub_error *err) {
    tub_train_config config = tub_train_config_default();
    const char *text = settings_find(&o->settings, key);
    *out = keep;
    if (text != NULL) {
        tub_status status = tub_train_config_set(&config, key, text, err);
        if (status != TUB_OK) {
            return status;
        }
        *out = strcmp(key, "epochs") == 0 ? config.epochs : config.max_steps;
    }
    return TUB_OK;
}

/* Where a run's data file has gone is something that only its user knows. */
static int check_data_there(const cli_command *self, const char *run, const char *data) {
    char program[SHELL_ROOM], path[SHELL_ROOM];
    if (data[0] != '/' || access(data, F_OK) == 0 || errno != ENOENT) {
        return CLI_GO;
    }
    return cli_fail_with(self,
                         "%s: its data set is not at %s any more; name the new place: %s train "
                         "--resume %s --data FILE",
                         run, data, shell_program(program), shell_path(path, run));
}

/* What the run itself refuses depends on its files: never a misuse. */
static int resume_with(const cli_command *self, tub_context *ctx, const train_options *o,
                       tub_dataset *data, int64_t epochs, int64_t max_steps) {
    tub_error err;
    tub_train_result result = {0};
    tub_status status = tub_train_resume(ctx, o->resume, data, epochs, max_steps, &result, &err);
    int code = finish(self, o, o->resume, status, &result, &err);
    return status == TUB_OK ? code : CLI_FAILED;
}

static int resume(const cli_command *self, tub_context *ctx, const train_options *o) {
    tub_error err;
    tub_dataset *data = NULL;
    tub_train_config config;
    int64_t epochs = 0, max_steps = 0;
    const char *moved = settings_find(&o->settings, "data");
    if (train_folds_is(o->resume)) {
        return settings_find(&o->settings, "epochs") == NULL &&
                       settings_find(&o->settings, "max_steps") == NULL
                   ? train_folds_resume(self, ctx, o->resume, moved, &o->common)
                   : cli_fail_with(self,
                                   "%s holds folds: all have the settings of its folds.json, and "
                                   "neither --epochs nor --max-steps can change",
                                   o->resume);
    }
    if (limit(o, "epochs", 0, &epochs, &err) != TUB_OK ||
        limit(o, "max_steps", -1, &max_steps, &err) != TUB_OK) {
        return cli_fail_setting(self, &err);
    }
    if (tub_run_config(ctx, o->resume, &config, &err) != TUB_OK) {
        return cli_fail_setting(self, &err); /* a recipe like any other */
    }
    int code = moved == NULL ? check_data_there(self, o->resume, config.data) : CLI_GO;
    if (code != CLI_GO) {
        return code;
    }
    interrupt_begin(ctx, KEPT);
    const tub_dataset_options opening = tub_train_dataset_options(&config);
    if (moved != NULL && tub_dataset_open(ctx, moved, &opening, &data, &err) != TUB_OK) {
        (void)interrupt_end();
        return cli_fail(self, &err);
    }
    code = resume_with(self, ctx, o, data, epochs, max_steps);
    tub_dataset_close(data);
    return code;
}

/* Where the run goes: as told, or to the first free default; NULL after a sentence. */
static const char *run_folder(const cli_command *self, const train_options *o,
                              const tub_train_config *config, char *room, size_t size) {
    if (o->out != NULL) {
        return o->out;
    }
    if (place_default_run(config->data, room, size)) {
        return room;
    }
    (void)cli_fail_with(self, "no free run folder below runs/; name one with --out");
    return NULL;
}

static void print_plan(const tub_train_plan *plan, const char *data, const char *run) {
    const tub_model_config *m = &plan->config.model;
    fprintf(stderr,
            "%s: %lld train, %lld val and %lld test samples of %lld x %lld x %lld x %lld %s, %lld "
            "%s%s\n",
            data, (long long)plan->count[TUB_TRAIN], (long long)plan->count[TUB_VAL],
            (long long)plan->count[TUB_TEST], (long long)m->frames, (long long)m->height,
            (long long)m->width, (long long)m->channels,
            plan->dtype == TUB_U8 ? "uint8" : "float32", (long long)m->classes,
            m->task == TUB_TASK_MULTI_LABEL  ? "labels"
            : m->task == TUB_TASK_MULTI_HEAD ? "classes in several heads"
                                             : "classes",
            plan->present ? "" : " (as published; training downloads it first)");
    char trained[64] = "";
    if (plan->trained < plan->parameters) {
        snprintf(trained, sizeof trained, " (%lld of them are trained)", (long long)plan->trained);
    }
    fprintf(stderr,
            "%s: %lld parameters%s, %lld tokens; %lld epoch%s of %lld steps, %lld steps in all\n",
            run, (long long)plan->parameters, trained, (long long)plan->tokens,
            (long long)plan->config.epochs, plural(plan->config.epochs),
            (long long)plan->epoch_steps, (long long)plan->steps);
}

/* pace: NULL where it is not known. */
static json_t *plan_json(const tub_train_plan *plan, const tub_train_pace *pace) {
    return json_pack("{s:o,s:I,s:I,s:I,s:I,s:I,s:o,s:o,s:o,s:o}", "samples",
                     output_integers(plan->count, TUB_SPLITS), "tokens", (json_int_t)plan->tokens,
                     "parameters", (json_int_t)plan->parameters, "trained_parameters",
                     (json_int_t)plan->trained, "epoch_steps", (json_int_t)plan->epoch_steps,
                     "steps", (json_int_t)plan->steps, "memory",
                     forecast_memory_json(&plan->memory), "step_seconds",
                     pace != NULL ? json_real(pace->step) : json_null(), "epoch_seconds",
                     pace != NULL ? json_real(pace->epoch) : json_null(), "total_seconds",
                     pace != NULL ? json_real(pace->total) : json_null());
}

/* Memory first, then time, which is measured: of a model that does not fit into memory it stays
 * unknown. */
static int forecast(const cli_command *self, tub_context *ctx, const train_options *o,
                    const tub_train_plan *plan, json_t **json) {
    tub_error err;
    tub_train_pace pace = plan->pace;
    const bool talk = !o->common.quiet && !o->common.json;
    if (!talk && !o->common.json) {
        return CLI_DONE;
    }
    if (talk) {
        forecast_print_memory(stderr, &plan->memory);
    }
    const tub_status status = pace.epoch > 0 ? TUB_OK : tub_train_pace_of(ctx, plan, &pace, &err);
    if (status != TUB_OK && status != TUB_E_MEMORY) {
        return cli_fail(self, &err);
    }
    if (talk && status == TUB_OK) {
        forecast_print_time(stderr, &pace);
    } else if (talk) {
        fprintf(stderr, "time: not known: %s\n", err.message);
    } else {
        *json = plan_json(plan, status == TUB_OK ? &pace : NULL);
    }
    return CLI_DONE;
}

/* Everything that comes before the first step, and nothing of it on the disk. */
static int dry_run(const cli_command *self, tub_context *ctx, const train_options *o,
                   const tub_train_config *config) {
    tub_error err;
    tub_train_plan plan;
    json_t *json = NULL;
    char folder[TUB_PATH_LENGTH];
    const bool talk = !o->common.quiet && !o->common.json;
    if (config->data[0] == '\0' && o->budget > 0) {
        (void)cli_fail_with(self, "how many epochs fit into --budget depends on the data set; name "
                                  "one with --data");
        return CLI_MISUSE;
    }
    if (config->data[0] == '\0') {
        if (talk) {
            fputs("No data set is named: the settings were checked, and nothing else\n", stderr);
        }
        return recipe_print(config, o->common.json, NULL) ? CLI_DONE : CLI_FAILED;
    }
    const char *run = run_folder(self, o, config, folder, sizeof folder);
    if (run == NULL) {
        return CLI_FAILED;
    }
    if (tub_train_plan_of(ctx, config, NULL, run, o->force, &plan, &err) != TUB_OK) {
        return cli_fail(self, &err);
    }
    if (talk) { /* the plan last, where one sees it: the recipe is long */
        const bool printed = recipe_print(&plan.config, false, NULL);
        fflush(stdout);
        print_plan(&plan, config->data, run);
        return printed ? forecast(self, ctx, o, &plan, &json) : CLI_FAILED;
    }
    const int code = forecast(self, ctx, o, &plan, &json);
    return code != CLI_DONE                                   ? code
           : recipe_print(&plan.config, o->common.json, json) ? CLI_DONE
                                                              : CLI_FAILED;
}

static int begin(const cli_command *self, tub_context *ctx, const train_options *o,
                 const tub_train_config *config) {
    tub_error err;
    tub_train_result result = {0};
    char folder[TUB_PATH_LENGTH];
    const char *run = run_folder(self, o, config, folder, sizeof folder);
    if (run == NULL) {
        return CLI_FAILED;
    }
    if (config->folds > 0) {
        return train_folds_begin(self, ctx, config, run, o->force, &o->common);
    }
    place_parents above;
    place_make_parents(&above, run);
    interrupt_begin(ctx, KEPT);
    tub_status status = tub_train(ctx, config, NULL, run, o->force, &result, &err);
    if (status != TUB_OK) {
        place_remove_parents(&above);
    }
    return finish(self, o, run, status, &result, &err);
}

static int work_on(const cli_command *self, cli_work *work, void *parsed) {
    const train_options *o = parsed;
    tub_train_config config;
    if (o->resume != NULL) {
        return resume(self, work->context, o);
    }
    const int code = resolve(self, work->context, o, &config);
    if (code != CLI_GO) {
        return code;
    }
    config.budget = o->budget;
    if (o->dry_run) {
        return dry_run(self, work->context, o, &config);
    }
    if (config.data[0] == '\0') {
        fprintf(stderr, "tubelet train: no data set; name one with --data, for example --data "
                        "phantom3d\n");
        return CLI_MISUSE;
    }
    return begin(self, work->context, o, &config);
}

static int run(const cli_command *self, int argc, char **argv) {
    train_options *o = calloc(1, sizeof *o);
    if (o == NULL) {
        return cli_fail_with(self, "out of memory");
    }
    int code = cli_run(self, argc, argv, o, work_on);
    free(o);
    return code;
}

const cli_command cli_train = {
    .name = "train",
    .arguments = "--data NAME",
    .summary = "trains a model into a run folder, or goes on with a run",
    .description =
        "Defaults come first, then the recipe, then the options. The run folder is a model folder "
        "with the last weights; best/ in it holds those with the best validation AUC. Ctrl-C saves "
        "and says how to go on.",
    .examples = "  tubelet train --data phantom3d --recipe keras-vivit\n"
                "  tubelet train --data organmnist3d --epochs 20 --lr 2e-4 --out runs/first\n"
                "  tubelet train --data organmnist3d --init-from vit-base-patch16 --lr 1e-5\n"
                "  tubelet train --data adrenalmnist3d --recipe adrenal --folds 5 --out runs/cv\n"
                "  tubelet train --data phantom3d --budget 300\n"
                "  tubelet train --resume runs/first\n"
                "  tubelet train --resume runs/first --epochs 90\n"
                "  tubelet train --resume runs/first --data new/place/of/data.npz",
    .options = options,
    .settings = "",
    .parser = parse,
    .run = run,
};
