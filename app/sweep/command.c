/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet sweep: runs the search that a W&B sweep file describes, on this machine. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweep.h"

enum { KEY_RECIPE = CLI_KEY_OWN, KEY_OUT, KEY_WORKERS, KEY_TRIALS, KEY_SEED, KEY_DRY_RUN };

static const struct argp_option options[] = {
    {"out", 'o', "FOLDER", 0,
     "Folder of the sweep, to make or to go on with (default: sweeps/NAME of NAME.yaml)", 1},
    {"workers", KEY_WORKERS, "N", 0,
     "Train N trials at once, each on its share of the cores (default 1)", 1},
    {"trials", KEY_TRIALS, "N", 0,
     "At most N trials in all, whatever run_cap says; more than there are continue a sweep that "
     "has ended",
     1},
    {"sweep-seed", KEY_SEED, "N", 0, "Seed of what the search draws (default 1)", 1},
    {"recipe", KEY_RECIPE, "FILE", 0,
     "What every trial begins from: a YAML recipe, or one that comes with tubelet", 1},
    {"dry-run", KEY_DRY_RUN, NULL, 0, "Check the file, print the plan, and run nothing", 1},
    CLI_OPTIONS_COMPUTE,
    CLI_OPTIONS_TALK,
    {0}};

static error_t parse(int key, char *argument, struct argp_state *state) {
    sweep_options *o = state->input;
    const error_t taken = settings_parse(&o->settings, key, argument, state);
    if (taken != ARGP_ERR_UNKNOWN) {
        return taken;
    }
    switch (key) {
    case KEY_RECIPE:
        return cli_parse_name(&o->recipe, "--recipe", argument, state);
    case 'o':
        return cli_parse_name(&o->out, "--out", argument, state);
    case KEY_WORKERS:
        return cli_parse_int(state, "--workers", argument, 1, SWEEP_WORKERS, &o->workers)
                   ? 0
                   : ECANCELED;
    case KEY_TRIALS:
        return cli_parse_int(state, "--trials", argument, 1, 1000000, &o->trials) ? 0 : ECANCELED;
    case KEY_SEED:
        return cli_parse_int(state, "--sweep-seed", argument, 0, 1000000000, &o->seed) ? 0
                                                                                       : ECANCELED;
    case KEY_DRY_RUN:
        o->dry_run = true;
        return 0;
    case ARGP_KEY_ARG:
        return cli_parse_argument(&o->file, argument, state);
    case ARGP_KEY_END:
        return o->file == NULL && !o->common.help ? cli_misuse(state, "needs a sweep file")
                                                  : settings_check_start(&o->settings, state);
    default:
        return cli_parse_common(key, argument, state);
    }
}

/* The file's own mistakes, and those of settings, are misuse: a recipe of many trainings. */
static int read_file(sweep *s) {
    tub_error err;
    tub_status status = tub_sweep_open(s->context, s->options->file, &s->file, &err);
    if (status != TUB_OK) {
        return cli_fail_setting(s->self, &err);
    }
    s->info = tub_sweep_describe(s->file);
    status = tub_sweep_check(s->file, &err);
    return status == TUB_OK ? CLI_GO
                            : (cli_fail_with(s->self, "%s: valid, but it can't be started: %s",
                                             s->options->file, err.message),
                               CLI_MISUSE);
}

/* What keeps a valid file from being run here. A dry run tells its plan all the same. */
static int stop_at(sweep *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int stop_at(sweep *s, const char *format, ...) {
    char text[sizeof s->problem];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (s->options->dry_run) {
        memcpy(s->problem, text, sizeof text);
        return CLI_GO;
    }
    (void)cli_fail_with(s->self, "%s: %s", s->options->file, text);
    return CLI_MISUSE;
}

static int check_metric(sweep *s) {
    if (s->info->metric == NULL || sweep_metric_column(s->info->metric, s->column)) {
        return CLI_GO;
    }
    return stop_at(s,
                   "metric: a training does not report '%.200s'; it reports train_loss, "
                   "train_top1, train_top5, val_loss, val_top1, val_top5 and val_auc",
                   s->info->metric);
}

/* Random and bayes never end by themselves. */
static int check_limit(sweep *s) {
    const int64_t points = tub_sweep_points(s->file);
    s->limit = s->options->trials > 0 ? s->options->trials
               : s->info->run_cap > 0 ? s->info->run_cap
                                      : INT64_MAX;
    if (points >= 0 && points < s->limit) {
        s->limit = points;
    }
    if (s->limit < INT64_MAX || s->options->dry_run) {
        return CLI_GO;
    }
    (void)cli_fail_with(s->self,
                        "%s: the method %s never ends and the file has no run_cap; say how many "
                        "trials with --trials",
                        s->options->file, tub_sweep_method_name(s->info->method));
    return CLI_MISUSE;
}

/* Whether a trial would have data to train on. */
static bool has_data(const sweep *s) {
    for (int64_t i = 0; i < s->info->parameters; i++) {
        tub_sweep_parameter p;
        tub_error err;
        if (tub_sweep_parameter_at(s->file, i, &p, &err) != TUB_OK) {
            continue;
        }
        const char *setting = sweep_setting(p.name);
        if (setting != NULL && (strcmp(setting, "data") == 0 || strcmp(setting, "recipe") == 0)) {
            return true;
        }
    }
    return s->base.data[0] != '\0';
}

static int check_settings(sweep *s) {
    tub_error err;
    int code = sweep_base(s);
    if (code != CLI_GO) {
        return code;
    }
    if (s->base.folds > 0) {
        (void)cli_fail_with(s->self, "folds: a trial is one run, and folds are several");
        return CLI_MISUSE;
    }
    if (sweep_check_parameters(s, &err) != TUB_OK) {
        code = stop_at(s, "%s", err.message);
    }
    if (code != CLI_GO) {
        return code;
    }
    if (!has_data(s) && !s->options->dry_run) {
        (void)cli_fail_with(s->self, "no data set; name one with --data, or a parameter data");
        return CLI_MISUSE;
    }
    return CLI_GO;
}

static int prepare(sweep *s) {
    int code = read_file(s);
    if (code == CLI_GO) {
        sweep_notes(s);
        code = check_metric(s);
    }
    if (code == CLI_GO) {
        code = check_limit(s);
    }
    return code == CLI_GO ? check_settings(s) : code;
}

static int job(const cli_command *self, cli_work *work, void *parsed) {
    const sweep_options *o = parsed;
    sweep *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return cli_fail_with(self, "out of memory");
    }
    s->self = self;
    s->context = work->context;
    s->options = o;
    const int threads = tub_context_threads(work->context) / (int)o->workers;
    s->threads = threads > 1 ? threads : 1;
    int code = prepare(s);
    if (code == CLI_GO && o->dry_run) {
        code = sweep_plan(s);
    } else if (code == CLI_GO) {
        code = sweep_open(s);
        code = code == CLI_GO ? sweep_run(s) : code;
    }
    tub_journal_close(s->journal);
    tub_sweep_close(s->file);
    free(s);
    return code;
}

static int run(const cli_command *self, int argc, char **argv) {
    sweep_options *o = calloc(1, sizeof *o);
    if (o == NULL) {
        return cli_fail_with(self, "out of memory");
    }
    o->workers = 1;
    o->seed = 1;
    const int code = cli_run(self, argc, argv, o, job);
    free(o);
    return code;
}

const cli_command cli_sweep = {
    .name = "sweep",
    .arguments = "FILE.yaml",
    .summary = "searches for settings, as a W&B sweep file says",
    .description =
        "Runs a sweep file of Weights & Biases on this machine: grid, random or bayes, with "
        "every distribution, nested parameters and hyperband. Each trial is a training in a "
        "process of its own. What was done stands in the folder's journal: the same command goes "
        "on with a sweep that was killed, and --trials extends one that has ended. The folder "
        "gets sweep.html and best.yaml, the recipe of the best trial. Parameters are settings of "
        "recipes; docs/sweeps.md has the names that are understood besides.",
    .examples = "  tubelet sweep search.yaml --dry-run\n"
                "  tubelet sweep search.yaml --data phantom3d --workers 2\n"
                "  tubelet sweep search.yaml --data phantom3d --trials 40 --out sweeps/more\n",
    .options = options,
    .settings = "",
    .parser = parse,
    .run = run,
};
