/* SPDX-License-Identifier: Apache-2.0 */
/* The server's life: it starts, looks at the models' folders now and then, and stops when what runs is done. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "policy.h"
#include "samples.h"
#include "server.h"

enum { FILE_LIMIT = 1 << 20, TOKEN_LEAST = 8, DESCRIPTORS_MORE = 256 };
enum { REAP = 5, SENDING = 5 }; /* seconds; the second is for answers that came last */

/* ---- Files ---- */

/* A whole small file as text; NULL after a sentence. */
static char *read_text(const cli_command *self, const char *path) {
    FILE *f = fopen(path, "re");
    char *text = f != NULL ? calloc(1, FILE_LIMIT + 1) : NULL;
    const size_t n = text != NULL ? fread(text, 1, FILE_LIMIT, f) : 0;
    if (f == NULL || text == NULL || n == 0 || ferror(f)) {
        (void)cli_fail_with(self, "%s: %s", path, f == NULL ? strerror(errno) : "it can't be read");
        free(text);
        text = NULL;
    }
    if (f != NULL) {
        fclose(f);
    }
    return text;
}

static bool read_token(server *s) {
    s->token = read_text(s->command, s->options->token_file);
    if (s->token == NULL) {
        return false;
    }
    s->token[strcspn(s->token, "\r\n")] = '\0';
    if (strlen(s->token) < TOKEN_LEAST) {
        (void)cli_fail_with(s->command, "%s: a token has at least %d characters, in the first line",
                            s->options->token_file, TOKEN_LEAST);
        return false;
    }
    return true;
}

static bool open_log(server *s) {
    const char *path = s->options->log_file;
    s->log = path == NULL             ? -1
             : strcmp(path, "-") == 0 ? dup(STDOUT_FILENO)
                                      : open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (path != NULL && s->log < 0) {
        (void)cli_fail_with(s->command, "%s: %s", path, strerror(errno));
        return false;
    }
    return true;
}

static bool read_files(server *s) {
    const server_options *o = s->options;
    if (o->token_file != NULL && !read_token(s)) {
        return false;
    }
    if (o->certificate_file != NULL) {
        s->certificate = read_text(s->command, o->certificate_file);
        s->key = s->certificate != NULL ? read_text(s->command, o->key_file) : NULL;
        if (s->key == NULL) {
            return false;
        }
    }
    return open_log(s);
}

/* ---- Starting ---- */

/* A descriptor for each connection: as many as the system lets us have. */
static long raise_descriptors(long connections) {
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0) {
        return connections;
    }
    const rlim_t want = (rlim_t)connections + DESCRIPTORS_MORE;
    if (r.rlim_cur < want) {
        r.rlim_cur = r.rlim_max < want ? r.rlim_max : want;
        (void)!setrlimit(RLIMIT_NOFILE, &r);
    }
    return (rlim_t)connections + DESCRIPTORS_MORE <= r.rlim_cur
               ? connections
               : (long)(r.rlim_cur > 2 * DESCRIPTORS_MORE ? r.rlim_cur - DESCRIPTORS_MORE
                                                          : r.rlim_cur / 2);
}

static int start_helpers(server *s) {
    tub_context_config config = tub_context_config_default();
    tub_error err;
    config.threads = 1;
    config.cpu = s->options->common.cpu;
    return helpers_create((int)s->options->helpers, &config, &s->helpers, &err) == TUB_OK
               ? CLI_GO
               : cli_fail(s->command, &err);
}

static int open_models(server *s) {
    const server_options *o = s->options;
    const served_settings settings = {.command = s->command,
                                      .common = &o->common,
                                      .max_batch = o->max_batch,
                                      .max_delay = o->max_delay};
    return registry_create(&settings, o->models, o->model_count, &s->models);
}

static int start_listening(server *s) {
    const server_options *o = s->options;
    char why[256];
    int port = o->port;
    const int fd = listen_at(o->bind, &port, why, sizeof why);
    if (fd < 0) {
        return cli_fail_with(s->command, "%s", why);
    }
    const http_options http = {.socket = fd,
                               .threads = (int)o->io_threads,
                               .connections = (unsigned)raise_descriptors(o->connections),
                               .idle_seconds = (unsigned)o->idle,
                               .certificate = s->certificate,
                               .key = s->key};
    if (!s->http->start(&http, request_events(), s, &s->listener, why, sizeof why)) {
        close(fd);
        return cli_fail_with(s->command, "%s", why);
    }
    const bool wide = strchr(o->bind, ':') != NULL;
    printf("tubelet serve: listening at %s://%s%s%s:%d/\n",
           o->certificate_file != NULL ? "https" : "http", wide ? "[" : "", o->bind,
           wide ? "]" : "", port);
    fflush(stdout);
    output_note();
    return CLI_GO;
}

/* ---- Running ---- */

static void wait_for_signals(sigset_t *out) {
    sigemptyset(out);
    sigaddset(out, SIGTERM);
    sigaddset(out, SIGINT);
    sigaddset(out, SIGHUP);
}

static struct timespec pause_of(double seconds) {
    return (struct timespec){.tv_sec = (time_t)seconds,
                             .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
}

/* Until a signal to stop. SIGHUP looks at once. */
static void run(server *s, const sigset_t *signals) {
    const bool looks = s->options->reload > 0;
    const struct timespec pause = pause_of(looks ? s->options->reload : REAP);
    for (;;) {
        const int got = sigtimedwait(signals, NULL, &pause);
        if (got == SIGTERM || got == SIGINT) {
            return;
        }
        if (got == SIGHUP || (got < 0 && errno == EAGAIN && looks)) {
            registry_scan(s->models);
        } else {
            registry_reap(s->models);
        }
    }
}

static void hurry(void *user, served *m) {
    (void)user;
    batcher_hurry(m->batcher);
}

/* Until a count is zero, or so many seconds are over; a second signal ends the program. */
static void wait_for_none(const atomic_long *count, double seconds, const sigset_t *signals) {
    const struct timespec pause = pause_of(0.02);
    const double until = clock_now() + seconds;
    while (atomic_load(count) > 0 && clock_now() < until) {
        const int got = sigtimedwait(signals, NULL, &pause);
        if (got == SIGTERM || got == SIGINT) {
            fprintf(stderr, "tubelet serve: stopped at once\n");
            _exit(CLI_FAILED);
        }
    }
}

/* No new connections and no new requests; those that have begun are answered. Who does not send the rest of a body,
 * or does not read, can't keep the server; what a thread works on must be answered, or libmicrohttpd can't stop. */
static void drain(server *s, const sigset_t *signals) {
    fprintf(stderr, "tubelet serve: stopping; requests at hand: %ld\n", atomic_load(&s->open));
    atomic_store(&s->draining, true);
    s->http->quiesce(s->listener);
    registry_each(s->models, hurry, NULL);
    wait_for_none(&s->open, s->options->timeout, signals);
    atomic_store(&s->closed, true);
    wait_for_none(&s->working, HUGE_VAL, signals);
    wait_for_none(&s->open, SENDING, signals);
    if (atomic_load(&s->open) > 0) {
        fprintf(stderr,
                "tubelet serve: requests that were not sent, or not read, to their end: %ld\n",
                atomic_load(&s->open));
    }
}

static void stop(server *s) {
    if (s->listener != NULL) {
        s->http->stop(s->listener);
    }
    helpers_destroy(s->helpers);
    registry_destroy(s->models);
    if (s->log >= 0) {
        close(s->log);
    }
    free(s->token);
    free(s->certificate);
    free(s->key);
    free(s->policy);
}

/* Threads that are started later inherit that the signals wait for this one. */
static int start(server *s, tub_context *ctx) {
    tub_error err;
    s->http = http_open(ctx, &err);
    if (s->http == NULL) {
        return cli_fail(s->command, &err);
    }
    s->policy = policy_make(s->options->frames, s->options->frame_count);
    if (s->policy == NULL) {
        return cli_fail_with(s->command, "out of memory");
    }
    int code = read_files(s) ? start_helpers(s) : CLI_FAILED;
    code = code == CLI_GO ? open_models(s) : code;
    return code == CLI_GO ? start_listening(s) : code;
}

int server_run(const cli_command *self, cli_work *work, const server_options *options) {
    struct samples made;
    server s = {.options = options, .command = self, .log = -1, .samples = &made};
    sigset_t signals, before;
    samples_init(&made);
    s.started = clock_now();
    s.started_at = (double)time(NULL);
    signal(SIGPIPE, SIG_IGN);
    wait_for_signals(&signals);
    pthread_sigmask(SIG_BLOCK, &signals, &before);
    int code = start(&s, work->context);
    if (code == CLI_GO) {
        run(&s, &signals);
        drain(&s, &signals);
        code = CLI_DONE;
    }
    stop(&s);
    samples_free(&made);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}
