/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a worker process, waiting for it, and telling what became of it.
 *
 * The answer is a file in memory: the kernel holds the worker to its size, no pipe can fill up on
 * both sides, and what is read afterwards has no writer left. */
#include "base/worker.h"

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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_ROOM = 4096, NUMBER_ROOM = 24, ABOVE = 16, WALL_FACTOR = 4, WALL_MORE = 30 };

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
    *to = fcntl(from, F_DUPFD_CLOEXEC, ABOVE);
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

static tub_status spawn(const char *program, char *const arguments[], const ends *e, pid_t *pid,
                        tub_error *err) {
    /* Nothing of the environment but where libraries are. */
    char libraries[PATH_ROOM] = "LD_LIBRARY_PATH=";
    const char *path = secure_getenv("LD_LIBRARY_PATH");
    char *environment[] = {path != NULL ? libraries : NULL, NULL};
    posix_spawn_file_actions_t actions;
    if (path != NULL) {
        strncat(libraries, path, sizeof libraries - strlen(libraries) - 1);
    }
    int code = posix_spawn_file_actions_init(&actions);
    if (code == 0) {
        code = add_actions(&actions, e);
        code = code != 0 ? code : posix_spawn(pid, program, &actions, NULL, arguments, environment);
        posix_spawn_file_actions_destroy(&actions);
    }
    return code == 0
               ? TUB_OK
               : tub__fail_errno(err, code, "the worker process %s can't be started", program);
}

/* Waits for the other end to close; false when that takes too long. */
static bool wait_for_end(int watch, unsigned seconds) {
    struct pollfd p = {.fd = watch};
    int got;
    do {
        got = poll(&p, 1, (int)(WALL_FACTOR * seconds + WALL_MORE) * 1000);
    } while (got < 0 && errno == EINTR);
    return got != 0;
}

/* How it ended, as a sentence. */
static tub_status judge(const tub__worker_job *job, bool in_time, int state, tub_error *err) {
    const int signal = WIFSIGNALED(state) ? WTERMSIG(state) : 0;
    if (!in_time || signal == SIGXCPU) {
        return tub__fail(err, TUB_E_FORMAT,
                         "work on it was stopped after %u seconds: it is damaged, or made to do "
                         "harm",
                         job->seconds);
    }
    if (signal == SIGKILL) {
        return tub__fail(err, TUB_E_MEMORY,
                         "the process that worked on it was killed; the system may be out of "
                         "memory");
    }
    if (signal == SIGINT || signal == SIGTERM) {
        return tub__fail(err, TUB_E_CANCELLED, "work on it was stopped");
    }
    if (signal != 0) {
        return tub__fail(err, TUB_E_FORMAT,
                         "the process that worked on it crashed (%s): it is damaged, or made to do "
                         "harm",
                         strsignal(signal));
    }
    if (WIFEXITED(state) && WEXITSTATUS(state) == TUB__WORKER_TOO_LONG) {
        return tub__fail(err, TUB_E_RANGE, "what is in it takes more than %zu bytes", job->output);
    }
    if (!WIFEXITED(state) || WEXITSTATUS(state) != 0) {
        return tub__fail(err, TUB_E_MODULE,
                         "the process that was to work on it gave up (exit code %d): build and "
                         "install tubelet and its modules together",
                         WIFEXITED(state) ? WEXITSTATUS(state) : -1);
    }
    return TUB_OK;
}

static tub_status wait_for(const tub__worker_job *job, pid_t pid, int watch, tub_error *err) {
    int state = 0;
    const bool in_time = wait_for_end(watch, job->seconds);
    if (!in_time) {
        kill(pid, SIGKILL);
    }
    while (waitpid(pid, &state, 0) < 0) {
        if (errno != EINTR) { /* whoever embeds the library waits for every child himself */
            state = 0;
            break;
        }
    }
    return judge(job, in_time, state, err);
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
        status = wait_for(job, pid, e.watch, err);
    }
    if (status == TUB_OK) {
        status = map_answer(e.output, answer, err);
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
