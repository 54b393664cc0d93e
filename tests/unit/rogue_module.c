/* SPDX-License-Identifier: Apache-2.0 */
/* A module that does in a worker process what a hostile file may make a library do. */
#include "base/error.h"
#include "base/module.h"
#include "base/wire.h"
#include "base/worker.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Who may ask for it later is not on the filter's list, and a test that asks then could not fail. */
static pid_t parent;

__attribute__((constructor)) static void note_parent(void) {
    parent = getppid();
}

/* Counts what succeeded of what a confined process must not be able to do. */
static int forbidden(int output) {
    int done = open("/etc/passwd", O_RDONLY) >= 0;
    done += open("/tmp/tubelet-rogue", O_WRONLY | O_CREAT, 0600) >= 0;
    done += socket(AF_INET, SOCK_STREAM, 0) >= 0;
    done += fork() >= 0;
    done += execl("/bin/true", "true", NULL) != -1;
    done += kill(parent, 0) == 0;
    done += syscall(SYS_tgkill, parent, parent, 0) == 0;
    done += close(TUB__WORKER_ALIVE) == 0;
    done += fcntl(output, F_DUPFD, 10) >= 0;
    done += mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                 0) != MAP_FAILED;
    done += chdir("/") == 0;
    done += setrlimit(RLIMIT_AS, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}) == 0;
    return done;
}

static void sleep_for_ever(void) {
    int word = 0;
    for (;;) {
        syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
    }
}

/* As one that does not want to hear of its end. */
static void spin_deaf(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    for (volatile int i = 0;; i++) {
    }
}

static tub_status eat(tub_error *err) {
    for (size_t eaten = 0;; eaten += 1 << 20) {
        char *volatile block = malloc(1 << 20); /* volatile: no compiler may think it useless */
        if (block == NULL) {
            return tub__fail(err, TUB_E_MEMORY, "no memory after %zu MiB", eaten >> 20);
        }
        memset(block, 1, 1 << 20);
    }
}

static tub_status flood(int output, tub_error *err) {
    static const char block[1 << 16];
    for (;;) {
        TUB__TRY(tub__wire_put(output,
                               &(tub__wire_record){.kind = TUB__WIRE_ARRAY,
                                                   .code = TUB__WIRE_U8,
                                                   .rank = 1,
                                                   .shape = {sizeof block},
                                                   .name = "flood",
                                                   .data = block,
                                                   .bytes = sizeof block},
                               err));
    }
}

static tub_status run(const char *verb, int input, int output, size_t most, tub_error *err) {
    (void)input, (void)most;
    if (strcmp(verb, "crash") == 0) {
        raise(SIGSEGV);
    } else if (strcmp(verb, "abort") == 0) {
        abort();
    } else if (strcmp(verb, "hang") == 0) {
        for (volatile int i = 0;; i++) {
        }
    } else if (strcmp(verb, "hang deaf") == 0) {
        spin_deaf();
    } else if (strcmp(verb, "sleep") == 0) {
        sleep_for_ever();
    } else if (strcmp(verb, "close and sleep") == 0) {
        close(TUB__WORKER_ALIVE);
        sleep_for_ever();
    } else if (strcmp(verb, "quit") == 0) {
        _exit(9);
    } else if (strcmp(verb, "leave") == 0) {
        _exit(0);
    } else if (strcmp(verb, "eat") == 0) {
        return eat(err);
    } else if (strcmp(verb, "flood") == 0) {
        return flood(output, err);
    } else if (strcmp(verb, "rave") == 0) {
        (void)!write(output,
                     "no record at all, but some hundred bytes, and then the end of it "
                     "comes, which is none",
                     80);
    } else if (strcmp(verb, "forbidden") == 0) {
        const int done = forbidden(output);
        return done == 0 ? TUB_OK : tub__fail(err, TUB_E_RANGE, "%d forbidden things", done);
    } else {
        return tub__fail(err, TUB_E_ARGUMENT, "verb %s", verb);
    }
    return TUB_OK;
}

#ifdef ROGUE_OPENS
/* Counts what is not as it should be for a module that may open its input by name. */
static int opened(int input) {
    struct stat facts;
    char byte[2] = "";
    const int first = open("the upload.mp4", O_RDONLY),
              second = open("the upload", O_RDONLY | O_CLOEXEC);
    int wrong = first < 0 || second < 0 || first == input;
    wrong += read(first, byte, 2) != 2 || memcmp(byte, "in", 2) != 0;
    const int third = open("the upload", O_RDONLY); /* at its start, whoever has read before */
    wrong += pread(second, byte, 2, 1) != 2 || memcmp(byte, "np", 2) != 0;
    wrong += read(third, byte, 1) != 1 || byte[0] != 'i';
    wrong += stat("the upload", &facts) != 0 || facts.st_size != 5;
    wrong += fstat(first, &facts) != 0 || facts.st_size != 5;
    wrong += access("the upload", R_OK) != 0;
    wrong += close(first) != 0;
    wrong += access("/etc/passwd", F_OK) == 0;
    wrong += stat("/etc/passwd", &facts) == 0;
    wrong += lstat("/", &facts) == 0;
    wrong += open("the upload", O_WRONLY) >= 0;
    wrong += open("the upload", O_RDWR | O_CREAT, 0600) >= 0;
    wrong += open("the uploader/../etc/passwd/the upload", O_DIRECTORY | O_WRONLY) >= 0;
    wrong += open("", O_RDONLY) >= 0;
    return wrong;
}

static tub_status run_opening(const char *verb, int input, int output, size_t most,
                              tub_error *err) {
    if (strcmp(verb, "open") == 0) {
        const int wrong = opened(input);
        return wrong == 0 ? TUB_OK : tub__fail(err, TUB_E_RANGE, "%d things are wrong", wrong);
    }
    return run(verb, input, output, most, err);
}

static tub_status prepare(const char *verb, int input, const char *modules, tub_error *err) {
    (void)verb;
    (void)modules;
    return write(input, "input", 5) == 5 ? TUB_OK : tub__fail(err, TUB_E_IO, "no input");
}
#define RUN     run_opening
#define PREPARE prepare
#else
#define RUN     run
#define PREPARE NULL
#endif

/* Looked up by name when the module is opened. */
extern __attribute__((visibility("default"))) const tub__worker_module tub__module_table;
const tub__worker_module tub__module_table = {
    .version = TUB__MODULE_VERSION, .run = RUN, .prepare = PREPARE};
