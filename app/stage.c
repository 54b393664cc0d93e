/* SPDX-License-Identifier: Apache-2.0 */
/* Files that appear together. */
#include "stage.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

bool stage_begin(stage *s, const char *prefix) {
    const int a = snprintf(s->prefix, sizeof s->prefix, "%s", prefix),
              b = snprintf(s->folder, sizeof s->folder, "%s.tubelet.tmp-XXXXXX", prefix);
    if (a >= (int)sizeof s->prefix || b >= (int)sizeof s->folder) {
        s->folder[0] = '\0';
        errno = ENAMETOOLONG;
        return false;
    }
    if (mkdtemp(s->folder) == NULL) {
        s->folder[0] = '\0';
        return false;
    }
    return true;
}

bool stage_path(const stage *s, const char *name, char out[PATH_MAX]) {
    const int n = snprintf(out, PATH_MAX, "%s/%s", s->folder, last_part(name));
    return n > 0 && n < PATH_MAX;
}

void stage_rename_in(const stage *s, char *sentence) {
    char made[PATH_MAX];
    if (s->folder[0] == '\0' || !stage_path(s, s->prefix, made)) {
        return;
    }
    char *at = strstr(sentence, made);
    if (at != NULL) {
        const size_t length = strlen(s->prefix); /* less than that of `made` */
        memcpy(at, s->prefix, length);
        memmove(at + length, at + strlen(made), strlen(at + strlen(made)) + 1);
    }
}

/* ---- names ---- */

/* How a file came to its name, and so how it is taken back. */
typedef enum taken { TAKEN_NOT = 0, TAKEN_FREE, TAKEN_SWAPPED, TAKEN_OVER } taken;

/* Never in place of anything. */
static bool move_new(const char *from, const char *to) {
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
        return true;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return false;
    }
    /* A file system without it: a link never takes a name that there is. */
    if (link(from, to) != 0) {
        return false;
    }
    (void)unlink(from);
    return true;
}

/* In place of a file, which waits in the folder then, where the file system can. */
static taken take(const stage *s, const char *name, bool replace) {
    char from[PATH_MAX];
    struct stat there;
    if (!stage_path(s, name, from)) {
        errno = ENAMETOOLONG;
        return TAKEN_NOT;
    }
    if (!replace || lstat(name, &there) != 0) {
        return move_new(from, name) ? TAKEN_FREE : TAKEN_NOT;
    }
    if (S_ISDIR(there.st_mode)) {
        errno = EISDIR;
        return TAKEN_NOT;
    }
    if (renameat2(AT_FDCWD, from, AT_FDCWD, name, RENAME_EXCHANGE) == 0) {
        return TAKEN_SWAPPED;
    }
    return (errno == EINVAL || errno == ENOSYS) && rename(from, name) == 0 ? TAKEN_OVER : TAKEN_NOT;
}

static void take_back(const stage *s, const char *name, taken how) {
    char from[PATH_MAX];
    if (how == TAKEN_FREE) {
        (void)unlink(name);
    } else if (how == TAKEN_SWAPPED && stage_path(s, name, from)) {
        (void)rename(from, name);
    }
}

/* The names to the disk. */
static void flush_folder(const char *name) {
    char folder[PATH_MAX];
    const char *last = last_part(name);
    snprintf(folder, sizeof folder, "%.*s", (int)(last - name), name);
    const int fd = open(last == name ? "." : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

const char *stage_commit(stage *s, const char *const *names, int count, bool replace) {
    taken how[STAGE_FILES] = {TAKEN_NOT};
    int done = 0;
    assert(count <= STAGE_FILES);
    while (done < count && (how[done] = take(s, names[done], replace)) != TAKEN_NOT) {
        done++;
    }
    if (done == count) {
        flush_folder(s->prefix);
        return NULL;
    }
    const int reason = errno;
    for (int i = done; i-- > 0;) {
        take_back(s, names[i], how[i]);
    }
    errno = reason;
    return names[done];
}

void stage_end(stage *s) {
    DIR *all = s->folder[0] != '\0' ? opendir(s->folder) : NULL;
    for (const struct dirent *one = NULL; all != NULL && (one = readdir(all)) != NULL;) {
        (void)unlinkat(dirfd(all), one->d_name, 0); /* not "." and "..", which are folders */
    }
    if (all != NULL) {
        closedir(all);
        (void)rmdir(s->folder);
    }
    s->folder[0] = '\0';
}
