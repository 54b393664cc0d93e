/* SPDX-License-Identifier: Apache-2.0 */
#include "serving.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS = 32, PATIENCE = 120 /* seconds: only a server that hangs needs them */ };

static void stop(const char *what) {
    perror(what);
    abort();
}

/* ---- The program ---- */

/* LeakSanitizer of Clang 14 dies over the thread-local memory of libraries that were opened while threads ran,
 * unless it is told to leave that alone. */
static void calm_leak_sanitizer(void) {
    const char *given = getenv("ASAN_OPTIONS");
    char options[512];
    snprintf(options, sizeof options, "%s%sintercept_tls_get_addr=0", given != NULL ? given : "",
             given != NULL ? ":" : "");
    setenv("ASAN_OPTIONS", options, 1);
}

static void become(const char *program, const char *const *arguments, int out) {
    const char *list[ARGUMENTS + 5] = {program, "serve", "--port", "0"};
    for (int i = 0; i < ARGUMENTS && arguments[i] != NULL; i++) {
        list[4 + i] = arguments[i];
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(out, STDOUT_FILENO);
    calm_leak_sanitizer();
    execv(program, (char *const *)(uintptr_t)list);
    _exit(127);
}

void serving_start(serving *s, const char *program, const char *const *arguments) {
    char line[512] = "";
    size_t used = 0;
    int ends[2];
    if (pipe(ends) != 0) {
        stop("pipe");
    }
    s->pid = fork();
    if (s->pid == 0) {
        close(ends[0]);
        become(program, arguments, ends[1]);
    }
    close(ends[1]);
    s->out = ends[0];
    while (strchr(line, '\n') == NULL) {
        const ssize_t n = read(s->out, line + used, sizeof line - 1 - used);
        if (n <= 0) {
            fprintf(stderr, "the server did not start: %s\n", line);
            abort();
        }
        used += (size_t)n;
        line[used] = '\0';
    }
    const char *colon = strrchr(line, ':');
    s->port = colon != NULL ? atoi(colon + 1) : 0;
}

int serving_stop(serving *s) {
    kill(s->pid, SIGTERM);
    return serving_wait(s);
}

int serving_wait(serving *s) {
    int state;
    if (waitpid(s->pid, &state, 0) != s->pid) {
        stop("waitpid");
    }
    close(s->out);
    return WIFEXITED(state) ? WEXITSTATUS(state) : -WTERMSIG(state);
}

/* ---- The client ---- */

int serving_dial(const serving *s) {
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)s->port),
                                   .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const struct timeval patience = {.tv_sec = PATIENCE};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        stop("connect");
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

/* A server that has answered already may close meanwhile: its answer is what counts. */
void serving_say(int fd, const void *bytes, size_t size) {
    const char *at = bytes;
    while (size > 0) {
        const ssize_t n = send(fd, at, size, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) {
            return;
        }
        at += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
}

/* Bytes of the body that the head announces. */
static size_t body_size(const answer *a) {
    const char *length = answer_header(a, "Content-Length");
    return length != NULL ? strtoul(length, NULL, 10) : 0;
}

void serving_hear(int fd, answer *out) {
    size_t used = 0;
    memset(out, 0, sizeof *out);
    while (strstr(out->head, "\r\n\r\n") == NULL) { /* byte by byte: the next answer stays */
        const ssize_t n = used + 1 < sizeof out->head ? recv(fd, out->head + used, 1, 0) : -1;
        if (n <= 0) {
            out->closed = true;
            return;
        }
        used += (size_t)n;
    }
    out->status = atoi(out->head + 9);
    out->size = body_size(out);
    out->body = calloc(1, out->size + 1);
    for (size_t got = 0; got < out->size;) {
        const ssize_t n = recv(fd, out->body + got, out->size - got, 0);
        if (n <= 0) {
            out->closed = true;
            out->status = 0;
            return;
        }
        got += (size_t)n;
    }
}

void serving_ask(const serving *s, const void *bytes, size_t size, bool half, answer *out) {
    const int fd = serving_dial(s);
    serving_say(fd, bytes, size);
    if (half) {
        shutdown(fd, SHUT_WR);
    }
    serving_hear(fd, out);
    close(fd);
}

void serving_request(const serving *s, const char *method, const char *path, const char *headers,
                     const void *body, size_t size, answer *out) {
    char *text = malloc(size + 4096);
    const int n =
        snprintf(text, 4096, "%s %s HTTP/1.1\r\nHost: test\r\n%sContent-Length: %zu\r\n\r\n",
                 method, path, headers != NULL ? headers : "", size);
    if (size > 0) {
        memcpy(text + n, body, size);
    }
    serving_ask(s, text, (size_t)n + size, false, out);
    free(text);
}

const char *answer_header(const answer *a, const char *name) {
    static _Thread_local char value[1024];
    const size_t n = strlen(name);
    for (const char *line = strstr(a->head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
            snprintf(value, sizeof value, "%.*s", (int)strcspn(line + n + 2, "\r"), line + n + 2);
            return value;
        }
    }
    return NULL;
}

void answer_free(answer *a) {
    free(a->body);
    *a = (answer){0};
}
