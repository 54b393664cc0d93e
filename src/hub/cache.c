/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of a hub's models on disk. */
#include "hub/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "hub/copy.h"

/* As other tools write it, so that whoever comes second finds what he would have written. */
static const char TAG[] = "Signature: 8a477f597d28d172789f06886806bc55\n"
                          "# This file is a cache directory tag created by tubelet.\n"
                          "# For information about cache directory tags, see:\n"
                          "#\thttps://bford.info/cachedir/\n";

/* The printed path, the caller's. */
static tub_status path_of(const tub_allocator *a, char **out, tub_error *err, const char *format,
                          ...) __attribute__((format(printf, 4, 5)));
static tub_status path_of(const tub_allocator *a, char **out, tub_error *err, const char *format,
                          ...) {
    char whole[4096];
    va_list arguments;
    va_start(arguments, format);
    const int n = vsnprintf(whole, sizeof whole, format, arguments);
    va_end(arguments);
    if (n < 0 || (size_t)n >= sizeof whole) {
        return tub__fail(err, TUB_E_ARGUMENT, "the path of the hub's cache is too long: %.200s…",
                         whole);
    }
    return tub__alloc_string(a, whole, out, err);
}

tub_status tub__hub_cache_open(const tub_allocator *a, const char *root, const tub__hub_name *name,
                               tub__hub_cache *out, tub_error *err) {
    const char *slash = strchr(name->id, '/');
    const int owner = slash != NULL ? (int)(slash - name->id) : 0;
    const char *between = slash != NULL ? "--" : "", *last = slash != NULL ? slash + 1 : name->id;
    *out = (tub__hub_cache){.allocator = a, .root = root};
    tub_status status =
        path_of(a, &out->model, err, "%s/models--%.*s%s%s", root, owner, name->id, between, last);
    if (status == TUB_OK) {
        status = path_of(a, &out->locks, err, "%s/.locks/models--%.*s%s%s", root, owner, name->id,
                         between, last);
    }
    if (status != TUB_OK) {
        tub__hub_cache_close(out);
    }
    return status;
}

void tub__hub_cache_close(tub__hub_cache *cache) {
    tub__free(cache->allocator, cache->model);
    tub__free(cache->allocator, cache->locks);
    *cache = (tub__hub_cache){0};
}

tub_status tub__hub_ref_read(const tub__hub_cache *cache, const char *revision,
                             char commit[TUB__HUB_COMMIT + 1], tub_error *err) {
    char *path, *text;
    size_t size;
    TUB__TRY(path_of(cache->allocator, &path, err, "%s/refs/%s", cache->model, revision));
    tub_status status = tub__file_read(cache->allocator, path, 256, &text, &size, err);
    if (status == TUB_OK) {
        text[strcspn(text, " \t\r\n")] = '\0';
        if (!tub__hub_is_commit(text)) {
            status = tub__fail(err, TUB_E_FORMAT, "%s: holds no commit; delete it", path);
        } else {
            memcpy(commit, text, TUB__HUB_COMMIT + 1);
        }
        tub__free(cache->allocator, text);
    }
    tub__free(cache->allocator, path);
    return status;
}

tub_status tub__hub_ref_write(const tub__hub_cache *cache, const char *revision, const char *commit,
                              tub_error *err) {
    char *path, known[TUB__HUB_COMMIT + 1];
    if (strcmp(revision, commit) == 0) {
        return TUB_OK;
    }
    const tub_status read = tub__hub_ref_read(cache, revision, known, err);
    if (read == TUB_E_MEMORY || (read == TUB_OK && strcmp(known, commit) == 0)) {
        return read;
    }
    TUB__TRY(path_of(cache->allocator, &path, err, "%s/refs/%s", cache->model, revision));
    tub_status status = tub__parent_create(cache->allocator, path, err);
    if (status == TUB_OK) {
        status = tub__file_write(cache->allocator, path, commit, strlen(commit), err);
    }
    tub__free(cache->allocator, path);
    return status;
}

tub_status tub__hub_snapshot(const tub__hub_cache *cache, const char *commit, const char *file,
                             char **out, tub_error *err) {
    return file == NULL
               ? path_of(cache->allocator, out, err, "%s/snapshots/%s", cache->model, commit)
               : path_of(cache->allocator, out, err, "%s/snapshots/%s/%s", cache->model, commit,
                         file);
}

tub_status tub__hub_blob(const tub__hub_cache *cache, const char *etag, const char *suffix,
                         char **out, tub_error *err) {
    return path_of(cache->allocator, out, err, "%s/blobs/%s%s", cache->model, etag, suffix);
}

tub_status tub__hub_lock(const tub__hub_cache *cache, const char *etag, char **out,
                         tub_error *err) {
    return path_of(cache->allocator, out, err, "%s/%s.lock", cache->locks, etag);
}

static tub_status make_folder(const tub__hub_cache *cache, const char *parent, const char *name,
                              tub_error *err) {
    char *path;
    TUB__TRY(path_of(cache->allocator, &path, err, "%s/%s", parent, name));
    tub_status status = tub__folder_create(path, err);
    tub__free(cache->allocator, path);
    return status;
}

/* Left out where it can't be written: it is a courtesy. */
static tub_status write_tag(const tub__hub_cache *cache, tub_error *err) {
    char *path;
    tub_status status = TUB_OK;
    TUB__TRY(path_of(cache->allocator, &path, err, "%s/CACHEDIR.TAG", cache->root));
    if (!tub__name_taken(path)) {
        status = tub__file_write(cache->allocator, path, TAG, sizeof TAG - 1, err);
    }
    tub__free(cache->allocator, path);
    return status == TUB_E_MEMORY ? status : TUB_OK;
}

tub_status tub__hub_cache_prepare(const tub__hub_cache *cache, const char *commit, tub_error *err) {
    char *snapshot;
    TUB__TRY(make_folder(cache, cache->model, "blobs", err));
    TUB__TRY(tub__folder_create(cache->locks, err));
    TUB__TRY(tub__hub_snapshot(cache, commit, NULL, &snapshot, err));
    tub_status status = tub__folder_create(snapshot, err);
    tub__free(cache->allocator, snapshot);
    return status == TUB_OK ? write_tag(cache, err) : status;
}

/* Where the file system knows no links. */
static tub_status copy(const tub__hub_cache *cache, const char *etag, const char *to,
                       tub_error *err) {
    char *blob;
    TUB__TRY(tub__hub_blob(cache, etag, "", &blob, err));
    const tub_status status = tub__hub_copy(cache->allocator, blob, to, err);
    tub__free(cache->allocator, blob);
    return status;
}

tub_status tub__hub_link(const tub__hub_cache *cache, const char *commit, const char *file,
                         const char *etag, tub_error *err) {
    char *name = NULL, *target = NULL;
    TUB__TRY(tub__hub_snapshot(cache, commit, file, &name, err));
    tub_status status = path_of(cache->allocator, &target, err, "../../blobs/%s", etag);
    if (status == TUB_OK && unlink(name) < 0 && errno != ENOENT) {
        status = tub__fail_errno(err, errno, "%s can't be replaced", name);
    }
    if (status == TUB_OK && symlink(target, name) < 0) {
        status = errno == EEXIST ? TUB_OK /* of another process, which was faster */
                 : errno == EPERM || errno == EOPNOTSUPP
                     ? copy(cache, etag, name, err)
                     : tub__fail_errno(err, errno, "%s can't be made", name);
    }
    tub__free(cache->allocator, target);
    tub__free(cache->allocator, name);
    return status;
}

tub_status tub__hub_note_missing(const tub__hub_cache *cache, const char *commit, const char *file,
                                 tub_error *err) {
    char *path;
    TUB__TRY(
        path_of(cache->allocator, &path, err, "%s/.no_exist/%s/%s", cache->model, commit, file));
    const tub_status status = tub__parent_create(cache->allocator, path, err);
    if (status == TUB_OK) {
        const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        if (fd >= 0) {
            close(fd);
        }
    }
    tub__free(cache->allocator, path);
    return status == TUB_E_MEMORY ? status : TUB_OK;
}
