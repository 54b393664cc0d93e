/* SPDX-License-Identifier: Apache-2.0 */
/* The clip cache in this process: what was verified, the map, and when to stop adding. */
#include "data/clip_cache.h"

#include "base/error.h"
#include "base/hash.h"
#include "base/number.h"
#include "data/clip_set.h"
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>

/* What this process knows of a record. */
enum { UNKNOWN, DAMAGED, VERIFIED };

typedef struct place {
    uint64_t offset, bytes;
} place;

/* Why nothing is added any more. */
typedef enum note { NONE, LIMIT, DISK, FAILURE } note;

struct tub__clip_cache {
    tub_context *ctx;
    tub__clip_cache_config config; /* its folder is `folder` */
    char *folder;
    tub__clip_set set;
    atomic_uchar *state; /* [count] */
    place *places;       /* [count]: written under the lock before the state says VERIFIED */
    /* Reaches beyond the end of the file, as far as that may grow. What lies behind its end is never
     * touched: entries are checked against the file's size first. */
    const unsigned char *map;
    uint64_t mapped;

    pthread_mutex_t lock;
    atomic_bool takes;
    bool busy;         /* under the lock: the folder's lock was not to be had */
    note note;         /* under the lock */
    bool told;         /* the owner's */
    tub_error failure; /* under the lock */
};

/* As much as the file may grow to; less where the system gives no such range of addresses. */
static bool map_file(tub__clip_cache *c) {
    const uint64_t size = tub__clip_set_size(&c->set), least = (uint64_t)1 << 16;
    struct statvfs fs;
    uint64_t most = c->config.limit;
    if (fstatvfs(c->set.folder, &fs) == 0 && fs.f_blocks > 0) {
        const uint64_t disk = (uint64_t)fs.f_blocks * fs.f_frsize;
        most = disk < most ? disk : most;
    }
    most = (most < size ? size : most) + least;
    for (void *map = MAP_FAILED; most >= size + least / 2; most = most / 2) {
        map = mmap(NULL, most, PROT_READ, MAP_SHARED, c->set.fd, 0);
        if (map != MAP_FAILED) {
            c->map = map;
            c->mapped = most;
            return true;
        }
    }
    return false;
}

static tub_status fill(tub__clip_cache *c, bool *rebuilt, tub_error *err) {
    const tub_allocator *a = &c->ctx->allocator;
    const size_t count = c->config.count > 0 ? c->config.count : 1;
    void *block = NULL;
    TUB__TRY(tub__alloc_string(a, c->config.folder, &c->folder, err));
    c->config.folder = c->folder;
    TUB__TRY(tub__alloc_array(a, count, sizeof *c->state, &block, err));
    c->state = block; /* zeros: UNKNOWN */
    TUB__TRY(tub__alloc_array(a, count, sizeof *c->places, &block, err));
    c->places = block;
    TUB__TRY(tub__clip_set_open(a, &c->config, &c->set, rebuilt, err));
    return map_file(c)
               ? TUB_OK
               : tub__fail_errno(err, errno, "%s/%s can't be mapped", c->folder, c->set.name);
}

tub_status tub__clip_cache_open(tub_context *ctx, const tub__clip_cache_config *config,
                                tub__clip_cache **out, tub_error *err) {
    void *block = NULL;
    bool rebuilt = false;
    tub_error why = {0};
    *out = NULL;
    TUB__TRY(tub__alloc_array(&ctx->allocator, 1, sizeof(tub__clip_cache), &block, err));
    tub__clip_cache *c = block;
    c->ctx = ctx;
    c->config = *config;
    c->set = (tub__clip_set){.folder = -1, .lock = -1, .fd = -1};
    pthread_mutex_init(&c->lock, NULL);
    atomic_init(&c->takes, true);
    const tub_status status = fill(c, &rebuilt, &why);
    if (rebuilt) {
        tub__log_line(ctx, TUB_LOG_INFO, "%s/%s was damaged: its clips are prepared again",
                      config->folder, c->set.name);
    }
    if (status == TUB_OK) {
        *out = c;
        return TUB_OK;
    }
    tub__clip_cache_close(c);
    if (status == TUB_E_MEMORY) {
        return tub__fail(err, status, "%s", why.message);
    }
    tub__log_line(ctx, TUB_LOG_WARNING, "no cache of clips: %s; clips are made again each time",
                  why.message);
    return TUB_OK;
}

void tub__clip_cache_close(tub__clip_cache *c) {
    if (c == NULL) {
        return;
    }
    if (c->map != NULL) {
        munmap((void *)c->map, c->mapped);
    }
    tub__clip_set_close(&c->set);
    pthread_mutex_destroy(&c->lock);
    const tub_allocator *a = &c->ctx->allocator;
    tub__free(a, c->places);
    tub__free(a, (void *)c->state);
    tub__free(a, c->folder);
    tub__free(a, c);
}

size_t tub__clip_cache_count(const tub__clip_cache *c) {
    return c != NULL ? c->config.count : 0;
}

/* Remembers what get has verified. */
static void remember(tub__clip_cache *c, size_t i, const tub__clip_entry *e) {
    pthread_mutex_lock(&c->lock);
    if (atomic_load_explicit(&c->state[i], memory_order_relaxed) != VERIFIED) {
        c->places[i] = (place){e->offset, e->bytes};
        atomic_store_explicit(&c->state[i], VERIFIED, memory_order_release);
    }
    pthread_mutex_unlock(&c->lock);
}

static bool verify(tub__clip_cache *c, size_t i) {
    tub__clip_entry e;
    if (!tub__clip_set_entry(&c->set, i, &e) || e.offset > c->mapped ||
        e.bytes > c->mapped - e.offset) {
        return false;
    }
    if (tub__hash64(c->map + e.offset, e.bytes, 0) != e.hash) {
        unsigned char unknown = UNKNOWN; /* another thread may have verified a newer entry */
        (void)atomic_compare_exchange_strong(&c->state[i], &unknown, DAMAGED);
        return false;
    }
    remember(c, i, &e);
    return true;
}

bool tub__clip_cache_get(tub__clip_cache *c, size_t i, const void **data, size_t *bytes) {
    if (c == NULL || i >= c->config.count ||
        (atomic_load_explicit(&c->state[i], memory_order_acquire) != VERIFIED && !verify(c, i))) {
        return false;
    }
    *data = c->map + c->places[i].offset;
    *bytes = c->places[i].bytes;
    return true;
}

bool tub__clip_cache_has(tub__clip_cache *c, size_t i) {
    tub__clip_entry e;
    return c != NULL && i < c->config.count && atomic_load(&c->state[i]) != DAMAGED &&
           tub__clip_set_entry(&c->set, i, &e);
}

bool tub__clip_cache_takes(tub__clip_cache *c) {
    return c != NULL && atomic_load(&c->takes);
}

/* Nothing is added from here on. */
static void stop_taking(tub__clip_cache *c, note why, const tub_error *failure) {
    c->note = why;
    c->failure = failure != NULL ? *failure : c->failure;
    atomic_store(&c->takes, false);
}

/* With the folder locked. */
static void add(tub__clip_cache *c, size_t i, const void *data, size_t bytes) {
    tub__clip_entry e;
    const unsigned char state = atomic_load(&c->state[i]);
    if (state == VERIFIED || (state == UNKNOWN && tub__clip_set_entry(&c->set, i, &e))) {
        return; /* somebody else has put it meanwhile */
    }
    enum { SLACK = 64 };
    const uint64_t size = tub__clip_set_size(&c->set);
    tub__clip_room room = tub__clip_folder_room(&c->set, (uint64_t)bytes + SLACK);
    if (room == TUB__CLIP_ROOM && size + SLACK + bytes > c->mapped) {
        room = TUB__CLIP_LIMIT;
    }
    tub_error why = {0};
    if (room != TUB__CLIP_ROOM) {
        stop_taking(c, room == TUB__CLIP_DISK ? DISK : LIMIT, NULL);
    } else if (tub__clip_set_append(&c->set, i, data, bytes, &why) != TUB_OK) {
        stop_taking(c, FAILURE, &why);
    } else {
        atomic_store(&c->state[i], UNKNOWN); /* whoever asks for it reads it against its checksum */
    }
}

void tub__clip_cache_put(tub__clip_cache *c, size_t i, const void *data, size_t bytes) {
    if (c == NULL || i >= c->config.count || !atomic_load(&c->takes)) {
        return;
    }
    pthread_mutex_lock(&c->lock);
    /* After it was waited for in vain, only what is free at once is taken. */
    if (atomic_load(&c->takes)) {
        const bool locked = tub__clip_folder_lock(&c->set, !c->busy && !c->config.impatient);
        c->busy = !locked;
        if (locked) {
            add(c, i, data, bytes);
            tub__clip_folder_unlock(&c->set);
        }
    }
    pthread_mutex_unlock(&c->lock);
}

void tub__clip_cache_tell(tub__clip_cache *c) {
    if (c == NULL || c->told) {
        return;
    }
    pthread_mutex_lock(&c->lock);
    const note why = c->note;
    const tub_error failure = c->failure;
    pthread_mutex_unlock(&c->lock);
    static const char after[] = "clips that don't fit in are made again each time";
    if (why == LIMIT) {
        char limit[TUB__NUMBER_ROOM];
        tub__number_print_bytes(limit, (int64_t)c->config.limit);
        tub__log_line(c->ctx, TUB_LOG_INFO,
                      "%s has reached its limit of %s: %s; cache_limit sets it", c->folder, limit,
                      after);
    } else if (why == DISK) {
        tub__log_line(c->ctx, TUB_LOG_WARNING, "%s: the disk is almost full: %s", c->folder, after);
    } else if (why == FAILURE) {
        tub__log_line(c->ctx, TUB_LOG_WARNING, "%s: %s", failure.message, after);
    }
    c->told = why != NONE;
}
