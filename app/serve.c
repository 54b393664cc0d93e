/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet serve: answers requests for models over HTTP. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/policy.h"
#include "server/server.h"
#include "subject.h"

enum {
    KEY_BIND = CLI_KEY_OWN,
    KEY_MAX_BATCH,
    KEY_MAX_DELAY,
    KEY_QUEUE,
    KEY_MAX_BODY,
    KEY_MAX_MEMORY,
    KEY_MAX_CLIPS,
    KEY_MAX_FRAMES,
    KEY_TIMEOUT,
    KEY_IDLE,
    KEY_CONNECTIONS,
    KEY_HELPERS,
    KEY_IO_THREADS,
    KEY_RELOAD,
    KEY_TOKEN,
    KEY_CERTIFICATE,
    KEY_KEY,
    KEY_LOG,
    KEY_FRAME,
    SERVE_MODELS = 64,
    SERVE_FRAMES = 16
};

static const struct argp_option options[] = {
    {"bind", KEY_BIND, "ADDRESS", 0,
     "Listen at this address (default 127.0.0.1: this machine only)", 1},
    {"port", 'p', "N", 0, "Listen at this port; 0: any free one (default 8000)", 1},
    {"token-file", KEY_TOKEN, "FILE", 0,
     "Answer only those who send the token in FILE's first line, but for /v2/health and the page",
     1},
    {"certificate", KEY_CERTIFICATE, "FILE", 0, "Speak TLS with this certificate (PEM)", 1},
    {"key", KEY_KEY, "FILE", 0, "The certificate's key (PEM)", 1},
    {"frame-from", KEY_FRAME, "ORIGIN", 0,
     "Pages of this origin, such as https://example.org, may show the server's page in a frame; "
     "can be given several times (default: no page may)",
     1},
    {"access-log", KEY_LOG, "FILE", 0,
     "Write a line of JSON for each request; - is the standard output (default: none)", 1},
    {"reload", KEY_RELOAD, "TIME", 0,
     "Look at the models' folders so often, and read again what has changed; 0: on SIGHUP only "
     "(default 2s)",
     1},
    {"max-batch", KEY_MAX_BATCH, "N", 0, "Clips that go through a model at once (default 8)", 2},
    {"max-delay", KEY_MAX_DELAY, "TIME", 0,
     "How long a clip waits for others to make a batch (default 1ms)", 2},
    {"queue", KEY_QUEUE, "N", 0,
     "Requests that wait or are worked on; more are answered 503 (default 256)", 2},
    {"max-body", KEY_MAX_BODY, "SIZE", 0, "Bytes of a body, such as 500k or 64M (default 64M)", 3},
    {"max-memory", KEY_MAX_MEMORY, "SIZE", 0, "Bytes of all requests at hand (default 1G)", 3},
    {"max-clips", KEY_MAX_CLIPS, "N", 0, "Clips or windows of a request (default 256)", 3},
    {"max-frames", KEY_MAX_FRAMES, "N", 0, "Frames of an uploaded file (default 100000)", 3},
    {"timeout", KEY_TIMEOUT, "TIME", 0,
     "A request may take so long, its body and its wait included (default 60s)", 3},
    {"idle", KEY_IDLE, "TIME", 0, "A connection may be silent for so long (default 75s)", 3},
    {"connections", KEY_CONNECTIONS, "N", 0, "At most (default 16384)", 3},
    {"helpers", KEY_HELPERS, "N", 0,
     "Threads that decode uploads (default: one per core, at most 4)", 4},
    {"io-threads", KEY_IO_THREADS, "N", 0, "Threads that read and write (default 1)", 4},
    CLI_OPTIONS_COMPUTE,
    CLI_OPTION_PRECISION,
    {0}};

static const unsigned long long SIZE_MOST = 1ull << 50; /* twice as much is a number, too */

static error_t parse_count(long *out, const char *name, const char *text, long low, long high,
                           struct argp_state *state) {
    return cli_parse_int(state, name, text, low, high, out) ? 0 : ECANCELED;
}

static error_t parse_time(double *out, const char *name, const char *text,
                          struct argp_state *state) {
    int64_t nanoseconds;
    tub_error err;
    if (tub_time_parse(text, &nanoseconds, &err) != TUB_OK) {
        return cli_misuse(state, "%s: %s", name, err.message);
    }
    *out = (double)nanoseconds * 1e-9;
    return 0;
}

/* "64M": k, M and G are powers of 1024. */
static error_t parse_size(size_t *out, const char *name, const char *text,
                          struct argp_state *state) {
    static const char units[] = "kMG";
    char *end;
    const unsigned long long n = text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
    const char *unit = n > 0 && *end != '\0' ? strchr(units, *end) : NULL;
    const int shift = unit != NULL ? (int)(10 * (unit - units + 1)) : 0;
    if (n == 0 || n > SIZE_MOST >> shift || (*end != '\0' && (unit == NULL || end[1] != '\0'))) {
        return cli_misuse(state, "%s '%s' is no size, such as 500k, 64M or 1G", name, text);
    }
    *out = (size_t)n << shift;
    return 0;
}

static error_t parse_limits(server_options *o, int key, const char *argument,
                            struct argp_state *state) {
    switch (key) {
    case KEY_MAX_BATCH:
        return parse_count(&o->max_batch, "--max-batch", argument, 1, 1024, state);
    case KEY_MAX_DELAY:
        return parse_time(&o->max_delay, "--max-delay", argument, state);
    case KEY_QUEUE:
        return parse_count(&o->queue, "--queue", argument, 1, 1000000, state);
    case KEY_MAX_BODY:
        return parse_size(&o->max_body, "--max-body", argument, state);
    case KEY_MAX_MEMORY:
        return parse_size(&o->max_memory, "--max-memory", argument, state);
    case KEY_MAX_CLIPS:
        return parse_count(&o->max_clips, "--max-clips", argument, 1, 100000, state);
    case KEY_MAX_FRAMES:
        return parse_count(&o->max_frames, "--max-frames", argument, 1, 100000000, state);
    case KEY_TIMEOUT:
        return parse_time(&o->timeout, "--timeout", argument, state);
    case KEY_IDLE:
        return parse_time(&o->idle, "--idle", argument, state);
    case KEY_CONNECTIONS:
        return parse_count(&o->connections, "--connections", argument, 1, 1000000, state);
    case KEY_HELPERS:
        return parse_count(&o->helpers, "--helpers", argument, 1, 256, state);
    case KEY_IO_THREADS:
        return parse_count(&o->io_threads, "--io-threads", argument, 1, 256, state);
    default:
        return cli_parse_common(key, (char *)(uintptr_t)argument, state);
    }
}

static error_t parse_frame(server_options *o, const char *argument, struct argp_state *state) {
    if (!policy_is_origin(argument)) {
        return cli_misuse(state,
                          "--frame-from '%s' is no origin, such as https://example.org or "
                          "http://localhost:8080",
                          argument);
    }
    if (o->frame_count == SERVE_FRAMES) {
        return cli_misuse(state, "--frame-from: more than %d origins", SERVE_FRAMES);
    }
    o->frames[o->frame_count++] = argument;
    return 0;
}

static error_t check(const server_options *o, struct argp_state *state) {
    if (o->common.help) {
        return 0;
    }
    if (o->model_count == 0) {
        return cli_misuse(state, "needs a model folder, or a folder of models");
    }
    if ((o->certificate_file == NULL) != (o->key_file == NULL)) {
        return cli_misuse(state, "--certificate and --key work together only");
    }
    if (o->timeout < 1 || o->idle < 1) {
        return cli_misuse(state, "--timeout and --idle are at least 1s");
    }
    return o->max_delay >= o->timeout
               ? cli_misuse(state, "--max-delay is as long as --timeout: who waits so long for "
                                   "others is not answered")
               : 0;
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    server_options *o = state->input;
    long port;
    switch (key) {
    case KEY_BIND:
        return cli_parse_name(&o->bind, "--bind", argument, state);
    case 'p':
        if (!cli_parse_int(state, "--port", argument, 0, 65535, &port)) {
            return ECANCELED;
        }
        o->port = (int)port;
        return 0;
    case KEY_TOKEN:
        return cli_parse_name(&o->token_file, "--token-file", argument, state);
    case KEY_CERTIFICATE:
        return cli_parse_name(&o->certificate_file, "--certificate", argument, state);
    case KEY_KEY:
        return cli_parse_name(&o->key_file, "--key", argument, state);
    case KEY_LOG:
        return cli_parse_name(&o->log_file, "--access-log", argument, state);
    case KEY_FRAME:
        return parse_frame(o, argument, state);
    case KEY_RELOAD:
        return parse_time(&o->reload, "--reload", argument, state);
    case ARGP_KEY_ARG:
        if (o->model_count == SERVE_MODELS) {
            return cli_misuse(state, "more than %d models on one line", SERVE_MODELS);
        }
        o->models[o->model_count++] = argument;
        return 0;
    case ARGP_KEY_END:
        return check(o, state);
    default:
        return parse_limits(o, key, argument, state);
    }
}

/* Models of a hub are got before the server begins, and are folders from then on; got: theirs, the
 * caller's to free. */
static int get_models(const cli_command *self, tub_context *ctx, server_options *o,
                      char *got[SERVE_MODELS]) {
    for (int i = 0; i < o->model_count; i++) {
        char local[PATH_MAX];
        const char *path;
        const int code = subject_local(self, ctx, o->models[i], local, &path);
        if (code != CLI_GO) {
            return code;
        }
        if (path == local) {
            got[i] = strdup(local);
            if (got[i] == NULL) {
                return cli_fail_with(self, "out of memory");
            }
            o->models[i] = got[i];
        }
    }
    return CLI_GO;
}

static int serve(const cli_command *self, cli_work *work, void *parsed) {
    server_options *o = parsed;
    const long cores = tub_context_threads(work->context);
    char *got[SERVE_MODELS] = {NULL};
    o->helpers = o->helpers > 0 ? o->helpers : cores > 4 ? 4 : cores;
    int code = get_models(self, work->context, o, got);
    if (code == CLI_GO) {
        code = server_run(self, work, o);
    }
    for (int i = 0; i < SERVE_MODELS; i++) {
        free(got[i]);
    }
    return code;
}

static int run(const cli_command *self, int argc, char **argv) {
    char *models[SERVE_MODELS] = {NULL};
    const char *frames[SERVE_FRAMES];
    server_options o = {.models = models,
                        .frames = frames,
                        .bind = "127.0.0.1",
                        .port = 8000,
                        .max_batch = 8,
                        .max_delay = 0.001,
                        .queue = 256,
                        .max_clips = 256,
                        .max_frames = 100000,
                        .connections = 16384,
                        .io_threads = 1,
                        .timeout = 60,
                        .idle = 75,
                        .reload = 2,
                        .max_body = (size_t)64 << 20,
                        .max_memory = (size_t)1 << 30};
    return cli_run(self, argc, argv, &o, serve);
}

const cli_command cli_serve = {
    .name = "serve",
    .arguments = "MODEL...",
    .summary = "answers requests for models over HTTP",
    .description =
        "MODEL is a model folder, a run, a model of a hub (hf:OWNER/NAME), or a folder of models, "
        "NAME/ or NAME/VERSION/. The server "
        "speaks the Open Inference Protocol, v2: NAME takes clips as the model takes them (FP32), "
        "NAME_u8 frames of levels (UINT8), NAME_video files of videos and volumes (BYTES), which "
        "are decoded in a process of its own. docs/serving.md describes it all. SIGTERM stops it "
        "when what it works on is done; SIGHUP makes it look at the folders at once.",
    .examples = "  tubelet serve runs/first\n"
                "  tubelet serve models/ --port 8080 --max-batch 16 --max-delay 2ms\n"
                "  tubelet serve runs/first --bind :: --token-file token --certificate host.pem "
                "--key host.key",
    .options = options,
    .parser = parse,
    .run = run,
};
