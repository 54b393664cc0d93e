/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that wait for the head of their next request: libmicrohttpd lets each byte begin its patience anew, so
 * that a head which comes byte by byte would hold a connection for weeks. */
#ifndef APP_SERVER_IDLE_H
#define APP_SERVER_IDLE_H

typedef struct idle_list idle_list;
typedef struct idle_one idle_one;

/* seconds: that a head may take, from the connection's begin or the last answer on. NULL: no memory. */
idle_list *idle_create(double seconds);
/* A connection that waits from now on. NULL: no memory; it is not watched, which all others take. */
idle_one *idle_add(idle_list *l, int fd);
void idle_leave(idle_list *l, idle_one *one);  /* its head is there */
void idle_return(idle_list *l, idle_one *one); /* it is answered, and waits again */
/* The connection ends, and its descriptor is still open. */
void idle_remove(idle_list *l, idle_one *one);
/* Shuts down those that have waited for too long. */
void idle_sweep(idle_list *l);
void idle_destroy(idle_list *l); /* none is in it; accepts NULL */

#endif
