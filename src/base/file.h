/* SPDX-License-Identifier: Apache-2.0 */
/* Files and folders: whole reads, memory maps, and writing that a kill at any instant can't leave
 * half done. */
#ifndef TUB__BASE_FILE_H
#define TUB__BASE_FILE_H

#include "base/alloc.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A read-only map of a whole file. A zero-length file has data NULL and size 0. */
typedef struct tub__map {
    const unsigned char *data;
    size_t size;
} tub__map;

TUB_MUST_USE tub_status tub__map_open(const char *path, tub__map *out, tub_error *err);
void tub__map_close(tub__map *map);

/* Reads a whole file of at most `limit` bytes; *out is zero-terminated one byte past the end,
 * owned by the caller. */
TUB_MUST_USE tub_status tub__file_read(const tub_allocator *a, const char *path, size_t limit,
                                       char **out, size_t *size, tub_error *err);

/* Atomic replacement of one file: bytes go to a temporary file beside it; commit does fsync,
 * rename, fsync of the folder. */
typedef struct tub__writer {
    int fd; /* -1 when closed */
    char *path;
    char *temporary;
    const tub_allocator *allocator;
} tub__writer;

TUB_MUST_USE tub_status tub__writer_open(const tub_allocator *a, const char *path, tub__writer *w,
                                         tub_error *err);
TUB_MUST_USE tub_status tub__writer_write(tub__writer *w, const void *data, size_t size,
                                          tub_error *err);
/* Bytes before the place where the next ones go. */
uint64_t tub__writer_position(const tub__writer *w);
/* Bytes to any place, before or behind what was written; what was passed over is zero. */
TUB_MUST_USE tub_status tub__writer_put(tub__writer *w, uint64_t at, const void *data, size_t size,
                                        tub_error *err);
TUB_MUST_USE tub_status tub__writer_commit(tub__writer *w, tub_error *err); /* closes in any case */
void tub__writer_abort(tub__writer *w); /* removes the temporary; accepts closed */
/* Both in one call. */
TUB_MUST_USE tub_status tub__file_write(const tub_allocator *a, const char *path, const void *data,
                                        size_t size, tub_error *err);

/* Adds bytes at the end of a file (made when missing), all or none of them, and flushes them to disk: for
 * logs. */
TUB_MUST_USE tub_status tub__file_append(const char *path, const void *data, size_t size,
                                         tub_error *err);
/* The same without waiting for the disk: the process may die, the machine may not. */
TUB_MUST_USE tub_status tub__file_append_soon(const char *path, const void *data, size_t size,
                                              tub_error *err);

bool tub__file_exists(const char *path);
/* Whether anything has the name, a link that leads nowhere included. */
bool tub__name_taken(const char *path);
bool tub__is_folder(const char *path);
/* TUB_OK for a folder. Else TUB_E_NOT_FOUND, "PATH: no such folder; WHAT" or "PATH is a file;
 * WHAT", or what the system says. */
TUB_MUST_USE tub_status tub__folder_expect(const char *path, const char *what, tub_error *err);
/* The file or folder open as fd is still the one of that name: nobody renamed or replaced it.
 * folder and flags as fstatat takes them (AT_FDCWD and 0 for a plain path). */
bool tub__has_name(int fd, int folder, const char *name, int flags);
/* Creates a folder and its missing parents; an existing one is fine. */
TUB_MUST_USE tub_status tub__folder_create(const char *path, tub_error *err);
/* Removes a folder and what is in it; never follows links; a missing folder is fine. */
TUB_MUST_USE tub_status tub__folder_remove(const tub_allocator *a, const char *path,
                                           tub_error *err);
/* A new empty folder beside `path` ("path.tubelet.tmp-XXXXXX") to fill and then rename onto `path`.
 * *out is the caller's, and so is the descriptor *lock: as long as it is open, the folder is known
 * to be somebody's, under its later name too. */
TUB_MUST_USE tub_status tub__folder_temporary(const tub_allocator *a, const char *path, char **out,
                                              int *lock, tub_error *err);
/* Removes the temporary folders of `path` whose makers died. Others are at work on theirs and have
 * them locked; what can't be removed stays. */
void tub__leftovers_remove(const char *path);
/* Renames a filled temporary folder to `path`. An existing folder with files in it is TUB_E_EXISTS
 * or, with replace, makes way in one step (exchanged, then removed). On failure the temporary
 * folder is still the caller's to remove. */
TUB_MUST_USE tub_status tub__folder_commit(const tub_allocator *a, const char *temporary,
                                           const char *path, bool replace, tub_error *err);

/* Fills a folder; user is what was handed over with it. */
typedef tub_status tub__folder_fill(void *user, const char *folder, tub_error *err);
/* Makes a folder in one step: `fill` fills a temporary one beside it, which then gets its name. On
 * failure there is nothing. The folders that it is to lie in are made. TUB_E_EXISTS where something of
 * that name came to be meanwhile, which stays. */
TUB_MUST_USE tub_status tub__folder_make(const tub_allocator *a, const char *path,
                                         tub__folder_fill *fill, void *user, tub_error *err);
/* Makes the folders that a file or folder is to lie in. */
TUB_MUST_USE tub_status tub__parent_create(const tub_allocator *a, const char *path,
                                           tub_error *err);

/* Gives a finished file its name. TUB_E_EXISTS where something of that name is there. */
TUB_MUST_USE tub_status tub__file_move_new(const char *from, const char *to, tub_error *err);

/* Keeps everybody else who asks for the same lock away from a folder, for as long as *fd is open.
 * TUB_E_EXISTS when somebody has it already. Where the file system has no locks there is none, and
 * *fd is the open folder all the same. */
TUB_MUST_USE tub_status tub__folder_lock(const char *path, int *fd, tub_error *err);

/* Removes the temporary files and folders ("NAME.tubelet.tmp-XXXXXX") that a kill left in a
 * folder; a missing folder is fine. Only for folders that nobody else is writing to. */
TUB_MUST_USE tub_status tub__temporaries_remove(const tub_allocator *a, const char *folder,
                                                tub_error *err);
/* Such as nobody gives a folder of his own. */
#define TUB__TEMPORARY_MARK ".tubelet.tmp-"

/* "a/b" from "a" and "b"; the caller owns *out. */
TUB_MUST_USE tub_status tub__path_join(const tub_allocator *a, const char *folder, const char *name,
                                       char **out, tub_error *err);
/* An absolute path of an existing file, the caller's: one that is absolute already stays as it is,
 * links and all. */
TUB_MUST_USE tub_status tub__path_absolute(const tub_allocator *a, const char *path, char **out,
                                           tub_error *err);
/* The last component of a path; points into it. */
const char *tub__path_name(const char *path);

#endif
