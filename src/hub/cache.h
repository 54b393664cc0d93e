/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of a hub's models, in the layout that other tools of hubs read and write:
 *
 *   CACHE/models--OWNER--NAME/blobs/ETAG                     content, by what the server calls it
 *                             refs/main                      the commit that it was last seen at
 *                             snapshots/COMMIT/config.json   -> ../../blobs/ETAG
 *                             .no_exist/COMMIT/FILE          the commit has no such file
 *   CACHE/.locks/models--OWNER--NAME/ETAG.lock               who downloads a blob has it locked
 *
 */
#ifndef TUB__HUB_CACHE_H
#define TUB__HUB_CACHE_H

#include "base/alloc.h"
#include "hub/name.h"

/* Paths of one model in the cache, the owner's. */
typedef struct tub__hub_cache {
    const tub_allocator *allocator;
    const char *root; /* CACHE, borrowed */
    char *model;      /* CACHE/models--OWNER--NAME */
    char *locks;      /* CACHE/.locks/models--OWNER--NAME */
} tub__hub_cache;

TUB_MUST_USE tub_status tub__hub_cache_open(const tub_allocator *a, const char *root,
                                            const tub__hub_name *name, tub__hub_cache *out,
                                            tub_error *err);
void tub__hub_cache_close(tub__hub_cache *cache);

/* The commit of a revision, as it was last seen; TUB_E_NOT_FOUND where it never was. */
TUB_MUST_USE tub_status tub__hub_ref_read(const tub__hub_cache *cache, const char *revision,
                                          char commit[TUB__HUB_COMMIT + 1], tub_error *err);
/* Remembers it; a commit needs no reference to itself. */
TUB_MUST_USE tub_status tub__hub_ref_write(const tub__hub_cache *cache, const char *revision,
                                           const char *commit, tub_error *err);

/* Paths, the caller's. file, commit and etag are plain names (tub__hub_is_plain). */
TUB_MUST_USE tub_status tub__hub_snapshot(const tub__hub_cache *cache, const char *commit,
                                          const char *file, char **out,
                                          tub_error *err); /* file NULL: the folder */
TUB_MUST_USE tub_status tub__hub_blob(const tub__hub_cache *cache, const char *etag,
                                      const char *suffix, char **out, tub_error *err);
TUB_MUST_USE tub_status tub__hub_lock(const tub__hub_cache *cache, const char *etag, char **out,
                                      tub_error *err);

/* Makes the folders that a download needs, and marks the cache as one for programs that make
 * backups. */
TUB_MUST_USE tub_status tub__hub_cache_prepare(const tub__hub_cache *cache, const char *commit,
                                               tub_error *err);
/* Gives a blob its name in a snapshot: a relative link or, where the file system has none, a
 * copy. What has the name already makes way. */
TUB_MUST_USE tub_status tub__hub_link(const tub__hub_cache *cache, const char *commit,
                                      const char *file, const char *etag, tub_error *err);
/* Notes that a commit lacks a file, which saves other tools from asking, where that can be
 * written. Error: TUB_E_MEMORY. */
TUB_MUST_USE tub_status tub__hub_note_missing(const tub__hub_cache *cache, const char *commit,
                                              const char *file, tub_error *err);

#endif
