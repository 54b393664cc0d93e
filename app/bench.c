/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet bench: how fast this machine is. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "output.h"

enum { KEY_REPEATS = CLI_KEY_OWN };

static const struct argp_option options[] = {
    {"repeats", KEY_REPEATS, "N", 0, "Median of N measurements (default 9)", 1},
    CLI_OPTIONS_COMPUTE,
    CLI_OPTIONS_TALK,
    {0}};

typedef struct bench_options {
    cli_common common;
    const char *what;
    long repeats;
} bench_options;

static error_t parse(int key, char *argument, struct argp_state *state) {
    bench_options *o = state->input;
    switch (key) {
    case KEY_REPEATS:
        return cli_parse_int(state, "--repeats", argument, 1, 1000, &o->repeats) ? 0 : ECANCELED;
    case ARGP_KEY_ARG:
        return cli_parse_argument(&o->what, argument, state);
    case ARGP_KEY_END:
        if (o->what == NULL) {
            return cli_misuse(state, "what to measure? this version has: peak");
        }
        if (strcmp(o->what, "peak") != 0) {
            return cli_misuse(state, "'%s' is no benchmark; this version has: peak", o->what);
        }
        return 0;
    default:
        return cli_parse_common(key, argument, state);
    }
}

static int measure(const cli_command *self, cli_work *work, void *parsed) {
    const bench_options *o = parsed;
    tub_error err;
    double gflops = 0;
    if (tub_bench_peak(work->context, (int)o->repeats, &gflops, &err) != TUB_OK) {
        return cli_fail(self, &err);
    }
    const char *cpu = tub_context_cpu(work->context);
    int threads = tub_context_threads(work->context);
    if (o->common.json) {
        return cli_print_json(self,
                              json_pack("{s:s,s:o,s:s,s:i}", "bench", "peak", "gflops",
                                        output_number(gflops), "cpu", cpu, "threads", threads));
    }
    printf("peak  %.1f GFLOP/s  (float32 multiply-add, %s, %d threads)\n", gflops, cpu, threads);
    return CLI_DONE;
}

static int run(const cli_command *self, int argc, char **argv) {
    bench_options o = {.repeats = 9};
    return cli_run(self, argc, argv, &o, measure);
}

const cli_command cli_bench = {
    .name = "bench",
    .arguments = "peak",
    .summary = "measures how fast this machine is",
    .description = "peak: the float32 multiply-add rate of the chosen instruction set on all "
                   "threads, without memory traffic. Every other speed is a share of it.",
    .examples = "  tubelet bench peak\n"
                "  tubelet bench peak --threads 1 --cpu avx2 --json",
    .options = options,
    .parser = parse,
    .run = run,
};
