/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and opening modules, and the sentence for a missing one. */
#include "base/module.h"

#include "base/error.h"
#include <assert.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_ROOM = 4096 };

/* What each module gives, and the Debian packages that it runs with and is built with. */
static const struct known_module {
    const char *name, *feature, *library, *run_package, *build_package;
} known_modules[] = {
    {"yaml", "reading YAML recipes", "libfyaml", "libfyaml0", "libfyaml-dev"},
    {"net", "downloading", "libcurl", "libcurl4", "libcurl4-openssl-dev"},
};

static const struct known_module *find_known(const char *name) {
    for (size_t i = 0; i < sizeof known_modules / sizeof known_modules[0]; i++) {
        if (strcmp(known_modules[i].name, name) == 0) {
            return &known_modules[i];
        }
    }
    return NULL;
}

static tub_status missing(const char *name, const char *looked_in, tub_error *err) {
    const struct known_module *m = find_known(name);
    if (m == NULL) {
        return tub__fail(err, TUB_E_MODULE, "there is no module '%s'", name);
    }
    return tub__fail(err, TUB_E_MODULE,
                     "%s needs the module mod-%s (library %s), which is not installed: run "
                     "'apt-get install %s' and "
                     "build tubelet again (looked in %.200s)",
                     m->feature, name, m->library, m->build_package, looked_in);
}

static tub_status broken(const char *name, const char *reason, tub_error *err) {
    const struct known_module *m = find_known(name);
    return tub__fail(
        err, TUB_E_MODULE,
        "%s needs the module mod-%s, which can't be loaded: run 'apt-get install %s' (%.300s)",
        m == NULL ? "this" : m->feature, name, m == NULL ? "tubelet" : m->run_package,
        reason == NULL ? "no reason given" : reason);
}

/* Cuts the last component off a path; false when there is none. */
static bool cut(char *path) {
    char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path) {
        return false;
    }
    *slash = '\0';
    return true;
}

/* Tries one folder: "ROOT" + "SUFFIX/mod-NAME.so". *handle stays NULL when there is no such
 * file. */
static tub_status try_folder(const char *root, const char *suffix, const char *name, void **handle,
                             tub_error *err) {
    char path[PATH_ROOM];
    int n = snprintf(path, sizeof path, "%s%s/mod-%s.so", root, suffix, name);
    if (n < 0 || (size_t)n >= sizeof path || access(path, F_OK) != 0) {
        return TUB_OK;
    }
    /* NODELETE: libraries behind a module may have registered things with libc that must not
     * vanish. */
    *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    return *handle == NULL ? broken(name, dlerror(), err) : TUB_OK;
}

/* Beside the shared library, wherever its tree was moved: "tubelet/" in its folder. */
static tub_status try_beside_library(const char *name, void **handle, tub_error *err) {
    Dl_info info;
    char folder[PATH_ROOM];
    if (dladdr((const void *)&known_modules, &info) == 0 || info.dli_fname == NULL ||
        (size_t)snprintf(folder, sizeof folder, "%s", info.dli_fname) >= sizeof folder ||
        !cut(folder)) {
        return TUB_OK;
    }
    return try_folder(folder, "/tubelet", name, handle, err);
}

static tub_status find_and_open(tub_context *ctx, const char *name, void **handle, tub_error *err) {
    const char *folder =
        ctx->module_folder != NULL ? ctx->module_folder : secure_getenv("TUBELET_MODULES");
    *handle = NULL;
    if (folder != NULL && folder[0] != '\0') {
        TUB__TRY(try_folder(folder, "", name, handle, err));
        return *handle != NULL ? TUB_OK : missing(name, folder, err);
    }
    TUB__TRY(try_beside_library(name, handle, err));
    if (*handle == NULL) {
        TUB__TRY(try_folder(tub__module_folder, "", name, handle, err));
    }
    return *handle != NULL ? TUB_OK : missing(name, tub__module_folder, err);
}

/* With the lock held. */
static tub_status open_locked(tub_context *ctx, const char *name, const void **table,
                              tub_error *err) {
    for (int i = 0; i < ctx->module_count; i++) {
        if (strcmp(ctx->modules[i].name, name) == 0) {
            *table = ctx->modules[i].table;
            return TUB_OK;
        }
    }
    assert(ctx->module_count < TUB__MODULE_LIMIT);
    tub__open_module *m = &ctx->modules[ctx->module_count];
    TUB__TRY(find_and_open(ctx, name, &m->handle, err));
    m->table = dlsym(m->handle, "tub__module_table");
    if (m->table == NULL) {
        tub_status status = broken(name, dlerror(), err);
        dlclose(m->handle);
        return status;
    }
    if (*(const int *)m->table != TUB__MODULE_VERSION) {
        dlclose(m->handle);
        return tub__fail(err, TUB_E_MODULE,
                         "the module mod-%s was built for another version of tubelet; build and "
                         "install both together",
                         name);
    }
    snprintf(m->name, sizeof m->name, "%s", name);
    ctx->module_count++;
    *table = m->table;
    return TUB_OK;
}

tub_status tub__module_open(tub_context *ctx, const char *name, const void **table,
                            tub_error *err) {
    assert(strlen(name) < sizeof ctx->modules[0].name);
    pthread_mutex_lock(&ctx->module_lock);
    tub_status status = open_locked(ctx, name, table, err);
    pthread_mutex_unlock(&ctx->module_lock);
    return status;
}

void tub__modules_close(tub_context *ctx) {
    while (ctx->module_count > 0) {
        dlclose(ctx->modules[--ctx->module_count].handle);
    }
}
