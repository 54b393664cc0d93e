/* SPDX-License-Identifier: Apache-2.0 */
/* What comes through a pipe, kept in a temporary file. */
#include "modules/video_pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

enum { BLOCK = 1 << 16, PROBED = 1 << 20 }; /* as much as FFmpeg looks at to tell a kind */

static const char *folder(void) {
    const char *said = secure_getenv("TMPDIR");
    return said != NULL && said[0] != '\0' ? said : "/tmp";
}

static tub_status fail(const char *path, int failure, tub_error *err) {
    return tub__fail(err, failure == ENOMEM ? TUB_E_MEMORY : TUB_E_IO,
                     "%s: a pipe, which is kept in %s (TMPDIR): %s; name a folder with room, or "
                     "give the video as a file",
                     path, folder(), strerror(failure));
}

/* A file that is gone as soon as nobody has it open, however the program ends. */
static tub_status make_copy(const char *path, int *out, tub_error *err) {
    char name[4096];
    if (snprintf(name, sizeof name, "%s/tubelet-XXXXXX", folder()) >= (int)sizeof name) {
        return fail(path, ENAMETOOLONG, err);
    }
    *out = mkostemp(name, O_CLOEXEC);
    if (*out < 0) {
        return fail(path, errno, err);
    }
    unlink(name);
    return TUB_OK;
}

static bool write_all(int fd, const char *bytes, size_t size) {
    while (size > 0) {
        const ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        bytes += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* At most so many bytes more; *size: what there is. *end: the pipe is at its end. */
static tub_status copy_some(const char *path, const tub__video_file *file, int64_t most,
                            int64_t *size, bool *end, tub_error *err) {
    char block[BLOCK];
    while (most > 0 && !*end) {
        const ssize_t n = read(file->fd, block, most < BLOCK ? (size_t)most : BLOCK);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return tub__fail_errno(err, errno, "%s", path);
        }
        if (!write_all(file->copy, block, (size_t)n)) {
            return fail(path, errno, err);
        }
        *end = n == 0;
        *size += n;
        most -= n;
    }
    return TUB_OK;
}

tub_status tub__video_keep_pipe(const char *path, tub__video_file *file, tub_error *err) {
    int64_t size = 0;
    bool end = false;
    TUB__TRY(make_copy(path, &file->copy, err));
    TUB__TRY(copy_some(path, file, PROBED, &size, &end, err));
    if (size == 0) {
        return tub__fail(err, TUB_E_FORMAT, "%s: nothing came through the pipe", path);
    }
    return end || !tub__video_file_known(file->copy)
               ? TUB_OK
               : copy_some(path, file, INT64_MAX, &size, &end, err);
}
