/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, mapping and appending to files, and path arithmetic. */
#include "base/file.h"

#include "base/error.h"
#include "base/file_parts.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

tub_status tub__map_open(const char *path, tub__map *out, tub_error *err) {
    struct stat st;
    tub_status status = TUB_OK;
    int fd =
        open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* without waiting for a pipe's other end */
    if (fd < 0) {
        return tub__fail_errno(err, errno, "%s", path);
    }
    if (fstat(fd, &st) != 0) {
        status = tub__fail_errno(err, errno, "%s", path);
    } else if (!S_ISREG(st.st_mode)) {
        status = tub__fail(err, TUB_E_IO, "%s: %s, not a file", path,
                           S_ISDIR(st.st_mode) ? "is a folder" : "is a device or pipe");
    } else if (st.st_size == 0) {
        *out = (tub__map){0};
    } else {
        void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            status =
                tub__fail_errno(err, errno, "%s: mapping %lld bytes", path, (long long)st.st_size);
        } else {
            *out = (tub__map){data, (size_t)st.st_size};
        }
    }
    close(fd);
    return status;
}

void tub__map_close(tub__map *map) {
    if (map->data != NULL) {
        munmap((void *)map->data, map->size);
    }
    *map = (tub__map){0};
}

/* Reads up to `size` bytes, fewer only at the end; -1 with errno on failure. */
static ssize_t read_fully(int fd, char *to, size_t size) {
    size_t used = 0;
    while (used < size) {
        ssize_t n = read(fd, to + used, size - used);
        if (n == 0) {
            break;
        }
        if (n > 0) {
            used += (size_t)n;
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return (ssize_t)used;
}

/* Reads what is left of fd into a block that grows from `room` bytes on. On failure *text is the
 * caller's to free, too. */
static tub_status read_growing(const tub_allocator *a, int fd, const char *path, size_t room,
                               size_t limit, void **text, size_t *size, tub_error *err) {
    size_t used = 0;
    TUB__TRY(tub__alloc(a, room + 1, text, err));
    for (;;) {
        ssize_t n = read_fully(fd, (char *)*text + used, room + 1 - used);
        if (n < 0) {
            return tub__fail_errno(err, errno, "%s", path);
        }
        used += (size_t)n;
        if (used <= room) {
            break; /* the end came before the room was full */
        }
        if (room >= limit) {
            return tub__fail(err, TUB_E_FORMAT, "%s: larger than %zu bytes", path, limit);
        }
        room = room > limit / 2 ? limit : 2 * room;
        TUB__TRY(tub__alloc_grow(a, text, used, room + 1, err));
    }
    ((char *)*text)[used] = '\0';
    *size = used;
    return TUB_OK;
}

tub_status tub__file_read(const tub_allocator *a, const char *path, size_t limit, char **out,
                          size_t *size, tub_error *err) {
    enum { FIRST_ROOM = 4096 }; /* for pipes and other files that don't know their size */
    struct stat st;
    void *text = NULL;
    size_t used = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return tub__fail_errno(err, errno, "%s", path);
    }
    tub_status status;
    limit = limit > PTRDIFF_MAX / 4 ? PTRDIFF_MAX / 4 : limit;
    if (fstat(fd, &st) != 0) {
        status = tub__fail_errno(err, errno, "%s", path);
    } else if (S_ISREG(st.st_mode) && (size_t)st.st_size > limit) {
        status = tub__fail(err, TUB_E_FORMAT, "%s: %lld bytes, at most %zu are read", path,
                           (long long)st.st_size, limit);
    } else {
        size_t room = S_ISREG(st.st_mode) && st.st_size > 0 ? (size_t)st.st_size : FIRST_ROOM;
        status = read_growing(a, fd, path, room > limit ? limit : room, limit, &text, &used, err);
    }
    close(fd);
    if (status != TUB_OK) {
        tub__free(a, text);
        return status;
    }
    *out = text;
    *size = used;
    return TUB_OK;
}

static tub_status append(const char *path, const void *data, size_t size, bool flush,
                         tub_error *err) {
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        return tub__fail_errno(err, errno, "%s", path);
    }
    struct stat st;
    tub_status status = TUB_OK;
    if (fstat(fd, &st) != 0) {
        status = tub__fail_errno(err, errno, "%s", path);
    } else if (!tub__write_fully(fd, data, size) ||
               (flush && fdatasync(fd) != 0 && errno != EINVAL)) {
        status = tub__fail_errno(err, errno, "%s", path);
        /* On a full disk part of a line may be there: take it back. */
        if (S_ISREG(st.st_mode) && ftruncate(fd, st.st_size) != 0) {
            tub__prefix(err, status, "an unfinished line stays in the file");
        }
    }
    if (close(fd) != 0 && status == TUB_OK) {
        status = tub__fail_errno(err, errno, "%s", path);
    }
    return status;
}

tub_status tub__file_append(const char *path, const void *data, size_t size, tub_error *err) {
    return append(path, data, size, true, err);
}

tub_status tub__file_append_soon(const char *path, const void *data, size_t size, tub_error *err) {
    return append(path, data, size, false, err);
}

bool tub__file_exists(const char *path) {
    return access(path, F_OK) == 0;
}

bool tub__name_taken(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0;
}

bool tub__is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

tub_status tub__folder_expect(const char *path, const char *what, tub_error *err) {
    struct stat st;
    if (stat(path, &st) != 0) {
        return errno == ENOENT
                   ? tub__fail(err, TUB_E_NOT_FOUND, "%s: no such folder; %s", path, what)
                   : tub__fail_errno(err, errno, "%s", path);
    }
    return S_ISDIR(st.st_mode) ? TUB_OK
                               : tub__fail(err, TUB_E_NOT_FOUND, "%s is a file; %s", path, what);
}

bool tub__has_name(int fd, int folder, const char *name, int flags) {
    struct stat ours, named;
    return fstat(fd, &ours) == 0 && fstatat(folder, name, &named, flags) == 0 &&
           ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

tub_status tub__path_join(const tub_allocator *a, const char *folder, const char *name, char **out,
                          tub_error *err) {
    size_t length = strlen(folder), rest = strlen(name) + 1;
    size_t slash = length > 0 && folder[length - 1] != '/';
    void *block;
    TUB__TRY(tub__alloc(a, length + slash + rest, &block, err));
    char *path = block;
    memcpy(path, folder, length);
    if (slash) {
        path[length] = '/';
    }
    memcpy(path + length + slash, name, rest);
    *out = path;
    return TUB_OK;
}

tub_status tub__path_absolute(const tub_allocator *a, const char *path, char **out,
                              tub_error *err) {
    char resolved[PATH_MAX];
    if (path[0] == '/') {
        return tub__alloc_string(a, path, out, err);
    }
    if (realpath(path, resolved) == NULL) {
        return tub__fail_errno(err, errno, "%s", path);
    }
    return tub__alloc_string(a, resolved, out, err);
}

const char *tub__path_split(const char *path, char *folder, size_t room) {
    size_t end = strlen(path);
    while (end > 0 && path[end - 1] == '/') {
        end--;
    }
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/') {
        begin--;
    }
    size_t length = begin > 0 ? begin : 1;
    if (begin == end || length >= room) {
        return NULL;
    }
    memcpy(folder, begin > 0 ? path : ".", length);
    folder[length] = '\0';
    return path + begin;
}

const char *tub__path_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}
