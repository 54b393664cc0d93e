/* SPDX-License-Identifier: Apache-2.0 */
/* A small HTTP server on a free loopback port, which serves one folder and can be told to
 * misbehave. */
#ifndef TUB__TESTS_HTTP_SERVER_H
#define TUB__TESTS_HTTP_SERVER_H

#include <stdbool.h>

typedef struct http_server http_server;

/* How it answers from now on; all zero: properly. */
typedef struct http_behaviour {
    int status;         /* not 0: answer this status with a short text */
    long drop_after;    /* not 0: close the connection after so many bytes of the body */
    int drops;          /* with drop_after: how many answers to break; 0: every one */
    bool ignore_range;  /* send the whole file with 200 whatever was asked for */
    const char *commit; /* not NULL: as a hub of models answers for files of this commit, whose ETag
                           is their name */
} http_behaviour;

/* NULL when no socket can be had. */
http_server *http_server_start(const char *folder);
void http_server_stop(http_server *server); /* accepts NULL */
/* "http://127.0.0.1:PORT"; valid until stop. */
const char *http_server_url(const http_server *server);
void http_server_behave(http_server *server, http_behaviour how);
int http_server_requests(http_server *server); /* so far */
long http_server_last_offset(
    http_server *server); /* where the last request's range began; 0: none */

#endif
