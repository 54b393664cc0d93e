/* SPDX-License-Identifier: Apache-2.0 */
/* A list in the order in which they began to wait: the first is the one that has waited for longest. */
#include "idle.h"

#include "../clock.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

struct idle_one {
    idle_one *before, *after;
    int fd;
    bool waits; /* is in the list */
    double since;
};

struct idle_list {
    pthread_mutex_t lock;
    double seconds;
    idle_one *first, *last;
};

/* ---- With the lock held ---- */

static void append(idle_list *l, idle_one *one) {
    one->since = clock_now();
    one->waits = true;
    one->before = l->last;
    one->after = NULL;
    *(l->last != NULL ? &l->last->after : &l->first) = one;
    l->last = one;
}

static void take_out(idle_list *l, idle_one *one) {
    if (one->waits) {
        *(one->before != NULL ? &one->before->after : &l->first) = one->after;
        *(one->after != NULL ? &one->after->before : &l->last) = one->before;
        one->waits = false;
    }
}

/* ---- From outside ---- */

idle_list *idle_create(double seconds) {
    idle_list *l = calloc(1, sizeof *l);
    if (l != NULL) {
        pthread_mutex_init(&l->lock, NULL);
        l->seconds = seconds;
    }
    return l;
}

idle_one *idle_add(idle_list *l, int fd) {
    idle_one *one = calloc(1, sizeof *one);
    if (one != NULL) {
        one->fd = fd;
        idle_return(l, one);
    }
    return one;
}

void idle_leave(idle_list *l, idle_one *one) {
    if (one != NULL) {
        pthread_mutex_lock(&l->lock);
        take_out(l, one);
        pthread_mutex_unlock(&l->lock);
    }
}

void idle_return(idle_list *l, idle_one *one) {
    if (one != NULL) {
        pthread_mutex_lock(&l->lock);
        take_out(l, one);
        append(l, one);
        pthread_mutex_unlock(&l->lock);
    }
}

void idle_remove(idle_list *l, idle_one *one) {
    idle_leave(l, one);
    free(one);
}

void idle_sweep(idle_list *l) {
    pthread_mutex_lock(&l->lock);
    const double until = clock_now() - l->seconds;
    while (l->first != NULL && l->first->since < until) {
        shutdown(l->first->fd, SHUT_RDWR); /* whose it is sees the end, and closes it */
        take_out(l, l->first);
    }
    pthread_mutex_unlock(&l->lock);
}

void idle_destroy(idle_list *l) {
    if (l != NULL) {
        pthread_mutex_destroy(&l->lock);
        free(l);
    }
}
