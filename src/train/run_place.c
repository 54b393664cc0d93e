/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a run may be made at a place: what force may replace, and what no run may lie in. */
#include "base/error.h"
#include "base/file_parts.h"
#include "formats/tfevents.h"
#include "train/run_folder.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ENTRY_LENGTH = 300 }; /* "best.next/" and the longest name */

#define MODEL_FILES "config.json", "model.safetensors", "preprocessor_config.json", "README.md"

/* A folder of the run, and what training puts into it. */
typedef struct part {
    const char *name; /* below the run; "" itself */
    const char *files[10];
    const char *folders[4];
} part;

static const part parts[] = {
    {"",
     {MODEL_FILES, TUB__RUN_RECIPE, TUB__RUN_LOG, TUB__RUN_LINES, TUB__RUN_METRICS, TUB__RUN_START,
      NULL},
     {TUB__RUN_BEST, TUB__RUN_NEXT, TUB__RUN_CHECKPOINT, NULL}},
    {TUB__RUN_BEST, {MODEL_FILES, TUB__RUN_METRICS, NULL}, {NULL}},
    {TUB__RUN_NEXT, {MODEL_FILES, TUB__RUN_METRICS, NULL}, {NULL}},
    {TUB__RUN_CHECKPOINT, {"state.safetensors", NULL}, {NULL}},
};

static bool is_listed(const char *const *list, const char *name) {
    while (*list != NULL && strcmp(*list, name) != 0) {
        list++;
    }
    return *list != NULL;
}

static bool ends_with(const char *name, const char *end) {
    size_t length = strlen(name), tail = strlen(end);
    return length >= tail && strcmp(name + length - tail, end) == 0;
}

/* What `tubelet eval` writes: eval-test.json, organmnist3d_test_[AUC]0.995_[ACC]0.934@last.csv. */
static bool is_result(const char *name) {
    return (strncmp(name, "eval-", 5) == 0 && ends_with(name, ".json")) ||
           (strstr(name, "_[AUC]") != NULL && strstr(name, "_[ACC]") != NULL &&
            strchr(name, '@') != NULL && ends_with(name, ".csv"));
}

static bool is_own(const part *p, int folder, const char *name) {
    struct stat st;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || tub__is_temporary(name) ||
        fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return true;
    }
    return S_ISDIR(st.st_mode) ? is_listed(p->folders, name)
                               : is_listed(p->files, name) || is_result(name) ||
                                     (p->name[0] == '\0' && tub__tfevents_is_name(name));
}

/* The first entry by name that is none of the run's; "" when there is none. A link is not followed:
 * replacing the run would only remove the link. */
static tub_status find_foreign(const char *path, const part *p, char found[ENTRY_LENGTH],
                               tub_error *err) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    found[0] = '\0';
    if (folder == NULL) {
        int failure = errno;
        if (fd >= 0) {
            close(fd);
        }
        return failure == ENOENT || failure == ENOTDIR || failure == ELOOP
                   ? TUB_OK
                   : tub__fail_errno(err, failure, "%s", path);
    }
    for (struct dirent *e = readdir(folder); e != NULL; e = readdir(folder)) {
        char name[ENTRY_LENGTH];
        snprintf(name, sizeof name, "%s%s%s", p->name, p->name[0] != '\0' ? "/" : "", e->d_name);
        if (!is_own(p, fd, e->d_name) && (found[0] == '\0' || strcmp(name, found) < 0)) {
            strcpy(found, name);
        }
    }
    closedir(folder);
    return TUB_OK;
}

/* Replacing a run removes its folder with all that is in it: nobody's notes or other runs. */
static tub_status check_contents(const tub_allocator *a, const char *run, tub_error *err) {
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char *path = NULL, found[ENTRY_LENGTH];
        TUB__TRY(tub__path_join(a, run, parts[i].name, &path, err));
        tub_status status = find_foreign(path, &parts[i], found, err);
        tub__free(a, path);
        TUB__TRY(status);
        if (found[0] != '\0') {
            return tub__fail(err, TUB_E_EXISTS,
                             "%s has %s in it, which is not the run's own and would be removed "
                             "with it, so it is not replaced by force; move that away or choose "
                             "another folder",
                             run, found);
        }
    }
    return TUB_OK;
}

/* A rename replaces a folder under the name that it has where it lies, no other. */
static tub_status check_name(const char *run, tub_error *err) {
    char name[TUB_PATH_LENGTH];
    struct stat st;
    size_t length = strlen(run);
    while (length > 1 && run[length - 1] == '/') {
        length--;
    }
    snprintf(name, sizeof name, "%.*s", (int)length, run); /* lstat follows a link with a slash */
    const char *last = tub__path_name(name);
    bool dots = strcmp(last, ".") == 0 || strcmp(last, "..") == 0;
    if (dots || (lstat(name, &st) == 0 && S_ISLNK(st.st_mode))) {
        return tub__fail(
            err, TUB_E_ARGUMENT,
            "%s %s, so it can't be replaced by force; give the path of the folder itself", run,
            dots ? "is not the run folder's own name" : "is a link");
    }
    return TUB_OK;
}

/* Only what is a run may be replaced: a slip of the pen must not remove somebody's folder. */
static tub_status check_is_run(const tub_allocator *a, const char *run, tub_error *err) {
    char *recipe = NULL;
    TUB__TRY(tub__path_join(a, run, TUB__RUN_RECIPE, &recipe, err));
    int failure = access(recipe, F_OK) == 0 ? 0 : errno;
    tub__free(a, recipe);
    if (failure != 0 && failure != ENOENT && failure != ENOTDIR) {
        return tub__fail_errno(err, failure, "%s", run);
    }
    if (failure != 0) {
        return tub__fail(err, TUB_E_EXISTS,
                         "%s is not a run folder (it has no " TUB__RUN_RECIPE "), so it is not "
                         "replaced; choose another folder or remove it yourself",
                         run);
    }
    return TUB_OK;
}

/* A recipe.yaml alone makes no run: somebody's own may lie in the folder of a whole project. */
static bool holds_run(const char *folder) {
    static const char *const files[] = {TUB__RUN_RECIPE, "config.json", "model.safetensors"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[PATH_MAX];
        if (snprintf(path, sizeof path, "%s/%s", folder, files[i]) >= (int)sizeof path ||
            !tub__file_exists(path)) {
            return false;
        }
    }
    return true;
}

/* A run within another would go with it. The folders above may still be to be made; what is wrong
 * with their names, making them will say. */
static tub_status check_above(const char *run, tub_error *err) {
    char above[PATH_MAX], higher[PATH_MAX], whole[PATH_MAX];
    if (tub__path_split(run, above, sizeof above) == NULL) {
        return TUB_OK;
    }
    while (realpath(above, whole) == NULL) {
        if (errno != ENOENT || tub__path_split(above, higher, sizeof higher) == NULL ||
            strcmp(above, higher) == 0) { /* the working directory was removed */
            return TUB_OK;
        }
        strcpy(above, higher);
    }
    for (char *end = whole + strlen(whole); end != NULL; end = strrchr(whole, '/')) {
        *end = '\0';
        if (holds_run(whole)) {
            return tub__fail(
                err, TUB_E_EXISTS,
                "%.200s would lie inside the run %.200s; choose a folder outside of it", run,
                whole);
        }
    }
    return TUB_OK;
}

tub_status tub__run_may_create(const tub_allocator *a, const char *run, bool force,
                               tub_error *err) {
    if (run[0] == '\0') {
        return tub__fail(err, TUB_E_ARGUMENT, "the run folder to make has an empty name");
    }
    bool there = tub__file_exists(run);
    if (there && !force) {
        return tub__fail(
            err, TUB_E_EXISTS,
            "%s exists already; choose another folder, resume it, or replace it by force "
            "(--force of tubelet train)",
            run);
    }
    if (there) {
        TUB__TRY(check_name(run, err));
        TUB__TRY(check_is_run(a, run, err));
        TUB__TRY(check_contents(a, run, err));
    }
    return check_above(run, err);
}
