/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet report: one HTML page about a run. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../cli.h"
#include "../eval_files.h"
#include "../judged.h"
#include "../output.h"
#include "document.h"
#include "page.h"
#include "pictures.h"
#include "sections.h"

static const struct argp_option options[] = {
    JUDGING_OPTIONS,
    JUDGING_OPTION_WEIGHTS,
    {"out", 'o', "FILE", 0, "The page (default: report.html in the run's folder)", 1},
    CLI_OPTIONS_COMPUTE,
    CLI_OPTION_PRECISION,
    CLI_OPTIONS_TALK,
    {0}};

typedef struct report_options {
    cli_common common;
    const char *run, *out;
    judging judging;
} report_options;

static error_t parse(int key, char *argument, struct argp_state *state) {
    report_options *o = state->input;
    const error_t taken = judging_parse(&o->judging, key, argument, state);
    if (taken != ARGP_ERR_UNKNOWN) {
        return taken;
    }
    switch (key) {
    case 'o':
        return cli_parse_name(&o->out, "--out", argument, state);
    case ARGP_KEY_ARG:
        return cli_parse_argument(&o->run, argument, state);
    case ARGP_KEY_END:
        return o->run == NULL && !o->common.help ? cli_misuse(state, "needs a run folder") : 0;
    default:
        return cli_parse_common(key, argument, state);
    }
}

static void put_head(page *p, const report_facts *f) {
    document_begin(p, f->run);
    page_put(p, "<header><h1>");
    page_text(p, f->run);
    page_put(p, "</h1><p>");
    page_text(p, f->info->name);
    page_putf(p, ", %s split</p><nav aria-label=\"Sections\">", tub_split_name(f->split));
    if (f->log.rows > 0) {
        page_put(p, "<a href=\"#curves\">Training</a> ");
    }
    page_put(p, "<a href=\"#metrics\">Metrics</a> <a href=\"#ranks\">Scores</a> ");
    if (f->parts > 0) {
        page_put(p, "<a href=\"#confusion\">Confusion</a> ");
    }
    page_put(p, "<a href=\"#samples\">Samples</a></nav></header>\n<main>\n");
}

static int put_page(const cli_command *self, page *p, const report_facts *f) {
    put_head(p, f);
    report_summary(p, f);
    report_curves(p, f);
    report_metrics(p, f);
    if (!report_ranks(p, f)) {
        return cli_fail_with(self, "out of memory");
    }
    int code = report_confusion(self, p, f);
    if (code == CLI_GO) {
        code = report_samples(self, p, f);
    }
    if (code == CLI_GO) {
        code = report_attention(self, p, f);
    }
    document_end(p);
    return code;
}

/* "RUN/report.html", or as told. */
static int page_path(const cli_command *self, const report_options *o, char path[PATH_MAX]) {
    if (o->out == NULL && tub_hub_is_name(o->run)) {
        (void)cli_fail_with(self,
                            "%s: name the page with --out; the cache of a hub is no place "
                            "for it",
                            o->run);
        return CLI_MISUSE;
    }
    const int n = o->out != NULL ? snprintf(path, PATH_MAX, "%s", o->out)
                                 : snprintf(path, PATH_MAX, "%s/report.html", o->run);
    return n < PATH_MAX ? CLI_GO : cli_fail_with(self, "the path of the page is too long");
}

static int write_page(const cli_command *self, const report_options *o, const report_facts *f,
                      const char *path) {
    char why[PATH_MAX + 128];
    page p;
    int code = page_begin(&p) ? put_page(self, &p, f) : cli_fail_with(self, "out of memory");
    if (code == CLI_GO && !page_end(&p)) {
        code = cli_fail_with(self, "out of memory");
    }
    if (code == CLI_GO && !output_bytes(p.bytes, p.size, path, why, sizeof why)) {
        code = cli_fail_with(self, "%s", why);
    }
    if (code == CLI_GO && o->common.json) {
        code =
            cli_print_json(self, json_pack("{s:o,s:I,s:I}", "file", output_text(path), "bytes",
                                           (json_int_t)p.size, "samples", (json_int_t)f->samples));
    } else if (code == CLI_GO) {
        printf("%s\n", path);
        code = CLI_DONE;
    }
    page_free(&p);
    return code;
}

static report_facts facts_of(const report_options *o, cli_work *work, judged *j) {
    const eval_answers *a = &j->answers;
    return (report_facts){.run = o->run,
                          .subject = j->subject,
                          .eval = &j->eval,
                          .context = work->context,
                          .model = a->first,
                          .config = tub_model_describe(a->first),
                          .data = a->data,
                          .info = tub_dataset_describe(a->data),
                          .split = o->judging.split,
                          .samples = a->samples,
                          .precision = o->common.precision,
                          .intervals = o->judging.draws > 0,
                          .probabilities = a->probabilities,
                          .truth = a->truth};
}

/* The metrics go to eval-SPLIT.json, too: the page and that file agree. A page of a run that
 * can't be written has to go elsewhere, and stands alone then. */
static int write_all(const cli_command *self, cli_work *work, const report_options *o, judged *j,
                     const char *path) {
    const eval_files files = {o->run, j->answers.own != 0, true, o->common.precision};
    report_facts f = facts_of(o, work, j);
    report_facts_split_up(&f);
    int code = report_facts_read_run(&f) && pictures_remember(&f, f.samples)
                   ? CLI_GO
                   : cli_fail_with(self, "out of memory");
    if (code == CLI_GO && j->subject->is_run && access(o->run, W_OK) == 0) {
        code = eval_files_write(self, work->context, &files, &j->eval, j->answers.probabilities);
    }
    if (code == CLI_GO) {
        code = write_page(self, o, &f, path);
    }
    pictures_forget(&f, f.samples);
    report_facts_free(&f);
    return code;
}

/* Where the page goes is looked at before the work. */
static int open_and_report(const cli_command *self, cli_work *work, void *parsed) {
    const report_options *o = parsed;
    char path[PATH_MAX], why[PATH_MAX + 128];
    judged *j = calloc(1, sizeof *j);
    int code = j != NULL ? page_path(self, o, path) : cli_fail_with(self, "out of memory");
    if (code == CLI_GO) {
        code = subject_check_folder(self, o->run);
    }
    if (code == CLI_GO && access(o->run, F_OK) == 0 && !output_possible(path, why, sizeof why)) {
        code = cli_fail_with(self, "%s", why);
    }
    if (code == CLI_GO) {
        code = judged_open(self, work, o->run, &o->judging, j);
    }
    if (code == CLI_GO) {
        code = write_all(self, work, o, j, path);
    }
    if (j != NULL) {
        judged_close(work->context, j);
    }
    free(j);
    return code;
}

static int run(const cli_command *self, int argc, char **argv) {
    report_options o = {.judging = judging_default()};
    return cli_run(self, argc, argv, &o, open_and_report);
}

const cli_command cli_report = {
    .name = "report",
    .arguments = "RUN",
    .summary = "writes one HTML page about a run",
    .description =
        "Curves of the training, metrics with intervals, ROC and precision-recall curves, "
        "calibration, the confusion matrix with its samples, a grid of moving samples with what "
        "they "
        "are and what the model says, the worst mistakes and the least sure answers. One file that "
        "needs no network and no other file; light, dark, on a phone and on paper. The numbers are "
        "those of eval-SPLIT.json, which is written into the run's folder.",
    .examples = "  tubelet report runs/first\n"
                "  tubelet report runs/first --weights best --split val --out val.html\n"
                "  tubelet report models/other --data organmnist3d --out other.html\n",
    .options = options,
    .parser = parse,
    .run = run,
};
