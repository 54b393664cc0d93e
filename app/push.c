/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet push: publishes a model on a hub. */
#include <stdio.h>

#include "cli.h"
#include "interrupt.h"
#include "output.h"
#include "subject.h"

enum { KEY_MESSAGE = CLI_KEY_OWN, KEY_LICENCE, KEY_PRIVATE, KEY_DRY_RUN, KEY_WEIGHTS };

static const struct argp_option options[] = {
    {"licence", KEY_LICENCE, "ID", 0,
     "Licence of the weights for the card, as hubs name it: apache-2.0, mit, cc-by-4.0, … "
     "(default: what the card says)",
     1},
    {"license", KEY_LICENCE, "ID", OPTION_ALIAS | OPTION_HIDDEN, NULL, 1},
    {"message", 'm', "TEXT", 0, "Message of the commit (default: that tubelet made it)", 1},
    {"private", KEY_PRIVATE, NULL, 0, "A new repository shows itself to its owner alone", 1},
    {"weights", KEY_WEIGHTS, "WHICH", 0, "last or best of a run (default: as its recipe says)", 1},
    {"dry-run", KEY_DRY_RUN, NULL, 0, "Send nothing; print the card as it would be", 1},
    CLI_OPTIONS_TALK,
    {0}};

typedef struct push_options {
    cli_common common;
    const char *run, *name, *weights;
    tub_push_options push;
} push_options;

static error_t check(const push_options *o, struct argp_state *state) {
    if (o->run == NULL || o->name == NULL) {
        return cli_misuse(state, "needs a run or model folder, and hf:OWNER/NAME");
    }
    if (!tub_hub_is_name(o->name)) {
        return cli_misuse(state, "%s is no name on a hub: give hf:OWNER/NAME", o->name);
    }
    return 0;
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    push_options *o = state->input;
    switch (key) {
    case KEY_LICENCE:
        return cli_parse_name(&o->push.licence, "--licence", argument, state);
    case 'm':
        return cli_parse_name(&o->push.message, "--message", argument, state);
    case KEY_PRIVATE:
        o->push.is_private = 1;
        return 0;
    case KEY_DRY_RUN:
        o->push.dry_run = 1;
        return 0;
    case KEY_WEIGHTS:
        return subject_parse_weights(&o->weights, argument, state);
    case ARGP_KEY_ARG:
        return cli_parse_argument(o->run == NULL ? &o->run : &o->name, argument, state);
    case ARGP_KEY_END:
        return check(o, state);
    default:
        return cli_parse_common(key, argument, state);
    }
}

static int print_json(const cli_command *self, const push_options *o, const char *folder,
                      const tub_push_report *r) {
    return cli_print_json(
        self, json_pack("{s:o,s:o,s:o,s:o,s:I,s:I,s:I,s:I}", "push", output_text(folder), "name",
                        output_text(o->name), "url", output_text(r->url), "commit",
                        r->commit[0] != '\0' ? output_text(r->commit) : json_null(), "files",
                        (json_int_t)r->files, "changed", (json_int_t)r->changed, "bytes",
                        (json_int_t)r->bytes, "sent", (json_int_t)r->sent));
}

/* What would be sent: the card, and how much it is. */
static int print_card(const cli_command *self, tub_context *ctx, const push_options *o,
                      const char *folder, const tub_push_report *r) {
    char *card = NULL;
    tub_error err;
    if (tub_hub_card(ctx, folder, o->name, o->push.licence, &card, &err) != TUB_OK) {
        return cli_fail(self, &err);
    }
    fputs(card, stdout);
    tub_hub_free(ctx, card);
    if (!o->common.quiet) {
        fprintf(stderr, "Nothing was sent; it would be %lld files of %.1f MB\n",
                (long long)r->files, (double)r->bytes / 1e6);
    }
    return CLI_DONE;
}

static void talk(const push_options *o, const tub_push_report *r) {
    if (o->common.quiet) {
        return;
    }
    if (r->commit[0] == '\0') {
        fputs("The hub has all of it already; there is no new commit\n", stderr);
    } else {
        fprintf(stderr, "Commit %.10s: %lld of %lld files, %.1f MB to the store\n", r->commit,
                (long long)r->changed, (long long)r->files, (double)r->sent / 1e6);
    }
    if (!r->has_licence) {
        fputs("The card names no licence, so nobody may use the model: name one with --licence\n",
              stderr);
    }
}

static int push(const cli_command *self, cli_work *work, void *parsed) {
    const push_options *o = parsed;
    tub_push_report report;
    tub_error err;
    subject from;
    int code = subject_resolve(self, work->context, o->run, o->weights, &from);
    if (code != CLI_GO) {
        return code;
    }
    interrupt_begin(work->context, "nothing will be published");
    const tub_status status =
        tub_hub_push(work->context, from.folder, o->name, &o->push, &report, &err);
    (void)interrupt_end();
    (void)live_clear();
    if (status != TUB_OK) {
        return cli_fail(self, &err);
    }
    if (o->push.dry_run && !o->common.json) {
        return print_card(self, work->context, o, from.folder, &report);
    }
    if (o->common.json) {
        code = print_json(self, o, from.folder, &report);
    } else {
        puts(report.url);
        code = CLI_DONE;
    }
    talk(o, &report);
    return code;
}

static int run(const cli_command *self, int argc, char **argv) {
    /* One thread: an upload computes nothing. */
    push_options o = {.common = {.threads = 1}, .push = tub_push_options_default()};
    return cli_run(self, argc, argv, &o, push);
}

const cli_command cli_push = {
    .name = "push",
    .arguments = "RUN hf:OWNER/NAME[@BRANCH]",
    .summary = "publishes a model on a hub",
    .description =
        "Sends the model of a run or model folder in one commit: the model card with licence and "
        "results, the configuration and the weights; what the hub has already is not sent again. "
        "The repository is made where it is missing. Needs a token that may write, in HF_TOKEN "
        "or the file that other tools of the hub keep it in; HF_ENDPOINT names another hub. "
        "Prints the address of the model's page.",
    .examples = "  tubelet push runs/first hf:me/organs --licence cc-by-4.0\n"
                "  tubelet push runs/first hf:me/organs@trial --weights best -m \"more epochs\"\n"
                "  tubelet push runs/first hf:me/organs --dry-run",
    .options = options,
    .parser = parse,
    .run = run,
};
