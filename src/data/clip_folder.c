/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of cached clips: its lock, and its limit, for which the sets that were used longest ago make way.
 *
 * A set that somebody has open carries a shared lock; who can lock it alone may remove it. Both are only tried,
 * never waited for, and the folder's own lock is the only one that is: nobody waits for two. */
#include "data/clip_set.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

bool tub__clip_folder_lock(const tub__clip_set *set, bool wait) {
    /* A holder needs milliseconds; one that was stopped may keep it for ever. */
    const struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};
    enum { TRIES = 600 };
    for (int i = 0; flock(set->lock, LOCK_EX | LOCK_NB) != 0; i++) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || !wait || i == TRIES) {
            return false;
        }
        nanosleep(&pause, NULL);
    }
    tub__clip_at(set, TUB__CLIP_LOCKED);
    return true;
}

void tub__clip_folder_unlock(const tub__clip_set *set) {
    (void)flock(set->lock, LOCK_UN);
    tub__clip_at(set, TUB__CLIP_UNLOCKED);
}

/* A set among the others: which was used earlier, by its name where that doesn't tell. */
typedef struct candidate {
    struct timespec used;
    char name[64];
} candidate;

static bool earlier(const candidate *a, const candidate *b) {
    if (a->used.tv_sec != b->used.tv_sec) {
        return a->used.tv_sec < b->used.tv_sec;
    }
    if (a->used.tv_nsec != b->used.tv_nsec) {
        return a->used.tv_nsec < b->used.tv_nsec;
    }
    return strcmp(a->name, b->name) < 0;
}

/* Whether it is the name of a set. */
static bool is_name(const char *name) {
    enum { DIGITS = 2 * TUB__CLIP_KEY };
    return strspn(name, "0123456789abcdef") == DIGITS &&
           strcmp(name + DIGITS, TUB__CLIP_SUFFIX) == 0;
}

/* What all sets take on the disk, and the first one behind `last` in the order of use; false when there is
 * none. */
static bool survey(int folder, const candidate *last, uint64_t *used, candidate *first) {
    const int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    bool found = false;
    *used = 0;
    if (dir == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        struct stat st;
        if (!is_name(e->d_name) || fstatat(folder, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            continue;
        }
        candidate c = {.used = st.st_mtim};
        memcpy(c.name, e->d_name, strlen(e->d_name) + 1);
        *used += (uint64_t)st.st_blocks * 512;
        if ((last == NULL || earlier(last, &c)) && (!found || earlier(&c, first))) {
            *first = c;
            found = true;
        }
    }
    closedir(dir);
    return found;
}

/* Removes a set unless somebody has it open. */
static void remove_unused(const tub__clip_set *set, const char *name) {
    const int fd = openat(set->folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0) {
        return;
    }
    const bool unused = flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (unused && unlinkat(set->folder, name, 0) == 0) {
        tub__clip_at(set, TUB__CLIP_EVICTED);
    }
    close(fd);
}

/* Other files need room too, a run's checkpoint first of all: a twentieth of the file system or 1 GiB stays
 * free. */
static bool disk_has(int folder, uint64_t bytes) {
    struct statvfs fs;
    if (bytes == 0 || fstatvfs(folder, &fs) != 0 || fs.f_blocks == 0) {
        return true; /* it will tell when it is full */
    }
    const uint64_t all = (uint64_t)fs.f_blocks * fs.f_frsize, most = (uint64_t)1 << 30;
    const uint64_t kept = all / 20 < most ? all / 20 : most;
    const uint64_t available = (uint64_t)fs.f_bavail * fs.f_frsize;
    return available >= kept && available - kept >= bytes;
}

tub__clip_room tub__clip_folder_room(const tub__clip_set *set, uint64_t bytes) {
    candidate last, next;
    for (bool first = true;; first = false) {
        uint64_t used = 0;
        const bool more = survey(set->folder, first ? NULL : &last, &used, &next);
        const bool within = used <= set->config->limit && bytes <= set->config->limit - used;
        const bool there = disk_has(set->folder, bytes);
        if (within && there) {
            return TUB__CLIP_ROOM;
        }
        if (!more) {
            return within ? TUB__CLIP_DISK : TUB__CLIP_LIMIT;
        }
        remove_unused(set, next.name);
        last = next;
    }
}
