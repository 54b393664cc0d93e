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
    {"hash", "checking and sending files of a hub", "libcrypto", "libssl3", "libssl-dev"},
    {"draw", "drawing PNG pictures", "libpng", "libpng16-16", "libpng-dev"},
    {"events", "writing TensorBoard's event files", "protobuf-c", "libprotobuf-c1",
     "libprotobuf-c-dev protobuf-c-compiler"},
    {"onnx", "writing ONNX files", "protobuf-c", "libprotobuf-c1",
     "libprotobuf-c-dev protobuf-c-compiler"},
    {"video", "reading videos and pictures", "FFmpeg", "libavformat59 libavfilter8",
     "libavformat-dev libavfilter-dev"},
    {"nifti", "reading NIfTI volumes", "niftilib", "libniftiio2 zlib1g", "libnifti-dev zlib1g-dev"},
    {"decode", "decoding uploads", "libtubelet", "libjansson4 libzip4", "libjansson-dev libzip-dev"},
    {"http", "serving models", "libmicrohttpd", "libmicrohttpd12", "libmicrohttpd-dev zlib1g-dev"},
    {"search", "the method bayes of a sweep", "NLopt and LAPACKE", "libnlopt0 liblapacke",
     "libnlopt-dev liblapacke-dev"},
    {"journal", "the journal of a sweep", "SQLite", "libsqlite3-0", "libsqlite3-dev"},
    {"hdf5", "reading and writing HDF5 files (Keras)", "libhdf5", "libhdf5-103-1", "libhdf5-dev"},
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

tub_status tub__module_broken(const char *name, const char *reason, tub_error *err) {
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

/* "ROOT" + "SUFFIX/FILE", if there is such a file. */
static bool look_in(const char *root, const char *suffix, const char *file, char *path,
                    size_t room) {
    int n = snprintf(path, room, "%s%s/%s", root, suffix, file);
    return n >= 0 && (size_t)n < room && access(path, F_OK) == 0;
}

/* Beside the shared library, wherever its tree was moved: "tubelet/" in its folder. */
static bool look_beside_library(const char *file, char *path, size_t room) {
    Dl_info info;
    char folder[PATH_ROOM];
    return dladdr((const void *)&known_modules, &info) != 0 && info.dli_fname != NULL &&
           (size_t)snprintf(folder, sizeof folder, "%s", info.dli_fname) < sizeof folder &&
           cut(folder) && look_in(folder, "/tubelet", file, path, room);
}

/* The one folder that somebody has named, or NULL. */
static const char *named_folder(const tub_context *ctx) {
    const char *folder =
        ctx->module_folder != NULL ? ctx->module_folder : secure_getenv("TUBELET_MODULES");
    return folder != NULL && folder[0] != '\0' ? folder : NULL;
}

bool tub__module_find(const tub_context *ctx, const char *file, char *path, size_t room) {
    const char *folder = named_folder(ctx);
    return folder != NULL ? look_in(folder, "", file, path, room)
                          : look_beside_library(file, path, room) ||
                                look_in(tub__module_folder, "", file, path, room);
}

tub_status tub__module_path(const tub_context *ctx, const char *name, char *path, size_t room,
                            tub_error *err) {
    char file[64];
    snprintf(file, sizeof file, "mod-%s.so", name);
    if (!tub__module_find(ctx, file, path, room)) {
        const char *folder = named_folder(ctx);
        return missing(name, folder != NULL ? folder : tub__module_folder, err);
    }
    return TUB_OK;
}

static tub_status find_and_open(tub_context *ctx, const char *name, void **handle, tub_error *err) {
    char path[PATH_ROOM];
    TUB__TRY(tub__module_path(ctx, name, path, sizeof path, err));
    /* NODELETE: libraries behind a module may have registered things with libc that must not
     * vanish. */
    *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    return *handle == NULL ? tub__module_broken(name, dlerror(), err) : TUB_OK;
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
        tub_status status = tub__module_broken(name, dlerror(), err);
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
