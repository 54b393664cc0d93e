/* SPDX-License-Identifier: Apache-2.0 */
/* The clip cache: clips that were decoded and resized once, kept in one memory-mapped file per set.
 *
 * A set is as many records as the caller says, each of any length. Whoever needs record i asks for it, makes
 * it when it is not there, and offers what was made:
 *
 *      if (!tub__clip_cache_get(cache, i, &bytes, &size)) {
 *          ... make it ...
 *          tub__clip_cache_put(cache, i, bytes, size);
 *      }
 *
 * Neither can fail: a cache that can't keep a record (the limit, a full disk, no folder) only doesn't have it
 * the next time. What it gives is what was put under the same key, bit for bit, or nothing: each record is
 * read against its checksum once by every process before it is trusted. Kills, power cuts and damage can so
 * only lose records.
 *
 * Processes may share a folder. All functions but open, tell, fill and close may be called by several threads
 * at once, and every one accepts NULL, the cache that is switched off. */
#ifndef TUB__DATA_CLIP_CACHE_H
#define TUB__DATA_CLIP_CACHE_H

#include "base/context.h"
#include <stdbool.h>

typedef struct tub__clip_cache tub__clip_cache;

enum { TUB__CLIP_KEY = 16 };

/* Instants at which a test may end the process, or look around. */
typedef enum tub__clip_point {
    TUB__CLIP_FILE_BEGUN, /* a new file has its temporary name and its header, not yet its index */
    TUB__CLIP_FILE_WHOLE, /* it is flushed and has its name */
    TUB__CLIP_LOCKED,     /* the folder is locked to add a record */
    TUB__CLIP_EVICTED,    /* an unused set was removed to make room */
    TUB__CLIP_PIECE,      /* a piece of the record's bytes is written */
    TUB__CLIP_DATA,       /* all of them are */
    TUB__CLIP_INDEX,      /* and the index knows them */
    TUB__CLIP_UNLOCKED,   /* the folder is free again */
    TUB__CLIP_POINTS
} tub__clip_point;
typedef void tub__clip_hook(void *user, tub__clip_point point);

typedef struct tub__clip_cache_config {
    const char *folder;               /* of all sets; made when it is missing */
    unsigned char key[TUB__CLIP_KEY]; /* digest of everything that decides the records' bytes */
    size_t count;                     /* records */
    uint64_t limit;                   /* bytes on disk of all sets in the folder together */
    bool impatient;                   /* never waits for the folder's lock */
    tub__clip_hook *hook;             /* NULL but in tests; called by the thread that is at work */
    void *hook_user;
} tub__clip_cache_config;

/* Opens the set of that key, or makes an empty one. A file that is damaged, truncated or of something else is
 * made anew with a line of the log; where none can be made, a warning is told and *out is NULL. Sets that
 * nobody has open, the ones longest unused first, make way until the folder is within its limit.
 * Error: TUB_E_MEMORY. */
TUB_MUST_USE tub_status tub__clip_cache_open(tub_context *ctx, const tub__clip_cache_config *config,
                                             tub__clip_cache **out, tub_error *err);
void tub__clip_cache_close(tub__clip_cache *cache);

size_t tub__clip_cache_count(const tub__clip_cache *cache); /* records; 0 without a cache */
/* Record i, if it is there and whole; *data is valid until close, 64-byte aligned. */
bool tub__clip_cache_get(tub__clip_cache *cache, size_t i, const void **data, size_t *bytes);
/* Whether record i seems to be there, which only reading it shows. */
bool tub__clip_cache_has(tub__clip_cache *cache, size_t i);
/* Keeps a record that get did not give, if it can. */
void tub__clip_cache_put(tub__clip_cache *cache, size_t i, const void *data, size_t bytes);
/* False once nothing more can be kept, which nobody needs to try then. */
bool tub__clip_cache_takes(tub__clip_cache *cache);
/* Sends what happened since the last call to the context's receiver, on the thread that owns it: once when
 * the limit is reached or the disk is full. */
void tub__clip_cache_tell(tub__clip_cache *cache);

/* Some records of a set, in an order of the caller's: `record[i]` is one, or i itself where it is NULL. */
typedef struct tub__clip_range {
    const uint32_t *record; /* [count] */
    size_t count;
} tub__clip_range;
/* Makes the i-th record of the range and puts it; several threads call it, worker tells them apart (0 to below the context's
 * threads). */
typedef tub_status tub__clip_make(void *user, size_t i, int worker, tub_error *err);
/* The first pass: makes the records of a range (NULL: all) that are not there, on the threads of the context, with
 * TUB_EVENT_CLIPS named `name` as it goes. Does nothing without a cache, and ends early when it takes no
 * more. Errors: of the first record (in the range's order) that fails, or TUB_E_CANCELLED by tub_train_stop,
 * whichever comes first in it; what was made stays. */
TUB_MUST_USE tub_status tub__clip_cache_fill(tub_context *ctx, tub__clip_cache *cache,
                                             const tub__clip_range *range, const char *name,
                                             tub__clip_make *make, void *user, tub_error *err);

#endif
