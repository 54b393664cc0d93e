/* SPDX-License-Identifier: Apache-2.0 */
/* Zip archives: members by name or index, stored or deflated, and new ones of stored members. */
#ifndef TUB__FORMATS_ZIP_H
#define TUB__FORMATS_ZIP_H

#include "base/alloc.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct tub__zip tub__zip;
/* An archive with a name that leads out of its folder is refused as a whole. */
TUB_MUST_USE tub_status tub__zip_open(const tub_allocator *a, const char *path, tub__zip **out,
                                      tub_error *err);
TUB_MUST_USE tub_status tub__zip_open_memory(const tub_allocator *a, const void *bytes, size_t size,
                                             tub__zip **out,
                                             tub_error *err); /* bytes must outlive it */
void tub__zip_close(tub__zip *z);                             /* accepts NULL */
size_t tub__zip_count(const tub__zip *z);
/* Valid until close. */
const char *tub__zip_name(const tub__zip *z, size_t index);
/* Of members of one name the last. */
bool tub__zip_find(const tub__zip *z, const char *name, size_t *index);
/* Unpacks a whole member: *bytes is the caller's (tub__free). limit: the most bytes that may be
 * unpacked (a bomb is refused before memory is taken). The sentence of an error does not name the
 * member. */
TUB_MUST_USE tub_status tub__zip_read(tub__zip *z, size_t index, uint64_t limit, void **bytes,
                                      size_t *size, tub_error *err);

typedef struct tub__zip_member {
    const char *name;
    const void *bytes;
    size_t size;
} tub__zip_member;
/* Writes an archive of stored members in this order, atomically; the same members give the same
 * bytes. */
TUB_MUST_USE tub_status tub__zip_write(const tub_allocator *a, const char *path,
                                       const tub__zip_member *members, size_t count,
                                       tub_error *err);

/* True when the bytes begin as a zip archive. */
bool tub__is_zip(const void *bytes, size_t size);

#endif
