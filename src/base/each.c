/* SPDX-License-Identifier: Apache-2.0 */
/* Handing out tasks in order, and keeping the failure of the first. */
#include "base/each.h"

#include "base/error.h"
#include <pthread.h>
#include <stdatomic.h>

typedef struct tasks {
    tub__each_fn *fn;
    void *argument;
    size_t count;
    atomic_size_t next;
    atomic_bool failing;
    pthread_mutex_t lock;
    size_t failed; /* under the lock, as what follows: the first that failed; `count`: none */
    tub_status status;
    tub_error error;
} tasks;

static void note_failure(tasks *t, size_t i, tub_status status, const tub_error *error) {
    atomic_store(&t->failing, true);
    pthread_mutex_lock(&t->lock);
    if (i < t->failed) {
        t->failed = i;
        t->status = status;
        t->error = *error;
    }
    pthread_mutex_unlock(&t->lock);
}

static void work(void *argument, int worker, int workers) {
    tasks *t = argument;
    (void)workers;
    for (size_t i; !atomic_load(&t->failing) && (i = atomic_fetch_add(&t->next, 1)) < t->count;) {
        tub_error error = {0};
        const tub_status status = t->fn(t->argument, i, worker, &error);
        if (status != TUB_OK) {
            note_failure(t, i, status, &error);
        }
    }
}

tub_status tub__pool_each(tub__pool *pool, size_t count, tub__each_fn *fn, void *argument,
                          tub_error *err) {
    tasks t = {.fn = fn, .argument = argument, .count = count, .failed = count};
    pthread_mutex_init(&t.lock, NULL);
    tub__pool_run(pool, work, &t);
    pthread_mutex_destroy(&t.lock);
    return t.failed < count ? tub__fail(err, t.status, "%s", t.error.message) : TUB_OK;
}
