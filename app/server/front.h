/* SPDX-License-Identifier: Apache-2.0 */
/* Connections before their first request: they wait here, where one costs a few bytes, and its head is looked
 * at before libmicrohttpd gets it, which answers some malformed ones in HTML. */
#ifndef APP_SERVER_FRONT_H
#define APP_SERVER_FRONT_H

#include <stdbool.h>
#include <sys/socket.h>

typedef struct front front;

/* Takes a connection with its first bytes unread; the descriptor is its own. */
typedef void front_fn(void *user, int fd, const struct sockaddr *address, socklen_t size);

typedef struct front_options {
    int socket;                     /* listening, not blocking; taken over */
    bool sealed;                    /* TLS: there is nothing to look at */
    double seconds;                 /* that a head may take */
    unsigned (*others)(void *user); /* connections that were handed on and are open */
    unsigned most;                  /* of all together */
    front_fn *take;
    void (*tick)(void *user); /* called every second or so */
    void *user;
} front_options;

/* *out is there before the first connection is. false: no memory or thread. */
bool front_start(const front_options *options, front **out);
unsigned front_waiting(const front *f);
/* No new connections; those that wait are closed. */
void front_stop(front *f);
void front_free(front *f); /* after front_stop; accepts NULL */

#endif
