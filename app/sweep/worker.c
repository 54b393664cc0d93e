/* SPDX-License-Identifier: Apache-2.0 */
/* Workers: this program's own `train`, in processes that end with the sweep and have cores of
 * their own. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../clock.h"
#include "sweep.h"

/* The cores that this process may use, dealt out in rows: worker `index` of `workers` gets its
 * share. With more workers than cores they share. */
static void take_cores(int index, long workers) {
    cpu_set_t all, mine;
    CPU_ZERO(&mine);
    if (sched_getaffinity(0, sizeof all, &all) != 0) {
        return;
    }
    const int n = CPU_COUNT(&all);
    int seen = 0;
    for (int core = 0; core < CPU_SETSIZE; core++) {
        if (CPU_ISSET(core, &all)) {
            const bool own = n >= workers ? seen * workers / n == index : seen == index % n;
            if (own) {
                CPU_SET(core, &mine);
            }
            seen++;
        }
    }
    (void)sched_setaffinity(0, sizeof mine, &mine); /* slower without, and as right */
}

/* ---- Signals ---- */

/* Those that ask to end, and would be taken by the sweep's handler as long as the child is not the
 * new program. */
static const int asking[] = {SIGINT, SIGTERM, SIGHUP};
enum { ASKING = sizeof asking / sizeof *asking };

static void hold_signals(sigset_t *before) {
    sigset_t held;
    sigemptyset(&held);
    for (int i = 0; i < ASKING; i++) {
        sigaddset(&held, asking[i]);
    }
    pthread_sigmask(SIG_BLOCK, &held, before);
}

/* In the child, whom they end from here on; what is ignored stays so. */
static void take_signals(const sigset_t *before) {
    for (int i = 0; i < ASKING; i++) {
        struct sigaction action;
        if (sigaction(asking[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN) {
            signal(asking[i], SIG_DFL);
        }
    }
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* ---- One training ---- */

/* What a trial's process needs. */
typedef struct launch {
    char recipe[TUB_PATH_LENGTH], run[TUB_PATH_LENGTH], output[TUB_PATH_LENGTH];
    char begun[TUB_PATH_LENGTH]; /* is there from the run's first instant on */
    char threads[32];
} launch;

static bool plan_launch(const sweep *s, int64_t trial, launch *l) {
    snprintf(l->threads, sizeof l->threads, "%d", s->threads);
    return sweep_path(s, trial, ".yaml", l->recipe) && sweep_path(s, trial, "", l->run) &&
           sweep_path(s, trial, ".txt", l->output) &&
           sweep_path(s, trial, "/recipe.yaml", l->begun);
}

/* A training has its run's folder to itself. One of a killed sweep may have it for some time yet: a
 * process that waits for its disk dies when that has answered. how: LOCK_NB does not wait. */
static bool is_free(const char *run, int how) {
    const int folder = open(run, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool fine = folder < 0 || flock(folder, LOCK_EX | how) == 0 || errno != EWOULDBLOCK;
    if (folder >= 0) {
        close(folder);
    }
    return fine;
}

/* In the child, up to the new program. What it prints goes to a file. */
static void become_training(const sweep *s, int index, pid_t parent, const launch *l) {
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int out = open(l->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    /* Killed with the sweep, so that a continued one finds no training at work; and out of the
     * reach of the terminal's Ctrl-C, which the sweep passes on. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent || setpgid(0, 0) != 0 ||
        null < 0 || out < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(out, STDERR_FILENO) < 0) {
        _exit(126);
    }
    take_cores(index, s->options->workers);
    (void)is_free(l->run, 0);
    const char *cpu = tub_context_cpu(s->context);
    const char *fresh[] = {"tubelet", "train",     "--recipe", l->recipe, "--out",
                           l->run,    "--threads", l->threads, "--cpu",   cpu,
                           "--quiet", "--force",   NULL};
    const char *again[] = {"tubelet",  "train", "--resume", l->run,    "--threads",
                           l->threads, "--cpu", cpu,        "--quiet", NULL};
    execv("/proc/self/exe", (char *const *)(access(l->begun, F_OK) == 0 ? again : fresh));
    _exit(127);
}

static tub_status fail(tub_error *err, tub_status status, const char *what, const char *why) {
    err->status = status;
    snprintf(err->message, sizeof err->message, "%.400s: %s", what, why);
    return status;
}

tub_status sweep_start(sweep *s, int index, int64_t trial, tub_error *err) {
    launch l;
    sigset_t before;
    if (!plan_launch(s, trial, &l)) {
        return fail(err, TUB_E_RANGE, s->folder, "the name is too long");
    }
    if (!is_free(l.run, LOCK_NB)) {
        sweep_tell_waiting(s, trial, l.run);
    }
    hold_signals(&before);
    const pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        take_signals(&before);
        become_training(s, index, parent, &l);
    }
    const int why = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pid < 0) {
        return fail(err, TUB_E_IO, "a process for a trial", strerror(why));
    }
    s->worker[index] = (sweep_worker){.pid = pid, .trial = trial, .started = clock_now()};
    return TUB_OK;
}

void sweep_ask_to_stop(sweep_worker *w) {
    if (w->pid > 0) {
        (void)kill(w->pid, SIGTERM);
    }
}

bool sweep_ended(sweep_worker *w, int *code) {
    int status = 0;
    if (waitpid(w->pid, &status, WNOHANG) != w->pid) {
        return false;
    }
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    w->pid = 0;
    return true;
}

/* The last line of a file that is not empty, without the name of the program before it. */
static bool last_line(const char *path, char *out, size_t size) {
    static const char prefix[] = "tubelet train: ";
    char line[1024];
    bool any = false;
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        const size_t skip = strncmp(line, prefix, sizeof prefix - 1) == 0 ? sizeof prefix - 1 : 0;
        if (line[0] != '\0') {
            snprintf(out, size, "%s", line + skip);
            any = true;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return any;
}

void sweep_last_words(const sweep *s, int64_t trial, int code, char *out, size_t size) {
    char path[TUB_PATH_LENGTH];
    if (code > 128) { /* whatever it printed before was about something else */
        snprintf(out, size, "ended by signal %d (%s)", code - 128, strsignal(code - 128));
    } else if (!sweep_path(s, trial, ".txt", path) || !last_line(path, out, size)) {
        snprintf(out, size, "exit code %d, without a word", code);
    }
}
