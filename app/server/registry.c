/* SPDX-License-Identifier: Apache-2.0 */
/* Which models there are. The lock is held for a look at the table only; models are opened outside it, and what
 * a request refers to stays until it lets go. */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../subject.h"
#include "served.h"

enum { ENTRIES = 256, RETIRED = 1024 };

typedef struct entry {
    char name[SERVED_NAME], version[SERVED_VERSION];
    char path[PATH_MAX]; /* of the model or run */
    uint64_t signature;  /* of the files that the model was read from */
    uint64_t refused;    /* of those that could not be read */
    served *model;       /* NULL: it never could */
    bool seen, twice;    /* twice: somebody was told that another folder has its name */
} entry;

struct registry {
    served_settings settings;
    char *const *paths;
    int path_count;
    pthread_mutex_t lock;
    entry list[ENTRIES]; /* by name, then by version */
    int count;
    served *retired[RETIRED]; /* replaced, and perhaps still at work */
    int retired_count;
    atomic_ullong reloads;
    bool failed; /* at the start: a sentence was printed */
    bool full;   /* and one that there are too many */
};

/* ---- Names ---- */

static long long number_of(const char *version) {
    return strtoll(version, NULL, 10);
}

static int compare(const char *name, const char *version, const entry *e) {
    const int by_name = strcmp(name, e->name);
    const long long a = number_of(version), b = number_of(e->version);
    return by_name != 0 ? by_name : (a > b) - (a < b);
}

static bool is_version(const char *text) {
    const size_t n = strspn(text, "0123456789");
    return n > 0 && n < 16 && text[n] == '\0' && (text[0] != '0' || n == 1);
}

/* ---- What has changed ---- */

static uint64_t mix(uint64_t h, uint64_t value) {
    h = (h ^ value) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

static bool is_of_model(const char *name) {
    const char *dot = strrchr(name, '.');
    return strcmp(name, "config.json") == 0 || strcmp(name, "preprocessor_config.json") == 0 ||
           strcmp(name, "recipe.yaml") == 0 || strcmp(name, "model.safetensors.index.json") == 0 ||
           (dot != NULL && strcmp(dot, ".safetensors") == 0);
}

/* Sums over the files, so that their order does not matter; 0: no folder. */
static uint64_t signature_of(const char *folder) {
    DIR *list = opendir(folder);
    uint64_t sum = 1;
    if (list == NULL) {
        return 0;
    }
    for (struct dirent *d = readdir(list); d != NULL; d = readdir(list)) {
        struct stat s;
        if (is_of_model(d->d_name) && fstatat(dirfd(list), d->d_name, &s, 0) == 0) {
            uint64_t h = 0;
            for (const char *c = d->d_name; *c != '\0'; c++) {
                h = mix(h, (unsigned char)*c);
            }
            h = mix(mix(h, (uint64_t)s.st_ino), (uint64_t)s.st_size);
            sum += mix(mix(h, (uint64_t)s.st_mtim.tv_sec), (uint64_t)s.st_mtim.tv_nsec);
        }
    }
    closedir(list);
    return sum;
}

static void tell(const registry *r, const entry *e, const char *what, const char *why) {
    fprintf(stderr, "tubelet %s: model %s, version %s: %s%s%s\n", r->settings.command->name,
            e->name, e->version, what, why != NULL ? ": " : "", why != NULL ? why : "");
}

static void retire(registry *r, served *old) {
    if (old != NULL) {
        r->retired[r->retired_count++] = old;
        atomic_fetch_sub(&old->references, 1);
    }
}

void registry_reap(registry *r) {
    int kept = 0;
    for (int i = 0; i < r->retired_count; i++) {
        if (atomic_load(&r->retired[i]->references) == 0) {
            served_close(r->retired[i]);
        } else {
            r->retired[kept++] = r->retired[i];
        }
    }
    r->retired_count = kept;
}

/* Puts a model in the place of what there was. */
static void replace(registry *r, entry *e, served *model, uint64_t signature) {
    pthread_mutex_lock(&r->lock);
    served *old = e->model;
    e->model = model;
    pthread_mutex_unlock(&r->lock);
    e->signature = signature;
    e->refused = 0;
    if (old != NULL) {
        atomic_fetch_add(&r->reloads, 1);
        tell(r, e, "read again", NULL);
    }
    retire(r, old);
}

static void refuse(registry *r, entry *e, uint64_t signature, const char *why) {
    e->refused = signature;
    r->failed = true;
    tell(r, e,
         e->model != NULL ? "what has changed can't be read, the model before it stays"
                          : "can't be read",
         why);
}

/* Where the weights are: of a run perhaps in best/. The signature is of both folders. */
static void look_at(registry *r, entry *e) {
    char best[PATH_MAX];
    const bool named = snprintf(best, sizeof best, "%s/best", e->path) < (int)sizeof best;
    const uint64_t signature = signature_of(e->path) * 31 + (named ? signature_of(best) : 0);
    if (signature == e->signature || signature == e->refused || r->retired_count == RETIRED) {
        return;
    }
    const served_settings *s = &r->settings;
    tub_context *ctx;
    tub_error err;
    subject what;
    served *model = NULL;
    if (cli_context_in(s->common, TUB_PRECISION_F32, &ctx, &err) != TUB_OK) {
        refuse(r, e, signature, err.message);
        return;
    }
    const int code = subject_resolve(s->command, ctx, e->path, NULL, &what);
    tub_context_destroy(ctx);
    if (code != CLI_GO) {
        refuse(r, e, signature, "its folder is no model");
    } else if (served_open(s, e->name, e->version, what.folder, &model, &err) != TUB_OK) {
        refuse(r, e, signature, err.message);
    } else {
        replace(r, e, model, signature);
    }
}

/* ---- Finding ---- */

static entry *make_room(registry *r, int at, const char *name, const char *version,
                        const char *path) {
    if (r->count == ENTRIES) {
        if (!r->full) {
            fprintf(stderr, "tubelet %s: more than %d models: %s and others are left out\n",
                    r->settings.command->name, ENTRIES, path);
        }
        r->full = r->failed = true;
        return NULL;
    }
    pthread_mutex_lock(&r->lock);
    memmove(&r->list[at + 1], &r->list[at], (size_t)(r->count - at) * sizeof r->list[0]);
    entry *e = &r->list[at];
    *e = (entry){.model = NULL};
    snprintf(e->name, sizeof e->name, "%s", name);
    snprintf(e->version, sizeof e->version, "%s", version);
    snprintf(e->path, sizeof e->path, "%s", path);
    r->count++;
    pthread_mutex_unlock(&r->lock);
    return e;
}

static void found(registry *r, const char *name, const char *version, const char *path) {
    int at = 0;
    while (at < r->count && compare(name, version, &r->list[at]) > 0) {
        at++;
    }
    entry *e = at < r->count && compare(name, version, &r->list[at]) == 0 ? &r->list[at] : NULL;
    if (e != NULL && e->seen) {
        if (strcmp(e->path, path) != 0 && !e->twice) {
            r->failed = e->twice = true;
            tell(r, e, "stands twice", path);
        }
        return;
    }
    e = e != NULL ? e : make_room(r, at, name, version, path);
    if (e != NULL) {
        e->seen = true;
        look_at(r, e);
    }
}

static bool join(char out[PATH_MAX], const char *folder, const char *name) {
    return snprintf(out, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;
}

/* Calls `visit` for each folder in a folder. */
typedef void visit_fn(registry *r, const char *path, const char *name, const char *above);
static void each_folder(registry *r, const char *folder, const char *above, visit_fn *visit) {
    struct dirent **names;
    const int n = scandir(folder, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char path[PATH_MAX];
        struct stat s;
        if (names[i]->d_name[0] != '.' && strlen(names[i]->d_name) < SERVED_NAME &&
            join(path, folder, names[i]->d_name) && stat(path, &s) == 0 && S_ISDIR(s.st_mode)) {
            visit(r, path, names[i]->d_name, above);
        }
        free(names[i]);
    }
    if (n >= 0) {
        free(names);
    }
}

static void visit_version(registry *r, const char *path, const char *name, const char *above) {
    if (is_version(name) && subject_is_model(path)) {
        found(r, above, name, path);
    }
}

static void visit_name(registry *r, const char *path, const char *name, const char *above) {
    (void)above;
    if (subject_is_model(path)) {
        found(r, name, "1", path);
    } else {
        each_folder(r, path, name, visit_version);
    }
}

/* Of a model in the cache of a hub, models--OWNER--NAME/snapshots/COMMIT, its name there; else NULL. */
static const char *name_on_hub(char *real) {
    static const char models[] = "models--", snapshots[] = "/snapshots/";
    char *below = strstr(real, snapshots);
    if (below == NULL || strchr(below + sizeof snapshots - 1, '/') != NULL) {
        return NULL;
    }
    *below = '\0';
    const char *slash = strrchr(real, '/'), *name = slash != NULL ? slash + 1 : real;
    if (strncmp(name, models, sizeof models - 1) != 0) {
        *below = '/';
        return NULL;
    }
    const char *owner = name + sizeof models - 1, *last = strstr(owner, "--");
    return last != NULL ? last + 2 : owner;
}

/* The last word of a path, whatever its form is. */
static bool name_of(const char *path, char out[SERVED_NAME]) {
    char real[PATH_MAX];
    if (realpath(path, real) == NULL) {
        return false;
    }
    const char *name = name_on_hub(real);
    name = name != NULL ? name : strrchr(real, '/') + 1;
    return name[0] != '\0' && snprintf(out, SERVED_NAME, "%s", name) < SERVED_NAME;
}

static void look_in(registry *r, const char *path) {
    char name[SERVED_NAME];
    if (subject_is_model(path) && name_of(path, name)) {
        found(r, name, "1", path);
    } else {
        each_folder(r, path, NULL, visit_name);
    }
}

/* What was not seen again is let go. */
static void drop_unseen(registry *r) {
    for (int i = r->count - 1; i >= 0; i--) {
        entry *e = &r->list[i];
        if (e->seen || r->retired_count == RETIRED) {
            continue;
        }
        served *old = e->model;
        if (old != NULL) {
            tell(r, e, "is gone", NULL);
        }
        pthread_mutex_lock(&r->lock);
        memmove(e, e + 1, (size_t)(r->count - i - 1) * sizeof *e);
        r->count--;
        pthread_mutex_unlock(&r->lock);
        retire(r, old);
    }
}

void registry_scan(registry *r) {
    for (int i = 0; i < r->count; i++) {
        r->list[i].seen = false;
    }
    for (int i = 0; i < r->path_count; i++) {
        look_in(r, r->paths[i]);
    }
    drop_unseen(r);
    registry_reap(r);
}

/* ---- Asking ---- */

static bool is_view(const char *asked, const char *name, served_view *view) {
    const size_t n = strlen(name);
    if (strncmp(asked, name, n) != 0) {
        return false;
    }
    for (int v = 0; v < VIEWS; v++) {
        if (strcmp(asked + n, served_suffix((served_view)v)) == 0) {
            *view = (served_view)v;
            return true;
        }
    }
    return false;
}

/* With the lock held. A model's own name goes before the view of another one. */
static served *find_locked(registry *r, const char *name, const char *version, served_view *view,
                           bool *known) {
    served *best = NULL;
    for (int i = 0; i < r->count; i++) {
        const entry *e = &r->list[i];
        served_view v;
        if (e->model == NULL || !is_view(name, e->name, &v) ||
            (best != NULL && strlen(best->name) > strlen(e->name))) {
            continue;
        }
        *known = true;
        if (version == NULL || strcmp(version, e->version) == 0) {
            best = e->model;
            *view = v;
        }
    }
    return best;
}

served *registry_find(registry *r, const char *name, const char *version, served_view *view,
                      bool *known) {
    bool unused;
    known = known != NULL ? known : &unused;
    *known = false;
    pthread_mutex_lock(&r->lock);
    served *s = find_locked(r, name, version, view, known);
    if (s != NULL) {
        atomic_fetch_add(&s->references, 1);
    }
    pthread_mutex_unlock(&r->lock);
    return s;
}

int registry_versions(registry *r, const char *name, char versions[][SERVED_VERSION], int room) {
    int n = 0;
    pthread_mutex_lock(&r->lock);
    for (int i = 0; i < r->count && n < room; i++) {
        if (r->list[i].model != NULL && strcmp(r->list[i].name, name) == 0) {
            memcpy(versions[n++], r->list[i].version, SERVED_VERSION);
        }
    }
    pthread_mutex_unlock(&r->lock);
    return n;
}

void registry_each(registry *r, registry_visit *visit, void *user) {
    pthread_mutex_lock(&r->lock);
    for (int i = 0; i < r->count; i++) {
        if (r->list[i].model != NULL) {
            visit(user, r->list[i].model);
        }
    }
    pthread_mutex_unlock(&r->lock);
}

unsigned long long registry_reloads(registry *r) {
    return atomic_load(&r->reloads);
}

/* ---- Beginning and end ---- */

static int check_paths(const served_settings *s, char *const *paths, int count) {
    for (int i = 0; i < count; i++) {
        struct stat st;
        if (stat(paths[i], &st) != 0) {
            return cli_fail_with(s->command, "%s: no such folder", paths[i]);
        }
        if (!S_ISDIR(st.st_mode)) {
            return cli_fail_with(s->command,
                                 "%s is a file; a model is the folder that tubelet train made",
                                 paths[i]);
        }
    }
    return CLI_GO;
}

int registry_create(const served_settings *settings, char *const *paths, int count,
                    registry **out) {
    registry *r = calloc(1, sizeof *r);
    int code = r == NULL ? cli_fail_with(settings->command, "out of memory")
                         : check_paths(settings, paths, count);
    if (code != CLI_GO) {
        free(r);
        return code;
    }
    r->settings = *settings;
    r->paths = paths;
    r->path_count = count;
    pthread_mutex_init(&r->lock, NULL);
    registry_scan(r);
    if (r->failed) {
        code = CLI_FAILED;
    } else if (r->count == 0) {
        code = cli_fail_with(settings->command,
                             "there is no model in %s: it is neither a model folder nor one of "
                             "folders NAME/ or NAME/VERSION/ with a config.json",
                             paths[0]);
    }
    if (code != CLI_GO) {
        registry_destroy(r);
        return code;
    }
    *out = r;
    return CLI_GO;
}

void registry_destroy(registry *r) {
    if (r == NULL) {
        return;
    }
    for (int i = 0; i < r->count; i++) {
        served_close(r->list[i].model);
    }
    for (int i = 0; i < r->retired_count; i++) {
        served_close(r->retired[i]);
    }
    pthread_mutex_destroy(&r->lock);
    free(r);
}
