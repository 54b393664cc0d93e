/* SPDX-License-Identifier: Apache-2.0 */
/* The program as a server, started by a test, and a small client that says exactly the bytes it is given. */
#ifndef TEST_SERVING_H
#define TEST_SERVING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct serving {
    pid_t pid;
    int port;
    int out; /* what the program prints */
} serving;

/* Starts "PROGRAM serve --port 0 ARGUMENT..." (ended by NULL) and waits until it listens. Aborts where it does not. */
void serving_start(serving *s, const char *program, const char *const *arguments);
/* Sends SIGTERM and waits; the exit code, or minus the signal that ended it. */
int serving_stop(serving *s);
int serving_wait(serving *s); /* the same of one that was told to stop already */

typedef struct answer {
    int status; /* 0: the connection was closed without one */
    char head[4096];
    char *body; /* with a zero behind it; free() it */
    size_t size;
    bool closed; /* the server ended the connection */
} answer;

/* A connection to it. */
int serving_dial(const serving *s);
void serving_say(int fd, const void *bytes, size_t size);
/* Takes one whole answer off a connection. */
void serving_hear(int fd, answer *out);
/* One request on a connection of its own. half: the sending side is closed afterwards. */
void serving_ask(const serving *s, const void *bytes, size_t size, bool half, answer *out);
/* A request that is put together: method, path, more header lines (each with its end), body. */
void serving_request(const serving *s, const char *method, const char *path, const char *headers,
                     const void *body, size_t size, answer *out);
/* The value of a header of an answer, or NULL; valid until the next call of this thread. */
const char *answer_header(const answer *a, const char *name);
void answer_free(answer *a);

#endif
