/* SPDX-License-Identifier: Apache-2.0 */
/* The file of one set of cached clips, and the folder that sets lie in.
 *
 *      0        64              64 + 32 count                     end of file
 *      [ header | entry entry … | record … record | part of one ]
 *
 * Records are appended and never written over, so that what somebody has mapped and verified stays. A record
 * counts once its entry does: an entry holds a checksum of itself and one of its record. Nothing needs an order
 * of writing, and nothing is flushed but the new, empty file. What a kill cut off lies between records as
 * waste. All numbers are in the machine's own order; a file from another one is foreign. */
#ifndef TUB__DATA_CLIP_SET_H
#define TUB__DATA_CLIP_SET_H

#include "data/clip_cache.h"

#define TUB__CLIP_SUFFIX ".clips" /* behind the key in hexadecimal */

typedef struct tub__clip_entry {
    uint64_t offset, bytes;
    uint64_t hash;  /* of the record */
    uint64_t check; /* of the three, the record's number and the set's key */
} tub__clip_entry;

/* An open set. */
typedef struct tub__clip_set {
    int folder; /* open folder */
    int lock;   /* open lock file of the folder */
    int fd;     /* of the file; with a shared lock that says that somebody has it open */
    char name[64];
    const tub__clip_cache_config *config;
} tub__clip_set;

void tub__clip_at(const tub__clip_set *set, tub__clip_point point); /* calls the hook */

/* Opens folder and file, which is made anew when it is missing or not a set of this key (*rebuilt then). On
 * failure nothing is open. */
TUB_MUST_USE tub_status tub__clip_set_open(const tub_allocator *a,
                                           const tub__clip_cache_config *config, tub__clip_set *out,
                                           bool *rebuilt, tub_error *err);
void tub__clip_set_close(tub__clip_set *set);

/* Where records begin. */
uint64_t tub__clip_set_begin(size_t count);
/* Bytes of the file; 0 when it can't be told. */
uint64_t tub__clip_set_size(const tub__clip_set *set);
/* The entry of record i: false when it is none, or leads out of the file. */
bool tub__clip_set_entry(const tub__clip_set *set, size_t i, tub__clip_entry *out);
/* Appends a record and its entry, with the folder locked. On failure the file is as before. */
TUB_MUST_USE tub_status tub__clip_set_append(const tub__clip_set *set, size_t i, const void *data,
                                             size_t bytes, tub_error *err);

/* One holder at a time of all processes; false when it was not to be had in reasonable time, or without
 * waiting at all. */
bool tub__clip_folder_lock(const tub__clip_set *set, bool wait);
void tub__clip_folder_unlock(const tub__clip_set *set);
/* Whether `bytes` more fit into the limit, and beside what a file system should keep free, after the removal
 * of unused sets if need be. With the folder locked. */
typedef enum tub__clip_room { TUB__CLIP_ROOM, TUB__CLIP_LIMIT, TUB__CLIP_DISK } tub__clip_room;
tub__clip_room tub__clip_folder_room(const tub__clip_set *set, uint64_t bytes);

#endif
