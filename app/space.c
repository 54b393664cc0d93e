/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet space: writes the folder of a container Space that serves a model. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "output.h"
#include "subject.h"

enum { KEY_TITLE = CLI_KEY_OWN, KEY_LICENCE, KEY_WEIGHTS };

static const struct argp_option options[] = {
    {"title", KEY_TITLE, "TEXT", 0, "Title of the Space (default: the name of RUN)", 1},
    {"licence", KEY_LICENCE, "ID", 0, "Licence of the Space, as hubs name it (default: none)", 1},
    {"license", KEY_LICENCE, "ID", OPTION_ALIAS | OPTION_HIDDEN, NULL, 1},
    {"weights", KEY_WEIGHTS, "WHICH", 0, "last or best of a run (default: as its recipe says)", 1},
    CLI_OPTIONS_TALK,
    {0}};

typedef struct space_options {
    cli_common common;
    const char *run, *out, *title, *licence, *weights;
} space_options;

static error_t parse(int key, char *argument, struct argp_state *state) {
    space_options *o = state->input;
    switch (key) {
    case KEY_TITLE:
        return cli_parse_name(&o->title, "--title", argument, state);
    case KEY_LICENCE:
        return cli_parse_name(&o->licence, "--licence", argument, state);
    case KEY_WEIGHTS:
        return subject_parse_weights(&o->weights, argument, state);
    case ARGP_KEY_ARG:
        return o->run == NULL   ? cli_parse_name(&o->run, "RUN", argument, state)
               : o->out == NULL ? cli_parse_name(&o->out, "DIR", argument, state)
                                : cli_parse_common(key, argument, state);
    case ARGP_KEY_END:
        return o->out == NULL ? cli_misuse(state, "needs a run or model folder, and the folder to "
                                                  "write")
                              : 0;
    default:
        return cli_parse_common(key, argument, state);
    }
}

/* The last part of RUN, without the slashes behind it. */
static void name_of(const char *run, char *out, size_t room) {
    size_t length = strlen(run);
    while (length > 1 && run[length - 1] == '/') {
        length--;
    }
    size_t begin = length;
    while (begin > 0 && run[begin - 1] != '/') {
        begin--;
    }
    snprintf(out, room, "%.*s", (int)(length - begin), run + begin);
}

static int space(const cli_command *self, cli_work *work, void *parsed) {
    const space_options *o = parsed;
    char title[NAME_MAX + 1];
    tub_error err;
    subject from;
    const int code = subject_resolve(self, work->context, o->run, o->weights, &from);
    if (code != CLI_GO) {
        return code;
    }
    name_of(o->run, title, sizeof title);
    if (tub_space_write(work->context, from.folder, o->out, o->title != NULL ? o->title : title,
                        o->licence, &err) != TUB_OK) {
        return cli_fail(self, &err);
    }
    if (o->common.json) {
        return cli_print_json(self, json_pack("{s:o,s:o}", "space", output_text(o->out), "model",
                                              output_text(from.folder)));
    }
    puts(o->out);
    return CLI_DONE;
}

static int run(const cli_command *self, int argc, char **argv) {
    space_options o = {.common = {.threads = 1}};
    return cli_run(self, argc, argv, &o, space);
}

const cli_command cli_space = {
    .name = "space",
    .arguments = "RUN DIR",
    .summary = "writes a folder that is a container Space of a hub",
    .description =
        "DIR gets the model of a run or model folder, the sources of tubelet, a Dockerfile that "
        "builds them and serves the model with its page on port 7860, for the hub to show in a "
        "frame, and the README.md by which a hub knows all that. It runs wherever containers do: "
        "docker build -t NAME DIR, then "
        "docker run -p 7860:7860 NAME; on a hub, push DIR with git to a Space. Prints DIR.",
    .examples = "  tubelet space runs/first organs-space\n"
                "  tubelet space hf:me/organs organs-space --title \"Organs\"",
    .options = options,
    .parser = parse,
    .run = run,
};
