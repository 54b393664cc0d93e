/* SPDX-License-Identifier: Apache-2.0 */
/* Files on their way to a hub. */
#ifndef TUB__HUB_UPLOAD_H
#define TUB__HUB_UPLOAD_H

#include "formats/json.h"
#include "hub/client.h"

/* One file. */
typedef struct tub__hub_upload {
    char *name; /* in the repository */
    int fd;     /* open, to read */
    uint64_t size;
    char sha256[TUB__HASH_HEX];
    bool large;    /* goes to the store, and git has a pointer; else it is in the commit itself */
    bool left_out; /* the hub has it already, or wants none of it */
} tub__hub_upload;

typedef struct tub__hub_uploads {
    const tub_allocator *allocator;
    tub__hub_upload *list;
    size_t count, room;
} tub__hub_uploads;

/* Adds a file. */
TUB_MUST_USE tub_status tub__hub_upload_file(tub__hub_uploads *all, const char *name,
                                             const char *path, tub_error *err);
/* Adds a text as a file. */
TUB_MUST_USE tub_status tub__hub_upload_text(tub__hub_uploads *all, const char *name,
                                             const char *text, size_t size, tub_error *err);
void tub__hub_uploads_free(tub__hub_uploads *all);
/* The bytes [at, at + size) of a file, the caller's. */
TUB_MUST_USE tub_status tub__hub_upload_read(const tub__hub_uploads *all, const tub__hub_upload *u,
                                             uint64_t at, size_t size, unsigned char **out,
                                             tub_error *err);

/* Asks which files are large and which are as the hub has them (preupload). revision: for
 * addresses. */
TUB_MUST_USE tub_status tub__hub_sort(tub__hub *hub, const char *revision, tub__hub_uploads *all,
                                      tub_error *err);
/* Brings the large ones to the store by git-lfs' batch protocol, in one piece or in those that
 * the hub asks for. *sent: bytes. */
TUB_MUST_USE tub_status tub__hub_store(tub__hub *hub, const tub__hub_uploads *all, uint64_t *sent,
                                       tub_error *err);
/* Makes the commit; `commit` gets its hash, url its page. */
TUB_MUST_USE tub_status tub__hub_commit(tub__hub *hub, const char *revision,
                                        const tub__hub_uploads *all, const char *message,
                                        char *commit, size_t commit_room, char *url,
                                        size_t url_room, tub_error *err);

/* POSTs a JSON text, the answer's JSON is the caller's; what: for sentences. */
TUB_MUST_USE tub_status tub__hub_post(tub__hub *hub, const char *url, const char *const *headers,
                                      const char *text, size_t size, unsigned flags,
                                      const char *what, tub__json **out, tub_error *err);

#endif
