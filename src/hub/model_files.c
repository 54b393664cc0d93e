/* SPDX-License-Identifier: Apache-2.0 */
/* Listing the files of a model folder. */
#include "hub/model_files.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/file.h"
#include "convert/config_json.h"
#include "convert/folder.h"
#include "hub/weights_list.h"

static const char CONFIG[] = "config.json", PREPROCESSOR[] = "preprocessor_config.json",
                  ARRAYS[] = "model.safetensors", INDEX[] = "model.safetensors.index.json";

/* Folder and receiver of a visit. */
typedef struct round {
    tub_context *ctx;
    const char *folder;
    tub__hub_visit *visit;
    void *user;
} round;

/* *there: NULL where the file must be there; else whether it is. */
static tub_status visit(const round *r, const char *name, bool *there, tub_error *err) {
    char *path;
    TUB__TRY(tub__path_join(&r->ctx->allocator, r->folder, name, &path, err));
    tub_status status = TUB_OK;
    if (there != NULL) {
        *there = tub__file_exists(path);
    }
    if (there == NULL || *there) {
        status = r->visit(r->user, name, path, err);
    }
    tub__free(&r->ctx->allocator, path);
    return status;
}

static tub_status visit_parts(const round *r, tub_error *err) {
    const tub_allocator *a = &r->ctx->allocator;
    tub__weights list;
    char *path;
    TUB__TRY(tub__path_join(a, r->folder, INDEX, &path, err));
    tub_status status = tub__hub_weights_list(a, path, &list, err);
    tub__free(a, path);
    TUB__TRY(status);
    status = visit(r, INDEX, NULL, err);
    for (size_t i = 0; i < list.file_count && status == TUB_OK; i++) {
        status = visit(r, list.names[i], NULL, err);
    }
    tub__weights_close(&list);
    return status;
}

/* A configuration that tubelet itself does not read is no model to publish. */
static tub_status check_config(const round *r, tub_error *err) {
    tub_model_config config;
    char **labels = NULL;
    bool int8, encoder;
    TUB__TRY(tub__folder_expect(r->folder,
                                "a model is a folder with config.json and model.safetensors", err));
    TUB__TRY(
        tub__folder_read_any_config(r->ctx, r->folder, &config, &int8, &encoder, &labels, err));
    tub__labels_free(&r->ctx->allocator, labels, config.classes);
    return TUB_OK;
}

tub_status tub__hub_each_file(tub_context *ctx, const char *folder, tub__hub_visit *receiver,
                              void *user, tub_error *err) {
    const round r = {.ctx = ctx, .folder = folder, .visit = receiver, .user = user};
    bool there;
    TUB__TRY(check_config(&r, err));
    TUB__TRY(visit(&r, CONFIG, NULL, err));
    TUB__TRY(visit(&r, PREPROCESSOR, &there, err));
    TUB__TRY(visit(&r, ARRAYS, &there, err));
    return there ? TUB_OK : visit_parts(&r, err);
}
