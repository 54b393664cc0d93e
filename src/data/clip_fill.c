/* SPDX-License-Identifier: Apache-2.0 */
/* The first pass over a set of clips: what the cache lacks is made by all threads together. */
#include "base/each.h"
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
    uint64_t missing;
    atomic_uint_least64_t done;
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

static tub_status fill_record(void *argument, size_t i, int worker, tub_error *err) {
    job *j = argument;
    if (!tub__clip_cache_takes(j->cache) || is_there(j, i)) {
        return TUB_OK;
    }
    TUB__TRY(j->make(j->user, i, worker, err));
    atomic_fetch_add(&j->done, 1);
    /* Only on the thread that called may events be sent, and its user's wish be looked at. */
    if (worker != 0) {
        return TUB_OK;
    }
    emit(j);
    return !j->ctx->stop
               ? TUB_OK
               : tub__fail(
                     err, TUB_E_CANCELLED,
                     "%s: stopped while its clips were prepared; those that are done are kept",
                     j->name);
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
             .range = range != NULL ? *range : all};
    for (size_t i = 0; i < count; i++) {
        j.missing += !is_there(&j, i);
    }
    if (j.missing == 0 || !tub__clip_cache_takes(cache)) {
        return TUB_OK;
    }
    emit(&j);
    const tub_status status = tub__pool_each(ctx->pool, count, fill_record, &j, err);
    if (status == TUB_OK) {
        atomic_store(&j.done, j.missing); /* also where the cache takes no more */
        emit(&j);
    }
    tub__clip_cache_tell(cache);
    return status;
}
