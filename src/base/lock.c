/* SPDX-License-Identifier: Apache-2.0 */
/* Locking a file, and waiting for another process without being deaf to a stop. */
#include "base/lock.h"

#include "base/error.h"
#include "base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

/* Asks again and again: a wait inside flock would go on through a signal whose handler restarts
 * calls, and one that came just before it. */
static tub_status ask_for_lock(tub_context *ctx, const char *source, int fd, tub_error *err) {
    const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
    while (flock(fd, LOCK_EX | LOCK_NB) < 0 && (errno == EWOULDBLOCK || errno == EINTR)) {
        if (ctx->stop) {
            return tub__fail(err, TUB_E_CANCELLED, "%s: the download was stopped", source);
        }
        nanosleep(&pause, NULL); /* a signal ends it early, whatever its handler */
    }
    return TUB_OK;
}

tub_status tub__lock_file(tub_context *ctx, const char *path, mode_t mode, const char *what,
                          const char *source, int *out, tub_error *err) {
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, mode);
        if (fd < 0) {
            return tub__fail_errno(err, errno, "%s can't be written", path);
        }
        tub_status status = TUB_OK;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
            tub__log_line(ctx, TUB_LOG_INFO, "%s: another process is downloading it; waiting",
                          what);
            status = ask_for_lock(ctx, source, fd, err);
        }
        /* Another process may have renamed or removed the file while we waited. */
        if (status == TUB_OK && tub__has_name(fd, AT_FDCWD, path, 0)) {
            *out = fd;
            return TUB_OK;
        }
        close(fd);
        TUB__TRY(status);
    }
}
