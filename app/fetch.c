/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet fetch: downloads known data sets into the cache, or lists them. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "output.h"

enum { KEY_DATA_URL = CLI_KEY_OWN, NAMES_LIMIT = 64 };

static const struct argp_option options[] = {
    {"data-url", KEY_DATA_URL, "URL", 0, "Folder of a mirror that has the same file names", 1},
    CLI_OPTIONS_TALK,
    {0}};

typedef struct fetch_options {
    cli_common common;
    tub_dataset_options data;
    const char *names[NAMES_LIMIT];
    int count;
} fetch_options;

static error_t parse(int key, char *argument, struct argp_state *state) {
    fetch_options *o = state->input;
    switch (key) {
    case KEY_DATA_URL:
        o->data.data_url = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (o->count == NAMES_LIMIT) {
            return cli_misuse(state, "more than %d names on one line", NAMES_LIMIT);
        }
        o->names[o->count++] = argument;
        return 0;
    default:
        return cli_parse_common(key, argument, state);
    }
}

static int list(const cli_command *self, bool json) {
    size_t n = 0;
    const tub_known_dataset *known = tub_known_datasets(&n);
    if (!json) {
        printf("%-22s %7s %7s %7s %7s  %s\n", "NAME", "CLASSES", "TRAIN", "VAL", "TEST", "WHAT");
    }
    for (size_t i = 0; i < n; i++) {
        const tub_known_dataset *k = &known[i];
        if (!json) {
            printf("%-22s %7lld %7lld %7lld %7lld  %s\n", k->name, (long long)k->classes,
                   (long long)k->count[TUB_TRAIN], (long long)k->count[TUB_VAL],
                   (long long)k->count[TUB_TEST], k->title);
        } else if (!output_line(json_pack("{s:s,s:s,s:s,s:s?,s:I,s:o}", "name", k->name, "file",
                                          k->file, "title", k->title, "licence", k->licence,
                                          "classes", (json_int_t)k->classes, "samples",
                                          output_integers(k->count, TUB_SPLITS)))) {
            return cli_fail_with(self, "out of memory");
        }
    }
    return CLI_DONE;
}

static int fetch_all(const cli_command *self, tub_context *ctx, const fetch_options *o) {
    for (int i = 0; i < o->count; i++) {
        char path[TUB_PATH_LENGTH];
        tub_error err;
        if (tub_fetch(ctx, o->names[i], &o->data, path, sizeof path, &err) != TUB_OK) {
            return cli_fail(self, &err);
        }
        if (!o->common.json) {
            puts(path);
        } else if (!output_line(
                       json_pack("{s:s,s:o}", "name", o->names[i], "path", output_text(path)))) {
            return cli_fail_with(self, "out of memory");
        }
    }
    return CLI_DONE;
}

static int run(const cli_command *self, int argc, char **argv) {
    fetch_options o = {.data = tub_dataset_options_default()};
    cli_work work;
    int code = cli_parse(self, argc, argv, &o.common);
    if (code != CLI_GO) {
        return code;
    }
    if (o.count == 0) {
        return list(self, o.common.json);
    }
    o.common.threads = 1; /* a download computes nothing */
    code = cli_work_begin(&work, &o.common);
    if (code != CLI_GO) {
        return code;
    }
    code = fetch_all(self, work.context, &o);
    cli_work_end(&work);
    return code;
}

const cli_command cli_fetch = {
    .name = "fetch",
    .arguments = "[NAME...]",
    .summary = "downloads a known data set; lists them without a name",
    .description = "The file is kept in $TUBELET_DATA or ~/.cache/tubelet, checked by its MD5, and "
                   "a broken transfer is continued. Prints the path.",
    .examples = "  tubelet fetch\n"
                "  tubelet fetch organmnist3d\n"
                "  tubelet fetch organmnist3d@64 --data-url https://mirror.example/medmnist",
    .options = options,
    .parser = parse,
    .run = run,
};
