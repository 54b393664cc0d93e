/* SPDX-License-Identifier: Apache-2.0 */
/* gzip and deflate (zlib's format, as HTTP means it), piece by piece. */
#ifndef APP_SERVER_CODING_H
#define APP_SERVER_CODING_H

#include <stdbool.h>
#include <stddef.h>

typedef enum coding { CODING_NONE = 0, CODING_GZIP, CODING_DEFLATE, CODING_UNKNOWN } coding;

/* Of Content-Encoding; NULL means none. */
coding coding_of(const char *text);
/* What Accept-Encoding lets an answer be: gzip before deflate. */
coding coding_accepted(const char *text);
const char *coding_name(coding c);

typedef struct unpacker unpacker;
enum { UNPACKER_ROOM = 80 << 10 }; /* bytes that one takes, zlib's among them */
/* Takes unpacked bytes; false ends it. */
typedef bool unpacker_fn(void *user, const char *data, size_t size);
/* NULL: no memory. */
unpacker *unpacker_create(coding c);
/* false: damaged (*damaged is set), or take said so. */
bool unpacker_push(unpacker *u, const char *data, size_t size, unpacker_fn *take, void *user,
                   bool *damaged);
/* Whether the packed bytes are whole. */
bool unpacker_whole(const unpacker *u);
void unpacker_destroy(unpacker *u); /* accepts NULL */

/* Bytes of an answer in another form, from malloc; NULL: no memory. */
void *coding_pack(coding c, const void *bytes, size_t size, size_t *packed);

#endif
