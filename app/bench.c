/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet bench: how fast this machine, its kernels and its models are. */
#include "bench.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_PROFILE = CLI_KEY_OWN, KEY_NUMBER };

static const char *const names[BENCH_NAMES] = {"peak", "gemm", "attention", "step", "predict"};

static const struct argp_option options[] = {
    {"rows", KEY_NUMBER + BENCH_ROWS, "M", 0, "gemm: rows of the input, and of the output", 1},
    {"depth", KEY_NUMBER + BENCH_DEPTH, "K", 0, "gemm: columns of the input, rows of the weight",
     1},
    {"columns", KEY_NUMBER + BENCH_COLUMNS, "N", 0, "gemm: columns of the weight and the output",
     1},
    {"tokens", KEY_NUMBER + BENCH_TOKENS, "N", 0, "attention: tokens of a sample", 2},
    {"head-width", KEY_NUMBER + BENCH_HEAD_WIDTH, "W", 0, "attention: width of a head", 2},
    {"samples", KEY_NUMBER + BENCH_SAMPLES, "S", 0, "attention: samples", 2},
    {"batch-size", KEY_NUMBER + BENCH_BATCH, "N", 0, "step, predict: samples (default 32, 1)", 3},
    {"profile", KEY_PROFILE, NULL, 0, "step, predict: what each operation takes, too", 3},
    {"repeats", KEY_NUMBER + BENCH_REPEATS, "N", 0,
     "Median of N measurements (default: 9 of the peak, else 30)", 7},
    {"idle", KEY_NUMBER + BENCH_IDLE, "SECONDS", 0,
     "Count only measurements while no one else uses the machine's cores (see tile), until there "
     "are enough or the time is over",
     7},
    CLI_OPTION_PRECISION,
    CLI_OPTIONS_COMPUTE,
    CLI_OPTIONS_TALK,
    {0}};

/* The options that are for some benchmarks only. */
#define FOR(name)  (1u << (name))
#define FOR_MODELS (FOR(BENCH_STEP) | FOR(BENCH_PREDICT))
static const struct number {
    const char *option;
    unsigned names;
    long limit;
} numbers[BENCH_NUMBERS] = {[BENCH_ROWS] = {"rows", FOR(BENCH_GEMM), 1 << 24},
                            [BENCH_DEPTH] = {"depth", FOR(BENCH_GEMM), 1 << 24},
                            [BENCH_COLUMNS] = {"columns", FOR(BENCH_GEMM), 1 << 24},
                            [BENCH_TOKENS] = {"tokens", FOR(BENCH_ATTENTION), 1000000},
                            [BENCH_HEAD_WIDTH] = {"head-width", FOR(BENCH_ATTENTION), 256},
                            [BENCH_SAMPLES] = {"samples", FOR(BENCH_ATTENTION), 65536},
                            [BENCH_BATCH] = {"batch-size", FOR_MODELS, 65536},
                            [BENCH_REPEATS] = {"repeats", ~0u, TUB_BENCH_REPEATS},
                            [BENCH_IDLE] = {"idle", ~FOR(BENCH_PEAK), 86400}};

static const char *name_word(const void *words, size_t index) {
    return ((const char *const *)words)[index];
}

static error_t parse_name(bench_options *o, struct argp_state *state) {
    if (o->word == NULL) {
        return cli_misuse(state, "what to measure? there are peak, gemm, attention, step, predict");
    }
    for (size_t i = 0; i < BENCH_NAMES; i++) {
        if (strcmp(o->word, names[i]) == 0) {
            o->name = (bench_name)i;
            return 0;
        }
    }
    const size_t near = tub_nearest(o->word, names, BENCH_NAMES, name_word);
    return near < BENCH_NAMES
               ? cli_misuse(state, "'%s' is no benchmark; did you mean '%s'?", o->word, names[near])
               : cli_misuse(state,
                            "'%s' is no benchmark; there are peak, gemm, attention, "
                            "step, predict",
                            o->word);
}

/* An option of other benchmarks. */
static error_t misplaced(const bench_options *o, const char *option, unsigned its_names,
                         struct argp_state *state) {
    char list[64] = "";
    for (size_t i = 0; i < BENCH_NAMES; i++) {
        if ((its_names & FOR(i)) != 0) {
            const size_t used = strlen(list);
            snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? " and " : "", names[i]);
        }
    }
    return cli_misuse(state, "--%s is for bench %s, not for %s", option, list, names[o->name]);
}

static unsigned names_of_setting(const char *key) {
    const bool attention =
        strcmp(key, "model.heads") == 0 || strcmp(key, "model.attention_dropout") == 0;
    return FOR_MODELS | (attention ? FOR(BENCH_ATTENTION) : 0);
}

/* Every option that was given means something to the benchmark. */
static error_t check_places(const bench_options *o, struct argp_state *state) {
    for (size_t i = 0; i < BENCH_NUMBERS; i++) {
        if (o->number[i] != 0 && (numbers[i].names & FOR(o->name)) == 0) {
            return misplaced(o, numbers[i].option, numbers[i].names, state);
        }
    }
    for (int i = 0; i < o->settings.count; i++) {
        const char *key = o->settings.given[i].setting->key;
        char option[48];
        cli_setting_name(key, option, sizeof option);
        if ((names_of_setting(key) & FOR(o->name)) == 0) {
            return misplaced(o, option, names_of_setting(key), state);
        }
    }
    if (o->profile && (FOR_MODELS & FOR(o->name)) == 0) {
        return misplaced(o, "profile", FOR_MODELS, state);
    }
    return o->model != NULL && (FOR_MODELS & FOR(o->name)) == 0
               ? cli_parse_common(ARGP_KEY_ARG, (char *)o->model, state)
               : 0;
}

static error_t check_precision(const bench_options *o, struct argp_state *state) {
    if (o->name == BENCH_PEAK && o->precision != TUB_PRECISION_F32) {
        return cli_misuse(state, "the peak is that of float32; leave --precision away");
    }
    if (o->precision == TUB_PRECISION_INT8 &&
        (o->name == BENCH_STEP || o->name == BENCH_ATTENTION)) {
        return cli_misuse(state,
                          "--precision int8 is for bench gemm and predict; %s has f32 and "
                          "bf16",
                          names[o->name]);
    }
    return 0;
}

static error_t check(bench_options *o, struct argp_state *state) {
    const long *n = o->number;
    error_t error = parse_name(o, state);
    o->precision = o->common.precision;
    if (o->name != BENCH_PREDICT) {
        o->common.precision = TUB_PRECISION_F32; /* training makes its reduced weights itself */
    }
    error = error != 0 ? error : check_places(o, state);
    error = error != 0 ? error : check_precision(o, state);
    if (error == 0 && (n[BENCH_ROWS] != 0 || n[BENCH_DEPTH] != 0 || n[BENCH_COLUMNS] != 0) &&
        (n[BENCH_ROWS] == 0 || n[BENCH_DEPTH] == 0 || n[BENCH_COLUMNS] == 0)) {
        error = cli_misuse(state, "a product has --rows, --depth and --columns: give all of them, "
                                  "or none for those of the models");
    }
    return error;
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    bench_options *o = state->input;
    error_t taken = settings_parse(&o->settings, key, argument, state);
    if (taken != ARGP_ERR_UNKNOWN) {
        return taken;
    }
    if (key >= KEY_NUMBER && key < KEY_NUMBER + BENCH_NUMBERS) {
        const struct number *n = &numbers[key - KEY_NUMBER];
        char option[32];
        snprintf(option, sizeof option, "--%s", n->option);
        return cli_parse_int(state, option, argument, 1, n->limit, &o->number[key - KEY_NUMBER])
                   ? 0
                   : ECANCELED;
    }
    switch (key) {
    case KEY_PROFILE:
        o->profile = true;
        return 0;
    case ARGP_KEY_ARG:
        return cli_parse_argument(o->word == NULL ? &o->word : &o->model, argument, state);
    case ARGP_KEY_END:
        return check(o, state);
    default:
        return cli_parse_common(key, argument, state);
    }
}

tub_bench_config bench_config(const bench_options *o) {
    tub_bench_config config = tub_bench_config_default();
    config.precision = o->precision;
    if (o->number[BENCH_REPEATS] != 0) {
        config.repeats = (int)o->number[BENCH_REPEATS];
    }
    config.idle_seconds = (double)o->number[BENCH_IDLE];
    return config;
}

static int measure(const cli_command *self, cli_work *work, void *parsed) {
    static int (*const benches[BENCH_NAMES])(const cli_command *, tub_context *,
                                             const bench_options *) = {
        [BENCH_PEAK] = bench_peak,
        [BENCH_GEMM] = bench_gemm,
        [BENCH_ATTENTION] = bench_attention,
        [BENCH_STEP] = bench_model,
        [BENCH_PREDICT] = bench_model};
    const bench_options *o = parsed;
    return benches[o->name](self, work->context, o);
}

static int run(const cli_command *self, int argc, char **argv) {
    bench_options *o = calloc(1, sizeof *o);
    if (o == NULL) {
        return cli_fail_with(self, "out of memory");
    }
    int code = cli_run(self, argc, argv, o, measure);
    free(o);
    return code;
}

const cli_command cli_bench = {
    .name = "bench",
    .arguments = "peak\ngemm\nattention\nstep [MODEL]\npredict [MODEL]",
    .summary = "measures how fast machine, kernels and models are",
    .description =
        "peak: the float32 multiply-add rate of the chosen instruction set on all threads, without "
        "memory traffic, and that of products whose weights stream from the second cache (tile); "
        "other speeds are "
        "shares of them, measured right before and after. "
        "gemm: one product and its gradients, or all of vivit-tiny (batch 32) and vivit-b. "
        "attention: forward and backward of one shape, with --heads and --attention-dropout too "
        "(what "
        "is not given is 27 tokens, 8 heads of width 16, 32 samples and no dropout), or those of "
        "vivit-tiny and, forward, of vivit-b. "
        "step, predict: training steps and forward passes of a preset with random weights (default "
        "vivit-tiny) or of a model folder, on generated samples.",
    .examples = "  tubelet bench peak\n"
                "  tubelet bench peak --threads 1 --cpu avx2 --json\n"
                "  tubelet bench gemm --rows 864 --depth 128 --columns 512 --precision bf16\n"
                "  tubelet bench attention --tokens 3137 --heads 12 --head-width 64 --samples 1\n"
                "  tubelet bench step --profile\n"
                "  tubelet bench predict vivit-b --precision int8 --repeats 5\n"
                "  tubelet bench predict runs/first --json",
    .options = options,
    .settings = "model.",
    .parser = parse,
    .run = run,
};
