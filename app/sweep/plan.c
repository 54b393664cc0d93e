/* SPDX-License-Identifier: Apache-2.0 */
/* What a sweep would do: its parameters, how many trials, when they are compared. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweep.h"

enum { SHOWN = 12, POINTS_SHOWN = 10000, TEXT = 512 };

/* Without a goal the smallest is best, as in W&B; of all that a training reports only losses are meant so. */
static void note_goal(const sweep *s) {
    char column[SWEEP_COLUMN];
    json_error_t wrong;
    const char *metric = s->info->metric;
    if (metric == NULL || !sweep_metric_column(metric, column) || strstr(column, "loss") != NULL) {
        return;
    }
    json_t *file = json_loads(tub_sweep_filled(s->file), 0, &wrong);
    if (json_object_get(json_object_get(file, "metric"), "goal") == NULL) {
        fprintf(stderr,
                "note: goal is missing, so the smallest %s is best, as in W&B; write goal: "
                "maximize for the "
                "largest\n",
                metric);
    }
    json_decref(file);
}

void sweep_notes(const sweep *s) {
    if (s->options->common.quiet) {
        return;
    }
    for (int64_t i = 0; i < s->info->notes; i++) {
        fprintf(stderr, "note: %s\n", tub_sweep_note(s->file, i));
    }
    note_goal(s);
    if (s->info->program != NULL && strcmp(s->info->program, "tubelet") != 0) {
        fprintf(stderr, "note: %s is not run: every trial is a training by tubelet\n",
                s->info->program);
    }
}

/* The trial after those that there are. A grid's are known by their numbers: to look for the next
 * one among many would take long. */
static tub_status next_trial(const sweep *s, const tub_trial *trials, int64_t count, char **next,
                             tub_error *err) {
    return s->info->method == TUB_SWEEP_GRID
               ? tub_sweep_point(s->file, count, next, err)
               : tub_sweep_next(s->context, s->file, (uint64_t)s->options->seed, trials, count,
                                next, err);
}

/* The next trials without running any: all points of a grid, or the first random ones. */
static tub_status next_trials(const sweep *s, tub_trial *trials, int64_t room, int64_t *count,
                              tub_error *err) {
    tub_status status = TUB_OK;
    for (*count = 0; *count < room && status == TUB_OK;) {
        char *next = NULL;
        status = next_trial(s, trials, *count, &next, err);
        if (status == TUB_OK) {
            trials[(*count)++] = (tub_trial){.parameters = next};
        }
    }
    return status;
}

static void free_trials(const sweep *s, tub_trial *trials, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        tub_sweep_text_free(s->context, (char *)trials[i].parameters);
    }
    free(trials);
}

/* How many of them are shown; a search that learns has nothing to show but its first. */
static int64_t shown_trials(const sweep *s) {
    const int64_t points = tub_sweep_points(s->file);
    int64_t n = s->options->common.json ? POINTS_SHOWN : SHOWN;
    n = points >= 0 && points < n ? points : n;
    n = points < 0 && n > SHOWN ? SHOWN : n;
    n = s->info->method == TUB_SWEEP_BAYES ? 1 : n;
    return s->limit < n ? s->limit : n;
}

static json_t *parameters_json(const sweep *s) {
    json_t *list = json_array();
    for (int64_t i = 0; i < s->info->parameters; i++) {
        tub_sweep_parameter p;
        tub_error err;
        if (tub_sweep_parameter_at(s->file, i, &p, &err) == TUB_OK) {
            const char *setting = sweep_setting(p.name);
            json_array_append_new(list,
                                  json_pack("{s:s,s:s,s:o}", "name", p.name, "distribution",
                                            tub_distribution_name(p.distribution), "setting",
                                            setting != NULL ? json_string(setting) : json_null()));
        }
    }
    return list;
}

static int plan_json(const sweep *s, const tub_trial *trials, int64_t count) {
    json_error_t wrong;
    json_t *list = json_array();
    const int64_t points = tub_sweep_points(s->file);
    for (int64_t i = 0; i < count; i++) {
        json_array_append_new(list, json_loads(trials[i].parameters, 0, &wrong));
    }
    return cli_print_json(
        s->self, json_pack("{s:s,s:o?,s:b,s:o,s:o,s:o,s:o,s:o,s:o}", "method",
                           tub_sweep_method_name(s->info->method), "metric",
                           s->column[0] != '\0' ? json_string(s->column) : json_null(), "maximize",
                           s->info->maximize, "problem",
                           s->problem[0] != '\0' ? output_text(s->problem) : json_null(), "points",
                           points >= 0 ? json_integer(points) : json_null(), "limit",
                           s->limit < INT64_MAX ? json_integer(s->limit) : json_null(),
                           "parameters", parameters_json(s), "file",
                           json_loads(tub_sweep_filled(s->file), 0, &wrong), "trials", list));
}

static void print_parameters(const sweep *s) {
    for (int64_t i = 0; i < s->info->parameters; i++) {
        tub_sweep_parameter p;
        tub_error err;
        if (tub_sweep_parameter_at(s->file, i, &p, &err) != TUB_OK) {
            continue;
        }
        const char *setting = sweep_setting(p.name);
        printf("  %-24s  %s", p.name, tub_distribution_name(p.distribution));
        if (!isnan(p.low)) {
            printf(" from %g to %g", p.low, p.high);
        } else if (p.count > 0) {
            printf(" of %" PRId64 " value%s", p.count, p.count == 1 ? "" : "s");
        }
        printf("%s%s\n", setting != NULL && strcmp(setting, p.name) != 0 ? ", sets " : "",
               setting != NULL && strcmp(setting, p.name) != 0 ? setting : "");
    }
}

static void plan_text(const sweep *s, const tub_trial *trials, int64_t count) {
    char text[TEXT];
    const int64_t points = tub_sweep_points(s->file);
    printf("%s: %s", s->options->file, tub_sweep_method_name(s->info->method));
    if (points >= 0) {
        printf(" of %" PRId64 " points", points);
    }
    if (s->limit < INT64_MAX && s->limit != points) {
        printf(", at most %" PRId64 " trials", s->limit);
    }
    if (s->info->metric != NULL) {
        printf("; the %s %s is best", s->info->maximize ? "largest" : "smallest", s->info->metric);
        if (s->column[0] != '\0' && strcmp(s->info->metric, s->column) != 0) {
            printf(" (%s of log.csv)", s->column);
        }
    }
    printf("%s\n", s->info->hyperband ? "; hyperband stops trials early" : "");
    print_parameters(s);
    puts(points >= 0                          ? "Trials"
         : s->info->method == TUB_SWEEP_BAYES ? "First trial; others follow what came before"
                                              : "First trials");
    for (int64_t i = 0; i < count; i++) {
        sweep_describe(trials[i].parameters, text, sizeof text);
        printf("  %" PRId64 "  %s\n", i, text);
    }
    if (points > count) {
        printf("  and %" PRId64 " more\n", points - count);
    }
}

int sweep_plan(const sweep *s) {
    tub_error err;
    const int64_t room = shown_trials(s);
    tub_trial *trials = calloc((size_t)room + 1, sizeof *trials);
    if (trials == NULL) {
        return cli_fail_with(s->self, "out of memory");
    }
    int64_t count = 0;
    const tub_status status = next_trials(s, trials, room, &count, &err);
    int code = CLI_DONE;
    if (s->problem[0] != '\0' && !s->options->common.quiet) {
        fprintf(stderr, "note: valid, but a run would stop at once: %s\n", s->problem);
    }
    if (status != TUB_OK) {
        code = cli_fail(s->self, &err);
    } else if (s->options->common.json) {
        code = plan_json(s, trials, count);
    } else {
        plan_text(s, trials, count);
    }
    free_trials(s, trials, count);
    return code;
}
