/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet fetch: downloads known data sets into the cache, or lists them. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "output.h"

enum { KEY_DATA_URL = CLI_KEY_OWN, NAMES_LIMIT = 64 };

static const struct argp_option options[] = {
    {"data-url", KEY_DATA_URL, "URL", 0,
     "Folder of a mirror that has the same file names (default: where the set is published)", 1},
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

static void print_built_in(void) {
    fputs("built in: ", stdout);
    for (size_t i = 0; tub_built_in_dataset(i) != NULL; i++) {
        printf("%s%s", i > 0 ? ", " : "", tub_built_in_dataset(i));
    }
    putchar('\n');
}

static int list(const cli_command *self, bool json) {
    size_t n = 0;
    int code = CLI_DONE;
    const tub_known_dataset *known = tub_known_datasets(&n);
    if (!json) {
        printf("%-22s %7s %7s %7s %7s  %s\n", "NAME", "CLASSES", "TRAIN", "VAL", "TEST", "WHAT");
    }
    for (size_t i = 0; i < n && code == CLI_DONE; i++) {
        const tub_known_dataset *k = &known[i];
        if (json) {
            code =
                cli_print_json(self, json_pack("{s:s,s:s,s:s,s:s?,s:I,s:o}", "name", k->name,
                                               "file", k->file, "title", k->title, "licence",
                                               k->licence, "classes", (json_int_t)k->classes,
                                               "samples", output_integers(k->count, TUB_SPLITS)));
        } else {
            printf("%-22s %7lld %7lld %7lld %7lld  %s\n", k->name, (long long)k->classes,
                   (long long)k->count[TUB_TRAIN], (long long)k->count[TUB_VAL],
                   (long long)k->count[TUB_TEST], k->title);
        }
    }
    if (!json) {
        print_built_in();
    }
    return code;
}

static int fetch_one(const cli_command *self, tub_context *ctx, const fetch_options *o,
                     const char *name) {
    char path[TUB_PATH_LENGTH];
    tub_error err;
    const tub_status status = tub_hub_is_name(name)
                                  ? tub_hub_fetch(ctx, name, path, sizeof path, &err)
                                  : tub_fetch(ctx, name, &o->data, path, sizeof path, &err);
    if (status != TUB_OK) {
        return cli_fail(self, &err);
    }
    if (o->common.json) {
        return cli_print_json(self,
                              json_pack("{s:s,s:o}", "name", name, "path", output_text(path)));
    }
    puts(path);
    output_note();
    return CLI_DONE;
}

/* Every name; one that fails is told and counted, and the work goes on. The code is the first
 * failure's. */
static int fetch_all(const cli_command *self, tub_context *ctx, const fetch_options *o) {
    int code = CLI_DONE, bad = 0;
    for (int i = 0; i < o->count; i++) {
        int one = fetch_one(self, ctx, o, o->names[i]);
        code = code == CLI_DONE ? one : code;
        bad += one != CLI_DONE;
    }
    if (bad > 0 && o->count > 1) {
        (void)cli_fail_with(self, "%d of %d names could not be fetched", bad, o->count);
    }
    return code;
}

static int fetch(const cli_command *self, cli_work *work, void *parsed) {
    const fetch_options *o = parsed;
    return o->count == 0 ? list(self, o->common.json) : fetch_all(self, work->context, o);
}

static int run(const cli_command *self, int argc, char **argv) {
    /* One thread: a download computes nothing. */
    fetch_options o = {.common = {.threads = 1}, .data = tub_dataset_options_default()};
    return cli_run(self, argc, argv, &o, fetch);
}

const cli_command cli_fetch = {
    .name = "fetch",
    .arguments = "[NAME...]",
    .summary = "downloads a data set or a model of a hub; lists the sets without a name",
    .description =
        "NAME is a data set, or a model of a hub: hf:OWNER/NAME or hf:OWNER/NAME@REVISION, which "
        "every "
        "other command takes as MODEL, too. A data set is kept in $TUBELET_DATA or "
        "~/.cache/tubelet, checked by its MD5, and "
        "a broken transfer is continued. A model goes into the cache that other tools of the hub "
        "share, "
        "checked by what the hub says of each file; HF_TOKEN, HF_HOME, HF_HUB_CACHE, HF_ENDPOINT "
        "and HF_HUB_OFFLINE mean what they mean there. Prints the path. A name among many that "
        "fails is "
        "told and the work goes on; the exit code is not 0 then.",
    .examples = "  tubelet fetch\n"
                "  tubelet fetch organmnist3d\n"
                "  tubelet fetch hf:google/vivit-b-16x2-kinetics400\n"
                "  tubelet fetch organmnist3d@64 --data-url https://mirror.example/medmnist",
    .options = options,
    .parser = parse,
    .run = run,
};
