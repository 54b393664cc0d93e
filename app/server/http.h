/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 by libmicrohttpd, which lies in mod-http.so: connections, requests in pieces, answers from any
 * thread. */
#ifndef APP_SERVER_HTTP_H
#define APP_SERVER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct http_server http_server;
typedef struct http_exchange http_exchange; /* a request and its answer */

typedef struct http_answer {
    int status;
    const char *type;           /* of the body; NULL: none is said */
    const char *const *headers; /* name, value, ..., NULL; NULL: none. Copied */
    void *body;                 /* taken over: released by release(body) once it is sent */
    size_t size;
    void (*release)(void *body); /* NULL: the body stays where it is for ever */
    bool close;                  /* the connection ends with this answer */
} http_answer;

/* All are called on a thread of the server; those of one exchange one after the other. */
typedef struct http_events {
    /* The head of a request is there. Returns what the others get; NULL: no memory, the connection is
     * closed. May answer at once: the body is not waited for then, and the connection is closed. */
    void *(*begin)(void *user, http_exchange *x);
    /* A piece of the body; false: the connection is closed. */
    bool (*body)(void *request, const char *data, size_t size);
    /* All of the body is there: it is to be answered, now or later, by any thread. */
    void (*end)(void *request);
    /* The answer is sent, or the connection was lost before its request was whole. */
    void (*done)(void *request, bool sent);
} http_events;

typedef struct http_options {
    int socket;              /* bound, listening, not blocking; taken over where start succeeds */
    int threads;             /* that read and write */
    unsigned connections;    /* at most */
    unsigned idle_seconds;   /* of a connection without a byte */
    const char *certificate; /* PEM; NULL: no TLS */
    const char *key;
} http_options;

enum { HTTP_MODULE_VERSION = 2 };

typedef struct http_module {
    int version;
    /* false: `why` has the reason. options' texts must last as long as the server. */
    bool (*start)(const http_options *options, const http_events *events, void *user,
                  http_server **out, char *why, size_t room);
    /* No new connections from now on. */
    void (*quiesce)(http_server *server);
    /* Every exchange has been answered, or its body is not whole. */
    void (*stop)(http_server *server);
    unsigned (*connections)(http_server *server);
    /* Valid until the exchange is done. path: still in percent-encoding, without the query. */
    const char *(*method)(const http_exchange *x);
    const char *(*path)(const http_exchange *x);
    /* NULL: there is none. Names in any case. */
    const char *(*header)(const http_exchange *x, const char *name);
    /* How many times a header stands there. */
    int (*count_headers)(const http_exchange *x, const char *name);
    /* The other end's address. */
    void (*client)(const http_exchange *x, char *out, size_t room);
    /* Once for each exchange. */
    void (*answer)(http_exchange *x, const http_answer *answer);
} http_module;

#endif
