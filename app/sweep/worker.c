/* SPDX-License-Identifier: Apache-2.0 */
/* Workers: this program's own `train`, in processes that end with the sweep and have cores of
 * their own. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* In the child, up to the new program. What it prints goes to a file. */
static void become_training(const sweep *s, int index, pid_t parent, const char *output,
                            const char *const *argv) {
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int out = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    /* Killed with the sweep, so that a continued one finds no training at work; and out of the
     * reach of the terminal's Ctrl-C, which the sweep passes on. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent || setpgid(0, 0) != 0 ||
        null < 0 || out < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(out, STDERR_FILENO) < 0) {
        _exit(126);
    }
    take_cores(index, s->options->workers);
    execv("/proc/self/exe", (char *const *)argv);
    _exit(127);
}

static bool exists(const char *path) {
    return access(path, F_OK) == 0;
}

tub_status sweep_start(sweep *s, int index, int64_t trial, tub_error *err) {
    char recipe[TUB_PATH_LENGTH], run[TUB_PATH_LENGTH], output[TUB_PATH_LENGTH],
        begun[TUB_PATH_LENGTH], threads[32];
    if (!sweep_path(s, trial, ".yaml", recipe) || !sweep_path(s, trial, "", run) ||
        !sweep_path(s, trial, ".txt", output) || !sweep_path(s, trial, "/recipe.yaml", begun)) {
        err->status = TUB_E_RANGE;
        snprintf(err->message, sizeof err->message, "%.400s: the name is too long", s->folder);
        return TUB_E_RANGE;
    }
    snprintf(threads, sizeof threads, "%d", s->threads);
    const char *fresh[] = {"tubelet",   "train", "--recipe", recipe,    "--out", run,
                           "--threads", threads, "--quiet",  "--force", NULL};
    const char *again[] = {"tubelet",   "train", "--resume", run,
                           "--threads", threads, "--quiet",  NULL};
    const pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        become_training(s, index, parent, output, exists(begun) ? again : fresh);
    }
    if (pid < 0) {
        err->status = TUB_E_IO;
        snprintf(err->message, sizeof err->message, "a process for a trial: %s", strerror(errno));
        return TUB_E_IO;
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

void sweep_last_words(const sweep *s, int64_t trial, char *out, size_t size) {
    static const char prefix[] = "tubelet train: ";
    char path[TUB_PATH_LENGTH], line[1024];
    FILE *file = sweep_path(s, trial, ".txt", path) ? fopen(path, "r") : NULL;
    snprintf(out, size, "it ended without a word");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        const size_t skip = strncmp(line, prefix, sizeof prefix - 1) == 0 ? sizeof prefix - 1 : 0;
        if (line[0] != '\0') {
            snprintf(out, size, "%s", line + skip);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}
