/* SPDX-License-Identifier: Apache-2.0 */
/* Names and folders of runs that are to be made. */
#include "place.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RUNS_LIMIT = 10000 };

void place_make_parents(place_parents *p, const char *run) {
    p->first = 0;
    snprintf(p->path, sizeof p->path, "%s", run);
    for (size_t n = strlen(p->path); n > 1 && p->path[n - 1] == '/'; n--) {
        p->path[n - 1] = '\0'; /* else the run itself would be a folder above it */
    }
    for (char *slash = strchr(p->path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(p->path, 0777) == 0 && p->first == 0) {
            p->first = (size_t)(slash - p->path);
        }
        *slash = '/';
    }
}

void place_remove_parents(place_parents *p) {
    char *slash = strrchr(p->path, '/');
    while (p->first > 0 && slash != NULL && (size_t)(slash - p->path) >= p->first) {
        *slash = '\0';
        if (rmdir(p->path) != 0) {
            return;
        }
        slash = strrchr(p->path, '/');
    }
}

bool place_default_run(const char *data, char *out, size_t size) {
    size_t end = strlen(data), begin = 0; /* of the name: behind a folder's may stand a slash */
    while (end > 1 && data[end - 1] == '/') {
        end--;
    }
    for (size_t i = 0; i < end; i++) {
        begin = data[i] == '/' ? i + 1 : begin;
    }
    const char *name = data + begin;
    int length = (int)strcspn(name, "./");
    for (int i = 1; i < RUNS_LIMIT; i++) {
        int n = snprintf(out, size, "runs/%.*s-%d", length, name, i);
        if (n > 0 && (size_t)n < size && access(out, F_OK) != 0) {
            return true;
        }
    }
    return false;
}
