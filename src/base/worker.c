/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a worker process, waiting for it, and telling what became of it.
 *
 * The answer is a file in memory: the kernel holds the worker to its size, no pipe can fill up on
 * both sides, and what is read afterwards has no writer left. */
#include "base/worker.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/module.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_ROOM = 4096, NUMBER_ROOM = 24, WALL_FACTOR = 4, WALL_MORE = 30 };

tub_status tub__worker_file(int *fd, tub_error *err) {
    *fd = memfd_create("tubelet-worker", MFD_CLOEXEC);
    return *fd >= 0 ? TUB_OK : tub__fail_errno(err, errno, "a file in memory can't be made");
}

/* What the worker gets, each descriptor above those that it will have there. */
typedef struct ends {
    int input, output, alive;
    int watch; /* ours: ends when the worker does */
} ends;

static void close_end(int *fd) {
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

static void ends_close(ends *e) {
    close_end(&e->input);
    close_end(&e->output);
    close_end(&e->alive);
    close_end(&e->watch);
}

static bool move_above(int *to, int from) {
    *to = fcntl(from, F_DUPFD_CLOEXEC, TUB__WORKER_FREE);
    errno = *to < 0 && errno == EINVAL ? EMFILE : errno; /* the limit is that low */
    return *to >= 0;
}

static tub_status ends_open(int input, ends *e, tub_error *err) {
    int line[2] = {-1, -1}, output;
    *e = (ends){-1, -1, -1, -1};
    TUB__TRY(tub__worker_file(&output, err));
    const bool made = pipe2(line, O_CLOEXEC) == 0 && move_above(&e->input, input) &&
                      move_above(&e->output, output) && move_above(&e->alive, line[1]);
    tub_status status =
        made ? TUB_OK : tub__fail_errno(err, errno, "a worker process can't be started");
    e->watch = line[0];
    close_end(&line[1]);
    close(output);
    if (status != TUB_OK) {
        ends_close(e);
    }
    return status;
}

static int add_actions(posix_spawn_file_actions_t *a, const ends *e) {
    int code = 0;
    for (int fd = 0; fd <= 2 && code == 0; fd++) {
        code = posix_spawn_file_actions_addopen(a, fd, "/dev/null", O_RDWR, 0);
    }
    code = code != 0 ? code : posix_spawn_file_actions_adddup2(a, e->input, TUB__WORKER_INPUT);
    code = code != 0 ? code : posix_spawn_file_actions_adddup2(a, e->output, TUB__WORKER_OUTPUT);
    return code != 0 ? code : posix_spawn_file_actions_adddup2(a, e->alive, TUB__WORKER_ALIVE);
}

/* No signal is blocked or ignored there that this process blocks or ignores, but for those by which
 * people stop programs: who is deaf to them means its workers, too. */
static int add_signals(posix_spawnattr_t *a) {
    static const int stops[] = {SIGINT, SIGQUIT, SIGHUP, SIGTERM};
    sigset_t none, reset;
    sigemptyset(&none);
    sigfillset(&reset);
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) {
        sigdelset(&reset, stops[i]);
    }
    int code = posix_spawnattr_setsigmask(a, &none);
    code = code != 0 ? code : posix_spawnattr_setsigdefault(a, &reset);
    return code != 0 ? code
                     : posix_spawnattr_setflags(a, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

static tub_status spawn(const char *program, char *const arguments[], const ends *e, pid_t *pid,
                        tub_error *err) {
    /* Nothing of the environment but where libraries are. */
    char libraries[PATH_ROOM] = "LD_LIBRARY_PATH=";
    const char *path = secure_getenv("LD_LIBRARY_PATH");
    char *environment[] = {path != NULL ? libraries : NULL, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t signals;
    if (path != NULL) {
        strncat(libraries, path, sizeof libraries - strlen(libraries) - 1);
    }
    int code = posix_spawn_file_actions_init(&actions);
    if (code == 0) {
        code = posix_spawnattr_init(&signals);
        if (code == 0) {
            code = add_actions(&actions, e);
            code = code != 0 ? code : add_signals(&signals);
            code = code != 0
                       ? code
                       : posix_spawn(pid, program, &actions, &signals, arguments, environment);
            posix_spawnattr_destroy(&signals);
        }
        posix_spawn_file_actions_destroy(&actions);
    }
    return code == 0
               ? TUB_OK
               : tub__fail_errno(err, code, "the worker process %s can't be started", program);
}

static unsigned wall_seconds(const tub__worker_job *job) {
    return job->wall_seconds != 0 ? job->wall_seconds : WALL_FACTOR * job->seconds + WALL_MORE;
}

/* Waits for the other end to close; false when that takes too long. */
static bool wait_for_end(int watch, unsigned seconds) {
    const double deadline = tub__seconds() + seconds;
    struct pollfd p = {.fd = watch};
    for (;;) {
        const double left = deadline - tub__seconds();
        if (left <= 0) {
            return false;
        }
        /* A part of it at a time: as milliseconds a long one would not fit. */
        const int got = poll(&p, 1, left < 1000 ? (int)(left * 1000) + 1 : 1000 * 1000);
        if (got > 0 || (got < 0 && errno != EINTR)) {
            return true;
        }
    }
}

/* How a worker ended. */
typedef struct ending {
    bool in_time;
    int state; /* as waitpid tells it */
    double processor_seconds;
} ending;

/* The limit of a worker as it was set: the user's own may be lower. */
static size_t granted(__rlimit_resource_t resource, size_t asked) {
    struct rlimit r;
    return getrlimit(resource, &r) == 0 && r.rlim_max < asked ? (size_t)r.rlim_max : asked;
}

static tub_status killed(const tub__worker_job *job, const ending *e, int signal, tub_error *err) {
    const size_t seconds = granted(RLIMIT_CPU, job->seconds);
    /* One that blocks the first signal of the limit gets the second, which nobody can block. */
    const bool used_up = e->processor_seconds >= (double)seconds;
    if (!e->in_time) {
        return tub__fail(err, TUB_E_FORMAT,
                         "work on it was stopped after %u seconds by the clock: it is damaged, or "
                         "made to do harm",
                         wall_seconds(job));
    }
    if (signal == SIGXCPU || (signal == SIGKILL && used_up)) {
        return tub__fail(err, TUB_E_FORMAT,
                         "work on it was stopped after %zu seconds of processor time: it is "
                         "damaged, or made to do harm",
                         seconds);
    }
    if (signal == SIGKILL) {
        return tub__fail(err, TUB_E_MEMORY,
                         "the process that worked on it was killed; the system may be out of "
                         "memory");
    }
    if (signal == SIGINT || signal == SIGTERM) {
        return tub__fail(err, TUB_E_CANCELLED, "work on it was stopped");
    }
    return tub__fail(err, TUB_E_FORMAT,
                     "the process that worked on it crashed (%s): it is damaged, or made to do "
                     "harm",
                     strsignal(signal));
}

/* How it ended, as a sentence. */
static tub_status judge(const tub__worker_job *job, const ending *e, tub_error *err) {
    if (WIFSIGNALED(e->state)) {
        return killed(job, e, WTERMSIG(e->state), err);
    }
    const int code = WIFEXITED(e->state) ? WEXITSTATUS(e->state) : -1;
    if (code == TUB__WORKER_TOO_LONG) {
        return tub__fail(err, TUB_E_RANGE, "what is in it takes more than %zu bytes",
                         granted(RLIMIT_FSIZE, job->output));
    }
    return code == 0 || code == TUB__WORKER_NOT_LOADED
               ? TUB_OK
               : tub__fail(err, TUB_E_MODULE,
                           "the process that was to work on it gave up (exit code %d): build and "
                           "install tubelet and its modules together",
                           code);
}

/* Whatever the worker did to the line that tells of its end, it ends here. */
static ending wait_for(const tub__worker_job *job, pid_t pid, int watch) {
    struct rusage used = {0};
    ending e = {.in_time = wait_for_end(watch, wall_seconds(job))};
    pid_t got = wait4(pid, &e.state, WNOHANG, &used);
    if (got == 0) { /* of one that is about to exit this changes nothing */
        kill(pid, SIGKILL);
        do {
            got = wait4(pid, &e.state, 0, &used);
        } while (got < 0 && errno == EINTR);
    }
    if (got < 0) { /* whoever embeds the library waits for every child himself */
        e.state = 0;
    }
    e.processor_seconds = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                          1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    return e;
}

static tub_status map_answer(int output, tub__map *answer, tub_error *err) {
    struct stat st;
    if (fstat(output, &st) != 0 || st.st_size <= 0) {
        return tub__fail(err, TUB_E_FORMAT, "the process that worked on it left no answer");
    }
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, output, 0);
    if (data == MAP_FAILED) {
        return tub__fail_errno(err, errno, "an answer of %lld bytes", (long long)st.st_size);
    }
    *answer = (tub__map){data, (size_t)st.st_size};
    return TUB_OK;
}

/* A worker that could not load its module has left the reason. */
static tub_status not_loaded(const tub__worker_job *job, tub__map *answer, tub_error *err) {
    tub__wire_bytes bytes = {answer->data, answer->size};
    tub__wire_record record;
    tub_error reason = {0};
    (void)!tub__wire_next(&bytes, &record, &reason);
    tub__map_close(answer);
    return tub__module_broken(job->module, reason.message, err);
}

static tub_status take_answer(const tub__worker_job *job, const ending *e, int output,
                              tub__map *answer, tub_error *err) {
    TUB__TRY(judge(job, e, err));
    TUB__TRY(map_answer(output, answer, err));
    return WIFEXITED(e->state) && WEXITSTATUS(e->state) == TUB__WORKER_NOT_LOADED
               ? not_loaded(job, answer, err)
               : TUB_OK;
}

static tub_status run(const char *program, const char *module, const tub__worker_job *job,
                      tub__map *answer, tub_error *err) {
    char numbers[3][NUMBER_ROOM];
    snprintf(numbers[0], NUMBER_ROOM, "%zu", job->memory);
    snprintf(numbers[1], NUMBER_ROOM, "%zu", job->output);
    snprintf(numbers[2], NUMBER_ROOM, "%u", job->seconds);
    char *const arguments[] = {(char *)program,
                               (char *)module,
                               (char *)job->verb,
                               numbers[0],
                               numbers[1],
                               numbers[2],
                               NULL};
    ends e;
    pid_t pid;
    TUB__TRY(ends_open(job->input, &e, err));
    tub_status status = spawn(program, arguments, &e, &pid, err);
    close_end(&e.alive);
    if (status == TUB_OK) {
        const ending end = wait_for(job, pid, e.watch);
        status = take_answer(job, &end, e.output, answer, err);
    }
    ends_close(&e);
    return status;
}

tub_status tub__worker_run(tub_context *ctx, const tub__worker_job *job, tub__map *answer,
                           tub_error *err) {
    char program[PATH_ROOM], module[PATH_ROOM];
    TUB__TRY(tub__module_path(ctx, job->module, module, sizeof module, err));
    if (!tub__module_find(ctx, TUB__WORKER_PROGRAM, program, sizeof program)) {
        return tub__fail(err, TUB_E_MODULE,
                         "there is no program '" TUB__WORKER_PROGRAM
                         "' beside the module mod-%s; build and install tubelet again",
                         job->module);
    }
    return run(program, module, job, answer, err);
}
