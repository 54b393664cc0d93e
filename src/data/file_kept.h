/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept on the disk of a set of files: the frames that training draws from, and the clips that
 * evaluation sees; a record for each file of the list, whatever its split. */
#ifndef TUB__DATA_FILE_KEPT_H
#define TUB__DATA_FILE_KEPT_H

#include "data/clip_cache.h"
#include "data/file_set.h"

/* Begins without caches; prepare opens them. */
typedef struct tub__file_kept {
    bool off;       /* nothing is kept */
    uint64_t limit; /* bytes of everything in the folder */
    bool tried[2];  /* to open it, by `training` */
    size_t damaged; /* files with damage that reading met, which was told */
    char *facts;    /* the file of what the survey has found: data/file_facts.h; NULL: none */
    tub__clip_cache *cache[2];
} tub__file_kept;

tub_status tub__file_kept_create(const tub_allocator *a, const tub_dataset_options *options,
                                 tub__file_kept **out, tub_error *err);
void tub__file_kept_close(const tub_allocator *a, tub__file_kept *kept); /* accepts NULL */
void tub__file_kept_tell(tub__file_kept *kept);

/* Opens the cache, and makes of one split what it lacks, on the threads of the set's context, with
 * TUB_EVENT_CLIPS. Not while others read from the set. Errors: of the first file that fails; TUB_E_CANCELLED;
 * TUB_E_MEMORY. */
TUB_MUST_USE tub_status tub__file_set_prepare(const tub__file_set *set, const char *name,
                                              tub_split split, bool training, tub_error *err);

/* Frames of a source lie behind a head that says what they are, so that one piece of memory is the record. */
enum { TUB__SOURCE_HEAD = 64 };
/* Tells of damage that reading has met in files which opening the set knew nothing of. On the caller's thread. */
void tub__file_set_tell_met(const tub__file_set *set);
/* A kept source: true, and its samples lie in the cache. */
bool tub__file_kept_get_source(const tub__file_set *set, uint32_t number, tub__source *source);
/* Keeps one whose frames lie in its room, behind the head. */
void tub__file_kept_put_source(const tub__file_set *set, uint32_t number,
                               const tub__source *source);
/* A kept clip, copied to out. */
bool tub__file_kept_get_clip(const tub__file_set *set, uint32_t number, void *out);
void tub__file_kept_put_clip(const tub__file_set *set, uint32_t number, const void *clip);

#endif
