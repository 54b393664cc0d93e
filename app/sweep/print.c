/* SPDX-License-Identifier: Apache-2.0 */
/* What a sweep tells: lines, a live table on a terminal, JSON, and the table at the end. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../interrupt.h"
#include "../shell.h"
#include "sweep.h"

enum { TEXT = 512 };

const char *sweep_state_name(tub_trial_state state) {
    static const char *const names[] = {"running", "finished", "stopped", "failed"};
    return names[state];
}

/* A trial that the end of the sweep interrupted is at work no more, though it will go on. */
const char *sweep_state_shown(const sweep *s, tub_trial_state state) {
    const bool over = s->ended_early && state == TUB_TRIAL_RUNNING;
    return sweep_state_name(over ? TUB_TRIAL_STOPPED : state);
}

/* ---- Parameters as text ---- */

static void value_text(const json_t *value, char *out, size_t size) {
    char *text = json_is_string(value)
                     ? NULL
                     : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(5));
    snprintf(out, size, "%s",
             text != NULL            ? text
             : json_is_string(value) ? json_string_value(value)
                                     : "?");
    free(text);
}

static size_t describe(const json_t *object, const char *above, char *out, size_t size) {
    const char *key;
    json_t *value;
    size_t used = 0;
    json_object_foreach((json_t *)object, key, value) {
        char name[TEXT], text[TEXT];
        snprintf(name, sizeof name, "%s%s%s", above, above[0] != '\0' ? "." : "", key);
        if (used >= size) {
            break;
        }
        if (json_is_object(value)) {
            used += describe(value, name, out + used, size - used);
            continue;
        }
        value_text(value, text, sizeof text);
        const int n = snprintf(out + used, size - used, "%s=%s ", name, text);
        used += n > 0 ? (size_t)n : 0;
    }
    return used;
}

void sweep_describe(const char *parameters, char *out, size_t size) {
    json_error_t wrong;
    json_t *root = json_loads(parameters, 0, &wrong);
    out[0] = '\0';
    (void)describe(root, "", out, size);
    json_decref(root);
    const size_t length = strlen(out);
    if (length > 0 && out[length - 1] == ' ') {
        out[length - 1] = '\0';
    }
}

/* ---- One trial ---- */

static const tub_trial *trial_of(const sweep *s, int64_t number) {
    int64_t count;
    return &tub_journal_trials(s->journal, &count)[number];
}

static json_t *trial_json(const sweep *s, int64_t number) {
    json_error_t wrong;
    const tub_trial *t = trial_of(s, number);
    const char *note = tub_journal_note(s->journal, number);
    return json_pack("{s:I,s:s,s:o,s:I,s:o,s:o?,s:o}", "trial", (json_int_t)number, "state",
                     sweep_state_name(t->state), "value", output_number(tub_sweep_best(s->file, t)),
                     "epochs", (json_int_t)t->steps, "seconds",
                     output_number(tub_journal_seconds(s->journal, number)), "note",
                     note != NULL ? output_text(note) : json_null(), "parameters",
                     json_loads(t->parameters, 0, &wrong));
}

void sweep_tell_begin(const sweep *s, int64_t trial, bool again) {
    char text[TEXT];
    if (s->options->common.json) {
        (void)cli_print_json(s->self, trial_json(s, trial));
        fflush(stdout);
        return;
    }
    if (!s->options->common.quiet && !s->live.on) {
        sweep_describe(trial_of(s, trial)->parameters, text, sizeof text);
        fprintf(stderr, "trial %" PRId64 " %s: %s\n", trial, again ? "goes on" : "begins", text);
    }
}

void sweep_tell_waiting(const sweep *s, int64_t trial, const char *run) {
    if (!s->options->common.quiet) {
        (void)live_clear();
        fprintf(stderr, "trial %" PRId64 " waits for another process that is at work on %s\n",
                trial, run);
    }
}

void sweep_tell_end(const sweep *s, int64_t trial) {
    char text[TEXT], value[OUTPUT_FIGURE];
    const tub_trial *t = trial_of(s, trial);
    const char *note = tub_journal_note(s->journal, trial);
    if (s->options->common.json) {
        (void)cli_print_json(s->self, trial_json(s, trial));
        fflush(stdout);
        return;
    }
    if (s->options->common.quiet) {
        return;
    }
    sweep_describe(t->parameters, text, sizeof text);
    fprintf(stderr, "trial %" PRId64 " %s after %" PRId64 " epoch%s", trial,
            sweep_state_name(t->state), t->steps, t->steps == 1 ? "" : "s");
    if (s->info->metric != NULL) {
        fprintf(stderr, ", %s %s", s->info->metric,
                output_figure(value, tub_sweep_best(s->file, t)));
    }
    fprintf(stderr, "%s%s  %s\n", note != NULL ? ": " : "", note != NULL ? note : "", text);
}

/* ---- In place ---- */

static void draw_worker(const sweep *s, const sweep_worker *w, live_line *line) {
    char text[LIVE_ROOM], value[OUTPUT_FIGURE];
    const tub_trial *t = trial_of(s, w->trial);
    sweep_describe(t->parameters, text, sizeof text);
    live_add(line, 1, "trial %" PRId64, w->trial);
    live_add(line, 2, "epoch %" PRId64, t->steps);
    if (s->info->metric != NULL) {
        live_add(line, 3, "%.40s %s", s->info->metric,
                 output_figure(value, tub_sweep_best(s->file, t)));
    }
    live_add(line, 4, "%s", text);
}

static void draw_all(const sweep *s, live_line *line) {
    int64_t count, ended = 0, stopped = 0, failed = 0;
    char value[OUTPUT_FIGURE];
    const tub_trial *trials = tub_journal_trials(s->journal, &count);
    for (int64_t i = 0; i < count; i++) {
        ended += trials[i].state != TUB_TRIAL_RUNNING;
        stopped += trials[i].state == TUB_TRIAL_STOPPED;
        failed += trials[i].state == TUB_TRIAL_FAILED;
    }
    if (s->limit < INT64_MAX) {
        live_add(line, 1, "%" PRId64 " of %" PRId64 " trials", ended, s->limit);
    } else {
        live_add(line, 1, "%" PRId64 " trials", ended);
    }
    live_add(line, 4, "%" PRId64 " stopped, %" PRId64 " failed", stopped, failed);
    const int64_t best = tub_sweep_best_of(s->file, trials, count);
    if (best >= 0 && s->info->metric != NULL) {
        live_add(line, 2, "best: trial %" PRId64 ", %.40s %s", best, s->info->metric,
                 output_figure(value, tub_sweep_best(s->file, &trials[best])));
        line->field[line->fields - 1].colour = "32";
    }
}

void sweep_draw(sweep *s, bool at_once) {
    live_line lines[LIVE_LINES];
    int count = 1;
    if (!live_due(&s->live, at_once)) {
        return;
    }
    memset(lines, 0, sizeof lines);
    draw_all(s, &lines[0]);
    for (int i = 0; i < s->options->workers && count < LIVE_LINES; i++) {
        if (s->worker[i].pid > 0) {
            draw_worker(s, &s->worker[i], &lines[count++]);
        }
    }
    live_draw(&s->live, lines, count);
}

/* ---- The end ---- */

static void print_table(const sweep *s, const tub_trial *trials, int64_t count, int64_t best) {
    char text[TEXT], value[OUTPUT_FIGURE];
    printf("  trial  state     epochs  %-12.12s  parameters\n",
           s->info->metric != NULL ? s->info->metric : "");
    for (int64_t i = 0; i < count; i++) {
        sweep_describe(trials[i].parameters, text, sizeof text);
        printf("%c %5" PRId64 "  %-8s  %6" PRId64 "  %-12s  %s\n", i == best ? '*' : ' ', i,
               sweep_state_shown(s, trials[i].state), trials[i].steps,
               s->info->metric != NULL ? output_figure(value, tub_sweep_best(s->file, &trials[i]))
                                       : "",
               text);
    }
}

/* FOLDER/best.yaml: the recipe of the best trial. */
static bool write_best(const sweep *s, const tub_trial *trials, int64_t best, char *path) {
    tub_train_config config;
    tub_error err;
    char head[TEXT], value[OUTPUT_FIGURE];
    snprintf(path, TUB_PATH_LENGTH, "%.*s/best.yaml", TUB_PATH_LENGTH - 32, s->folder);
    if (sweep_config(s, trials[best].parameters, &config, &err) != TUB_OK) {
        (void)cli_fail(s->self, &err);
        return false;
    }
    snprintf(head, sizeof head, "# Trial %" PRId64 " of a sweep: %.100s %s.\n", best,
             s->info->metric, output_figure(value, tub_sweep_best(s->file, &trials[best])));
    return sweep_write_recipe(s, path, &config, head);
}

/* Every trial failed: so did the search. */
static bool all_failed(const tub_trial *trials, int64_t count) {
    int64_t failed = 0;
    for (int64_t i = 0; i < count; i++) {
        failed += trials[i].state == TUB_TRIAL_FAILED;
    }
    return count > 0 && failed == count;
}

static int exit_code(const sweep *s, const tub_trial *trials, int64_t count) {
    if (!all_failed(trials, count)) {
        return s->ended_early ? CLI_FAILED : CLI_DONE;
    }
    const char *note = tub_journal_note(s->journal, count - 1);
    return cli_fail_with(s->self, "every trial failed; the last one: %.400s",
                         note != NULL ? note : "without a word");
}

static void say_best(const sweep *s, int64_t best, int64_t count, const char *path) {
    char shown[SHELL_ROOM], program[SHELL_ROOM];
    if (best >= 0) {
        fprintf(stderr, "The best recipe: %s; train it with: %s train --recipe %s\n", path,
                shell_program(program), shell_path(shown, path));
    } else if (s->info->metric != NULL && count > 0) {
        fprintf(stderr, "No trial has a value of %s, so none is the best\n", s->info->metric);
    }
}

static void say_how_on(const sweep *s, int64_t count) {
    char program[SHELL_ROOM];
    if (s->ended_early && s->options->common.line != NULL) {
        const char *words = strchr(s->options->common.line, ' '); /* behind "tubelet" */
        fprintf(stderr, "Stopped. Go on with the same command: %s%s\n", shell_program(program),
                words);
    } else if (count >= s->limit && count != tub_sweep_points(s->file)) {
        fprintf(stderr, "More trials: the same command with --trials %" PRId64 "\n", 2 * count);
    }
}

int sweep_tell_all(const sweep *s) {
    int64_t count;
    char path[TUB_PATH_LENGTH] = "";
    const tub_trial *trials = tub_journal_trials(s->journal, &count);
    const int64_t best = s->info->metric != NULL ? tub_sweep_best_of(s->file, trials, count) : -1;
    if (best >= 0 && !write_best(s, trials, best, path)) {
        return CLI_FAILED;
    }
    if (!sweep_page(s)) {
        return CLI_FAILED;
    }
    if (s->options->common.json) {
        (void)cli_print_json(s->self,
                             json_pack("{s:I,s:o,s:o,s:b}", "trials", (json_int_t)count, "best",
                                       best >= 0 ? trial_json(s, best) : json_null(), "recipe",
                                       best >= 0 ? output_text(path) : json_null(), "interrupted",
                                       s->ended_early));
        return exit_code(s, trials, count);
    }
    print_table(s, trials, count, best);
    if (!s->options->common.quiet) {
        say_best(s, best, count, path);
        fprintf(stderr, "The page: %s/sweep.html\n", s->folder);
        say_how_on(s, count);
    }
    return exit_code(s, trials, count);
}
