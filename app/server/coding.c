/* SPDX-License-Identifier: Apache-2.0 */
/* gzip and deflate by zlib. */
#include "coding.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

enum { PIECE = 32 << 10, GZIP_BITS = 15 + 16, ZLIB_BITS = 15, QUICK = 1, MEMORY_LEVEL = 8 };

struct unpacker {
    z_stream z;
    bool whole;
    unsigned char piece[PIECE];
};

coding coding_of(const char *text) {
    if (text == NULL || text[0] == '\0' || strcasecmp(text, "identity") == 0) {
        return CODING_NONE;
    }
    return strcasecmp(text, "gzip") == 0 || strcasecmp(text, "x-gzip") == 0 ? CODING_GZIP
           : strcasecmp(text, "deflate") == 0                               ? CODING_DEFLATE
                                                                            : CODING_UNKNOWN;
}

/* "gzip;q=0" is a refusal. */
static bool accepts(const char *text, const char *name) {
    const size_t n = strlen(name);
    while (text != NULL && *text != '\0') {
        text += strspn(text, " \t,");
        const size_t length = strcspn(text, ",");
        if (strncasecmp(text, name, n) == 0 && (length == n || strchr(" \t;", text[n]) != NULL)) {
            const char *q = strstr(text, "q=");
            return q == NULL || q > text + length || strtod(q + 2, NULL) > 0;
        }
        text += length;
    }
    return false;
}

coding coding_accepted(const char *text) {
    return accepts(text, "gzip")      ? CODING_GZIP
           : accepts(text, "deflate") ? CODING_DEFLATE
                                      : CODING_NONE;
}

const char *coding_name(coding c) {
    return c == CODING_GZIP ? "gzip" : c == CODING_DEFLATE ? "deflate" : "identity";
}

unpacker *unpacker_create(coding c) {
    unpacker *u = calloc(1, sizeof *u);
    if (u != NULL && inflateInit2(&u->z, c == CODING_GZIP ? GZIP_BITS : ZLIB_BITS) != Z_OK) {
        free(u);
        return NULL;
    }
    return u;
}

bool unpacker_push(unpacker *u, const char *data, size_t size, unpacker_fn *take, void *user,
                   bool *damaged) {
    u->z.next_in = (unsigned char *)(uintptr_t)data;
    u->z.avail_in = (uInt)size; /* a piece of a few KiB */
    while (u->z.avail_in > 0) {
        if (u->whole) { /* something stands behind the end */
            *damaged = true;
            return false;
        }
        u->z.next_out = u->piece;
        u->z.avail_out = PIECE;
        const int code = inflate(&u->z, Z_NO_FLUSH);
        u->whole = code == Z_STREAM_END;
        if (code != Z_OK && code != Z_STREAM_END) {
            *damaged = true;
            return false;
        }
        if (!take(user, (const char *)u->piece, PIECE - u->z.avail_out)) {
            return false;
        }
    }
    return true;
}

bool unpacker_whole(const unpacker *u) {
    return u->whole;
}

void unpacker_destroy(unpacker *u) {
    if (u != NULL) {
        inflateEnd(&u->z);
        free(u);
    }
}

void *coding_pack(coding c, const void *bytes, size_t size, size_t *packed) {
    z_stream z = {0};
    if (size > UINT32_MAX / 2 ||
        deflateInit2(&z, QUICK, Z_DEFLATED, c == CODING_GZIP ? GZIP_BITS : ZLIB_BITS, MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        return NULL;
    }
    const uLong room = deflateBound(&z, (uLong)size);
    unsigned char *out = malloc(room);
    z.next_in = (unsigned char *)(uintptr_t)bytes;
    z.avail_in = (uInt)size;
    z.next_out = out;
    z.avail_out = (uInt)room;
    const bool done = out != NULL && deflate(&z, Z_FINISH) == Z_STREAM_END;
    *packed = (size_t)z.total_out;
    deflateEnd(&z);
    if (!done) {
        free(out);
        return NULL;
    }
    return out;
}
