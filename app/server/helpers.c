/* SPDX-License-Identifier: Apache-2.0 */
/* A queue and the threads that empty it. */
#include "helpers.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "no_memory.h"

typedef struct helper {
    helpers *owner;
    tub_context *context;
    pthread_t thread;
} helper;

struct helpers {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    helper_job *first, *last;
    bool ending;
    int count; /* threads that run */
    helper list[];
};

static helper_job *take(helpers *h) {
    pthread_mutex_lock(&h->lock);
    while (h->first == NULL && !h->ending) {
        pthread_cond_wait(&h->changed, &h->lock);
    }
    helper_job *job = h->first;
    if (job != NULL) {
        h->first = job->next;
        h->last = h->first == NULL ? NULL : h->last;
    }
    pthread_mutex_unlock(&h->lock);
    return job;
}

static void *help(void *user) {
    helper *self = user;
    for (helper_job *job = take(self->owner); job != NULL; job = take(self->owner)) {
        job->work(job, self->context);
    }
    return NULL;
}

static tub_status start(helpers *h, const tub_context_config *config, tub_error *err) {
    helper *self = &h->list[h->count];
    self->owner = h;
    const tub_status status = tub_context_create(config, &self->context, err);
    if (status != TUB_OK) {
        return status;
    }
    if (pthread_create(&self->thread, NULL, help, self) != 0) {
        tub_context_destroy(self->context);
        *err = (tub_error){.status = TUB_E_MEMORY, .message = "no more threads can be started"};
        return TUB_E_MEMORY;
    }
    h->count++;
    return TUB_OK;
}

tub_status helpers_create(int threads, const tub_context_config *config, helpers **out,
                          tub_error *err) {
    helpers *h = calloc(1, sizeof *h + (size_t)threads * sizeof h->list[0]);
    tub_status status = TUB_OK;
    if (h == NULL) {
        return no_memory(err);
    }
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->changed, NULL);
    while (h->count < threads && status == TUB_OK) {
        status = start(h, config, err);
    }
    if (status != TUB_OK) {
        helpers_destroy(h);
        return status;
    }
    *out = h;
    return TUB_OK;
}

void helpers_push(helpers *h, helper_job *job) {
    job->next = NULL;
    pthread_mutex_lock(&h->lock);
    if (h->last != NULL) {
        h->last->next = job;
    } else {
        h->first = job;
    }
    h->last = job;
    pthread_cond_signal(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

void helpers_destroy(helpers *h) {
    if (h == NULL) {
        return;
    }
    pthread_mutex_lock(&h->lock);
    h->ending = true;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
    for (int i = 0; i < h->count; i++) {
        pthread_join(h->list[i].thread, NULL);
        tub_context_destroy(h->list[i].context);
    }
    pthread_cond_destroy(&h->changed);
    pthread_mutex_destroy(&h->lock);
    free(h);
}
