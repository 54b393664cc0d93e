/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and saving models: the public functions over a model folder. */
#include "base/error.h"
#include "base/file.h"
#include "convert/config_json.h"
#include "convert/folder.h"

tub_status tub_model_open(tub_context *ctx, const char *folder, tub_model **out, tub_error *err) {
    tub_model_config config;
    tub_model *model = NULL;
    char **labels = NULL;
    TUB__TRY(tub__folder_expect(folder,
                                "a model is a folder with config.json and model.safetensors", err));
    TUB__TRY(tub__folder_read_config(ctx, folder, &config, &labels, err));
    tub_status status = tub__model_create_for(ctx, ctx->backend, &config, ctx->precision, &model, err);
    if (status == TUB_OK && labels != NULL) {
        status = tub_model_set_labels(model, (const char *const *)labels, config.classes, err);
    }
    if (status == TUB_OK) {
        status = tub__folder_read_arrays(model, folder, err);
    }
    tub__labels_free(&ctx->allocator, labels, config.classes);
    if (status != TUB_OK) {
        tub_model_close(model);
        return status;
    }
    *out = model;
    return TUB_OK;
}

tub_status tub_model_save(const tub_model *model, const char *folder, tub_error *err) {
    TUB__TRY(tub__folder_create(folder, err));
    TUB__TRY(tub__folder_write_config(model, folder, NULL, err));
    return tub__folder_write_arrays(model, folder, err);
}
