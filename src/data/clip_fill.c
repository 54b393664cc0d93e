/* SPDX-License-Identifier: Apache-2.0 */
/* The first pass over a set of clips: what the cache lacks is made by all threads together. */
#include "base/error.h"
#include "data/clip_cache.h"
#include <stdatomic.h>

typedef struct job {
    tub_context *ctx;
    tub__clip_cache *cache;
    const char *name;
    tub__clip_make *make;
    void *user;
    tub__clip_range range;
    size_t count;
    uint64_t missing;
    atomic_size_t next;
    atomic_uint_least64_t done;
    atomic_bool halt; /* the user's wish, which only the calling thread looks at */
    pthread_mutex_t lock;
    size_t failed; /* under the lock: the first record that could not be made; `count`: none */
    tub_status status;
    tub_error error;
} job;

static bool is_there(const job *j, size_t i) {
    return tub__clip_cache_has(j->cache, j->range.record != NULL ? j->range.record[i] : i);
}

static void emit(job *j) {
    tub__emit(j->ctx, &(tub_event){.kind = TUB_EVENT_CLIPS,
                                   .message = j->name,
                                   .done = atomic_load(&j->done),
                                   .total = j->missing});
}

/* Records are handed out in order: whatever comes before one that fails was handed out too, so the first
 * failure is the same for any number of threads. */
static bool take(job *j, size_t *i) {
    if (atomic_load(&j->halt) || !tub__clip_cache_takes(j->cache)) {
        return false;
    }
    pthread_mutex_lock(&j->lock);
    const bool failed = j->failed < j->count;
    pthread_mutex_unlock(&j->lock);
    *i = failed ? j->count : atomic_fetch_add(&j->next, 1);
    return *i < j->count;
}

static void note_failure(job *j, size_t i, tub_status status, const tub_error *error) {
    pthread_mutex_lock(&j->lock);
    if (i < j->failed) {
        j->failed = i;
        j->status = status;
        j->error = *error;
    }
    pthread_mutex_unlock(&j->lock);
}

static void work(void *argument, int worker, int workers) {
    job *j = argument;
    (void)workers;
    for (size_t i = 0; take(j, &i);) {
        tub_error error = {0};
        if (is_there(j, i)) {
            continue;
        }
        const tub_status status = j->make(j->user, i, worker, &error);
        if (status != TUB_OK) {
            note_failure(j, i, status, &error);
        }
        atomic_fetch_add(&j->done, 1);
        if (worker == 0) { /* the thread that called: only there events may be sent */
            emit(j);
            if (j->ctx->stop) {
                atomic_store(&j->halt, true);
            }
        }
    }
}

static tub_status outcome(const job *j, tub_error *err) {
    if (j->failed < j->count) {
        return tub__fail(err, j->status, "%s", j->error.message);
    }
    return atomic_load(&j->halt)
               ? tub__fail(
                     err, TUB_E_CANCELLED,
                     "%s: stopped while its clips were prepared; those that are done are kept",
                     j->name)
               : TUB_OK;
}

tub_status tub__clip_cache_fill(tub_context *ctx, tub__clip_cache *cache,
                                const tub__clip_range *range, const char *name,
                                tub__clip_make *make, void *user, tub_error *err) {
    const tub__clip_range all = {.count = tub__clip_cache_count(cache)};
    const size_t count = range != NULL && cache != NULL ? range->count : all.count;
    job j = {.ctx = ctx,
             .cache = cache,
             .name = name,
             .make = make,
             .user = user,
             .range = range != NULL ? *range : all,
             .count = count,
             .failed = count};
    for (size_t i = 0; i < count; i++) {
        j.missing += !is_there(&j, i);
    }
    if (j.missing == 0 || !tub__clip_cache_takes(cache)) {
        return TUB_OK;
    }
    pthread_mutex_init(&j.lock, NULL);
    emit(&j);
    tub__pool_run(ctx->pool, work, &j);
    tub_status status = outcome(&j, err);
    if (status == TUB_OK) {
        atomic_store(&j.done, j.missing); /* also where the cache takes no more */
        emit(&j);
    }
    pthread_mutex_destroy(&j.lock);
    tub__clip_cache_tell(cache);
    return status;
}
