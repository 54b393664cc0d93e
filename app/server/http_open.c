/* SPDX-License-Identifier: Apache-2.0 */
/* Finds mod-http: it brings a dozen libraries, which no other command should wait for. */
#include <dlfcn.h>
#include <stdio.h>
#include <tubelet/upload.h>

#include "server.h"

const http_module *http_open(tub_context *ctx, tub_error *err) {
    char path[PATH_MAX];
    if (tub_module_path(ctx, "http", path, sizeof path, err) != TUB_OK) {
        return NULL;
    }
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    const http_module *table = handle != NULL ? dlsym(handle, "http_module_table") : NULL;
    if (table == NULL || table->version != HTTP_MODULE_VERSION) {
        err->status = TUB_E_MODULE;
        snprintf(err->message, sizeof err->message, "%s can't be loaded (%.200s)", "mod-http",
                 table == NULL ? dlerror() : "it is of another version");
        return NULL;
    }
    return table;
}
