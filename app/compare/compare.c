/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet compare: runs side by side, with tests of the difference. */
#include "compare.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "../judged.h"
#include "../live.h"

enum { KEY_HTML = CLI_KEY_OWN };

static const struct argp_option options[] = {
    JUDGING_OPTIONS,
    JUDGING_OPTION_WEIGHTS,
    {"html", KEY_HTML, "FILE", 0, "Write a page with curves over each other, too", 1},
    CLI_OPTIONS_COMPUTE,
    CLI_OPTION_PRECISION,
    CLI_OPTIONS_TALK,
    {0}};

typedef struct compare_options {
    cli_common common;
    const char **runs;
    int count;
    const char *html;
    judging judging;
} compare_options;

static error_t parse(int key, char *argument, struct argp_state *state) {
    compare_options *o = state->input;
    const error_t taken = judging_parse(&o->judging, key, argument, state);
    if (taken != ARGP_ERR_UNKNOWN) {
        return taken;
    }
    switch (key) {
    case KEY_HTML:
        return cli_parse_name(&o->html, "--html", argument, state);
    case ARGP_KEY_ARG:
        o->runs[o->count++] = argument;
        return 0;
    case ARGP_KEY_END:
        return o->count < 2 && !o->common.help ? cli_misuse(state, "needs two runs or more") : 0;
    default:
        return cli_parse_common(key, argument, state);
    }
}

static char *copy_text(const char *text) {
    return text != NULL ? strdup(text) : NULL;
}

/* The names outlive the model and the data. */
static bool keep_labels(compared_run *run, const judged *j) {
    const int64_t n = tub_model_describe(j->answers.first)->classes;
    if (j->eval.labels == NULL) {
        return true;
    }
    run->labels = calloc((size_t)n + 1, sizeof *run->labels);
    for (int64_t k = 0; run->labels != NULL && k < n; k++) {
        run->labels[k] = copy_text(j->eval.labels[k]);
        if (run->labels[k] == NULL) {
            return false;
        }
    }
    run->eval.labels = (const char *const *)run->labels;
    return run->labels != NULL;
}

/* Takes from what was judged what the comparison needs, before that is closed. */
static int keep(const cli_command *self, compared_run *run, judged *j) {
    run->subject = *j->subject;
    run->eval = j->eval;
    run->result = j->result;
    run->probabilities = j->answers.probabilities;
    run->config = *tub_model_describe(j->answers.first);
    run->data = copy_text(j->eval.data);
    j->result = (eval_result){0};
    j->answers.probabilities = NULL;
    run->eval.model = run->subject.folder;
    run->eval.data = run->data;
    run->facts = (report_facts){.run = run->name, .subject = &run->subject};
    return run->data != NULL && keep_labels(run, j) && report_facts_read_run(&run->facts)
               ? CLI_GO
               : cli_fail_with(self, "out of memory");
}

/* The samples of all runs are those of the first, and their answers are of the same kind. */
typedef struct same_samples {
    uint64_t identity;
    int32_t *truth; /* [samples,columns] */
} same_samples;

static bool keep_truth(same_samples *s, const judged *j, tub_split split) {
    const tub_dataset_info *info = tub_dataset_describe(j->answers.data);
    const size_t bytes = (size_t)(j->answers.samples * info->label_columns) * sizeof *s->truth;
    *s = (same_samples){judged_samples(j, split), malloc(bytes > 0 ? bytes : 1)};
    if (s->truth != NULL) {
        memcpy(s->truth, j->answers.truth, bytes);
    }
    return s->truth != NULL;
}

static bool same_question(const compared_run *a, const compared_run *b) {
    const tub_model_config *x = &a->config, *y = &b->config;
    return a->eval.task == b->eval.task && x->classes == y->classes &&
           memcmp(x->head_classes, y->head_classes, sizeof x->head_classes) == 0;
}

static int check_same(const cli_command *self, const comparison *c, const compared_run *run,
                      const same_samples *s, const judged *j, tub_split split) {
    const compared_run *first = &c->runs[0];
    if (!same_question(first, run)) {
        return cli_fail_with(self,
                             "%s and %s answer different questions: %s of %lld classes, and %s of "
                             "%lld",
                             first->name, run->name, tub_task_name(first->eval.task),
                             (long long)first->config.classes, tub_task_name(run->eval.task),
                             (long long)run->config.classes);
    }
    if (j->answers.samples != c->samples || judged_samples(j, split) != s->identity) {
        return cli_fail_with(self,
                             "%s and %s have other samples in their %s splits, by another data "
                             "set, split seed or fold; name one data set for both with --data",
                             first->name, run->name, c->split);
    }
    return CLI_GO;
}

static int test_difference(const cli_command *self, cli_work *work, const compare_options *o,
                           const same_samples *s, const comparison *c, compared_run *run) {
    tub_error err;
    return tub_metrics_difference(work->context, c->samples, run->config.classes,
                                  c->runs[0].probabilities, run->probabilities, s->truth, 1,
                                  (int)o->judging.draws, &run->difference, &err) == TUB_OK
               ? CLI_GO
               : cli_fail(self, &err);
}

/* Against the first, or as the first. */
static int hold_against(const cli_command *self, cli_work *work, const compare_options *o,
                        comparison *c, int i, same_samples *same, const judged *j) {
    if (i == 0) {
        c->samples = j->answers.samples;
        c->tested = c->runs[0].eval.task == TUB_TASK_MULTI_CLASS;
        return keep_truth(same, j, o->judging.split) ? CLI_GO
                                                     : cli_fail_with(self, "out of memory");
    }
    const int code = check_same(self, c, &c->runs[i], same, j, o->judging.split);
    return code == CLI_GO && c->tested ? test_difference(self, work, o, same, c, &c->runs[i])
                                       : code;
}

/* Opens one run, evaluates it, and closes it again but for its numbers. With --data all runs
 * have the first one's split of it. */
static int take_run(const cli_command *self, cli_work *work, const compare_options *o,
                    comparison *c, int i, same_samples *same) {
    judged *j = calloc(1, sizeof *j);
    judging how = o->judging;
    if (j == NULL) {
        return cli_fail_with(self, "out of memory");
    }
    if (how.data != NULL && i > 0) {
        const subject *first = &c->runs[0].subject;
        how.split_seed = first->is_run ? (int64_t)first->config.split_seed : 0;
    }
    c->runs[i].name = o->runs[i];
    int code = judged_open(self, work, o->runs[i], &how, j);
    if (code == CLI_GO) {
        code = keep(self, &c->runs[i], j);
    }
    if (code == CLI_GO) {
        code = hold_against(self, work, o, c, i, same, j);
    }
    judged_close(work->context, j);
    free(j);
    return code;
}

static int tell(const cli_command *self, const compare_options *o, const comparison *c) {
    if (o->html != NULL) {
        const int code = compare_page(self, c, o->html);
        if (code != CLI_GO) {
            return code;
        }
    }
    if (o->common.json) {
        return cli_print_json(self, compare_json(c));
    }
    compare_print(c);
    return CLI_DONE;
}

static void free_all(tub_context *ctx, comparison *c) {
    for (int i = 0; c->runs != NULL && i < c->count; i++) {
        compared_run *run = &c->runs[i];
        eval_result_free(ctx, &run->result);
        report_facts_free(&run->facts);
        free(run->probabilities);
        free(run->data);
        for (char **label = run->labels; label != NULL && *label != NULL; label++) {
            free(*label);
        }
        free(run->labels);
    }
    for (size_t k = 0; k < c->settings_count; k++) {
        for (int i = 0; i < c->count; i++) {
            free(c->settings[k].values[i]);
        }
        free(c->settings[k].values);
    }
    free(c->settings);
    free(c->runs);
}

static int compare(const cli_command *self, cli_work *work, void *parsed) {
    const compare_options *o = parsed;
    comparison c = {.split = tub_split_name(o->judging.split)};
    same_samples same = {0};
    char why[PATH_MAX + 128];
    int code = CLI_GO;
    if (o->html != NULL && !output_possible(o->html, why, sizeof why)) {
        return cli_fail_with(self, "%s", why);
    }
    c.runs = calloc((size_t)o->count, sizeof *c.runs);
    c.count = o->count;
    if (c.runs == NULL) {
        return cli_fail_with(self, "out of memory");
    }
    for (int i = 0; i < o->count && code == CLI_GO; i++) {
        code = take_run(self, work, o, &c, i, &same);
    }
    (void)live_clear();
    if (code == CLI_GO) {
        code = compare_settings(&c) ? tell(self, o, &c) : cli_fail_with(self, "out of memory");
    }
    free(same.truth);
    free_all(work->context, &c);
    return code;
}

static int run(const cli_command *self, int argc, char **argv) {
    compare_options o = {

        .judging = judging_default(), .runs = calloc((size_t)argc + 1, sizeof *o.runs)};
    if (o.runs == NULL) {
        return cli_fail_with(self, "out of memory");
    }
    const int code = cli_run(self, argc, argv, &o, compare);
    free(o.runs);
    return code;
}

const cli_command cli_compare = {
    .name = "compare",
    .arguments = "RUN RUN...",
    .summary = "runs side by side, with tests of their differences",
    .description =
        "Evaluates every run on the same samples. Prints their metrics with 95 % intervals; how "
        "much each is better than the first, with intervals of the paired bootstrap and McNemar's "
        "exact test of who has more samples right; and the settings in which they differ. --html "
        "writes a page, too, which has their curves over each other.",
    .examples = "  tubelet compare runs/first runs/second\n"
                "  tubelet compare runs/* --split val --html runs.html\n"
                "  tubelet compare runs/first models/other --data organmnist3d --json\n",
    .options = options,
    .parser = parse,
    .run = run,
};
