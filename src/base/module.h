/* SPDX-License-Identifier: Apache-2.0 */
/* Modules: shared objects that carry a heavy or differently licensed library, opened on first
 * use. */
#ifndef TUB__BASE_MODULE_H
#define TUB__BASE_MODULE_H

#include "base/context.h"

/* Opens mod-NAME.so once per context (from the context's module folder if it names one, else
 * $TUBELET_MODULES if set, else from tubelet/ beside the shared library, else from
 * tub__module_folder) and returns the address of its function table, the
 * object `tub__module_table`. A missing module is one sentence: the feature, the Debian package
 * whose library it needs, and the command that installs it. Thread-safe. */
TUB_MUST_USE tub_status tub__module_open(tub_context *ctx, const char *name, const void **table,
                                         tub_error *err);

extern const char tub__module_folder[];

/* The path of a file that lies where modules do, such as "recipes/NAME.yaml"; false when there is
 * none. */
bool tub__module_find(const tub_context *ctx, const char *file, char *path, size_t room);

/* The path of mod-NAME.so, or the sentence of a missing module. */
TUB_MUST_USE tub_status tub__module_path(const tub_context *ctx, const char *name, char *path,
                                         size_t room, tub_error *err);

/* The sentence of a module that is there and can't be loaded: the package whose library it lacks,
 * and the loader's reason (NULL: none). */
tub_status tub__module_broken(const char *name, const char *reason, tub_error *err);

/* Closes what was opened; the context's destruction calls it. */
void tub__modules_close(tub_context *ctx);

/* Every table begins with this number; a module of another one is refused. */
enum { TUB__MODULE_VERSION = 1 };

/* mod-yaml: YAML 1.2 text to JSON text. */
typedef struct tub__yaml_module {
    int version;
    /* Plain scalars follow the YAML 1.2 core schema; aliases are limited; duplicate keys are
     * refused. *json is from malloc, released by release(). The error names line and column. */
    tub_status (*to_json)(const char *text, size_t size, char **json, tub_error *err);
    void (*release)(char *json);
} tub__yaml_module;

/* mod-net: HTTP(S) and file:// download. */
typedef struct tub__net_module {
    int version;
    /* Appends the resource's bytes from `offset` on to the open file descriptor. If the server
     * ignores the range, truncates first. progress (may be NULL) gets bytes so far and in all (0
     * unknown) and returns non-zero to cancel. */
    tub_status (*download)(const char *url, int fd, unsigned long long offset,
                           int (*progress)(void *user, unsigned long long done,
                                           unsigned long long total),
                           void *user, tub_error *err);
} tub__net_module;

/* mod-draw: pictures. */
typedef struct tub__draw_module {
    int version;
    /* Pixels [height, width, channels] of 1 (gray) or 3 (RGB) channels to the bytes of a PNG file.
     * *bytes is from malloc, released by release(). */
    tub_status (*to_png)(const unsigned char *pixels, uint32_t width, uint32_t height, int channels,
                         unsigned char **bytes, size_t *size, tub_error *err);
    void (*release)(unsigned char *bytes);
} tub__draw_module;

/* A module that is opened in a worker process only (base/worker.h), such as mod-hdf5. */
typedef struct tub__worker_module {
    int version;
    /* Does what `verb` says with the file `input` and writes records (base/wire.h) to `output`, all
     * but the last, at most `most` bytes. Runs confined: it can open nothing. */
    tub_status (*run)(const char *verb, int input, int output, size_t most, tub_error *err);
} tub__worker_module;

#endif
