/* SPDX-License-Identifier: Apache-2.0 */
/* Folders: making, removing, and putting a filled one in place in one step. */
#include "base/file.h"

#include "base/error.h"
#include "base/file_parts.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_ROOM = 4096 };

tub_status tub__folder_create(const char *path, tub_error *err) {
    char part[PATH_ROOM];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof part) {
        return tub__fail_errno(err, length == 0 ? ENOENT : ENAMETOOLONG, "'%.100s'", path);
    }
    memcpy(part, path, length + 1);
    for (size_t i = 1; i <= length; i++) {
        if (part[i] != '/' && part[i] != '\0') {
            continue;
        }
        char end = part[i];
        part[i] = '\0';
        if (mkdir(part, 0777) != 0 && (errno != EEXIST || !tub__is_folder(part))) {
            return errno == EEXIST
                       ? tub__fail(err, TUB_E_EXISTS, "%s: is a file, not a folder", part)
                       : tub__fail_errno(err, errno, "%s: making the folder", part);
        }
        part[i] = end;
    }
    return TUB_OK;
}

/* Removes what is in the folder open as fd, which it closes; 0 or an errno. */
static int remove_contents(int fd) {
    DIR *folder = fdopendir(fd);
    if (folder == NULL) {
        int failure = errno;
        close(fd);
        return failure;
    }
    int failure = 0;
    struct dirent *entry;
    while (failure == 0 && (errno = 0, entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (unlinkat(fd, entry->d_name, 0) == 0) {
            continue;
        }
        if (errno != EISDIR && errno != EPERM) { /* Linux and POSIX say so of a folder */
            failure = errno;
            break;
        }
        int inner = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        failure = inner < 0 ? errno : remove_contents(inner);
        if (failure == 0 && unlinkat(fd, entry->d_name, AT_REMOVEDIR) != 0) {
            failure = errno;
        }
    }
    if (failure == 0) {
        failure = errno; /* of readdir */
    }
    closedir(folder);
    return failure;
}

tub_status tub__folder_remove(const tub_allocator *a, const char *path, tub_error *err) {
    (void)a;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return TUB_OK;
    }
    int failure = fd < 0 ? errno : remove_contents(fd);
    if (failure == 0 && rmdir(path) != 0) {
        failure = errno;
    }
    return failure == 0 ? TUB_OK : tub__fail_errno(err, failure, "%s: removing the folder", path);
}

/* One attempt: TUB_E_EXISTS when the name is taken, and when somebody who removes leftovers came
 * between making the folder and locking it. */
static tub_status make_locked(const char *name, const char *path, int *lock, tub_error *err) {
    if (mkdir(name, 0777) != 0) {
        return tub__fail_errno(err, errno, "%s: making a folder beside it", path);
    }
    tub_status status = tub__folder_lock(name, lock, err);
    if (status != TUB_OK && status != TUB_E_EXISTS && rmdir(name) != 0 && errno == ENOENT) {
        status = TUB_E_EXISTS;
    }
    return status;
}

tub_status tub__folder_temporary(const tub_allocator *a, const char *path, char **out, int *lock,
                                 tub_error *err) {
    tub_status status = TUB_E_EXISTS;
    for (unsigned attempt = 0; status == TUB_E_EXISTS && attempt < TUB__TEMPORARY_TRIES;
         attempt++) {
        char *name;
        TUB__TRY(tub__temporary_name(a, path, attempt, &name, err));
        status = make_locked(name, path, lock, err);
        if (status == TUB_OK) {
            *out = name;
        } else {
            tub__free(a, name);
        }
    }
    return status;
}

/* Puts the new folder in the place of the old one, which lies at `temporary` afterwards. */
static tub_status exchange(const tub_allocator *a, const char *temporary, const char *path,
                           tub_error *err) {
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_EXCHANGE) == 0) {
        return TUB_OK;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return tub__fail_errno(err, errno, "%s", path);
    }
    /* A file system without exchange: for an instant there is neither, but both lie beside it,
     * whole. */
    char *aside;
    int lock;
    TUB__TRY(tub__folder_temporary(a, path, &aside, &lock, err));
    tub_status status = TUB_OK;
    if (rename(path, aside) != 0 || rename(temporary, path) != 0 || rename(aside, temporary) != 0) {
        status = tub__fail_errno(err, errno, "%s: the previous folder may lie at %s", path, aside);
    }
    close(lock);
    tub__free(a, aside);
    return status;
}

tub_status tub__folder_commit(const tub_allocator *a, const char *temporary, const char *path,
                              bool replace, tub_error *err) {
    TUB__TRY(tub__sync_folder(temporary, err));
    if (rename(temporary, path) == 0) { /* nothing there, or an empty folder */
        return tub__sync_parent(path, err);
    }
    if (errno != ENOTEMPTY && errno != EEXIST) {
        return tub__fail_errno(err, errno, "%s", path);
    }
    if (!replace) {
        return tub__fail(err, TUB_E_EXISTS, "%s: exists and is not empty", path);
    }
    TUB__TRY(exchange(a, temporary, path, err));
    TUB__TRY(tub__sync_parent(path, err));
    return tub__folder_remove(a, temporary, err);
}

tub_status tub__parent_create(const tub_allocator *a, const char *path, tub_error *err) {
    char *parent;
    size_t length = strlen(path);
    while (length > 0 && path[length - 1] == '/') {
        length--;
    }
    while (length > 0 && path[length - 1] != '/') {
        length--;
    }
    if (length == 0) {
        return TUB_OK;
    }
    TUB__TRY(tub__alloc_string(a, path, &parent, err));
    parent[length] = '\0';
    tub_status status = tub__folder_create(parent, err);
    tub__free(a, parent);
    return status;
}

/* A folder that came to be meanwhile stays, an empty one too. */
static tub_status commit_new(const tub_allocator *a, const char *temporary, const char *path,
                             tub_error *err) {
    TUB__TRY(tub__sync_folder(temporary, err));
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) == 0) {
        return tub__sync_parent(path, err);
    }
    if (errno == EEXIST) {
        return tub__fail(err, TUB_E_EXISTS, "%s is there already", path);
    }
    return tub__folder_commit(a, temporary, path, false, err); /* a file system without it */
}

tub_status tub__folder_make(const tub_allocator *a, const char *path, tub__folder_fill *fill,
                            void *user, tub_error *err) {
    char *temporary;
    int lock;
    TUB__TRY(tub__parent_create(a, path, err));
    tub__leftovers_remove(path);
    TUB__TRY(tub__folder_temporary(a, path, &temporary, &lock, err));
    tub_status status = fill(user, temporary, err);
    if (status == TUB_OK) {
        status = commit_new(a, temporary, path, err);
    }
    if (status != TUB_OK) {
        (void)!tub__folder_remove(a, temporary, NULL); /* the first failure is the one to tell */
    }
    close(lock);
    tub__free(a, temporary);
    return status;
}

tub_status tub__file_move_new(const char *from, const char *to, tub_error *err) {
    int done = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
    if (done != 0 && (errno == EINVAL || errno == ENOSYS)) {
        /* A file system without it: another name is never given to what has one. */
        done = link(from, to);
        if (done == 0) {
            (void)!unlink(from);
        }
    }
    if (done != 0) {
        return errno == EEXIST ? tub__fail(err, TUB_E_EXISTS, "%s is there already", to)
                               : tub__fail_errno(err, errno, "%s", to);
    }
    return tub__sync_parent(to, err);
}

tub_status tub__folder_lock(const char *path, int *fd, tub_error *err) {
    for (;;) {
        int opened = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (opened < 0) {
            return tub__fail_errno(err, errno, "%s", path);
        }
        if (flock(opened, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
            close(opened);
            return tub__fail(err, TUB_E_EXISTS, "%s: another process is at work on it", path);
        }
        if (tub__has_name(opened, AT_FDCWD, path, 0)) {
            *fd = opened;
            return TUB_OK;
        }
        close(opened); /* another folder took its place between the two calls: try that one */
    }
}

tub_status tub__temporaries_remove(const tub_allocator *a, const char *folder, tub_error *err) {
    DIR *open_folder = opendir(folder);
    if (open_folder == NULL) {
        return errno == ENOENT ? TUB_OK : tub__fail_errno(err, errno, "%s", folder);
    }
    tub_status status = TUB_OK;
    struct dirent *entry;
    while (status == TUB_OK && (entry = readdir(open_folder)) != NULL) {
        if (!tub__is_temporary(entry->d_name) ||
            unlinkat(dirfd(open_folder), entry->d_name, 0) == 0) {
            continue;
        }
        char *path;
        status = tub__path_join(a, folder, entry->d_name, &path, err);
        if (status == TUB_OK) {
            status = tub__folder_remove(a, path, err);
            tub__free(a, path);
        }
    }
    closedir(open_folder);
    return status;
}

/* Removes a folder that nobody has locked. The lock is held until the name is gone: whoever makes
 * such a folder, and has not locked it yet, sees then that it is lost. */
static void remove_unlocked(int parent, const char *name) {
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    /* Without locks on the file system nobody knows who is alive: then it stays. */
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && tub__has_name(fd, parent, name, AT_SYMLINK_NOFOLLOW)) {
        int contents = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (contents >= 0 && remove_contents(contents) == 0) {
            (void)!unlinkat(parent, name, AT_REMOVEDIR);
        }
    }
    close(fd);
}

void tub__leftovers_remove(const char *path) {
    char parent[PATH_ROOM];
    const char *name = tub__path_split(path, parent, sizeof parent);
    DIR *folder = name != NULL ? opendir(parent) : NULL;
    if (folder == NULL) {
        return;
    }
    size_t length = strcspn(name, "/");
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        const char *found = entry->d_name;
        if (strncmp(found, name, length) == 0 && tub__is_temporary(found) &&
            strlen(found) == length + strlen(TUB__TEMPORARY_MARK) + TUB__TEMPORARY_RANDOM) {
            remove_unlocked(dirfd(folder), found);
        }
    }
    closedir(folder);
}
