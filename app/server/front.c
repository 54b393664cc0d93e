/* SPDX-License-Identifier: Apache-2.0 */
/* One thread that accepts, and waits for the first head of each connection. */
#include "front.h"

#include "../clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { HEAD = 16 << 10, EVENTS = 64, TICK = 1000 /* milliseconds */ };

/* A connection, in the order in which they came. */
typedef struct waiting {
    struct waiting *before, *after;
    int fd;
    double since;
    struct sockaddr_storage address;
    socklen_t size;
} waiting;

struct front {
    front_options options;
    int poll, wake[2];
    pthread_t thread;
    waiting *first, *last;
    atomic_uint count;
    char head[HEAD + 1];
};

/* ---- The list ---- */

static void forget(front *f, waiting *w) {
    *(w->before != NULL ? &w->before->after : &f->first) = w->after;
    *(w->after != NULL ? &w->after->before : &f->last) = w->before;
    atomic_fetch_sub(&f->count, 1);
    free(w);
}

static void drop(front *f, waiting *w) {
    close(w->fd);
    forget(f, w);
}

static void hand_on(front *f, waiting *w) {
    epoll_ctl(f->poll, EPOLL_CTL_DEL, w->fd, NULL);
    f->options.take(f->options.user, w->fd, (const struct sockaddr *)&w->address, w->size);
    forget(f, w);
}

/* ---- Heads ---- */

/* The value of the length, if a line says it, is digits and nothing else. */
static bool is_length(const char *value, const char *end) {
    while (value < end && (*value == ' ' || *value == '\t')) {
        value++;
    }
    while (end > value && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r')) {
        end--;
    }
    bool digits = end > value && end - value <= 19;
    for (; value < end; value++) {
        digits = digits && *value >= '0' && *value <= '9';
    }
    return digits;
}

/* NULL, or what is wrong with a whole head. *body: bytes that it announces. */
static const char *judge(const char *head, size_t *body) {
    static const char length[] = "Content-Length:";
    const char *line = strchr(head, '\n');
    int lengths = 0;
    for (; line != NULL; line = strchr(line, '\n')) {
        line++;
        if (strncasecmp(line, length, sizeof length - 1) == 0) {
            const char *end = strchr(line, '\n');
            lengths++;
            *body = strtoul(line + sizeof length - 1, NULL, 10);
            if (!is_length(line + sizeof length - 1, end != NULL ? end : line + strlen(line))) {
                return "Content-Length is no number of bytes";
            }
        }
    }
    return lengths > 1 ? "the length of the body is said twice" : NULL;
}

static void refuse(front *f, waiting *w, const char *sentence) {
    char body[128], answer[384];
    const int n = snprintf(body, sizeof body, "{\"error\":\"%s\"}", sentence);
    const int m = snprintf(answer, sizeof answer,
                           "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"
                           "Content-Length: %d\r\nConnection: close\r\n\r\n%s",
                           n, body);
    (void)!send(w->fd, answer, (size_t)m, MSG_NOSIGNAL);
    /* What was sent is read, so that closing does not take the answer back. */
    (void)!recv(w->fd, f->head, HEAD, 0);
    shutdown(w->fd, SHUT_WR);
    drop(f, w);
}

/* gone: the other end sends nothing more. */
static void look_at(front *f, waiting *w, bool gone) {
    const ssize_t n = recv(w->fd, f->head, HEAD, MSG_PEEK);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        drop(f, w);
        return;
    }
    if (n < 0) {
        return;
    }
    f->head[n] = '\0';
    char *end = f->options.sealed ? NULL : memmem(f->head, (size_t)n, "\r\n\r\n", 4);
    if (end == NULL) {
        if (f->options.sealed || n == HEAD) {
            hand_on(f, w);
        } else if (gone) {
            drop(f, w);
        }
        return;
    }
    *end = '\0';
    size_t body = 0;
    const size_t here = (size_t)(f->head + n - end) - 4;
    const char *wrong = judge(f->head, &body);
    if (wrong != NULL) {
        refuse(f, w, wrong);
    } else if (gone && n < HEAD && here < body) {
        drop(f, w); /* its body is cut */
    } else {
        hand_on(f, w);
    }
}

/* ---- The thread ---- */

static void admit(front *f, int fd, const struct sockaddr_storage *address, socklen_t size) {
    const unsigned open = atomic_load(&f->count) + f->options.others(f->options.user);
    waiting *w = open < f->options.most ? calloc(1, sizeof *w) : NULL;
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET};
    event.data.ptr = w;
    if (w == NULL || epoll_ctl(f->poll, EPOLL_CTL_ADD, fd, &event) != 0) {
        free(w);
        close(fd);
        return;
    }
    w->fd = fd;
    w->since = clock_now();
    w->address = *address;
    w->size = size;
    w->before = f->last;
    *(f->last != NULL ? &f->last->after : &f->first) = w;
    f->last = w;
    atomic_fetch_add(&f->count, 1);
}

static void accept_all(front *f) {
    for (;;) {
        struct sockaddr_storage address;
        socklen_t size = sizeof address;
        const int fd = accept4(f->options.socket, (struct sockaddr *)&address, &size,
                               SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            /* Without a free descriptor the connection waits in the kernel: not at full speed. */
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
                const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
                nanosleep(&pause, NULL);
            }
            return;
        }
        admit(f, fd, &address, size);
    }
}

static void drop_old(front *f) {
    const double until = clock_now() - f->options.seconds;
    while (f->first != NULL && f->first->since < until) {
        drop(f, f->first);
    }
}

static void *run(void *user) {
    front *f = user;
    struct epoll_event events[EVENTS];
    for (;;) {
        const int n = epoll_wait(f->poll, events, EVENTS, TICK);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == f->wake) {
                return NULL;
            }
            if (events[i].data.ptr == f) {
                accept_all(f);
            } else {
                look_at(f, events[i].data.ptr, (events[i].events & (EPOLLRDHUP | EPOLLHUP)) != 0);
            }
        }
        drop_old(f);
        f->options.tick(f->options.user);
    }
}

static bool watch(front *f, int fd, void *what) {
    struct epoll_event event = {.events = EPOLLIN};
    event.data.ptr = what;
    return epoll_ctl(f->poll, EPOLL_CTL_ADD, fd, &event) == 0;
}

bool front_start(const front_options *options, front **out) {
    front *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return false;
    }
    f->options = *options;
    f->wake[0] = f->wake[1] = -1;
    f->poll = epoll_create1(EPOLL_CLOEXEC);
    *out = f;
    if (f->poll < 0 || pipe(f->wake) != 0 || !watch(f, f->wake[0], f->wake) ||
        !watch(f, options->socket, f) || pthread_create(&f->thread, NULL, run, f) != 0) {
        front_free(f);
        *out = NULL;
        return false;
    }
    return true;
}

unsigned front_waiting(const front *f) {
    return atomic_load(&f->count);
}

void front_stop(front *f) {
    (void)!write(f->wake[1], "", 1);
    pthread_join(f->thread, NULL);
    close(f->options.socket);
    while (f->first != NULL) {
        drop(f, f->first);
    }
}

void front_free(front *f) {
    if (f != NULL) {
        close(f->poll);
        close(f->wake[0]);
        close(f->wake[1]);
        free(f);
    }
}
