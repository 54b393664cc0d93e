/* SPDX-License-Identifier: Apache-2.0 */
/* Replacing one file so that a kill or a full disk at any instant leaves the old one or the new
 * one, whole. */
#include "base/file.h"

#include "base/error.h"
#include "base/file_parts.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

tub_status tub__temporary_name(const tub_allocator *a, const char *path, unsigned attempt,
                               char **out, tub_error *err) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    static const char middle[] = TUB__TEMPORARY_MARK;
    size_t length = strlen(path);
    void *block;
    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    TUB__TRY(tub__alloc(a, length + sizeof middle + TUB__TEMPORARY_RANDOM, &block, err));
    char *name = block;
    memcpy(name, path, length);
    memcpy(name + length, middle, sizeof middle - 1);
    /* Only to be unlike others: creation is exclusive, so a clash is seen and another name
     * tried. */
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t x =
        ((uint64_t)now.tv_sec << 30 ^ (uint64_t)now.tv_nsec ^ (uint64_t)getpid() << 44 ^ attempt) *
        0x9E3779B97F4A7C15u;
    char *end = name + length + sizeof middle - 1;
    for (int i = 0; i < TUB__TEMPORARY_RANDOM; i++) {
        x ^= x >> 29;
        x *= 0xBF58476D1CE4E5B9u;
        end[i] = letters[(x >> 40) % (sizeof letters - 1)];
    }
    end[TUB__TEMPORARY_RANDOM] = '\0';
    *out = name;
    return TUB_OK;
}

bool tub__is_temporary(const char *name) {
    const size_t mark = strlen(TUB__TEMPORARY_MARK), end = mark + TUB__TEMPORARY_RANDOM;
    size_t length = strlen(name);
    length -= length > 0 && name[length - 1] == '/';
    return length > end && memcmp(name + length - end, TUB__TEMPORARY_MARK, mark) == 0;
}

tub_status tub__sync_folder(const char *path, tub_error *err) {
    tub_status status = TUB_OK;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return tub__fail_errno(err, errno, "%s", path);
    }
    if (fsync(fd) != 0 && errno != EINVAL &&
        errno != ENOTSUP) { /* some file systems can't, and need not */
        status = tub__fail_errno(err, errno, "%s: flushing the folder", path);
    }
    close(fd);
    return status;
}

tub_status tub__sync_parent(const char *path, tub_error *err) {
    char folder[PATH_MAX];
    return tub__path_split(path, folder, sizeof folder) == NULL ? TUB_OK /* the root: it has none */
                                                                : tub__sync_folder(folder, err);
}

/* The file's new name to the disk. In a folder that is itself only being made nobody looks for it
 * before tub__folder_commit, which does that for all files together. (A user who goes on to work in
 * a folder with such a name does without the flush: its files are still replaced in one step.) */
static tub_status sync_name(const char *path, tub_error *err) {
    char folder[PATH_MAX];
    if (tub__path_split(path, folder, sizeof folder) == NULL || tub__is_temporary(folder)) {
        return TUB_OK;
    }
    return tub__sync_folder(folder, err);
}

static void forget(tub__writer *w) {
    if (w->fd >= 0) {
        close(w->fd);
    }
    tub__free(w->allocator, w->temporary);
    tub__free(w->allocator, w->path);
    w->fd = -1;
    w->temporary = NULL;
    w->path = NULL;
}

tub_status tub__writer_open(const tub_allocator *a, const char *path, tub__writer *w,
                            tub_error *err) {
    struct stat st;
    tub__writer opened = {.fd = -1, .allocator = a};
    *w = opened;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        return tub__fail(err, TUB_E_IO,
                         "%s: is a folder or device, not a file that could be replaced", path);
    }
    TUB__TRY(tub__alloc_string(a, path, &opened.path, err));
    for (unsigned attempt = 0; attempt < TUB__TEMPORARY_TRIES; attempt++) {
        tub_status status = tub__temporary_name(a, path, attempt, &opened.temporary, err);
        if (status != TUB_OK) {
            forget(&opened);
            return status;
        }
        opened.fd = open(opened.temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (opened.fd >= 0) {
            *w = opened;
            return TUB_OK;
        }
        if (errno != EEXIST) {
            break;
        }
        tub__free(a, opened.temporary);
        opened.temporary = NULL;
    }
    tub_status status = tub__fail_errno(err, errno, "%s: creating a file beside it", path);
    forget(&opened);
    return status;
}

tub_status tub__writer_write(tub__writer *w, const void *data, size_t size, tub_error *err) {
    if (!tub__write_fully(w->fd, data, size)) {
        return tub__fail_errno(err, errno, "%s", w->path);
    }
    return TUB_OK;
}

uint64_t tub__writer_position(const tub__writer *w) {
    const off_t at = lseek(w->fd, 0, SEEK_CUR);
    return at < 0 ? 0 : (uint64_t)at;
}

tub_status tub__writer_put(tub__writer *w, uint64_t at, const void *data, size_t size,
                           tub_error *err) {
    if (lseek(w->fd, (off_t)at, SEEK_SET) < 0) {
        return tub__fail_errno(err, errno, "%s", w->path);
    }
    return tub__writer_write(w, data, size, err);
}

tub_status tub__writer_commit(tub__writer *w, tub_error *err) {
    if (fsync(w->fd) != 0) {
        tub_status status = tub__fail_errno(err, errno, "%s", w->path);
        tub__writer_abort(w);
        return status;
    }
    int closed = close(w->fd);
    w->fd = -1;
    if (closed != 0 || rename(w->temporary, w->path) != 0) {
        tub_status status = tub__fail_errno(err, errno, "%s", w->path);
        unlink(w->temporary);
        forget(w);
        return status;
    }
    tub_status status = sync_name(w->path, err);
    forget(w);
    return status;
}

void tub__writer_abort(tub__writer *w) {
    if (w->fd >= 0) {
        unlink(w->temporary);
        forget(w);
    }
}

tub_status tub__file_write(const tub_allocator *a, const char *path, const void *data, size_t size,
                           tub_error *err) {
    tub__writer w;
    TUB__TRY(tub__writer_open(a, path, &w, err));
    tub_status status = tub__writer_write(&w, data, size, err);
    if (status != TUB_OK) {
        tub__writer_abort(&w);
        return status;
    }
    return tub__writer_commit(&w, err);
}
