/* SPDX-License-Identifier: Apache-2.0 */
/* Ctrl-C: the first one asks the library to stop its work in order, the second one ends the
 * program. */
#include "interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "live.h"

/* A signal handler has no argument of ours, so the program (not the library) keeps these. */
static tub_context *volatile interrupted_context;
static const char *volatile interrupted_promise;
static volatile sig_atomic_t interrupt_count;

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
enum { SIGNALS = sizeof signals / sizeof signals[0] };

static void say(const char *text) {
    const size_t length = strlen(text);
    /* Nothing can be done about a terminal that is gone. */
    ssize_t written = write(STDERR_FILENO, text, length);
    (void)written;
}

static void on_signal(int number) {
    const int saved = errno;
    const bool cleared = live_clear(); /* with what the terminal shows of the key */
    if (interrupt_count++ == 0 && interrupted_context != NULL) {
        tub_train_stop(interrupted_context);
        say(cleared ? "Stopping; " : "\nStopping; ");
        say(interrupted_promise);
        say(". Once more to stop at once.\n");
        errno = saved;
        return;
    }
    /* The second one: as if there were no handler, so that a calling shell sees the signal. */
    signal(number, SIG_DFL);
    raise(number);
}

void interrupt_begin(tub_context *ctx, const char *promise) {
    interrupted_promise = promise;
    interrupted_context = ctx;
    interrupt_count = 0;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < SIGNALS; i++) {
        struct sigaction old;
        /* A signal that the caller has chosen to ignore (nohup) stays ignored. */
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) {
            sigaction(signals[i], &action, NULL);
        }
    }
}

int interrupt_so_far(void) {
    return interrupt_count;
}

int interrupt_end(void) {
    for (int i = 0; i < SIGNALS; i++) {
        struct sigaction old;
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler == on_signal) {
            signal(signals[i], SIG_DFL);
        }
    }
    interrupted_context = NULL;
    return interrupt_count;
}
