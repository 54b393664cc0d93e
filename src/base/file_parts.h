/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that the code writing files and folders shares. */
#ifndef TUB__BASE_FILE_PARTS_H
#define TUB__BASE_FILE_PARTS_H

#include "base/file.h"

enum { TUB__TEMPORARY_TRIES = 100, TUB__TEMPORARY_RANDOM = 6 };

/* write(2) until all is out; false with errno. */
bool tub__write_fully(int fd, const void *data, size_t size);

/* path without trailing slashes, then TUB__TEMPORARY_MARK and six letters or digits that differ
 * from call to call. attempt: 0, 1, … */
TUB_MUST_USE tub_status tub__temporary_name(const tub_allocator *a, const char *path,
                                            unsigned attempt, char **out, tub_error *err);

/* True for "….tubelet.tmp-XXXXXX", with or without a slash, the names that tub__temporary_name
 * makes. */
bool tub__is_temporary(const char *name);

/* Writes the folder that holds path ("." for a bare name) and returns where path's last component
 * begins, slashes behind it included; NULL when there is none or the room is too small. */
const char *tub__path_split(const char *path, char *folder, size_t room);

/* fsync of the folder that holds path, so that a rename in it survives a power cut. */
TUB_MUST_USE tub_status tub__sync_parent(const char *path, tub_error *err);
/* fsync of a folder itself. */
TUB_MUST_USE tub_status tub__sync_folder(const char *path, tub_error *err);

#endif
